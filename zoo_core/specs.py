"""The frozen descriptions that plugins return: parts, losses, stages, acts and algorithms.

They are data: nothing here builds a network or touches a tensor, so that a plugin can be tested by
calling its functions and comparing what they return.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator
from torch import Tensor, nn

from zoo_core.config import AlgorithmConfig, Config
from zoo_core.data import OfflineData, Space
from zoo_core.diffusion.solver import Solver
from zoo_core.noise import Noise
from zoo_core.reductions import Members
from zoo_core.schedules import Schedule

if TYPE_CHECKING:
    from zoo_core.agent import Agent
    from zoo_core.context import Context

Metrics = Mapping[str, Tensor]
"""Scalar tensors by name, such as `q_mean`; they stay tensors until they are logged."""

Loss = Callable[["Context"], Tensor | tuple[Tensor, Metrics]]
"""A pure function of a read-only context that returns a scalar, or a scalar and its metrics."""

Columns = dict[str, Tensor]
"""Tensors by name, each with one row per stored observation: [N + E, ...]."""

Prepare = Callable[["Agent", OfflineData, Noise], Columns]
"""Adds columns at the start of a stage. `data` is as logged (see `Agent.normalized`), with the
columns of earlier stages as `data.columns`."""

Policy = Callable[[Tensor], Tensor]
"""Raw observations [B, O] to actions [B, A] in [-1, 1]."""


class Part:
    """Which registered sampler or critic a part is, with the settings that an algorithm gives it.

    `Part("ddpm", steps=5)` names the spec first; the rest are fields of its settings class.
    """

    __slots__ = ("settings", "spec")

    def __init__(self, spec: str, /, **settings: Any) -> None:
        self.spec = spec
        self.settings: Mapping[str, Any] = dict(settings)

    def __repr__(self) -> str:
        return f"Part({', '.join([repr(self.spec), *_arguments(self.settings)])})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class Term:
    """One weighted loss of an update.

    Args:
        loss: The registered loss's name.
        weight: A factor, or a schedule of the stage's progress.
        name: What the term is called in paths and metrics; the loss's name where none is given.
        settings: Fields of the loss's settings class.
    """

    __slots__ = ("loss", "name", "settings", "weight")

    def __init__(
        self,
        loss: str,
        /,
        *,
        weight: float | Schedule = 1.0,
        name: str | None = None,
        **settings: Any,
    ) -> None:
        self.loss = loss
        self.weight = weight
        self.name = name or loss
        self.settings: Mapping[str, Any] = dict(settings)

    def __repr__(self) -> str:
        options = {"weight": self.weight, "name": self.name, **self.settings}
        return f"Term({', '.join([repr(self.loss), *_arguments(options)])})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Term) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


def _arguments(settings: Mapping[str, Any]) -> list[str]:
    return [f"{key}={value!r}" for key, value in settings.items()]


class Adam(Config):
    """Adam for one part (arXiv:1412.6980); elementwise, so that seeds can be stacked."""

    def __init__(self, lr: float | Schedule = 3e-4, **settings: Any) -> None:
        super().__init__(lr=lr, **settings)  # type: ignore[call-arg]

    lr: float | Schedule = 3e-4
    """Learning rate, or a schedule of the stage's progress."""
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Decay of the gradient's average."""
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0)
    """Decay of the squared gradient's average."""
    eps: PositiveFloat = 1e-8
    """Added to the root of the squared gradient's average."""
    weight_decay: float = Field(default=0.0, ge=0.0)
    """Factor of the squared norm's gradient (L2, or decoupled as in AdamW)."""
    decoupled: bool = False
    """Whether weight decay is decoupled from the gradient (AdamW, arXiv:1711.05101)."""
    max_grad_norm: PositiveFloat | None = None
    """Norm to which the part's gradient is clipped. If None, it is not clipped."""

    @field_validator("lr")
    @classmethod
    def _never_uphill(cls, lr: float | Schedule) -> float | Schedule:
        if min((lr.start, lr.end) if isinstance(lr, Schedule) else (lr,)) < 0.0:
            raise ValueError("a learning rate must not be negative")
        return lr


class Ema(Config):
    """An exponential average of a part, kept by the core as `target.<part>`.

    target <- target + rate (live - target), at steps start, start + every, start + 2 every, ...
    counted from 1 within the stage, after the step's updates or after one of them. Before `start`
    the target keeps its initial weights.
    """

    part: str
    """The part that is averaged, such as `critic`, or a path below one: `sampler.perturbation`."""
    rate: float = Field(default=0.005, gt=0.0, le=1.0)
    """How far each move goes."""
    every: PositiveInt = 1
    """Steps between moves."""
    start: PositiveInt | None = None
    """The first step that moves. Default: `every`."""
    after: str | None = None
    """The update after which it moves, so that those behind see it moved. Default: the last."""

    def __init__(self, part: str, **settings: Any) -> None:
        super().__init__(part=part, **settings)  # type: ignore[call-arg]

    def fires(self, step: int) -> bool:
        """Whether the average moves at this step of the stage, counted from 1."""
        return fires(step, self.every, self.start)


