"""Open the user interface of MLflow on the runs of this repository. Needs the dependency group `ui`."""

import argparse
import os
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from usecase.mlops.errors import UserError
from usecase.mlops.tracking import ARTIFACTS, DATABASE, ENVIRONMENT


def open_ui(folder: Path, port: int) -> int:
    """Serve the UI on 127.0.0.1:`port` until it is stopped; the server's exit status. Raises UserError."""
    database = folder.absolute() / DATABASE
    if not database.exists():
        raise UserError(f"{folder / DATABASE}: no such file: no run is logged here yet: make run")
    try:
        metadata.version("mlflow")  # mlflow-skinny brings the same package without its server
    except metadata.PackageNotFoundError:
        raise UserError("the whole of MLflow is not installed: make ui, or uv run --group ui usecase ui") from None
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UserError(f"port {port} is taken or not allowed: choose another, make ui port=5001") from None
    from usecase.mlops.mlflow_log import upgrade

    upgrade(database)
    print(f"MLflow on http://127.0.0.1:{port}, until Ctrl-C", flush=True)
    options = {
        "backend-store-uri": f"sqlite:///{database}",
        "artifacts-destination": (folder.absolute() / ARTIFACTS).as_uri(),
        "host": "127.0.0.1",
        "port": str(port),
        "workers": "1",
        "uvicorn-opts": "--log-level critical",  # else Ctrl-C ends in a traceback
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    # Its workers for evaluations of language models take 1.5 GB of memory and outlive the server.
    environment = (
        ENVIRONMENT | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"} | dict(os.environ)
    )
    return subprocess.run([sys.executable, "-m", "mlflow", "server", *words], check=False, env=environment).returncode


def main() -> None:
    """Command line of `make ui`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5000)
    try:
        sys.exit(open_ui(Path(".local"), parser.parse_args().port))
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
