"""One look at a window of traffic: find the baseline, read, count, judge, report, and remember."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usecase.mlops.baseline.drift import FILE_NAME, DriftBaseline
from usecase.mlops.contract import Contract
from usecase.mlops.drift import importance
from usecase.mlops.drift.groups import Gap, GroupTally, by_quality
from usecase.mlops.drift.history import FILE_NAME as HISTORY
from usecase.mlops.drift.history import History
from usecase.mlops.drift.judge import judge
from usecase.mlops.drift.reader import Found, ahead, read_traffic
from usecase.mlops.drift.report import Report
from usecase.mlops.drift.tally import WindowTally
from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256
from usecase.mlops.settings import Settings

if TYPE_CHECKING:
    from usecase.mlops.registry import Registry

FOLDER = Path(".local/monitor")
QUALITY = "quality.json"  # of a version: what the gates have measured
Tested = dict[tuple[str, str], dict[str, float | None]]


def baseline_of(registry: "Registry", contract: Contract) -> Path:
    """The baseline of the version in service: the newest approved one. Raises UserError."""
    package = registry.latest_approved()
    if package.metadata.get("ContractHash") != contract.sha256:
        raise UserError(
            f"version {package.version} was trained with another data_contract.yaml: train and approve a new version"
        )
    return package.file(FILE_NAME)


def monitor(
    data: Path, baseline: Path, output: Path, contract: Contract, settings: Settings, labels: Path | None = None
) -> Report:
    """Compare the traffic at `data` with a drift_baseline.json, or the one in a folder; write the report into `output`.

    Where that folder is a version's, its model says what it looks at in the traffic. With `labels`, as
    usecase.mlops.drift.feedback reads them, groups are compared by the gates' metric too. Raises UserError; nothing is
    written then. A window without a baseline has no verdict.
    """
    file = baseline / FILE_NAME if baseline.is_dir() else baseline
    if not file.exists():
        raise UserError(f"{file}: no such file: pass the {FILE_NAME} of a version, or its folder")
    known = DriftBaseline.load(file)
    history = History.load(output / HISTORY)
    window, found, sample = WindowTally(known, contract), Found(), importance.Sample()
    groups, explained = GroupTally(window), bool(importance.known(file.parent))
    for batch in ahead(read_traffic(data, contract, found)):
        window.add(batch.rows)
        window.add_answers(batch.answers)
        groups.add(batch.rows, batch.answers)
        if explained:
            sample.add(batch.rows)
    limits, tested = settings.monitoring, _tested(file.parent)
    gaps = groups.gaps(tested)
    if labels and gaps:
        gaps += _labelled(data, labels, contract, settings, tested)
    report = Report(
        project=settings.project,
        environment=settings.environment,
        data=str(data),
        baseline=str(file),
        baseline_sha256=file_sha256(file),
        window=window,
        read=found,
        judged=judge(window, found, limits),
        limits=limits,
        gaps=gaps,
        gap_limit=settings.quality.fairness.maximum_gap if contract.classes else None,
        importance=importance.measure(file.parent, sample, contract, limits.minimum_rows, limits.minimum_effect),
    )
    entry = report.entry()
    history = history.with_window(entry)
    report.write(output, history.of(entry.baseline_sha256))
    history.save(output / HISTORY)
    return report


def _tested(version: Path) -> Tested:
    """Metrics of the test rows by protected column and group, where the folder is a version's."""
    try:
        content = json.loads((version / QUALITY).read_text(encoding="utf-8"))
        return {(entry["column"], entry["group"]): entry["metrics"] for entry in content["fairness"]}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _labelled(data: Path, labels: Path, contract: Contract, settings: Settings, tested: Tested) -> list[Gap]:
    from usecase.mlops.drift import feedback
    from usecase.mlops.run import FAIRNESS_METRICS

    metric = settings.quality.fairness.metric or FAIRNESS_METRICS[contract.task]
    measured: list[dict[str, Any]] = feedback.quality(feedback.merge(data, labels, contract), contract)
    return by_quality(measured, metric, contract, tested)
