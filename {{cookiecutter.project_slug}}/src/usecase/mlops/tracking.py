"""Log a pipeline execution to MLflow after it ended; a server that fails costs a warning, never the run.

MLflow is used in a process of its own (`usecase.mlops.mlflow_log`): importing it takes seconds, it is talkative, and a
server that hangs can be left behind only by ending the process that waits for it.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

DATABASE, ARTIFACTS = "mlflow.db", "mlruns"
SERVER_SECONDS = 60  # for all of a run; one request that hangs ends it much earlier
LOCAL_SECONDS = 300  # a database of an older MLflow is brought up to date first
PATIENCE_SECONDS = 2

# What the process gets where the user's environment says nothing. A request is tried twice, 4 seconds each.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class Trial:
    """One trial of a hyper-parameter search: what was tried, what came out."""

    parameters: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class RunRecord:
    """One execution, as MLflow shows it. `execution` names it for good: the same one is logged once.

    `experiment` and `name` are for people. `curves` hold a value per round. `artifacts` map a name, with `/` for
    folders, to a file or folder; one that does not exist is left out. `started` and `ended` count seconds since 1970.
    """

    execution: str
    experiment: str
    name: str
    started: float
    ended: float
    succeeded: bool = True
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    trials: Sequence[Trial] = ()
    artifacts: Mapping[str, Path] = field(default_factory=dict)


class Tracker:
    """Logs one run to `uri`, else to a database in the folder `fallback`; a blank uri is that database.

    MLFLOW_TRACKING_URI wins over `uri`. Credentials come from MLflow's own variables (MLFLOW_TRACKING_USERNAME, ...).
    `warn` gets a line for a person. Entering starts nothing yet; leaving ends what `start` began.
    """

    def __init__(self, uri: str, fallback: Path, warn: Callable[[str], None]) -> None:
        self._uri = os.environ.get("MLFLOW_TRACKING_URI", "") or uri
        self._fallback, self._warn = fallback.absolute(), warn
        self._early: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._early:
            _end(self._early)

    def start(self) -> None:
        """Begin to import MLflow, so that `log` need not wait for it: while the jobs of a run work, for example."""
        self._early = self._early or _open(self._uri)

    def log(self, run: RunRecord) -> str:
        """Log the run and return where it is, fit to be shown; blank when it could not be logged. Raises nothing."""
        hint = threading.Timer(PATIENCE_SECONDS, lambda: self._warn("logging the run to MLflow ..."))
        hint.daemon = True
        hint.start()
        try:
            return self._log(run)
        finally:
            hint.cancel()

    def _log(self, run: RunRecord) -> str:
        local = self._fallback / DATABASE
        problem = ""
        if self._uri:
            problem = self._ask(run, self._uri, SERVER_SECONDS)
            if not problem:
                return without_secrets(self._uri)
            problem = f"tracking: {without_secrets(self._uri)}: {problem}"
        if local_problem := self._ask(run, "", LOCAL_SECONDS):
            problems = filter(None, [problem, f"tracking: {local}: {local_problem}: the run is not logged"])
            self._warn(f"warning: {'; '.join(problems)}")
            return ""
        if problem:
            self._warn(f"warning: {problem}: the run is logged in {local} instead")
        return str(local)

    def _ask(self, run: RunRecord, uri: str, seconds: float) -> str:
        """Have the process log `run`; why it did not, in a line, or a blank."""
        try:
            process, self._early = self._early or _open(uri), None
        except OSError as error:
            return f"cannot start Python ({error})"
        try:
            request = {"run": asdict(run), "uri": uri, "folder": str(self._fallback)}
            output, errors = process.communicate(json.dumps(request, default=str), timeout=seconds)
        except subprocess.TimeoutExpired:
            return f"no end after {seconds:.0f} s"
        except OSError as error:
            return f"the logging process ended early ({error})"
        finally:
            _end(process)
        if process.returncode == 0:
            return ""
        said = (output.strip() or errors.strip() or f"status {process.returncode}").splitlines()[-1]
        return without_secrets(said)


def track(run: RunRecord, uri: str, fallback: Path, warn: Callable[[str], None]) -> str:
    """Log `run`, as Tracker does, and return where it is."""
    with Tracker(uri, fallback, warn) as tracker:
        return tracker.log(run)


def without_secrets(text: str) -> str:
    """`text` without the user, password and query of addresses in it."""
    return re.sub(r"\?[^\s'\")]*", "", re.sub(r"://\S*@", "://", text))


def evaluation_metrics(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """Metrics by name from the content of evaluation.json: those with one number."""
    values = {name: metric for section in evaluation.values() for name, metric in section.items()}
    return {name: float(metric["value"]) for name, metric in values.items() if _is_number(metric.get("value"))}


def training_curves(training: Mapping[str, Any]) -> dict[str, list[float]]:
    """Curves by `<part>-<metric>`, a value per round, from the content of training.json."""
    history = training.get("history", {})
    return {f"{part}-{metric}": values for part, metrics in history.items() for metric, values in metrics.items()}


def training_trials(training: Mapping[str, Any]) -> list[Trial]:
    """Trials of the search from the content of training.json; none without a search."""
    return [
        Trial(
            {name: str(value) for name, value in trial["parameters"].items()},
            {name: float(trial[name]) for name in ("value", "rounds") if _is_number(trial.get(name))},
        )
        for trial in training.get("trials", [])
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _open(uri: str) -> "subprocess.Popen[str]":
    # MLflow is told where to log by the request alone, which no list of processes shows.
    environment = ENVIRONMENT | {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "usecase.mlops.mlflow_log", *([] if uri else ["--local"])],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()
