"""Commands of the feature store. Libraries are imported inside of the commands: `--help` must not wait."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usecase.mlops.errors import UserError

if TYPE_CHECKING:
    from usecase.mlops.feature_store import FeatureGroup

app = typer.Typer(no_args_is_help=True, help="Write features with their moment, and join them to rows as of theirs.")

Data = Annotated[Path, typer.Option(help="CSV or Parquet file, or a folder of such files.")]
Environment = Annotated[str, typer.Option("--env", help="local, dev, qa or prod: whose feature group.")]


def add_to(parent: typer.Typer) -> None:
    """Add the commands to the command line."""
    parent.add_typer(app, name="features")


@app.command()
def write(data: Data, env: Environment = "local") -> None:
    """Add the rows of a file to the feature group of the settings."""
    from usecase.mlops.tables import read_table

    group = _group(env)
    typer.echo(f"{group.write(read_table(data))} rows written to feature group {group.settings.group}")


@app.command()
def join(
    data: Data,
    output: Annotated[Path, typer.Option(help="Parquet file to write: train on it with `make run data=...`.")],
    env: Environment = "local",
) -> None:
    """Give each row of a file the features that were known at its moment, never later ones."""
    from usecase.mlops.feature_store import join as join_features
    from usecase.mlops.tables import read_table

    if output.suffix != ".parquet" or not output.absolute().parent.is_dir():
        raise UserError(f"{output}: give a .parquet file in a folder that exists")
    group = _group(env)
    rows = join_features(read_table(data), group)
    rows.write_parquet(output)
    typer.echo(f"{rows.height} rows with the features of {group.settings.group} written to {output}")


def _group(environment: str) -> "FeatureGroup":
    from usecase.mlops.settings import load_settings

    settings = load_settings(environment)
    if settings.feature_store is None:
        raise UserError(f"config/{environment}.yaml: there is no feature_store: set group, record_id and event_time")
    if environment == "local":
        from usecase.mlops.feature_store import LocalFeatureGroup

        return LocalFeatureGroup(settings.feature_store)
    from usecase.mlops.aws.feature_store import SageMakerFeatureGroup

    return SageMakerFeatureGroup.open(settings)
