"""The ASGI application: routes, bodies, errors, overload. Contract: "Custom Inference Code with Hosting Services" and
"... with Batch Transform" of the SageMaker Developer Guide.
"""

import asyncio
import os
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson

from usecase.mlops import default_handlers
from usecase.mlops.capture import Capture
from usecase.mlops.errors import UserError
from usecase.mlops.serving import metrics
from usecase.mlops.serving.answers import PLAIN, Answers, Options
from usecase.mlops.serving.log import Log
from usecase.mlops.serving.metrics import Metrics
from usecase.mlops.serving.model import ServedModel
from usecase.mlops.serving.openapi import openapi_document, page
from usecase.mlops.serving.request import (
    JSON,
    RequestError,
    choose_media_type,
    decode_content,
    read_content_type,
    too_large,
)
from usecase.mlops.serving.validation import Valid

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

ROUTES = {
    "/invocations": ("POST",),
    "/ping": ("GET", "HEAD"),
    "/execution-parameters": ("GET",),
    "/openapi.json": ("GET",),
    "/docs": ("GET",),
    "/metrics": ("GET",),
}
CLIENT_PATH = re.compile("/endpoints/[^/]+/invocations")  # where AWS's clients ask when this is their endpoint_url
HANDLERS = ("model_fn", "input_fn", "predict_fn", "output_fn")
ATTRIBUTES, INFERENCE_ID = b"x-amzn-sagemaker-custom-attributes", b"x-amzn-sagemaker-inference-id"
ECHOED = (ATTRIBUTES, INFERENCE_ID)
SMALL_BODY = 32 * 1024  # answered in the event loop: it takes less time than to change threads
RETRY_AFTER = (b"retry-after", b"1")
TEXT, HTML = "text/plain; version=0.0.4; charset=utf-8", "text/html; charset=utf-8"
EXIT_STUCK = 70  # EX_SOFTWARE of sysexits.h: the supervisor starts another worker


@dataclass(frozen=True)
class Limits:
    """What one worker takes on. Times in seconds, sizes in bytes."""

    max_payload: int = 6 * 2**20
    body_seconds: float = 30.0  # until the body has come
    answer_seconds: float = 55.0  # SageMaker gives up after 60
    threads: int = 4
    waiting: int = 100  # requests that wait for a thread or for their body


