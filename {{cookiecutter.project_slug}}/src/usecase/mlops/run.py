"""Run pipeline.json on this machine: fill its parameters, show progress, sum up."""

import io
import json
import shlex
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usecase.mlops.contract import FILE_NAME as CONTRACT_FILE
from usecase.mlops.contract import Contract
from usecase.mlops.engine import Engine, Execution, StepEvent
from usecase.mlops.engine.storage import Store
from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256, table_or_folder
from usecase.mlops.registry import PENDING, REGISTRY, LocalRegistry
from usecase.mlops.settings import Settings
from usecase.mlops.tracking import RunRecord, evaluation_metrics, training_curves, training_trials

LOCAL = Path(".local")
DEFINITION = Path("pipeline.json")
SOURCE = Path("src")
LOCK = Path("uv.lock")

MODEL_CARD = Path("docs/model_card.md")
BUILT_FROM = (SOURCE, DEFINITION, LOCK, CONTRACT_FILE, MODEL_CARD)
NO_CHAMPION = NO_CAUSE = "none"
CAUSE = ("RetrainingReason", "RetrainingTrigger")  # why a model was trained again, where that is known
APPROVAL_STATUS = "ModelApprovalStatus"
ROLES = ("ProcessingRoleArn", "TrainingRoleArn", "InferenceRoleArn")

# Logical locations, as a deployed pipeline has S3 URIs there; the engine maps them to files of the repository.
CODE_URI, CONTRACT_URI, DATA_URI = "s3://local/code", "s3://local/contract", "s3://local/data"
CARD_URI, CHAMPION_URI = "s3://local/card", "s3://local/champion"

# The metric by which a kind of problem is compared with its champion, and between groups of people, by default.
CHAMPION_METRICS = {"binary_classification": "auc", "multiclass_classification": "accuracy", "regression": "r2"}
FAIRNESS_METRICS = {"binary_classification": "accuracy", "multiclass_classification": "accuracy", "regression": "mae"}


@dataclass(frozen=True)
class Run:
    """An execution with the values of its parameters, and when it began and ended (seconds since 1970)."""

    execution: Execution
    parameters: Mapping[str, str | int | float | bool]
    started: float
    ended: float

    @property
    def is_news(self) -> bool:
        """Whether a model was measured by a job that ran, and not all results came from the cache."""
        ran = any(is_job(step) and step.state != "Cached" for step in self.execution.steps.values())
        return ran and "Evaluate" in self.execution.property_files


def is_job(event: StepEvent) -> bool:
    """Whether the step starts a process."""
    return event.type in ("Processing", "Training")


def run_pipeline(
    settings: Settings, data: Path | None, overrides: Mapping[str, str], on_job: Callable[[], None] = lambda: None
) -> Run:
    """One execution of pipeline.json on `data`, else on the file that the contract names. Raises UserError.

    `on_job` is called when a job has ended that really ran.
    """
    contract = Contract.load(Path(CONTRACT_FILE))
    source = data or Path(contract.path or ".")
    if data is None and (not contract.path or not source.exists()):
        raise UserError(f"{source}: no such file ({CONTRACT_FILE} names it as path): pass data=FILE")
    table_or_folder(source)
    if not MODEL_CARD.exists():
        raise UserError(f"{MODEL_CARD}: no such file: it holds your words for the model card; take it back from git")
    champion = LocalRegistry(REGISTRY, settings.model_package_group).champion()
    if champion:
        champion.verify()
    progress = Progress(sys.stdout.isatty())

    def show(event: StepEvent) -> None:
        progress.show(event)
        if is_job(event) and event.state == "Succeeded":
            on_job()

    engine = Engine(
        read_definition(),
        LOCAL,
        mounts={
            CODE_URI: SOURCE,
            CONTRACT_URI: Path(CONTRACT_FILE),
            DATA_URI: source,
            CARD_URI: MODEL_CARD,
            CHAMPION_URI: champion.model_data if champion else _no_champion(),
        },
        register=_register,
        on_event=show,
        serve_command=[sys.executable, "-m", "usecase.mlops.serving", "serve", "--host", "127.0.0.1"],
    )
    facts = start_parameters(settings, contract) | {
        "InputDataUri": DATA_URI,
        "ContractUri": CONTRACT_URI,
        "ModelCardUri": CARD_URI,
        "CodeUri": CODE_URI,
        "ChampionUri": CHAMPION_URI,
        "ChampionVersion": str(champion.version) if champion else NO_CHAMPION,
        "ImageUri": f"local:{lock_sha256()}",  # other libraries are another image: nothing is taken from the cache
        **dict.fromkeys((*ROLES, "VolumeKmsKeyArn", "OutputKmsKeyArn"), "local"),
        "DefaultBucket": "local",
    }
    facts = {name: value for name, value in facts.items() if name in engine.definition.parameters}
    chosen = settings.pipeline.parameters | dict(overrides)
    refuse_evidence(chosen, facts)
    parameters = facts | chosen
    started = time.time()
    execution = engine.run(parameters)
    return Run(execution, engine.definition.bind(parameters), started, time.time())


