"""How an update is computed: one seed as plain modules (`solo`), or several stacked (`vmap`).

Plugins never see an engine; both compute the same update (to rounding) from the same batch and
noise. On the CPUs measured, one process per seed with one thread is at least as fast as a stack.
"""

from zoo_core.engines.base import Engine, Tapes
from zoo_core.engines.solo import SoloEngine
from zoo_core.engines.vmap import VmapEngine

ENGINES: dict[str, type[Engine]] = {"solo": SoloEngine, "vmap": VmapEngine}

__all__ = ["ENGINES", "Engine", "SoloEngine", "Tapes", "VmapEngine"]