class Service:
    """ASGI application around one model; `load` it before it is ready."""

    def __init__(
        self,
        model_dir: Path,
        limits: Limits,
        log: Log,
        version: str = "",
        batch: bool = False,
        prometheus: bool = False,
        capture: Capture | None = None,
    ) -> None:
        self._capture = capture
        self.limits, self.log, self.metrics = limits, log, Metrics()
        self.draining = False
        self._model_dir, self._version, self._batch, self._prometheus = model_dir, version, batch, prometheus
        self._model: ServedModel | None = None
        self._handlers: ModuleType | None = None
        self._loaded: Any = None  # by the model_fn of the use case
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="answer")
        self._busy = 0
        self._lost: set[Future[Any]] = set()

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""
        return self._model is not None and not self.draining

    def load(self) -> None:
        """Load the model, as long as that takes. Raises UserError, or what the use case's own model_fn raises."""
        from usecase import inference

        started = time.perf_counter()
        model = ServedModel(self._model_dir, self._version)
        own = own_handlers()
        if own:
            self._loaded = inference.model_fn(str(self._model_dir))
            self._handlers = inference
        self._model = model
        self.log.info(
            "ready",
            model_dir=str(self._model_dir),
            model_version=model.version,
            predictor=model.predictor.name,
            own_handlers=own,
            seconds=round(time.perf_counter() - started, 3),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every error is JSON with a status, never a traceback."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = headers.get(INFERENCE_ID, b"").decode("latin-1") or secrets.token_hex(16)
        status, body, media_type = HTTPStatus.OK, b"", JSON
        more: list[tuple[bytes, bytes]] = [(name, headers[name]) for name in ECHOED if name in headers]
        counted: tuple[Answers | None, Valid | None] = (None, None)
        path: str = scope["path"]
        if CLIENT_PATH.fullmatch(path):
            path = "/invocations"
        invoked = path == "/invocations"
        try:
            self._check_route(path, scope["method"])
            if invoked:
                body, media_type, counted = await self._invoke(headers, receive)
            else:
                status, body, media_type = self._tell(path)
        except RequestError as error:
            status, body, media_type = error.status, _error(error, request_id), JSON
            more += [RETRY_AFTER] if status == HTTPStatus.SERVICE_UNAVAILABLE else []
            more += [(b"connection", b"close")] if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else []
            if invoked and status == HTTPStatus.BAD_REQUEST:
                self.metrics.add(metrics.REFUSED, label=error.column or "")
        except TimeoutError:
            status, media_type = HTTPStatus.GATEWAY_TIMEOUT, JSON
            body = _error(RequestError(f"no answer within {self.limits.answer_seconds:g} s", status), request_id)
            self.log.error("deadline", request_id=request_id)
        except Exception as error:
            status, media_type = HTTPStatus.INTERNAL_SERVER_ERROR, JSON
            said = f"the request could not be answered: the log of the service says why, under {request_id}"
            body = _error(RequestError(said, status), request_id)
            self.log.error("failed", error, request_id=request_id)
        if self.draining:
            more.append((b"connection", b"close"))
        if body:
            more.append((b"content-type", media_type.encode()))
        more.append((b"content-length", str(len(body)).encode()))
        if invoked:
            self._count(status, time.perf_counter() - started, request_id, *counted)
        await send({"type": "http.response.start", "status": int(status), "headers": more})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def tell_cloudwatch(self) -> None:
        """Write what was counted since the last call to the log."""
        for line in self.metrics.emf():
            self.log.write(line)

    def _check_route(self, path: str, method: str) -> None:
        methods = ROUTES.get(path)
        if methods is None or (path == "/metrics" and not self._prometheus):
            raise RequestError(f"no such path: {', '.join(ROUTES)} are served", HTTPStatus.NOT_FOUND)
        if method not in methods:
            raise RequestError(f"{path} takes {' or '.join(methods)}", HTTPStatus.METHOD_NOT_ALLOWED)

    def _tell(self, path: str) -> tuple[HTTPStatus, bytes, str]:
        """The answer of a path that takes no body."""
        if path == "/ping":
            return (HTTPStatus.OK if self.ready else HTTPStatus.SERVICE_UNAVAILABLE), b"", JSON
        if path == "/metrics":
            return HTTPStatus.OK, self.metrics.prometheus().encode(), TEXT
        if path == "/execution-parameters":
            limits = {"MaxConcurrentTransforms": self.limits.threads, "BatchStrategy": "MULTI_RECORD"}
            return HTTPStatus.OK, orjson.dumps(limits | {"MaxPayloadInMB": self.limits.max_payload // 2**20}), JSON
        model = self._ready_model()
        if path == "/docs":
            return HTTPStatus.OK, page(model.contract).encode(), HTML
        return HTTPStatus.OK, orjson.dumps(openapi_document(model.contract, model.version)), JSON

    def _ready_model(self) -> ServedModel:
        if self._model is None:
            raise RequestError("the model is being loaded: try again", HTTPStatus.SERVICE_UNAVAILABLE)
        return self._model

    async def _invoke(
        self, headers: dict[bytes, bytes], receive: Receive
    ) -> tuple[bytes, str, tuple[Answers | None, Valid | None]]:
        model = self._ready_model()
        if self._busy >= self.limits.waiting:
            raise busy()
        accept = choose_media_type(headers.get(b"accept", b"").decode("latin-1"))
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        content = read_content_type(content_type)
        options = PLAIN
        if ATTRIBUTES in headers:
            options = Options.of_attributes(headers[ATTRIBUTES].decode("latin-1"))
        self._busy += 1
        self.metrics.add(metrics.IN_FLIGHT, 1)
        try:
            body = await self._read_body(headers, receive)
            body = decode_content(
                body, headers.get(b"content-encoding", b"").decode("latin-1"), self.limits.max_payload
            )
            if self._handlers is not None:
                work = self._in_thread(self._ask_handlers, self._handlers, body, content_type or JSON, accept)
                (written, accept), answers, valid = await work, None, None
            elif len(body) <= SMALL_BODY and not options.explanation and b"explanation" not in body:
                written, answers, valid = model.answer(body, content, accept, options, self._batch)
            else:  # /ping is answered meanwhile
                work = self._in_thread(model.answer, body, content, accept, options, self._batch)
                written, answers, valid = await work
            if self._capture:
                name = headers.get(INFERENCE_ID, b"").decode("latin-1")
                self._capture.write((content_type or JSON, body), (accept, written), name)
            return written, accept, (answers, valid)
        finally:
            self._busy -= 1
            self.metrics.add(metrics.IN_FLIGHT, -1)

    def _ask_handlers(self, handlers: ModuleType, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        rows = handlers.input_fn(body, content_type)
        answer = handlers.output_fn(handlers.predict_fn(rows, self._loaded), accept)
        written, media_type = answer if isinstance(answer, tuple) else (answer, accept)
        return written.encode() if isinstance(written, str) else bytes(written), media_type

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of a function that takes long. Raises TimeoutError, RequestError when no thread was free in time.

        A function that runs cannot be stopped: its client is told, and its thread is given as much time again.
        """
        work = self._threads.submit(function, *arguments)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(work)), self.limits.answer_seconds)
        except TimeoutError:
            if work.done():  # the function itself raised it
                raise
            if work.cancel():
                raise busy() from None
            asyncio.get_running_loop().call_later(self.limits.answer_seconds, self._give_up, work)
            raise

    def _give_up(self, work: "Future[Any]") -> None:
        """Count a thread as lost until it ends after all; without any left, end the worker, so that another begins."""
        if work.done():
            return
        self._lost.add(work)
        work.add_done_callback(self._lost.discard)
        if len(self._lost) >= self.limits.threads:
            self.log.error("stuck", threads=len(self._lost))
            os._exit(EXIT_STUCK)

    async def _read_body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        limit = self.limits.max_payload
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > limit:
            raise too_large(limit)
        message = await self._receive(receive, self.limits.body_seconds)
        body: bytes = message["body"]
        if not message.get("more_body", False):
            if len(body) > limit:
                raise too_large(limit)
            return body
        deadline = time.monotonic() + self.limits.body_seconds
        parts, size = [body], len(body)
        while message.get("more_body", False):
            if size > limit:
                raise too_large(limit)
            message = await self._receive(receive, deadline - time.monotonic())
            parts.append(message["body"])
            size += len(message["body"])
        if size > limit:
            raise too_large(limit)
        return b"".join(parts)

    async def _receive(self, receive: Receive, seconds: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            raise RequestError("the body took too long", HTTPStatus.REQUEST_TIMEOUT) from None
        if message["type"] == "http.disconnect":
            raise RequestError("the client closed the connection", HTTPStatus.REQUEST_TIMEOUT)
        message.setdefault("body", b"")
        return message

    def _count(
        self, status: HTTPStatus, seconds: float, request_id: str, answers: Answers | None, valid: Valid | None
    ) -> None:
        """One line of the log, and the numbers."""
        counts = self.metrics
        counts.add(metrics.REQUESTS, label=str(int(status)))
        counts.observe(metrics.LATENCY, seconds)
        rows = refused = 0
        if answers is not None and valid is not None:
            rows, refused = len(answers.values), len(answers.refused or ())
            counts.add(metrics.ROWS, rows)
            for faults, metric in ((valid.refused, metrics.REFUSED), (valid.flagged, metrics.FLAGGED)):
                for fault in faults:
                    counts.add(metric, len(fault.rows), fault.problem.column)
            if answers.probabilities is None:
                counts.add(metrics.VALUES, sum(map(float, answers.values)))
            else:
                for label in set(answers.values):
                    counts.add(metrics.CLASSES, answers.values.count(label), str(label))
                for probability in answers.probabilities.max(axis=1).tolist():
                    counts.observe(metrics.PROBABILITY, probability)
        self.log.info(
            "request",
            request_id=request_id,
            status=int(status),
            ms=round(seconds * 1000, 3),
            rows=rows,
            refused=refused,
        )


def own_handlers() -> list[str]:
    """The handlers that the use case has written itself."""
    from usecase import inference

    return [name for name in HANDLERS if getattr(inference, name) is not getattr(default_handlers, name)]


def busy() -> RequestError:
    """What a request is answered with that comes on top of too many others."""
    return RequestError("too many requests at once: try again", HTTPStatus.SERVICE_UNAVAILABLE)


def _error(error: RequestError, request_id: str) -> bytes:
    content: dict[str, Any] = {"code": int(error.status), "message": error.message, "id": request_id}
    if error.row is not None:
        content["row"] = error.row
    if error.column:
        content["column"] = error.column
    return orjson.dumps({"error": content}, default=str)


def load_or_explain(service: Service) -> None:
    """Load the model. Raises UserError in every case of failure, with the place of an error in a handler."""
    try:
        service.load()
    except UserError:
        raise
    except Exception as error:
        service.log.error("not loaded", error)
        raise UserError(f"the model cannot be loaded: {type(error).__name__}: {error}") from None
