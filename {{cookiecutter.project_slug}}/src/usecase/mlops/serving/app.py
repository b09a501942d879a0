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
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from usecase.mlops.capture import Capture
from usecase.mlops.errors import UserError
from usecase.mlops.serving import metrics
from usecase.mlops.serving.answers import PLAIN, Answers, Options
from usecase.mlops.serving.log import Log
from usecase.mlops.serving.metrics import Metrics
from usecase.mlops.serving.model import ServedModel
from usecase.mlops.serving.openapi import openapi_document, page
from usecase.mlops.serving.own import OwnHandlers, own_handlers
from usecase.mlops.serving.request import (
    JSON,
    ContentType,
    RequestError,
    choose_media_type,
    decode_content,
    read_content_type,
    too_large,
)
from usecase.mlops.serving.validation import Valid

Scope = dict[str, Any]
Headers = dict[bytes, bytes]
Fields = list[tuple[bytes, bytes]]
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
ATTRIBUTES, INFERENCE_ID = b"x-amzn-sagemaker-custom-attributes", b"x-amzn-sagemaker-inference-id"
ECHOED = (ATTRIBUTES, INFERENCE_ID)
SMALL_BODY = 32 * 1024  # answered in the event loop: it takes less time than to change threads
MORE_FIELDS: dict[int, Fields] = {
    HTTPStatus.SERVICE_UNAVAILABLE: [(b"retry-after", b"1")],
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: [(b"connection", b"close")],
}
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


@dataclass
class _Reply:
    """What a request is answered with, and what that was made of where it is one of the model."""

    status: HTTPStatus
    body: bytes
    media_type: str = JSON
    answers: Answers | None = None
    valid: Valid | None = None


