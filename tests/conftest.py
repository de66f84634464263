import os
from pathlib import Path

import pytest
import torch

# Two test workers on two cores: more threads each would cost five times the time.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that the tests lie in."""
    return ROOT


@pytest.fixture(scope="session")
def shared_minari() -> Path:
    """Real datasets in Minari's layout, read-only."""
    for place in (os.environ.get("MINARI_DATASETS_PATH"), ROOT.parent / "shared" / "minari"):
        if place and (Path(place) / "D4RL" / "door" / "human-v2").is_dir():
            return Path(place)
    pytest.skip("needs the real datasets: set MINARI_DATASETS_PATH to their folder")
