import tempfile

import pytest
import torch
import torch.nn.functional as F

from zoo_core.nn import kernels as module
from zoo_core.nn import linear_mish, mish

COMPILED = pytest.mark.skipif(module.compiled() is None, reason="needs a C compiler")


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@COMPILED
def test_the_kernels_agree_with_float64(one_thread):
    x = torch.linspace(-90, 90, 100_001)
    z, derivative, value = x.clone(), torch.empty_like(x), x.clone()
    module.kernels().value_and_derivative(z, None, derivative)
    module.kernels().value(value, None)
    exact = x.double().requires_grad_()
    reference = F.mish(exact)
    (slope,) = torch.autograd.grad(reference.sum(), exact)
    torch.testing.assert_close(z.double(), reference.detach(), rtol=3e-6, atol=1e-30)
    torch.testing.assert_close(value, z, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(derivative.double(), slope, rtol=0.0, atol=3e-7)


@COMPILED
@pytest.mark.parametrize("shape", [(256, 256), (7, 5), (1, 1), (3, 2, 33), (0, 4)])
def test_a_compiled_layer_equals_the_plain_one(one_thread, shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, requires_grad=True)
    weight = torch.randn(6, shape[-1], generator=generator, requires_grad=True)
    bias = torch.randn(6, generator=generator, requires_grad=True)
    ours, plain = linear_mish(x, weight, bias), F.mish(F.linear(x, weight, bias))
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-5)
    scale = torch.randn(ours.shape, generator=generator)
    mine = torch.autograd.grad((ours * scale).sum(), (x, weight, bias))
    theirs = torch.autograd.grad((plain * scale).sum(), (x, weight, bias))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@COMPILED
def test_only_the_wanted_gradients_are_given(one_thread):
    x, weight = torch.randn(4, 3), torch.randn(5, 3, requires_grad=True)
    bias = torch.zeros(5)
    (gradient,) = torch.autograd.grad(linear_mish(x, weight, bias).sum(), (weight,))
    assert gradient.shape == weight.shape


@COMPILED
def test_inputs_are_left_as_they_were(one_thread):
    x = torch.randn(5, 4)
    before = x.clone()
    mish(x)
    mish(x.requires_grad_()).sum().backward()
    assert torch.equal(before, x.detach())


def test_the_kernels_are_only_for_one_thread_and_float32():
    assert not module.serves(torch.zeros(2, dtype=torch.float64))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    assert not module.serves(torch.zeros(2))
    torch.set_num_threads(threads)


def compiled_now() -> bool:
    """Whether a process that starts under the present variables has the kernels."""
    return module.compiled.__wrapped__() is not None


def test_without_a_compiler_torch_serves(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not compiled_now()


def test_the_variable_switches_them_off_and_refuses_nonsense(monkeypatch):
    monkeypatch.setenv("ZOO_KERNELS", "torch")
    assert not compiled_now()
    monkeypatch.setenv("ZOO_KERNELS", "yes")
    with pytest.raises(ValueError, match="it may be auto or torch"):
        compiled_now()


@COMPILED
def test_a_damaged_library_and_an_unwritable_cache_do_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert compiled_now()
    (library,) = (cache / "zoo").iterdir()
    # A new file: this process has the old one's pages.
    library.unlink()
    library.write_bytes(b"not a library")
    assert compiled_now()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiled_now()