@dataclass
class _Asked:
    """What the headers of a request to /invocations say."""

    content_type: str
    content: ContentType
    accept: str
    coding: str
    options: Options
    name: str

    @classmethod
    def read(cls, headers: Headers) -> "_Asked":
        """Raises RequestError."""
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        return cls(
            content_type,
            read_content_type(content_type),
            choose_media_type(headers.get(b"accept", b"").decode("latin-1")),
            headers.get(b"content-encoding", b"").decode("latin-1"),
            Options.of_attributes(headers[ATTRIBUTES].decode("latin-1")) if ATTRIBUTES in headers else PLAIN,
            headers.get(INFERENCE_ID, b"").decode("latin-1"),
        )

    def is_quick(self, body: bytes) -> bool:
        """Whether rows are answered in less time than it takes to change threads."""
        if len(body) > SMALL_BODY or self.options.explanation:
            return False
        return b"x" not in body or b"explanation" not in body  # one letter is found in a twentieth of the time


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
        self._handlers: OwnHandlers | None = None
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="answer")
        self._busy = 0
        self._first_id, self._ids = secrets.token_hex(12), count()  # of one worker
        self._lost: set[Future[Any]] = set()

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""
        return self._model is not None and not self.draining

    def load(self) -> None:
        """Load the model, as long as that takes. Raises UserError, or what the use case's own model_fn raises."""
        started = time.perf_counter()
        model = ServedModel(self._model_dir, self._version)
        own = own_handlers()
        if own:
            self._handlers = OwnHandlers(self._model_dir, model.validator.names)
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
        headers: Headers = dict(scope["headers"])
        request_id = self._name(headers)
        path: str = "/invocations" if CLIENT_PATH.fullmatch(scope["path"]) else scope["path"]
        invoked = path == "/invocations"
        try:
            self._check_route(path, scope["method"])
            reply = await self._invoke(headers, receive) if invoked else self._tell(path)
        except Exception as error:
            reply = self._failed(error, request_id, invoked)
        if invoked:
            self._count(reply, time.perf_counter() - started, request_id)
        fields = self._fields(reply, headers)
        if reply.status == HTTPStatus.METHOD_NOT_ALLOWED:
            fields.append((b"allow", ", ".join(ROUTES[path]).encode()))
        if self.draining:
            fields.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": int(reply.status), "headers": fields})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    def answer_now(self, headers: Headers, body: bytes) -> tuple[int, Fields, bytes] | None:
        """Status, headers and body of the answer to a whole POST to /invocations.

        None where that may take longer than a change of threads, and while the service begins or ends: the application
        has to be called.
        """
        if self._model is None or self._handlers is not None or self.draining or self._busy >= self.limits.waiting:
            return None
        started = time.perf_counter()
        request_id = self._name(headers)
        try:
            asked = _Asked.read(headers)
            if not asked.is_quick(body) or asked.coding:
                return None
            reply = self._answer(self._model, asked, body)
        except Exception as error:
            reply = self._failed(error, request_id, invoked=True)
        self._count(reply, time.perf_counter() - started, request_id)
        return int(reply.status), self._fields(reply, headers), reply.body

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

    def _tell(self, path: str) -> _Reply:
        """The answer of a path that takes no body."""
        if path == "/ping":
            return _Reply(HTTPStatus.OK if self.ready else HTTPStatus.SERVICE_UNAVAILABLE, b"")
        if path == "/metrics":
            return _Reply(HTTPStatus.OK, self.metrics.prometheus().encode(), TEXT)
        if path == "/execution-parameters":
            limits: dict[str, Any] = {"MaxConcurrentTransforms": self.limits.threads, "BatchStrategy": "MULTI_RECORD"}
            limits["MaxPayloadInMB"] = self.limits.max_payload // 2**20
            return _Reply(HTTPStatus.OK, orjson.dumps(limits))
        model = self._ready_model()
        if path == "/docs":
            return _Reply(HTTPStatus.OK, page(model.contract).encode(), HTML)
        return _Reply(HTTPStatus.OK, orjson.dumps(openapi_document(model.contract, model.version)))

    def _ready_model(self) -> ServedModel:
        if self._model is None:
            raise RequestError("the model is being loaded: try again", HTTPStatus.SERVICE_UNAVAILABLE)
        return self._model

    async def _invoke(self, headers: Headers, receive: Receive) -> _Reply:
        model = self._ready_model()
        if self._busy >= self.limits.waiting:
            raise busy()
        asked = _Asked.read(headers)
        self._busy += 1
        self.metrics.add(metrics.IN_FLIGHT, 1)
        try:
            body = decode_content(await self._read_body(headers, receive), asked.coding, self.limits.max_payload)
            if self._handlers is not None:
                written, media_type = await self._in_thread(
                    self._handlers.answer, body, asked.content_type or JSON, asked.accept
                )
                return self._captured(asked, body, _Reply(HTTPStatus.OK, written, media_type))
            if asked.is_quick(body):
                return self._answer(model, asked, body)
            reply: _Reply = await self._in_thread(self._answer, model, asked, body)  # /ping is answered meanwhile
            return reply
        finally:
            self._busy -= 1
            self.metrics.add(metrics.IN_FLIGHT, -1)

    def _answer(self, model: ServedModel, asked: "_Asked", body: bytes) -> _Reply:
        written, answers, valid = model.answer(body, asked.content, asked.accept, asked.options, self._batch)
        return self._captured(asked, body, _Reply(HTTPStatus.OK, written, asked.accept, answers, valid))

    def _captured(self, asked: "_Asked", body: bytes, reply: _Reply) -> _Reply:
        if self._capture:
            self._capture.write((asked.content_type or JSON, body), (reply.media_type, reply.body), asked.name)
        return reply

    def _failed(self, error: Exception, request_id: str, invoked: bool) -> _Reply:
        """What a request is told that could not be answered, and the log where it has to know."""
        if isinstance(error, TimeoutError):
            status = HTTPStatus.GATEWAY_TIMEOUT
            self.log.error("deadline", request_id=request_id)
            error = RequestError(f"no answer within {self.limits.answer_seconds:g} s", status)
        elif not isinstance(error, RequestError):
            self.log.error("failed", error, request_id=request_id)
            said = f"the request could not be answered: the log of the service says why, under {request_id}"
            error = RequestError(said, HTTPStatus.INTERNAL_SERVER_ERROR)
        elif invoked and error.status == HTTPStatus.BAD_REQUEST:
            self.metrics.add(metrics.REFUSED, label=error.column or "")
        return _Reply(error.status, _error(error, request_id))

    def _name(self, headers: Headers) -> str:
        """The id of a request: its own, or one that no other request has."""
        if INFERENCE_ID in headers:
            return headers[INFERENCE_ID].decode("latin-1")
        return f"{self._first_id}{next(self._ids):08x}"

    def _fields(self, reply: _Reply, headers: Headers) -> Fields:
        """The headers of an answer."""
        fields: Fields = [(b"content-length", b"%d" % len(reply.body))]
        if reply.body:
            fields.append((b"content-type", reply.media_type.encode()))
        fields += [(name, headers[name]) for name in ECHOED if name in headers]
        return fields + MORE_FIELDS.get(reply.status, [])

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

    def _count(self, reply: _Reply, seconds: float, request_id: str) -> None:
        """One line of the log, and the numbers."""
        counts, status, answers, valid = self.metrics, int(reply.status), reply.answers, reply.valid
        counts.add(metrics.REQUESTS, label=str(status))
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
                counts.observe(metrics.PROBABILITY, *answers.top)
        self.log.info(
            "request",
            request_id=request_id,
            status=status,
            ms=round(seconds * 1000, 3),
            rows=rows,
            refused=refused,
        )


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
