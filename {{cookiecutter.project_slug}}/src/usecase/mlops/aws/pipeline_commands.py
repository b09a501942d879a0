"""Commands that deploy, start and watch the pipeline in AWS. Libraries are imported inside of the commands: `--help` must not wait."""

import typer


def add_to(app: typer.Typer, registry_app: typer.Typer, pipeline_app: typer.Typer) -> None:
    """Add the commands to the command line."""
