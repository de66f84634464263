"""MLflow: a run of the experiment `zoo/<track>` on `$MLFLOW_TRACKING_URI`, else in a local
database."""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo_core import TrackedRun, TrackerSpec

URI_VARIABLE = "MLFLOW_TRACKING_URI"
DATABASE = "mlflow.db"
"""In the tracker's shared folder, where no server is named."""
PARAMETERS = 100
"""As many as MLflow takes at a time."""
KEY = "zoo.key"
"""The tag by which a run that was interrupted is found again."""


class MLflow:
    """Logs to one run of MLflow.

    Args:
        run: An interrupted one goes on in the run that it had.
    """

    def __init__(self, run: TrackedRun) -> None:
        from filelock import FileLock
        from mlflow import MlflowClient
        from mlflow.entities import Metric

        self.metric = Metric
        uri = os.environ.get(URI_VARIABLE)
        if uri:
            self.client = MlflowClient(uri)
            self.id = self._run(run)
            return
        run.shared.mkdir(parents=True, exist_ok=True)
        # Jobs that start together would each make the database's tables.
        with FileLock(run.shared / f"{DATABASE}.lock"):
            self.client = MlflowClient(f"sqlite:///{run.shared.absolute() / DATABASE}")
            self.id = self._run(run, run.shared.absolute() / "artifacts")

    def _run(self, run: TrackedRun, artifacts: Path | None = None) -> str:
        """The id of the run of this key, which is made where there is none that goes on."""
        experiment = self._experiment(f"zoo/{run.track}", artifacts)
        if run.step:
            begun = self.client.search_runs([experiment], f"tags.`{KEY}` = '{run.key}'")
            if begun:
                found: str = begun[0].info.run_id
                self.client.update_run(found, status="RUNNING")
                return found
        tags = {KEY: run.key, "row": run.row, "dataset": run.dataset, "seed": str(run.seed)}
        made = self.client.create_run(experiment, run_name=run.name, tags=tags)
        self._log_parameters(made.info.run_id, run.config)
        identifier: str = made.info.run_id
        return identifier

    def _experiment(self, name: str, artifacts: Path | None) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                location = None if artifacts is None else artifacts.as_uri()
                made: str = self.client.create_experiment(name, artifact_location=location)
                return made
            except MlflowException:
                # Another job was quicker.
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        identifier: str = found.experiment_id
        return identifier

    def _log_parameters(self, identifier: str, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        listed = iter([Param(_name(path), json.dumps(value)) for path, value in config.items()])
        while chunk := list(itertools.islice(listed, PARAMETERS)):
            self.client.log_batch(identifier, params=chunk)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each curve."""
        now = round(1000 * time.time())
        metrics = [self.metric(_name(name), value, now, step) for name, value in values.items()]
        self.client.log_batch(self.id, metrics=metrics)

    def ended(self, failure: str) -> None:
        """Says how the run ended."""
        if failure:
            self.client.set_tag(self.id, "failure", failure)
        self.client.set_terminated(self.id, "FAILED" if failure else "FINISHED")


def _name(text: str) -> str:
    """A name of characters that MLflow takes."""
    return re.sub(r"[^\w. /-]", "_", text, flags=re.ASCII)


SPEC = TrackerSpec(
    name="mlflow",
    build=MLflow,
    summary="runs of MLflow, on $MLFLOW_TRACKING_URI or in a local database",
    needs=("mlflow",),
    install="zoo-leaderboard[mlflow]",
)
