"""The trackers that are shipped."""

from zoo_core import TrackerSpec
from zoo_leaderboard.trackers import mlflow, tensorboard

TRACKERS: tuple[TrackerSpec, ...] = (tensorboard.SPEC, mlflow.SPEC)