def fires(step: int, every: int, start: int | None) -> bool:
    """Whether something that happens at start, start + every, ... happens at `step`."""
    first = every if start is None else start
    return step >= first and (step - first) % every == 0


@dataclass(frozen=True)
class Update:
    """One gradient step: one forward, one backward, one optimizer and one clip per trained part.

    Parts that are not in `trains` are constants of the update. The moments of a part's optimizer
    live on over stages and are shared by all updates that train the same path; each update steps
    with its own settings of `Adam`.
    """

    name: str
    trains: Mapping[str, Adam]
    """Optimizer by the path of the part, such as `sampler` or `sampler.energy`; of an update's
    paths, none lies below another."""
    losses: tuple[Term, ...]
    every: int = 1
    """Steps between updates, counted from 1 within the stage."""
    start: int | None = None
    """The first step. Default: `every`."""

    def __post_init__(self) -> None:
        if not isinstance(self.losses, tuple) or not all(isinstance(t, Term) for t in self.losses):
            raise TypeError(f"update '{self.name}': losses must be a tuple of terms: (Term(...),)")

    def fires(self, step: int) -> bool:
        """Whether the update happens at this step of the stage, counted from 1."""
        return fires(step, self.every, self.start)


class Transitions(Config):
    """Batches of single transitions, drawn uniformly with replacement."""

    size: PositiveInt = 256
    """Transitions per batch."""


class Windows(Config):
    """Batches of windows of consecutive transitions of one episode, drawn uniformly by start."""

    size: PositiveInt = 32
    """Windows per batch."""
    horizon: PositiveInt = 32
    """Transitions per window; past the episode's end the last one repeats with mask 0."""


@dataclass(frozen=True)
class Stage:
    """A run of steps in which the same updates happen in the same order."""

    name: str
    steps: int
    updates: tuple[Update, ...]
    emas: tuple[Ema, ...] = ()
    batch: Transitions | Windows | None = None
    """How batches are drawn. Default: `batch_size` transitions."""
    prepare: Prepare | None = None
    prepare_reads: tuple[str, ...] = ()
    """The parts and settings that decide what is prepared, such as `sampler.prior` and `samples`: a
    run that differs in others only finds the columns of the first. If empty, all."""
    prepares: tuple[str, ...] | None = None
    """The names of the columns that `prepare` adds, so that a loss that reads another is refused
    before any data load; none where they are known only then."""
    reset: tuple[str, ...] = ()
    """Parts, or parts below one such as `sampler.energy`, that start from scratch when the stage
    begins, with their targets and optimizers; `prepare` still sees them as the last stage left
    them."""

    def __post_init__(self) -> None:
        for label, given, kind in (("updates", self.updates, Update), ("emas", self.emas, Ema)):
            if not isinstance(given, tuple) or not all(isinstance(g, kind) for g in given):
                kinds = f"a tuple of {kind.__name__}s: ({kind.__name__}(...),)"
                raise TypeError(f"stage '{self.name}': {label} must be {kinds}")


class Act(Config):
    """A way of choosing actions, as data. An algorithm names several; the first is the headline."""

    name: str = "act"
    """What tables and `agent.act(..., act=NAME)` call it."""
    sampler: str = "sampler"
    """`sampler`, or `target.sampler` for the averaged one."""
    choose: Literal["mode", "sample", "mode_or_sample", "argmax", "softmax", "expectile"] = "sample"
    """The sampler's mode; one sample; the mode where the sampler has one, else one sample; the best
    of n by the score; a draw from the softmax of their scores; or a draw with the weights of an
    expectile's implicit policy, |tau - 1(score < V)| (IDQL, arXiv:2304.10573)."""
    n: PositiveInt = 1
    """Candidates per observation."""
    score: str | None = None
    """The critic that scores candidates, such as `target.critic`; needed by argmax, softmax and
    expectile."""
    reduce: Members = "min"
    """How the critic's members become one score."""
    temperature: PositiveFloat = 1.0
    """Temperature of the softmax: probabilities are proportional to exp(score / temperature)."""
    value: str = "value"
    """The part that is V, for the expectile."""
    expectile: float = Field(default=0.7, gt=0.0, lt=1.0)
    """The level tau of the expectile."""
    average: PositiveInt = 1
    """How many candidates argmax, softmax and expectile choose, without replacement; the action is
    their mean."""
    solver: Solver | None = None
    """Solver of a diffusion sampler. Default: the sampler's own."""
    scale: float | None = Field(default=None, ge=0.0)
    """Weight of a guided sampler's guidance. Default: the sampler's own."""

    @model_validator(mode="after")
    def _one_way(self) -> Act:
        if self.solver is not None and self.scale is not None:
            raise ValueError("an act takes a solver or a scale, not both")
        if self.choose == "mode" and (self.solver is not None or self.scale is not None):
            raise ValueError("choose=mode samples nothing: leave solver and scale out")
        if self.choose in {"mode", "sample", "mode_or_sample"} and self.average > 1:
            raise ValueError("an average needs choose to be argmax, softmax or expectile")
        if self.average > self.n:
            raise ValueError(f"an average of {self.average} candidates needs n to be as many")
        return self


