"""The process that logs one run to MLflow: a JSON request on standard input, on standard output why it failed.

The request holds `run` (a `tracking.RunRecord`), `uri` (blank: the database in `folder`) and `folder`.
"""

import contextlib
import importlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usecase.mlops.locks import exclusive
from usecase.mlops.tracking import ARTIFACTS, DATABASE, LOCAL_SECONDS

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.tracking import MlflowClient

EXECUTION = "execution_id"
BATCH = {"metrics": 1000, "params": 100, "tags": 100}  # MLflow's limits for one request
MAX_REASON = 200  # characters
MAX_VALUE = 500  # characters of a parameter: what every release and server takes
# MLflow's own names: what the UI shows as a run's commit, and whose child a run is.
COMMIT_TAG, PARENT_TAG = "mlflow.source.git.commit", "mlflow.parentRunId"


def main() -> int:
    """Log the run that standard input describes."""
    with contextlib.redirect_stdout(sys.stderr):
        import mlflow.tracking  # noqa: F401 - takes seconds, and the request may come later

        if "--local" in sys.argv:
            importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
        text = sys.stdin.read()
        if not text:  # no run came to an end
            return 0
        try:
            request = json.loads(text)
            log(request["run"], request["uri"], Path(request["folder"]))
        except Exception as error:  # whatever MLflow, a driver or a server thinks of: the run must not fail by it
            reason = _reason(error)
        else:
            return 0
    print(reason)
    return 1


def log(run: Mapping[str, Any], uri: str, folder: Path) -> None:
    """Log `run` to the server `uri`; with a blank one to the database in `folder`, one process at a time."""
    from mlflow.tracking import MlflowClient

    if uri:
        client = MlflowClient(uri)
        _log(client, _experiment(client, run["experiment"], None), run)
        return
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / DATABASE
    with exclusive(folder / f"{DATABASE}.lock", LOCAL_SECONDS):
        upgrade(database)
        client = MlflowClient(f"sqlite:///{database}")
        _log(client, _experiment(client, run["experiment"], (folder / ARTIFACTS).as_uri()), run)


def _experiment(client: "MlflowClient", name: str, artifacts: str | None) -> str:
    """The id of the experiment; made where it is missing, brought back where it was deleted."""
    from mlflow.exceptions import MlflowException

    found: Experiment | None = client.get_experiment_by_name(name)
    if found and artifacts and found.artifact_location != artifacts:
        # The repository was moved or copied: new files must not go to where it was.
        client.rename_experiment(found.experiment_id, f"{name} ({found.artifact_location} {found.experiment_id})")
        found = None
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another process may have been first
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _log(client: "MlflowClient", experiment: str, run: Mapping[str, Any]) -> None:
    found = client.search_runs([experiment], f"tags.{EXECUTION} = '{run['execution']}'")
    # Not every server that speaks MLflow's protocol filters.
    known = [other for other in found if other.data.tags.get(EXECUTION) == run["execution"]]
    if any(PARENT_TAG not in other.data.tags and other.info.status != "RUNNING" for other in known):
        return
    for unfinished in known:
        client.delete_run(unfinished.info.run_id)
    started, ended = int(run["started"] * 1000), int(run["ended"] * 1000)
    tags = {**run["tags"], EXECUTION: run["execution"]}
    if commit := run["tags"].get("git_sha"):
        tags[COMMIT_TAG] = commit
    status = "FINISHED" if run["succeeded"] else "FAILED"

    def add(name: str, content: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        created = client.create_run(experiment, start_time=started, tags=dict(tags), run_name=name).info.run_id
        _log_values(client, created, content, ended)
        return str(created)

    parent = add(run["name"], run, tags)
    for number, trial in enumerate(run["trials"], start=1):
        child = add(f"trial {number}", trial, {PARENT_TAG: parent, EXECUTION: run["execution"]})
        client.set_terminated(child, "FINISHED", ended)
    with tempfile.TemporaryDirectory() as staging:
        if _collect(run["artifacts"], Path(staging)):
            client.log_artifacts(parent, staging)
    client.set_terminated(parent, status, ended)  # last: a run that is not RUNNING is complete


def _log_values(client: "MlflowClient", run_id: str, content: Mapping[str, Any], time: int) -> None:
    """Parameters, metrics and curves in as many requests as they need."""
    from mlflow.entities import Metric, Param

    metrics = [Metric(_name(name), value, time, 0) for name, value in content["metrics"].items()]
    for name, values in content.get("curves", {}).items():
        metrics += [Metric(_name(name), value, time, step) for step, value in enumerate(values)]
    params = [Param(_name(name), str(value)[:MAX_VALUE]) for name, value in content["parameters"].items()]
    for start in range(0, len(params), BATCH["params"]):
        client.log_batch(run_id, params=params[start : start + BATCH["params"]])
    for start in range(0, len(metrics), BATCH["metrics"]):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH["metrics"]])


def _collect(artifacts: Mapping[str, str], staging: Path) -> bool:
    """Put what exists under its name into `staging`; whether there was anything."""
    for name, path in artifacts.items():
        source, target = Path(path), staging / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists():
            shutil.copyfile(source, target)
    return any(path.is_file() for path in staging.rglob("*"))


def upgrade(database: Path) -> None:
    """Bring the tables of a database that another release of MLflow made up to date, keeping a copy of it.

    Raises subprocess.CalledProcessError when MLflow cannot, as with a database of a newer release.
    """
    from mlflow import __version__

    release = database.with_name(f"{database.name}.release")
    if database.exists() and (not release.exists() or release.read_text() != __version__):
        shutil.copyfile(database, database.with_name(f"{database.name}.before"))
        command = [sys.executable, "-P", "-m", "mlflow", "db", "upgrade", f"sqlite:///{database}"]
        subprocess.run(command, check=True, capture_output=True, text=True)
    release.write_text(__version__)


def _name(name: str) -> str:
    """`name` with nothing in it that MLflow refuses in names of metrics and parameters."""
    return re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)


def _reason(error: BaseException) -> str:
    import requests

    chain = [error]
    while earlier := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(earlier)
    if any(isinstance(cause, requests.ConnectionError | requests.Timeout) for cause in chain):
        return "cannot be reached, or does not answer"
    if any(isinstance(cause, requests.exceptions.RetryError) for cause in chain):
        return "answers with errors of its own, again and again"
    if isinstance(error, subprocess.CalledProcessError):
        return "is of another MLflow than the one installed, which cannot read it: move the file away"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= MAX_REASON else text[:MAX_REASON] + "..."


if __name__ == "__main__":
    sys.exit(main())
