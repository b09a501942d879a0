"""Commands of the monitor. Libraries are imported inside of the commands: `--help` must not wait."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from usecase.mlops.errors import UserError

if TYPE_CHECKING:
    from usecase.mlops.drift.judge import Verdict

EXITS: dict["Verdict", int] = {"ok": 0, "drift": 3, "insufficient_data": 4, "schema_change": 5, "broken": 6}
MAX_REASONS = 10


def add_to(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (monitor, feedback, retrain, challenge):
        parent.command()(command)


def monitor(
    data: Annotated[
        Path | None, typer.Option(help="Captured traffic: a folder of SageMaker's files, or CSV or Parquet. Needed.")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(help="drift_baseline.json of a version, or its folder. Default: that of the newest approved one."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the report. Default: .local/monitor")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV or Parquet of labels, as for feedback: quality by group, too.")
    ] = None,
) -> None:
    """Compare traffic with the training rows. Exit 0: ok, 3: drift, 4: too little data, 5: other schema, 6: broken."""
    from usecase.mlops.contract import FILE_NAME, Contract
    from usecase.mlops.drift import monitor as engine
    from usecase.mlops.drift.report import PAGE, WORDS
    from usecase.mlops.files import output_folder, table_or_folder
    from usecase.mlops.settings import load_settings

    if data is None:
        raise UserError("monitor needs traffic: data=FILE_OR_FOLDER")
    contract = Contract.load(Path(FILE_NAME))
    folder = output_folder(output or engine.FOLDER)
    if labels is not None:
        table_or_folder(labels)
    if baseline is None:
        from usecase.mlops.registry import open_registry

        baseline = engine.baseline_of(open_registry(), contract)
    typer.echo(f"comparing {data} with the training rows of {baseline} ...", err=True)
    report = engine.monitor(data, baseline, folder, contract, load_settings(), labels)
    verdict, alarms = report.judged.verdict, report.judged.alarms
    typer.echo(f"{verdict}: {WORDS[verdict]} in {report.window.rows:,} rows")
    for finding in alarms[:MAX_REASONS]:
        typer.echo(f"  {finding.column or 'all rows'}: {finding.message}")
    if len(alarms) > MAX_REASONS:
        typer.echo(f"  and {len(alarms) - MAX_REASONS} more")
    if labels is not None and not report.gaps:
        typer.echo(f"{labels}: not looked at, since no protected column of the contract is a feature")
    typer.echo(f"Report: {folder / PAGE}")
    if status := EXITS[verdict]:
        raise typer.Exit(status)


def feedback(
    data: Annotated[Path | None, typer.Option(help="Captured traffic, with the model's answers. Needed.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV or Parquet: inference_id, label, and perhaps row and time. Needed.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the results. Default: .local/feedback")] = None,
) -> None:
    """Join labels that came later to what was answered: quality over time and by group, and rows to train on."""
    from usecase.mlops.contract import FILE_NAME, Contract
    from usecase.mlops.drift import feedback as engine
    from usecase.mlops.files import output_folder, table_or_folder, write_json

    if data is None or labels is None:
        raise UserError("feedback needs traffic and labels: data=FILE_OR_FOLDER labels=FILE")
    contract = Contract.load(Path(FILE_NAME))
    folder = output_folder(output or Path(".local/feedback"))
    merged = engine.merge(data, table_or_folder(labels), contract)
    measured = engine.quality(merged, contract)
    rows = engine.training_rows(merged, data, contract)
    gaps = {name: engine.gaps(measured, name) for name in (measured[0]["metrics"] if measured else [])}
    write_json(folder / "quality.json", {"labels": merged.counts, "quality": measured, "gaps": gaps})
    rows.write_csv(folder / "training.csv")
    typer.echo(", ".join(f"{count:,} {name}" for name, count in merged.counts.items()))
    for entry in measured:
        if not entry["column"]:
            values = ", ".join(f"{name} {value:.4g}" for name, value in entry["metrics"].items() if value is not None)
            typer.echo(f"{entry['period'] or 'all days':<11}{entry['rows']:>8,} rows  {values}")
    if not measured:
        typer.echo(f"too few labelled rows for a metric: {merged.rows.height} of {engine.MIN_ROWS}")
    typer.echo(f"Quality: {folder / 'quality.json'}; {rows.height:,} rows to train on: {folder / 'training.csv'}")


def retrain(
    data: Annotated[
        str, typer.Option(help="CSV or Parquet to train on; in AWS s3://... Default: the file that the contract names.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why. Default: drift, in the windows so far; in AWS by its alarms.")] = "",
    output: Annotated[Path | None, typer.Option(help="Folder of the monitor. Default: .local/monitor")] = None,
    env: Annotated[
        Literal["local", "dev", "qa", "prod"], typer.Option("--env", help="Where to train. Default: here.")
    ] = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="In AWS: say what would be done.")] = False,
) -> None:
    """Train again when drift or a person asks, within the rules of the settings. The new version waits for approval."""
    if env != "local":
        from usecase.mlops.monitoring import retrain as in_aws

        in_aws.retrain(env, reason, data, dry_run, typer.echo)
        return
    from datetime import UTC, datetime

    from usecase.mlops import cli
    from usecase.mlops.contract import FILE_NAME, Contract
    from usecase.mlops.drift import monitor as engine
    from usecase.mlops.drift import retraining
    from usecase.mlops.drift.history import FILE_NAME as HISTORY
    from usecase.mlops.drift.history import History
    from usecase.mlops.files import file_sha256, output_folder, table_or_folder
    from usecase.mlops.registry import open_registry
    from usecase.mlops.settings import load_settings

    if data:  # before the training is claimed
        table_or_folder(Path(data))
    folder, registry, now = output_folder(output or engine.FOLDER), open_registry(), datetime.now(UTC)
    rule = load_settings().retraining
    trigger: retraining.Trigger | None
    if reason:
        trigger = retraining.Trigger(kind="manual", id=now.isoformat(), reason=reason)
    else:
        baseline = engine.baseline_of(registry, Contract.load(Path(FILE_NAME)))
        trigger = retraining.drifted(History.load(folder / HISTORY).of(file_sha256(baseline)), rule)
    if trigger is None:
        typer.echo(f"not trained: no drift in {rule.violated} of {rule.windows} windows with the newest among them")
        return
    decision = retraining.claim(retraining.StateFile(folder / retraining.FILE_NAME), trigger, rule, now)
    if not decision.start:
        typer.echo(f"not trained: {decision.reason}")
        return
    typer.echo(f"training: {decision.reason}")
    before = {package.version for package in registry.list()}
    cli.run(Path(data) if data else None)
    for package in registry.list():
        if package.version not in before:
            registry.annotate(package, retraining.metadata(trigger))


def challenge(
    version: Annotated[str, typer.Option(help="Number of the pending version, or latest. Needed.")] = "",
    data: Annotated[Path | None, typer.Option(help="Captured traffic, with the answers that it got. Needed.")] = None,
    labels: Annotated[Path | None, typer.Option(help="CSV or Parquet of labels, as for feedback.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the report. Default: beside the version, or .local/challenger/VERSION."),
    ] = None,
    env: Annotated[
        Literal["local", "dev", "qa", "prod"], typer.Option(help="Whose registry. Default: the one here.")
    ] = "local",
) -> None:
    """Ask a version that waits for approval about traffic that was answered already. Exit 4: too little of it."""
    from usecase.mlops.contract import FILE_NAME, Contract
    from usecase.mlops.drift import challenger as engine
    from usecase.mlops.files import output_folder, table_or_folder
    from usecase.mlops.registry import open_registry
    from usecase.mlops.settings import load_settings

    if data is None:
        raise UserError("challenge needs a version and traffic: version=N data=FILE_OR_FOLDER")
    registry, settings = open_registry(env), load_settings()
    package = registry.describe(version)
    kept = Path(package.place("challenger")) if env == "local" else engine.FOLDER / str(package.version)
    folder = output_folder(output or kept)
    if labels is not None:
        table_or_folder(labels)
    contract, minimum = Contract.load(Path(FILE_NAME)), settings.monitoring.minimum_rows
    found = engine.challenge(package, data, contract, minimum, labels)
    found.write(folder, settings.model_package_group)
    if found.agreement is None:
        typer.echo(f"insufficient_data: {found.note}\nReport: {folder / engine.TEXT}")
        raise typer.Exit(EXITS["insufficient_data"])
    registry.annotate(package, found.metadata(folder))
    typer.echo(f"version {package.version} answers {found.agreement:.1%} of {found.rows:,} rows as the one in service")
    for group in found.groups:
        if group.disagreements:
            typer.echo(f"  {group.column}={group.group}: {group.disagreements:,} of {group.rows:,} otherwise")
    for name, values in (found.quality or {}).items():
        now, then = values["challenger"], values["in_service"]
        if now is not None and then is not None:
            typer.echo(f"  {name} {now:.4g}, in service {then:.4g} ({found.labelled:,} labelled rows)")
    typer.echo(f"Report: {folder / engine.TEXT}")
