"""Commands of the monitor. Libraries are imported inside of the commands: `--help` must not wait."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usecase.mlops.errors import UserError

if TYPE_CHECKING:
    from usecase.mlops.drift.judge import Verdict

EXITS: dict["Verdict", int] = {"ok": 0, "drift": 3, "insufficient_data": 4, "schema_change": 5, "broken": 6}
MAX_REASONS = 10


def add_to(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.command()(monitor)


def monitor(
    data: Annotated[
        Path | None, typer.Option(help="Captured traffic: a folder of SageMaker's files, or CSV or Parquet. Needed.")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(help="drift_baseline.json of a version, or its folder. Default: that of the newest approved one."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the report. Default: .local/monitor")] = None,
) -> None:
    """Compare traffic with the training rows. Exit 0: ok, 3: drift, 4: too little data, 5: other schema, 6: broken."""
    from usecase.mlops.contract import FILE_NAME, Contract
    from usecase.mlops.drift import monitor as engine
    from usecase.mlops.drift.report import PAGE, WORDS
    from usecase.mlops.registry import open_registry
    from usecase.mlops.settings import load_settings

    if data is None:
        raise UserError("monitor needs traffic: data=FILE_OR_FOLDER")
    contract = Contract.load(Path(FILE_NAME))
    folder = output or engine.FOLDER
    baseline = baseline or engine.baseline_of(open_registry(), contract)
    report = engine.monitor(data, baseline, folder, contract, load_settings())
    verdict, alarms = report.judged.verdict, report.judged.alarms
    typer.echo(f"{verdict}: {WORDS[verdict]} in {report.window.rows:,} rows")
    for finding in alarms[:MAX_REASONS]:
        typer.echo(f"  {finding.column or 'all rows'}: {finding.message}")
    if len(alarms) > MAX_REASONS:
        typer.echo(f"  and {len(alarms) - MAX_REASONS} more")
    typer.echo(f"Report: {folder / PAGE}")
    if status := EXITS[verdict]:
        raise typer.Exit(status)
