"""Commands for the SageMaker Model Registry. Libraries are imported inside of the commands: `--help` must not wait."""

from typing import Annotated, Literal

import typer

Environment = Literal["dev", "qa", "prod"]
Profile = typer.Option(help="Profile of AWS's configuration file, for an account with credentials of its own.")


def add_to(app: typer.Typer, registry_app: typer.Typer, pipeline_app: typer.Typer) -> None:
    """Add the commands to the command line."""
    registry_app.command()(promote)


def promote(
    version: Annotated[str, typer.Argument(help="Number of an approved version, or latest.")],
    to: Annotated[Environment, typer.Option(help="The environment whose registry gets the copy.")],
    env: Annotated[Environment, typer.Option("--env", help="The environment that has the version.")] = "dev",
    approve: Annotated[bool, typer.Option("--approve", help="Approve the copy too; else it is pending.")] = False,
    reason: Annotated[str, typer.Option(help="Why it is approved there, beside that it is a copy.")] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Do it. Else only check, and say what it would do.")] = False,
    profile: Annotated[str, Profile] = "",
    to_profile: Annotated[str, Profile] = "",
) -> None:
    """Copy an approved version with its evidence into the registry of another environment, checksums compared.

    Without profiles, or with one for both, the version is read with the credentials of the environment that gets it.
    """
    from usecase.mlops.aws.registry import SageMakerRegistry
    from usecase.mlops.files import file_sha256
    from usecase.mlops.promotion import prepare
    from usecase.mlops.settings import load_settings

    settings, to_settings = load_settings(env), load_settings(to)
    target = SageMakerRegistry.open(to_settings, to_profile)
    if profile == to_profile:
        source = SageMakerRegistry.open_for(settings, to_settings, profile)
    else:
        source = SageMakerRegistry.open(settings, profile)
    plan = prepare(source, version, target)
    number = plan.package.version
    if apply:
        copy = plan.apply(approve, reason)
        typer.echo(f"version {number} of {env} is version {copy.version} of {to}: {copy.status}\n{copy.arn}")
        return
    if plan.existing:
        typer.echo(f"version {number} of {env} is version {plan.existing.version} of {to}: {plan.existing.status}")
        return
    typer.echo(f"would copy version {number} of {env} to {target.place}, {'Approved' if approve else 'pending'}:")
    for name, path in plan.files.items():
        typer.echo(f"  {file_sha256(path)}  {path.stat().st_size:>12,}  {name}")
    typer.echo(f"  image {target.own_image(plan.package.image)}")
    typer.echo("Nothing was changed: again with --apply")
