"""The command that makes the bundle of the jobs' code here, to look at. Libraries are imported inside of it."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

BUNDLE = Path(".local/bundle")
Environment = Annotated[Literal["dev", "qa", "prod"], typer.Option("--env", help="The environment.")]


def add_to(app: typer.Typer, registry_app: typer.Typer, pipeline_app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(bundle)


def bundle(env: Environment = "dev") -> None:
    """Make what `pipeline start` sends as code: src/, and the locked libraries that AWS's image lacks (managed)."""
    from usecase.mlops.aws.bundle import code_bundle
    from usecase.mlops.settings import load_settings

    settings = load_settings(env)
    BUNDLE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=BUNDLE.parent) as folder:
        made = Path(folder, "code")
        artifact = code_bundle(settings, made)
        typer.echo(f"{artifact}\nsha256 {artifact.sha256}, its folder in S3")
        shutil.rmtree(BUNDLE, ignore_errors=True)
        made.rename(BUNDLE)
    inside = "src/ and what AWS's image lacks" if settings.container == "managed" else "src/; the image has the rest"
    typer.echo(f"{BUNDLE} holds it: {inside}")
