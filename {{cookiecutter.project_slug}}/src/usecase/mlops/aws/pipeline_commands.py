"""Commands that deploy, start and watch the pipeline in AWS. Libraries are imported inside of them: --help is quick."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from usecase.mlops.errors import UserError

if TYPE_CHECKING:
    from usecase.mlops.aws.start import Cause

Environment = Annotated[Literal["dev", "qa", "prod"], typer.Option("--env", help="The environment.")]


def add_to(app: typer.Typer, registry_app: typer.Typer, pipeline_app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (deploy, start, status):
        pipeline_app.command()(command)


def deploy(
    env: Environment = "dev",
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, only the difference is shown.")] = False,
) -> None:
    """Show what deploying would change; --apply does it.

    pipeline.json is filled with the facts and settings of the environment, and compared with what is deployed there. A
    step without its network, keys, isolation, tags or limits is refused.
    """
    from usecase.mlops.aws import pipeline
    from usecase.mlops.aws.platform import connect

    connection, settings, facts = connect(env)
    wanted = pipeline.wanted_pipeline(settings, facts)
    deployed = pipeline.deployed_pipeline(connection, wanted)
    if deployed == wanted:
        typer.echo(f"pipeline {wanted.name}: no change")
        return
    for line in pipeline.difference(deployed, wanted):
        typer.echo(line)
    if not apply:
        typer.echo(f"\nNothing was done. To deploy: usecase pipeline deploy --env {env} --apply")
        return
    arn = pipeline.apply(connection, pipeline.artifact_store(connection, settings, facts), deployed, wanted)
    typer.echo(f"\n{arn} {'updated' if deployed else 'created'}")
    typer.echo(f"Next: usecase pipeline start --env {env} --data s3://...")


def start(
    data: Annotated[str, typer.Option(help="S3 location of the training data, as `data push` prints it. Needed.")] = "",
    env: Environment = "dev",
    params: Annotated[str, typer.Option(help='Pipeline parameters: "MaxDepth=6 TrainingInstanceCount=2".')] = "",
    allow_dirty: Annotated[
        bool,
        typer.Option("--allow-dirty", help="Start from a working tree that is not committed; the version says so."),
    ] = False,
    image_tag: Annotated[
        str, typer.Option(help="Tag of the own container's image. Default: the commit's full hash.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show what would be sent; change nothing.")
    ] = False,
) -> None:
    """Start an execution and print its ARN.

    Code, contract and model card of this working tree are sent first; parameters are checked before. `pipeline status`
    watches what was started. In one CI pipeline the same start twice is one execution.
    """
    from usecase.mlops.run import parse_overrides

    begin(env, data, parse_overrides(params), allow_dirty, image_tag, dry_run)


def begin(
    env: str,
    data: str,
    overrides: Mapping[str, str],
    allow_dirty: bool = False,
    image_tag: str = "",
    dry_run: bool = False,
    cause: "Cause | None" = None,
) -> None:
    """Start an execution, or show it. Raises UserError. See `start`."""
    from usecase.mlops.aws.platform import connect
    from usecase.mlops.aws.start import prepare, send
    from usecase.mlops.aws.status import studio_link

    if not data:
        raise UserError("which data? --data s3://..., as `usecase data push FILE` prints it")
    connection, settings, facts = connect(env)
    with tempfile.TemporaryDirectory(prefix="usecase-start-") as folder:
        ready = prepare(connection, settings, facts, data, overrides, Path(folder), allow_dirty, image_tag, cause)
        if ready.image.note:
            typer.echo(f"note: {ready.image.note}", err=True)
        if dry_run:
            for artifact in ready.artifacts:
                typer.echo(f"would send {artifact}: {ready.store.uri(artifact)}")
            for name, value in ready.parameters.items():
                typer.echo(f"{name:<24} {value}")
            return
        arn = send(connection, ready, lambda line: typer.echo(line, err=True))
    typer.echo(arn)
    typer.echo(f"Console: {studio_link(arn)} (Pipelines, {ready.pipeline}, {ready.display_name})")
    typer.echo(f"Next: usecase pipeline status --env {env} --execution {arn.rpartition('/')[2]} --wait")


def status(
    env: Environment = "dev",
    execution: Annotated[str, typer.Option(help="ARN or id of the execution. Default: the newest.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it has ended; a line for each change.")] = False,
) -> None:
    """Show the steps of an execution.

    Exit status: 0 succeeded, 1 failed or stopped, 3 still running.
    """
    from usecase.mlops.aws.platform import connect
    from usecase.mlops.aws.status import find_execution, studio_link, watch

    connection, settings, _ = connect(env)
    arn = find_execution(connection, settings, execution)
    typer.echo(f"{arn}\nConsole: {studio_link(arn)}")
    found = watch(connection, arn, typer.echo, wait)
    if found.exit_code == 1:
        raise UserError(f"execution {arn.rpartition('/')[2]}: {found.status}: {found.failure}")
    typer.echo(found.status)
    if found.exit_code:
        raise typer.Exit(found.exit_code)
