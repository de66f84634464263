"""How a figure becomes a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.errors import ZooError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_UNDATED = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
"""Without the time in it, an unchanged figure gives an unchanged file."""


def save(figure: Figure, path: Path) -> Path:
    """Writes a figure, whose ending chooses the format, and closes it.

    Raises:
        ZooError: the file cannot be written.
    """
    import matplotlib.pyplot as plt

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=160, metadata=_UNDATED.get(path.suffix))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ZooError(f"cannot write the figure {path}: {reason}") from None
    finally:
        plt.close(figure)
    return path
