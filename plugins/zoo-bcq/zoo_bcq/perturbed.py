"""The generative model and the perturbation model of BCQ as one sampler (equation 12).

Fujimoto et al. 2019, arXiv:1812.02900: actions a of a conditional VAE become a + xi(s, a), where
the perturbation xi is bounded by phi, so that the policy improves on the data without leaving it.
"""

from collections.abc import Iterable

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from zoo_core import Noise, SamplerSpec, Space, hookimpl
from zoo_core.builtin.vae import VAE, VAEConfig
from zoo_core.nn import MLP, Activation, widths


class PerturbedConfig(VAEConfig):
    """Settings of the sampler `perturbed`: those of `vae`, and of the perturbation."""

    phi: float = Field(default=0.05, ge=0.0, le=2.0)
    """Bound of the perturbation of each action dimension; actions span [-1, 1]."""
    perturbation_hidden: PositiveInt | tuple[PositiveInt, ...] = (400, 300)
    """Width of every hidden layer of the perturbation, or one width for each."""
    perturbation_layers: NonNegativeInt = 2
    """Number of hidden layers of the perturbation."""
    perturbation_activation: Activation = "relu"
    """Between the layers of the perturbation."""

    @model_validator(mode="after")
    def _perturbation_fitting(self) -> "PerturbedConfig":
        widths(self.perturbation_hidden, self.perturbation_layers, "perturbation_hidden")
        return self


class Perturbation(nn.Module):
    """xi(s, a) = phi tanh(net(s, a)), added to the action."""

    def __init__(self, config: PerturbedConfig, space: Space) -> None:
        super().__init__()
        self.phi = config.phi
        self.net = MLP(
            (space.observation_dim, space.action_dim),
            space.action_dim,
            hidden=config.perturbation_hidden,
            layers=config.perturbation_layers,
            activation=config.perturbation_activation,
        )

    def forward(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Actions [..., B, A] within phi of those given, in [-1, 1], for observations [B, O]."""
        change: Tensor = self.net(observations, actions)
        return (actions + self.phi * change.tanh()).clamp(-1.0, 1.0)


class Perturbed(nn.Module):
    """The VAE's actions, perturbed; its nll is the VAE's."""

    def __init__(self, config: PerturbedConfig, space: Space) -> None:
        super().__init__()
        self.vae = VAE(config, space)
        self.perturbation = Perturbation(config, space)

    def sample(self, observations: Tensor, noise: Noise, n: int = 1) -> Tensor:
        """Actions [n, B, A] for observations [B, O]."""
        actions: Tensor = self.perturbation(observations, self.vae.sample(observations, noise, n))
        return actions

    def nll(self, observations: Tensor, actions: Tensor, noise: Noise) -> Tensor:
        """The VAE's negative ELBO, [B]."""
        return self.vae.nll(observations, actions, noise)


SPEC = SamplerSpec(
    "perturbed",
    PerturbedConfig,
    Perturbed,
    "Fujimoto et al. 2019, arXiv:1812.02900",
    beyond_nll=("perturbation",),
)


@hookimpl
def zoo_samplers() -> Iterable[SamplerSpec]:
    """`perturbed`."""
    return (SPEC,)