def record_of(run: Run, group: str) -> RunRecord:
    """What is logged to MLflow about a run."""
    execution = run.execution
    reports = {name: path for files in execution.property_files.values() for name, path in files.items()}
    artifacts = {path.name: path for path in reports.values()}
    training: dict[str, Any] = {}
    objects = Store(LOCAL, {})
    if model := execution.properties.get("Train", {}).get("ModelArtifacts"):
        archive = objects.path(model["S3ModelArtifacts"]).with_name("output.tar.gz")
        with tarfile.open(archive) as tar, tar.extractfile("training.json") or io.BytesIO(b"{}") as stream:
            training = json.load(stream)
    if baseline := execution.properties.get("Baseline"):
        card = baseline["ProcessingOutputConfig"]["Outputs"]["model_card"]["S3Output"]["S3Uri"]
        artifacts["model_card"] = objects.path(card)
    tags = {name: str(run.parameters[name]) for name in ("GitSha", "ContractHash", "LockHash", "ChampionVersion")}
    if data := reports.get("DataReport"):
        tags["DataHash"] = json.loads(data.read_text())["data_sha256"]
    evaluation = reports.get("EvaluationReport")
    return RunRecord(
        execution=execution.id,
        experiment=group,
        name=execution.id,
        started=run.started,
        ended=run.ended,
        succeeded=execution.status == "Succeeded",
        parameters={name: str(value) for name, value in run.parameters.items() if name not in tags},
        tags=tags,
        metrics=evaluation_metrics(json.loads(evaluation.read_text())) if evaluation else {},
        curves=training_curves(training),
        trials=training_trials(training),
        artifacts=artifacts,
    )


def read_definition() -> dict[str, Any]:
    """The compiled pipeline of this repository. Raises UserError."""
    try:
        definition: dict[str, Any] = json.loads(DEFINITION.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{DEFINITION}: no such file: run `make pipeline` to compile it from src/usecase/pipeline.py"
        ) from None
    except ValueError as error:
        raise UserError(f"{DEFINITION}: is not valid JSON ({error}): run `make pipeline`") from None
    if not isinstance(definition, dict) or not definition.get("Steps"):
        raise UserError(f"{DEFINITION}: holds no steps: run `make pipeline` to compile it again")
    return definition


def start_parameters(settings: Settings, contract: Contract) -> dict[str, str | int | float | bool]:
    """Values for the parameters that are known when an execution starts, wherever it runs: gates, hashes, commit."""
    quality = settings.quality
    thresholds = {
        metric: threshold.model_dump(exclude_none=True) for metric, threshold in getattr(quality, contract.task).items()
    }
    return {
        "ModelPackageGroupName": settings.model_package_group,
        "QualityThresholds": json.dumps(thresholds, separators=(",", ":")),
        "ChampionMetric": quality.champion.metric or CHAMPION_METRICS[contract.task],
        "ChampionTolerance": quality.champion.tolerance,
        "FairnessMetric": quality.fairness.metric or FAIRNESS_METRICS[contract.task],
        "MaximumFairnessGap": quality.fairness.maximum_gap,
        "MaximumOverlap": quality.splits.maximum_overlap,
        "MaximumLabelShift": quality.splits.maximum_label_shift,
        "MaximumFlaggedRows": quality.contract.maximum_flagged,
        "GitSha": git_sha(),
        "ContractHash": contract.sha256,
        "LockHash": lock_sha256(),
        **dict.fromkeys(CAUSE, NO_CAUSE),
    }


def refuse_evidence(chosen: Mapping[str, object], filled: Iterable[str]) -> None:
    """Raise UserError for a chosen parameter that is evidence: a hash, a gate, a location, or a person's decision."""
    for name in chosen:
        if name in filled:
            raise UserError(f"parameter {name} is filled in at the start: take it out")
    if chosen.get(APPROVAL_STATUS, PENDING) != PENDING:
        raise UserError(f"parameter {APPROVAL_STATUS}: a person approves or rejects, by `usecase approve` or `reject`")


def lock_sha256() -> str:
    """Hash of uv.lock; `none` when there is none."""
    return file_sha256(LOCK) if LOCK.exists() else "none"


