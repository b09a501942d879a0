"""The prediction service: `GET /ping` and `POST /invocations`, as SageMaker calls them.

Contract: "Custom Inference Code with Hosting Services", SageMaker Developer Guide. The same program runs in the own
container (`docker run IMAGE serve`) and on a laptop (`usecase serve`). Handlers: usecase/inference.py.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import uvicorn

from usecase import inference
from usecase.mlops.errors import UserError
from usecase.mlops.job import run_job
from usecase.mlops.payload import JSON, RequestError, choose_media_type

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

METHODS = {"/ping": "GET", "/invocations": "POST"}
MEGABYTE = 1024 * 1024

logger = logging.getLogger("usecase.serving")


class Service:
    """ASGI application around one loaded model."""

    def __init__(self, model_dir: Path, max_payload: int) -> None:
        self.model = inference.model_fn(str(model_dir))
        self.max_payload = max_payload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every error is JSON with a status, never a traceback."""
        if scope["type"] != "http":
            return
        status, body, media_type = HTTPStatus.OK, b"", JSON
        try:
            self._check_route(scope)
            if scope["path"] == "/invocations":
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
                media_type = choose_media_type(headers.get("accept", ""))
                request = await self._read_body(headers, receive)
                # Handlers block; a thread keeps /ping answering meanwhile.
                body = await asyncio.to_thread(self._invoke, request, headers.get("content-type", ""), media_type)
        except RequestError as error:
            status, body, media_type = error.status, _error(error.status, error.message, error.row, error.column), JSON
        except Exception:
            logger.exception("request failed")
            status, media_type = HTTPStatus.INTERNAL_SERVER_ERROR, JSON
            body = _error(status, "the request could not be answered: the log of the service says why")
        answer_headers = [(b"content-length", str(len(body)).encode())]
        if body:
            answer_headers.append((b"content-type", media_type.encode()))
        await send({"type": "http.response.start", "status": int(status), "headers": answer_headers})
        await send({"type": "http.response.body", "body": body})

    def _check_route(self, scope: Scope) -> None:
        method = METHODS.get(scope["path"])
        if method is None:
            raise RequestError(f"no such path: {' and '.join(METHODS)} are served", HTTPStatus.NOT_FOUND)
        if scope["method"] != method:
            raise RequestError(f"{scope['path']} takes {method}", HTTPStatus.METHOD_NOT_ALLOWED)

    async def _read_body(self, headers: dict[str, str], receive: Receive) -> bytes:
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestError("the client closed the connection")
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if max(len(body), int(headers.get("content-length", 0))) > self.max_payload:
                raise RequestError(
                    f"the body is over {self.max_payload // MEGABYTE} MB: send fewer rows",
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                )
        return body

    def _invoke(self, body: bytes, content_type: str, accept: str) -> bytes:
        rows = inference.input_fn(body, content_type or JSON)
        return inference.output_fn(inference.predict_fn(rows, self.model), accept)


def serve(model_dir: Path, host: str, port: int, max_payload_mb: int) -> None:
    """Serve the model folder until SIGTERM or Ctrl-C; requests under way are finished first. Raises UserError."""
    listener = _listen(host, port)
    service = Service(model_dir, max_payload_mb * MEGABYTE)
    server = uvicorn.Server(
        uvicorn.Config(
            service,
            host=host,
            port=port,
            log_level="warning",
            lifespan="off",
            timeout_graceful_shutdown=25,
            server_header=False,
        )
    )
    print(f"serving on http://{host}:{port} (Ctrl-C stops)", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn shuts down in order, then sends itself the signal again: an orderly end is exit 0.
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listener])


def use_code_of(model_dir: Path) -> None:
    """Start this program again with the code that the model was trained with, when the model folder holds it.

    A feature that changed since then must not change the answers of a model that is already approved.
    """
    code = (model_dir / "code").absolute()
    if (code / "usecase").is_dir() and not Path(__file__).is_relative_to(code):
        environment = {**os.environ, "PYTHONPATH": str(code)}
        os.execve(sys.executable, [sys.executable, "-m", "usecase.mlops.serving", *sys.argv[1:]], environment)  # noqa: S606


def _listen(host: str, port: int) -> socket.socket:
    """The bound port, before the model is loaded: a port in use is said at once."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise UserError(f"port {port}: {error.strerror}: stop what uses it, or pass port=N") from None
    return listener


def _error(status: HTTPStatus, message: str, row: int | None = None, column: str | None = None) -> bytes:
    content: dict[str, Any] = {"code": int(status), "message": message}
    if row is not None:
        content["row"] = row
    if column is not None:
        content["column"] = column
    return json.dumps({"error": content}).encode()


def main() -> None:
    """Command line of the container; SageMaker sets the environment variables and passes the word `serve`."""
    environment = os.environ.get
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="?", choices=["serve"], default="serve")
    parser.add_argument("--model-dir", type=Path, default=Path(environment("SM_MODEL_DIR", "/opt/ml/model")))
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 - SageMaker reaches the container from outside of it
    parser.add_argument("--port", type=int, default=int(environment("SAGEMAKER_BIND_TO_PORT", "8080")))
    parser.add_argument("--max-payload-mb", type=int, default=int(environment("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6")))
    arguments = parser.parse_args()
    use_code_of(arguments.model_dir)
    serve(arguments.model_dir, arguments.host, arguments.port, arguments.max_payload_mb)


if __name__ == "__main__":
    run_job(main)
