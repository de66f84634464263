"""A diffusion that an energy steers (QGPO, arXiv:2304.12824).

The behaviour's denoiser is the submodule `prior`, the intermediate energy E_t(s, a_t) is `energy`:
samples follow the score of the prior plus `scale` times the gradient of the energy.
With E_t = log E[exp(beta Q(s, a_0)) | a_t] and scale 1 they follow prior(a | s) exp(beta Q(s, a)).
"""

from collections.abc import Callable

from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from zoo_core.builtin.dpm_solver import DPMSolverConfig
from zoo_core.data import Space
from zoo_core.diffusion import DiffusionSampler
from zoo_core.nn import MLP, Linear
from zoo_core.noise import Noise
from zoo_core.specs import SamplerSpec

_ACTIONS, _TIMES, _OBSERVATIONS = range(3)
"""The inputs of the energy's network."""


class GuidedConfig(DPMSolverConfig):
    """Settings of the sampler `guided`."""

    scale: float = Field(default=1.0, ge=0.0)
    """Weight of the energy's gradient; 0 samples the behaviour."""
    energy_hidden: PositiveInt = 256
    """Width of each hidden layer of the energy."""
    energy_layers: NonNegativeInt = 4
    """Number of hidden layers of the energy."""
    energy_time_dim: PositiveInt = Field(default=32, multiple_of=2)
    """Size of the energy's time embedding; even."""


class Energy(nn.Module):
    """E_t(s, a_t): an MLP of the noised action, the embedded time and the observation (SiLU)."""

    def __init__(self, config: GuidedConfig, space: Space) -> None:
        super().__init__()
        self.embedding = config.fourier_features(config.energy_time_dim)
        self.time = Linear(config.energy_time_dim, config.energy_time_dim)
        self.net = MLP(
            (space.action_dim, config.energy_time_dim, space.observation_dim),
            1,
            hidden=config.energy_hidden,
            layers=config.energy_layers,
            activation="silu",
        )

    def forward(self, observations: Tensor, actions: Tensor, times: Tensor) -> Tensor:
        """Energies [...] of observations [B, O], noised actions [..., B, A] and times that
        broadcast against the actions' leading dimensions."""
        output: Tensor = self.net(actions, self._embedded(times), observations)
        return output.squeeze(-1)

    def conditioned(self, observations: Tensor, times: Tensor) -> Callable[[Tensor, int], Tensor]:
        """The energy as a function of actions, for observations [B, O] and K times [K]: their
        share of the first layer is computed once.

        Returns:
            f(actions [..., B, A], k) -> [..., B], where k is a position in `times`.
        """
        first = self.net.first
        of_times = first.part(_TIMES, self._embedded(times), first.bias)
        of_observations = first.part(_OBSERVATIONS, observations)

        def energy(actions: Tensor, k: int) -> Tensor:
            z = first.part(_ACTIONS, actions, of_times[k]) + of_observations
            return self.net.after_first(z).squeeze(-1)

        return energy

    def _embedded(self, times: Tensor) -> Tensor:
        embedded: Tensor = self.time(self.embedding(times).to(self.time.weight))
        return embedded


class Guided(nn.Module):
    """A trained prior, steered; its nll is the prior's."""

    def __init__(self, config: GuidedConfig, space: Space) -> None:
        super().__init__()
        self.scale = config.scale
        self.prior = DiffusionSampler(config, space)
        self.energy = Energy(config, space)

    def sample(self, observations: Tensor, noise: Noise, n: int = 1) -> Tensor:
        """Actions [n, B, A] at the scale of the settings."""
        return self.sample_scaled(observations, noise, n, self.scale)

    def sample_scaled(self, observations: Tensor, noise: Noise, n: int, scale: float) -> Tensor:
        """Actions [n, B, A] at a scale of the guidance; 0 samples the prior."""
        if scale == 0.0:
            return self.prior.sample(observations, noise, n)
        return self.prior.sample_guided(observations, noise, n, self.energy.conditioned, scale)

    def nll(self, observations: Tensor, actions: Tensor, noise: Noise) -> Tensor:
        """The prior's denoising error [B]."""
        return self.prior.nll(observations, actions, noise)


SPEC = SamplerSpec(
    "guided", GuidedConfig, Guided, "Lu et al. 2023, arXiv:2304.12824", beyond_nll=("energy",)
)
