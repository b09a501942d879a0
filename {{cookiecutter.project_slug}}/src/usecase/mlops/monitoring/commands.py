"""The command that makes the monitor's code here, to look at. Libraries are imported inside of it: --help is quick."""

import tempfile
from pathlib import Path

import typer

TARGET = Path(".local/monitor.zip")


def add_to(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(monitor_bundle)


def monitor_bundle() -> None:
    """Make what a deployment sends as the monitor's code: the zip of a Lambda function, libraries included."""
    from usecase.mlops.files import file_sha256
    from usecase.mlops.monitoring import package

    TARGET.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="monitor-", dir=TARGET.parent) as folder:
        archive = package.build(Path(folder))
        unpacked = package.unpacked_bytes(archive)
        typer.echo(f"{archive.stat().st_size / 1e6:.1f} MB, sha256 {file_sha256(archive)}")
        typer.echo(f"unpacked {unpacked / 1e6:.1f} MB of the {package.MAX_BYTES / 1e6:.1f} that a function may have")
        archive.replace(TARGET)
    typer.echo(f"{TARGET} holds it: what `usecase deploy` sends")
