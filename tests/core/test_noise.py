"""Noise: tapes, streams, and that no term's draws depend on the other terms."""

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo_core import (
    Act,
    AlgorithmConfig,
    AlgorithmSpec,
    Citation,
    Config,
    GeneratorNoise,
    LossSpec,
    Noise,
    Part,
    Sampler,
    Stage,
    Term,
    Trainer,
    Transitions,
    Update,
    hookimpl,
    load,
    resolve,
)
from zoo_core import Adam as AdamOf
from zoo_core.noise import CountingNoise, Stream, Tape, stream_seed
from zoo_core.registry import Plugin
from zoo_core.testing import toy_data

CPU = torch.device("cpu")


def test_stream_seeds_depend_on_every_name_and_its_place():
    names = [(0, "train", "actor", "nll"), (1, "train", "actor", "nll"), (0, "fit", "actor", "nll")]
    names += [
        (0, "train", "critic", "nll"),
        (0, "train", "actor", "td"),
        (0, "actor", "train", "nll"),
    ]
    names += [(0, "train", "actornll"), (0, "trainactor", "nll"), (0, "train", "actor")]
    seeds = [stream_seed(*own) for own in names]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [stream_seed(*own) for own in names]
    assert all(0 <= seed < 2**63 for seed in seeds)


@given(st.lists(st.lists(st.text("ab1"), min_size=1, max_size=4), max_size=6, unique_by=tuple))
def test_different_names_give_different_seeds(names):
    assert len({stream_seed(*own) for own in names}) == len(names)


SHAPES = st.lists(
    st.tuples(st.booleans(), st.lists(st.integers(0, 3), max_size=3)), min_size=1, max_size=6
)


@given(SHAPES)
def test_a_tape_deals_its_numbers_once_and_in_order(shapes):
    def draw(noise: Noise):
        return [(noise.normal if is_normal else noise.uniform)(*s) for is_normal, s in shapes]

    count = CountingNoise(torch.float64, CPU)
    draw(count)
    normals, uniforms = torch.arange(count.normals), 1000 + torch.arange(count.uniforms)
    dealt = draw(Tape(normals, uniforms))
    assert [list(x.shape) for x in dealt] == [s for _, s in shapes]
    for is_normal, tape in ((True, normals), (False, uniforms)):
        own = [x.flatten() for x, (n, _) in zip(dealt, shapes, strict=True) if n is is_normal]
        assert torch.equal(torch.cat([tape[:0], *own]), tape)


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_a_tape_refuses_to_be_overdrawn(kind):
    tape = Tape(torch.zeros(4), torch.zeros(4))
    draw = getattr(tape, kind)
    draw(3)
    with pytest.raises(IndexError, match="must not depend on values"):
        draw(2)


def test_integers_are_uniform_and_below_their_bound():
    noise = GeneratorNoise(torch.Generator().manual_seed(0))
    counts = torch.bincount(noise.integers(5, 10_000), minlength=5)
    assert len(counts) == 5
    assert int((counts - 2000).abs().max()) < 160  # four deviations
    largest = Tape(torch.zeros(0), torch.tensor([0.0, 1.0 - 2**-24]))
    assert largest.integers(1000, 2).tolist() == [0, 999]


def test_generator_noise_has_its_moments_type_and_seed():
    def noise():
        return GeneratorNoise(torch.Generator().manual_seed(3), torch.float64)

    normals, uniforms = noise().normal(100, 100), noise().uniform(100, 100)
    assert normals.dtype == uniforms.dtype == torch.float64
    assert torch.equal(normals, noise().normal(100, 100))
    assert float(normals.mean()) == pytest.approx(0, abs=0.04)
    assert float(normals.std()) == pytest.approx(1, abs=0.03)
    assert float(uniforms.min()) >= 0.0
    assert float(uniforms.max()) < 1.0
    assert float(uniforms.mean()) == pytest.approx(0.5, abs=0.012)


def test_a_stream_goes_on_where_it_was():
    stream = Stream(7, 3, 2, torch.float32, CPU)
    stream.draw()
    state = stream.generator.get_state()
    second = stream.draw()
    stream.generator.set_state(state)
    assert all(torch.equal(a, b) for a, b in zip(second, stream.draw(), strict=True))


# -- in training: a loss that reports what it was dealt


class SpyConfig(Config):
    label: str = "spy"
    draws: int = 3


def spy(config):
    def loss(context):
        normal, uniform = context.noise.normal(config.draws), context.noise.uniform(config.draws)
        batch = context.batch
        value = context.sampler.nll(batch.observations, batch.actions, context.noise).mean()
        at = batch.index.double().mean()
        label = config.label
        return value, {f"{label}_n": normal[0], f"{label}_u": uniform[0], f"{label}_at": at}

    return loss


def dealt(*updates, seed=0, stage="train"):
    """The metrics of two steps of updates {name: (label, ...)}."""
    stages = tuple(
        Update(
            name,
            {"sampler": AdamOf()},
            tuple(Term("spy", name=label, label=label, draws=draws) for label, draws in terms),
        )
        for name, terms in updates
    )
    spec = AlgorithmSpec(
        "spied",
        AlgorithmConfig,
        Citation("", "", 2026, ""),
        parts=lambda config: {"sampler": Part("gaussian", hidden=8)},
        stages=lambda config: (Stage(stage, 2, stages, batch=Transitions(size=4)),),
        acts=lambda config: (Act(),),
    )

    class Own:
        @hookimpl
        def zoo_losses(self):
            yield LossSpec("spy", SpyConfig, spy, lambda config: {"sampler": (Sampler,)})

        @hookimpl
        def zoo_algorithms(self):
            yield spec

    registry = load(found=[])
    registry.add(Own(), Plugin("own", "own", "0", "own"))
    logs = []
    trainer = Trainer(resolve("spied", registry=registry), toy_data(), (seed,))
    trainer.run(log=logs.append, log_every=1)
    return [log.metrics[0] for log in logs]


KINDS = ("n", "u", "at")


def of(metrics, update, label):
    return [step[f"{update}/{label}_{kind}"] for step in metrics for kind in KINDS]


def test_another_term_or_update_shifts_no_draws():
    alone = of(dealt(("actor", [("a", 3)])), "actor", "a")
    for others in (
        [("actor", [("a", 3), ("b", 3)])],
        [("actor", [("b", 5), ("a", 3)])],
        [("early", [("a", 3)]), ("actor", [("a", 3)])],
        [("actor", [("a", 3)]), ("late", [("z", 1)])],
    ):
        assert of(dealt(*others), "actor", "a") == alone


def test_streams_differ_by_seed_stage_update_term_and_step():
    both = dealt(("actor", [("a", 3), ("b", 3)]), ("other", [("a", 3)]))
    own = [
        of(both, "actor", "a"),
        of(both, "actor", "b"),
        of(both, "other", "a"),
        of(dealt(("actor", [("a", 3)]), seed=1), "actor", "a"),
        of(dealt(("actor", [("a", 3)]), stage="fit"), "actor", "a"),
    ]
    for one, other in combinations(own, 2):
        # The first two numbers are draws of the first step; the batch is shared by a seed's terms.
        assert one[0] != other[0]
        assert one[1] != other[1]
    assert own[0][0] != own[0][3]
    assert own[0][2] == own[1][2] == own[2][2] != own[3][2]
