"""Command line of the container; SageMaker sets the environment variables and passes the word `serve`.

Nothing but the standard library is imported before the code of the model is in place.
"""

import argparse
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from usecase.mlops.errors import UserError
from usecase.mlops.job import run_job
from usecase.mlops.serving.model_code import code_is_that_of, use_code_of


def main() -> None:
    """Serve a model folder. Raises UserError."""
    arguments = _arguments()
    if not arguments.model_dir.is_dir() or not any(arguments.model_dir.iterdir()):
        raise UserError(f"{arguments.model_dir}: holds no model: unpack the model.tar.gz of a version there")
    if arguments.public_key and not code_is_that_of(arguments.model_dir):
        from usecase.mlops.serving.signature import check_signature

        check_signature(arguments.model_dir, arguments.public_key, arguments.signature)
        os.environ["PYTHONDONTWRITEBYTECODE"] = (
            "1"  # else the folder would hold files that nobody signed, at the next start
        )
    use_code_of(arguments.model_dir, "usecase.mlops.serving")
    listener = _listen(arguments.host, arguments.port)
    print(f"serving on http://{arguments.host}:{arguments.port} (Ctrl-C stops)", flush=True)
    if not hasattr(os, "fork"):  # Windows: one process, nobody to replace it
        sys.exit(_work(arguments, listener, lambda: None))
    from usecase.mlops.serving.workers import Supervisor

    sys.exit(Supervisor(arguments.workers, lambda on_ready: _work(arguments, listener, on_ready)).run())


def _work(arguments: argparse.Namespace, listener: socket.socket, on_ready: Callable[[], None]) -> int:
    from usecase.mlops.capture import Capture
    from usecase.mlops.serving.app import Limits, Service
    from usecase.mlops.serving.log import Log
    from usecase.mlops.serving.server import run_worker

    seconds = float(arguments.timeout)
    limits = Limits(arguments.max_payload_mb * 2**20, min(Limits.body_seconds, seconds), seconds)
    prometheus = arguments.metrics == "prometheus"
    batch = os.environ.get("SAGEMAKER_BATCH", "").lower() == "true"
    capture = Capture(arguments.capture_dir) if arguments.capture_dir else None
    service = Service(arguments.model_dir, limits, Log(), arguments.model_version, batch, prometheus, capture)
    return run_worker(listener, service, on_ready, emf=not prometheus)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="usecase.mlops.serving", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["serve"], default="serve")
    parser.add_argument("--model-dir", type=Path, default=Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model")))
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 - SageMaker reaches the container from outside of it
    parser.add_argument("--port", type=int, default=_number("SAGEMAKER_BIND_TO_PORT", 8080, 65535))
    parser.add_argument("--max-payload-mb", type=int, default=_number("SAGEMAKER_MAX_PAYLOAD_IN_MB", 6, 1000))
    workers = _number("SAGEMAKER_MODEL_SERVER_WORKERS", os.cpu_count() or 1, 256)
    parser.add_argument("--workers", type=int, default=workers, help="processes; default: one per core")
    timeout = _number("SAGEMAKER_MODEL_SERVER_TIMEOUT", 55, 3600)
    parser.add_argument("--timeout", type=int, default=timeout, help="seconds for an answer")
    parser.add_argument("--metrics", choices=["emf", "prometheus"], default="emf", help="lines of the log, or /metrics")
    parser.add_argument("--capture-dir", type=Path, help="keep requests and answers there, as SageMaker captures them")
    parser.add_argument("--model-version", default=os.environ.get("MODEL_VERSION", ""), help="said in each answer")
    key, signature = os.environ.get("MODEL_PUBLIC_KEY", ""), os.environ.get("MODEL_SIGNATURE", "")
    parser.add_argument(
        "--public-key", default=key, help="PEM, or a file of it: only a model that it confirms is served"
    )
    parser.add_argument("--signature", default=signature, help="of the model's manifest, in base64")
    return parser.parse_args()


def _number(variable: str, default: int, maximum: int) -> int:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not text.isdigit() or not 1 <= int(text) <= maximum:
        raise UserError(f"{variable}={text[:40]!r}: must be a whole number from 1 to {maximum}")
    return int(text)


def _listen(host: str, port: int) -> socket.socket:
    """The bound port, before the model is loaded: a port in use is said at once."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise UserError(f"port {port}: {error.strerror}: stop what uses it, or pass port=N") from None
    return listener


if __name__ == "__main__":
    run_job(main)
