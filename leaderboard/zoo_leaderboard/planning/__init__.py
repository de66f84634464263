"""The runs of a track: algorithm x variant x dataset x seed, each with its key.

A plan is data. Nothing here trains, and a job holds all that another process or host needs.

- `Job`: one run.
- `Planner`: creates the jobs of cells.
- `plan`, `single`: the jobs of a track, and the job of one run.
- `why_stale`: the changes since a result was produced.
"""

from zoo_leaderboard.planning.job import Job
from zoo_leaderboard.planning.jobs import plan, single
from zoo_leaderboard.planning.planner import Planner, Tell
from zoo_leaderboard.planning.seeds import parse_seeds
from zoo_leaderboard.planning.staleness import why_stale

__all__ = ["Job", "Planner", "Tell", "parse_seeds", "plan", "single", "why_stale"]
