"""Commands that bring data to AWS. Libraries are imported inside of the commands: `--help` must not wait."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from usecase.mlops.aws.data import CheckedData, DataPlace

data_app = typer.Typer(no_args_is_help=True, help="Put training data into AWS, from files or from a query.")

Environment = Annotated[Literal["dev", "qa", "prod"], typer.Option("--env", help="The environment.")]


def add_to(app: typer.Typer, registry_app: typer.Typer, pipeline_app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(data_app, name="data")


@data_app.command()
def push(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet file, or a folder of such files.")],
    env: Environment = "dev",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and say where it would go; send nothing.")] = False,
) -> None:
    """Check data against the contract and put it into the data bucket, below the hash of its content."""
    place, session = _connect(env)  # before the data is read, which may take minutes
    data = _check(file, env)
    _push(data, place, session, env, {}, dry_run)


@data_app.command()
def query(
    file: Annotated[Path, typer.Argument(help="File with one SELECT statement.")],
    env: Environment = "dev",
    push_result: Annotated[bool, typer.Option("--push", help="Push the rows as `data push` does.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="CSV file for the rows. Default: .local/queries/NAME.csv.")
    ] = None,
    workgroup: Annotated[str, typer.Option(help="Workgroup of Athena.")] = "primary",
    database: Annotated[str | None, typer.Option(help="Database for tables that the query names without one.")] = None,
    max_scan_gib: Annotated[float, typer.Option(help="Stop a query that reads more.", min=0.01)] = 100,
    max_seconds: Annotated[float, typer.Option(help="Stop a query that takes longer.", min=1)] = 900,
) -> None:
    """Run a query in Athena and download its rows as a CSV file."""
    from usecase.mlops.aws.athena import Bounds, read_query, run_query

    text = read_query(file)
    place, session = _connect(env)
    result = run_query(
        text,
        output or Path(".local/queries") / f"{file.stem}.csv",
        place,
        session.client("athena"),
        session.client("s3"),
        workgroup,
        database,
        Bounds(max_scan_gib, max_seconds),
        typer.echo,
    )
    typer.echo(f"{result.file}: {result.file.stat().st_size} bytes, from {result.scanned_gib:.3g} GiB")
    if push_result:
        _push(_check(result.file, env), place, session, env, result.metadata, dry_run=False)


def _check(path: Path, environment: str) -> "CheckedData":
    from usecase.mlops.aws.data import check_data
    from usecase.mlops.contract import FILE_NAME, Contract
    from usecase.mlops.settings import load_settings

    data = check_data(path, Contract.load(Path(FILE_NAME)))
    typer.echo(f"{path}: {data.rows} rows keep the contract")
    for warning in data.warnings:
        typer.echo(f"warning: {warning}")
    if data.personal:
        days = load_settings(environment).retention.data_days
        typer.echo(f"personal data, which is deleted after {days} days: {', '.join(data.personal)}")
    return data


def _connect(environment: str) -> "tuple[DataPlace, Any]":
    from usecase.mlops.aws.data import DataPlace
    from usecase.mlops.aws.platform import connect

    connection, settings, facts = connect(environment)
    return DataPlace(facts.data_bucket, facts.data_kms_key_arn, settings.project, settings.aws_account), connection


def _push(
    data: "CheckedData", place: "DataPlace", session: Any, environment: str, metadata: dict[str, str], dry_run: bool
) -> None:
    from usecase.mlops.aws.data import push

    if dry_run:
        typer.echo(f"would send {data.size} bytes to s3://{place.bucket}/{place.key(data.sha256)}")
        return
    with typer.progressbar(length=data.size, label="sending", file=sys.stderr) as bar:
        uri = push(data, place, session.client("s3"), metadata, bar.update)
    typer.echo(f"{uri}\nSHA-256 {data.sha256}")
    typer.echo(f"Next: usecase pipeline start --env {environment} --data {uri}")
