"""How a figure becomes a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo_core.errors import ZooError
from zoo_core.text import printable_lines

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
        if path.suffix == ".svg":
            # Matplotlib notes each text in a comment, where a control character ends the XML.
            path.write_text(printable_lines(path.read_text(encoding="utf-8")), encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ZooError(f"cannot write the figure {path}: {reason}") from None
    finally:
        plt.close(figure)
    return path