def parse_overrides(words: str) -> dict[str, str]:
    """`Name=value Other="two words"` as a mapping. Raises UserError."""
    try:
        pairs = [word.partition("=") for word in shlex.split(words)]
    except ValueError as error:
        raise UserError(f'params="{words}": {error}: write params="Name=value Other=value"') from None
    for name, equals, _ in pairs:
        if not name or not equals:
            raise UserError(f'params: {name or "="!r} is no Name=value: write params="MaxDepth=6 NumRounds=100"')
    return {name: value for name, _, value in pairs}


class Progress:
    """A line per step when it ends; on a terminal also which step runs now."""

    def __init__(self, live: bool) -> None:
        self.live = live

    def show(self, event: StepEvent) -> None:
        """Print the event of one step."""
        line = f"{event.step:<18} {event.type:<14} {event.state:<10}"
        if event.state == "Executing":
            if self.live:
                print(f"{line}\r", end="", flush=True)
        else:
            print(f"{line} {event.seconds:6.1f} s  {event.message}".rstrip(), flush=True)


def summarize(execution: Execution, group: str, say: Callable[[str], None]) -> None:
    """What a person wants to know after a run: data, metrics against thresholds, version, next command.

    Raises UserError with the reason when a step failed.
    """
    reports = {
        name: json.loads(path.read_text()) for step in execution.property_files.values() for name, path in step.items()
    }
    say("")
    if data := reports.get("DataReport"):
        parts = ", ".join(f"{count} {name}" for name, count in data.get("splits", {}).items())
        say(f"{'Data':<11}{data['rows']} rows, {data['features']} features: {parts}")
        for warning in data.get("warnings", []):
            say(f"{'Warning':<11}{warning}")
    if evaluation := reports.get("EvaluationReport"):
        task, values = next(iter(evaluation.items()))
        shown = [f"{name} {value['value']:.4g}" for name, value in values.items() if "value" in value]
        say(f"{'Metrics':<11}{', '.join(shown)} ({task.removesuffix('_metrics').replace('_', ' ')}, test rows)")
    for check in reports.get("QualityReport", {}).get("checks", []):
        say(f"{'Gate':<11}{describe_check(check)}")
    if failure := execution.failure:
        for line in failure.tail:
            say(f"  {line}")
        if failure.log:
            say(f"{'Log':<11}{failure.log}")
        raise UserError(f"step {failure.step} failed: {failure.reason}")
    if execution.status == "Stopped":
        say(f"{'Stopped':<11}finished steps are kept: make run goes on from there")
        return
    packages = LocalRegistry(REGISTRY, group).list()
    version = next(
        (p["ModelPackageVersion"] for p in execution.properties.values() if "ModelPackageVersion" in p), None
    )
    package = next((p for p in packages if p.version == version), None)
    if package:
        if (card := package.folder / "model_card" / "model_card.html").exists():
            say(f"{'Evidence':<11}{card}")
        word = "Registered" if package.created_by(execution.id) else "Unchanged"
        say(f"{word:<11}version {package.version}, {package.status}, in {package.folder}")
        if package.status == "PendingManualApproval":
            say(f"{'Next':<11}make approve version={package.version}, then make serve")
        elif package.status == "Approved":
            say(f"{'Next':<11}make serve")


def describe_check(check: Mapping[str, Any]) -> str:
    """One check of quality.json in a line: what was measured, against which limit, and the verdict."""
    verdict = "passed" if check["passed"] else "FAILED"
    if check["value"] is None:  # a gate that had nothing to judge lets the model through, and says so
        return f"{check['gate']:<12}{'-':<8}not compared: {check['note']}"
    wanted = f"{check['operator']} {check['threshold']:.4g}"
    measured = f"{check['metric']} {check['value']:.4g}{' ' if check['passed'] else ', must be '}{wanted}"
    return f"{check['gate']:<12}{verdict:<8}{measured}{'  (' + check['note'] + ')' if check['note'] else ''}"


def _register(arguments: Mapping[str, Any], resolve: Callable[[str], Path]) -> dict[str, Any]:
    """What the RegisterModel step does on this machine."""
    return LocalRegistry(REGISTRY, arguments["ModelPackageGroupName"]).register(arguments, resolve).description


def _no_champion() -> Path:
    """What lies at the champion's place as long as no version is approved: a job must find a file there."""
    marker = LOCAL / "no-champion"
    marker.parent.mkdir(exist_ok=True)
    marker.write_text("no version is approved yet\n")
    return marker


def git_sha() -> str:
    """The commit, with `-dirty` when the code or what it is built from differs; `none` outside of git."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return "none"
    return commit + ("-dirty" if _git("status", "--porcelain", "--", *map(str, BUILT_FROM)) else "")


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
