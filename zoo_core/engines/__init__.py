"""How an update is computed: one seed as plain modules (`solo`), or several stacked (`vmap`).

Plugins never see an engine; both compute the same update (to rounding) from the same batch and
noise. On a CPU one process per seed with one thread is faster at 256-wide networks; a stack wins
at 64-wide ones and on a GPU.
"""

from zoo_core.engines.base import Engine, Tapes
from zoo_core.engines.solo import SoloEngine
from zoo_core.engines.vmap import VmapEngine

ENGINES: dict[str, type[Engine]] = {"solo": SoloEngine, "vmap": VmapEngine}

__all__ = ["ENGINES", "Engine", "SoloEngine", "Tapes", "VmapEngine"]
