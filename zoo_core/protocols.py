"""What a part can do. A loss names the abilities that it reads; a wrong pairing is refused early.

Shapes: B is the batch, O the observation's and A the action's dimensions, n the candidates per
observation, E the members of a critic's ensemble. Actions lie in [-1, 1] everywhere in the core.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor

from zoo_core.noise import Noise

if TYPE_CHECKING:
    from zoo_core.diffusion.solver import Solver


@runtime_checkable
class Sampler(Protocol):
    """Draws actions, and can be cloned from data."""

    def sample(self, observations: Tensor, noise: Noise, n: int = 1) -> Tensor:
        """Actions [n, B, A] for observations [B, O], differentiable in the parameters."""
        ...

    def nll(self, observations: Tensor, actions: Tensor, noise: Noise) -> Tensor:
        """What behaviour cloning minimises for this family, [B]: a squared error, -log p, a
        denoising error or a negative ELBO. `actions` is [B, A]."""
        ...


@runtime_checkable
class HasNll(Protocol):
    """What can be cloned from data: of a loss that asks a sampler for nothing else."""

    def nll(self, observations: Tensor, actions: Tensor, noise: Noise) -> Tensor:
        """What behaviour cloning minimises, [B]: see `Sampler`."""
        ...


@runtime_checkable
class HasMode(Protocol):
    """A sampler with a most likely or a deterministic action (ability `mode`)."""

    def mode(self, observations: Tensor) -> Tensor:
        """Actions [B, A] for observations [B, O]."""
        ...


@runtime_checkable
class HasLogProb(Protocol):
    """A sampler with log-probabilities (ability `sample_log_prob`)."""

    def sample_log_prob(
        self, observations: Tensor, noise: Noise, n: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Reparametrised actions [n, B, A] and their log-probabilities [n, B]."""
        ...


@runtime_checkable
class Guidable(Protocol):
    """A diffusion sampler that an energy can steer (ability `sample_guided`)."""

    def sample_guided(
        self,
        observations: Tensor,
        noise: Noise,
        n: int,
        energy: Callable[[Tensor, Tensor, Tensor], Tensor],
        scale: float,
    ) -> Tensor:
        """Actions [n, B, A] from the score plus `scale` times the gradient of
        `energy(observations, actions [n, B, A], times) -> [n, B]`."""
        ...


@runtime_checkable
class HasSolver(Protocol):
    """A diffusion sampler that any solver can sample (ability `sample_with`)."""

    def sample_with(
        self, solver: "Solver", observations: Tensor, noise: Noise, n: int = 1
    ) -> Tensor:
        """Actions [n, B, A] for observations [B, O] by that solver."""
        ...


@runtime_checkable
class HasScale(Protocol):
    """A guided sampler whose guidance can be weighed at each call (ability `sample_scaled`)."""

    def sample_scaled(self, observations: Tensor, noise: Noise, n: int, scale: float) -> Tensor:
        """Actions [n, B, A] for observations [B, O] at that scale."""
        ...


@runtime_checkable
class HasOneStep(Protocol):
    """A diffusion sampler with a one-step estimate of the action (ability `reconstruct`)."""

    def reconstruct(
        self, observations: Tensor, actions: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """From one denoiser call: one-step actions [B, A] and the nll [B]."""
        ...


@runtime_checkable
class Critic(Protocol):
    """Scores actions (ability `q`)."""

    def q(self, observations: Tensor, actions: Tensor, members: int | None = None) -> Tensor:
        """One value per ensemble member, [E, ..., B], for observations [B, O] and candidates
        [..., B, A], which broadcast over the leading dimensions. With `members`, only that many
        members from the first on are computed."""
        ...


@runtime_checkable
class ValueFunction(Protocol):
    """Scores observations (ability `v`)."""

    def v(self, observations: Tensor) -> Tensor:
        """Values [B] for observations [B, O]."""
        ...


@runtime_checkable
class Dual(Protocol):
    """A dual variable: a temperature or a Lagrange multiplier (abilities `value`, `log`)."""

    def value(self) -> Tensor:
        """The variable, a scalar above 0."""
        ...

    def log(self) -> Tensor:
        """Its logarithm, a scalar."""
        ...


ABILITIES: dict[type, str] = {
    Sampler: "sampling actions and their nll (methods sample and nll)",
    HasNll: "an nll of actions (method nll)",
    HasMode: "a mode (method mode)",
    HasLogProb: "log-probabilities (method sample_log_prob)",
    Guidable: "guided sampling (method sample_guided)",
    HasSolver: "sampling by another solver (method sample_with)",
    HasScale: "guidance by a scale (method sample_scaled)",
    HasOneStep: "one-step reconstruction (method reconstruct)",
    Critic: "values of actions (method q)",
    ValueFunction: "values of observations (method v)",
    Dual: "a dual variable's value (methods value and log)",
}
"""How an error message names each protocol."""