@dataclass(frozen=True)
class SamplerSpec:
    """A sampler that plugins can name: see `zoo_core.protocols.Sampler`."""

    name: str
    config: type[Config]
    build: Callable[[Any, Space], nn.Module]
    """(config, space) to a module; parameters are drawn from torch's global generator, which the
    core seeds."""
    cite: str = ""
    beyond_nll: tuple[str, ...] = ()
    """Submodules that actions depend on and `nll` does not, such as the energy of a guided
    diffusion. An algorithm that only clones would act by their initial weights, and is refused."""


@dataclass(frozen=True)
class CriticSpec:
    """A critic, a value function or a dual variable that plugins can name."""

    name: str
    config: type[Config]
    build: Callable[[Any, Space], nn.Module]
    cite: str = ""


Reads = Mapping[str, tuple[type, ...]]
"""Protocols by part path, such as {"sampler": (Sampler,), "target.critic": (Critic,)}."""


@dataclass(frozen=True)
class Average:
    """A running mean of a loss's metric: average <- average + rate (metric - average)."""

    rate: float
    initial: float = 0.0


@dataclass(frozen=True)
class LossSpec:
    """A loss that plugins can name."""

    name: str
    config: type[Config]
    build: Callable[[Any], Loss]
    reads: Reads | Callable[[Any], Reads]
    """The parts, targets and protocols that the loss needs, or a function of its settings."""
    minimises: str = ""
    """The equation in one line."""
    cite: str = ""
    averages: Mapping[str, Average] = field(default_factory=dict)
    """Metrics that the core averages; losses read them by `ctx.average(name)`."""
    columns: tuple[str, ...] | Callable[[Any], tuple[str, ...]] = ()
    """The prepared columns that the loss needs, or a function of its settings."""

    def reads_with(self, config: Config) -> Reads:
        """What the loss needs with these settings."""
        return self.reads(config) if callable(self.reads) else self.reads

    def columns_with(self, config: Config) -> tuple[str, ...]:
        """The prepared columns that the loss needs with these settings."""
        return self.columns(config) if callable(self.columns) else self.columns


@dataclass(frozen=True)
class Citation:
    """Where an algorithm is from."""

    title: str
    authors: str
    year: int
    url: str
    bibtex: str = ""
    code: str = ""
    """Address of the official implementation."""


@dataclass(frozen=True)
class AlgorithmSpec:
    """What the leaderboard ranks: named parts, stages of losses, and ways of acting.

    An external learner gives `fit` in place of `parts`, `stages` and `acts`; tables mark it.
    """

    name: str
    config: type[AlgorithmConfig]
    cite: Citation
    summary: str = ""
    """One line."""
    family: str = "offline"
    """A word to filter by: `cloning`, `offline` or `online`."""
    parts: Callable[[Any], Mapping[str, Part]] | None = None
    stages: Callable[[Any], tuple[Stage, ...]] | None = None
    acts: Callable[[Any], tuple[Act, ...]] | None = None
    """The first is the headline, fixed before any evaluation."""
    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The paper's per-dataset settings: a dataset pattern (`fnmatch`) to values by path. Patterns
    are tried in order and all that match apply, later ones over earlier ones."""
    tuning_evaluations: Mapping[str, int] = field(default_factory=dict)
    """Training runs that the search behind `tuned` spent on a dataset, by dataset pattern; later
    ones win. What the paper does not say is left out, and shown as not known."""
    tuning_source: str = ""
    """Where these numbers are from, in words."""
    paper: Mapping[str, Any] = field(default_factory=dict)
    """The paper's value by path, shown beside the default."""
    deviations: tuple[str, ...] = ()
    """Every difference from the paper or its official code, with the reason."""
    fit: Callable[[Any, OfflineData, int, str], Policy] | None = None
    """(config, data, seed, device) to a policy, for an external learner."""
