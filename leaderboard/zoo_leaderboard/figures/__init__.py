"""The papers' own pictures, drawn from agents that are trained on the spot.

Each module holds one picture: a `TITLE` and a function `draw(seed)` that trains what it needs and
returns a matplotlib figure.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from zoo_core.errors import UnknownName
from zoo_leaderboard.report.plots.saving import save

FIGURES = {
    "modes": "four modes cloned by a point, a Gaussian, a VAE and a diffusion",
    "denoising-steps": "the effect of the number of denoising steps on those modes",
    "guidance": "densities guided by a learnt energy at several temperatures, and the exact",
    "q-values": "what SAC and CQL believe of actions that the data lack",
}
"""The pictures by name, each with a line of what it shows."""


def draw(name: str, path: Path, seed: int = 0) -> Path:
    """Trains what a picture needs and writes it; minutes on one core.

    Raises:
        UnknownName: no such picture.
        ZooError: a plugin that it needs is missing, or the file cannot be written.
    """
    if name not in FIGURES:
        raise UnknownName("figure", name, list(FIGURES))
    import matplotlib

    matplotlib.use("agg")
    import seaborn as sns

    sns.set_theme(context="paper", style="white", font_scale=1.0)
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    return save(module.draw(seed), path)
