"""One look at a window of traffic: find the baseline, read, count, judge, report, and remember."""

from pathlib import Path

from usecase.mlops.baseline.drift import FILE_NAME, DriftBaseline
from usecase.mlops.contract import Contract
from usecase.mlops.drift.history import FILE_NAME as HISTORY
from usecase.mlops.drift.history import History
from usecase.mlops.drift.judge import judge
from usecase.mlops.drift.reader import Found, read_traffic
from usecase.mlops.drift.report import Report
from usecase.mlops.drift.tally import WindowTally
from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256
from usecase.mlops.registry import Registry
from usecase.mlops.settings import Settings

FOLDER = Path(".local/monitor")


def baseline_of(registry: Registry, contract: Contract) -> Path:
    """The baseline of the version in service: the newest approved one. Raises UserError."""
    package = registry.latest_approved()
    if package.metadata.get("ContractHash") != contract.sha256:
        raise UserError(
            f"version {package.version} was trained with another data_contract.yaml: train and approve a new version"
        )
    return package.file(FILE_NAME)


def monitor(data: Path, baseline: Path, output: Path, contract: Contract, settings: Settings) -> Report:
    """Compare the traffic at `data` with a drift_baseline.json, or the one in a folder; write the report into `output`.

    Raises UserError; nothing is written then. A window without a baseline has no verdict.
    """
    file = baseline / FILE_NAME if baseline.is_dir() else baseline
    if not file.exists():
        raise UserError(f"{file}: no such file: pass the {FILE_NAME} of a version, or its folder")
    known = DriftBaseline.load(file)
    history = History.load(output / HISTORY)
    window, found = WindowTally(known, contract), Found()
    for batch in read_traffic(data, contract, found):
        window.add(batch.rows)
        window.add_answers(batch.answers)
    report = Report(
        project=settings.project,
        environment=settings.environment,
        data=str(data),
        baseline=str(file),
        baseline_sha256=file_sha256(file),
        window=window,
        read=found,
        judged=judge(window, found, settings.monitoring),
        limits=settings.monitoring,
    )
    entry = report.entry()
    history = history.with_window(entry)
    report.write(output, history.of(entry.baseline_sha256))
    history.save(output / HISTORY)
    return report
