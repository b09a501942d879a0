"""Commands that sign versions and check signatures. Libraries are imported inside of them: `--help` must not wait."""

from typing import Annotated, Literal

import typer

Environment = Annotated[Literal["local", "dev", "qa", "prod"], typer.Option("--env", help="Whose registry.")]
Version = Annotated[str, typer.Argument(help="Number of the version, or latest.")]


def add_to(app: typer.Typer, registry_app: typer.Typer, pipeline_app: typer.Typer) -> None:
    """Add the commands to the command line."""
    registry_app.command()(sign)
    registry_app.command("verify")(verify_signature)
    registry_app.command("public-key")(print_public_key)


def sign(version: Version, env: Environment = "dev") -> None:
    """Sign a version with signing.key of the settings, after its checksum was compared."""
    from usecase.mlops.aws import signing
    from usecase.mlops.registry import open_registry
    from usecase.mlops.settings import load_settings

    registry, settings = open_registry(env), load_settings(env)
    package = signing.sign(registry, registry.describe(version), settings)
    typer.echo(f"version {package.version} is signed by {settings.signing.key}")


def verify_signature(version: Version, env: Environment = "dev") -> None:
    """Compare model and signature of a version with signing.public_key; fail where they differ."""
    from usecase.mlops.aws import signing
    from usecase.mlops.registry import open_registry
    from usecase.mlops.settings import load_settings

    settings = load_settings(env)
    package = open_registry(env).describe(version)
    signing.check(package, settings)
    typer.echo(f"version {package.version} is what {settings.signing.public_key} confirms")


def print_public_key(env: Environment = "dev") -> None:
    """Print the public key of signing.key, for the file that signing.public_key names."""
    from usecase.mlops.aws import signing
    from usecase.mlops.settings import load_settings

    typer.echo(signing.public_key(load_settings(env)), nl=False)
