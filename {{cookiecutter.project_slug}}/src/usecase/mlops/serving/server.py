"""One worker: uvicorn with the limits that it lacks, the loading of the model, and an end that loses no request."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from usecase.mlops.errors import UserError
from usecase.mlops.serving.app import Fields, Service, load_or_explain

MAX_HEAD_BYTES = 32 * 1024
HEAD_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 75  # longer than what asks in front of us keeps its connections
DRAIN_SECONDS = 0.5  # between "not ready" and the end of listening: who asks learns of it from /ping meanwhile
STOP_SECONDS = 25
EMF_SECONDS = 60
ACCEPTS = 16  # new connections per turn of the loop: libuv takes one of each listener, after all requests that came
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP with an end to the headers, in bytes and in seconds, and a short way for small requests.

    A POST to /invocations that came whole is answered at once, where the service can: without a task, without messages
    of ASGI, with one write. All others go uvicorn's way.
    """

    _in_head = False
    _head_bytes = 0  # of a head that has not come whole
    _head_timer: asyncio.TimerHandle | None = None
    _parts: list[bytes] | None = None  # of the body of a request that may go the short way

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection begins: its first request has some seconds to say what it is."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection ends."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._parts is not None:  # the rest of the body may take its time
            self._go_uvicorns_way(self._parts)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse()
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """The head has come: from now on the application watches the clock."""
        self._in_head = False
        self._stop_timer()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refuse()
        if self.transport.is_closing():
            return
        if self._may_go_the_short_way():
            self._parts = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Bytes of a body."""
        if self._parts is not None:
            self._parts.append(body)
        elif not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        if self._parts is not None:
            body = b"".join(self._parts)
            answer = self.config.app.answer_now(dict(self.headers), body)  # type: ignore[union-attr]
            if answer is not None:
                self._parts = None
                self._write(*answer)
                return
            self._go_uvicorns_way([body])
        if not self.transport.is_closing():
            super().on_message_complete()

    def _may_go_the_short_way(self) -> bool:
        parser = self.parser
        return (
            self.url == b"/invocations"
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
        )

    def _go_uvicorns_way(self, parts: list[bytes]) -> None:
        self._parts = None
        super().on_headers_complete()
        for part in parts:
            super().on_body(part)

    def _write(self, status: int, fields: Fields, body: bytes) -> None:
        lines = [b"%b: %b\r\n" % field for field in fields]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self.server_state.total_requests += 1
        if (b"connection", b"close") in fields:
            self.transport.close()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(KEEP_ALIVE_SECONDS, self.timeout_keep_alive_handler)

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class Server(uvicorn.Server):
    """Listens at once and says 503 until the model is loaded; on SIGTERM answers what has come, then ends."""

    def __init__(self, service: Service, on_ready: Callable[[], None], emf: bool) -> None:
        super().__init__(
            uvicorn.Config(
                service,
                http=Protocol,
                interface="asgi3",
                proxy_headers=False,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
                backlog=2048,
            )
        )
        self._service, self._on_ready, self._emf = service, on_ready, emf
        self._end_at = float("inf")
        self.failure: UserError | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and load meanwhile."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        self._service.log.later = loop.call_later
        self._loading = loop.create_task(self._load())

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end."""
        if self._emf and counter % (10 * EMF_SECONDS) == 0:
            self._service.tell_cloudwatch()
        if time.monotonic() >= self._end_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what has come, and write what waits."""
        await super().shutdown(sockets)
        if self._emf:
            self._service.tell_cloudwatch()
        self._service.log.flush()
        self._service.log.later = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: not ready from now on, and the end soon. A second signal, or Ctrl-C: the end now."""
        wait = DRAIN_SECONDS if sig == signal.SIGTERM and not self._service.draining else 0.0
        self._end_at = time.monotonic() + wait
        self._service.draining = True

    async def _load(self) -> None:
        try:
            await asyncio.to_thread(load_or_explain, self._service)
        except UserError as error:
            self.failure, self.should_exit = error, True
        else:
            self._on_ready()


def run_worker(listener: socket.socket, service: Service, on_ready: Callable[[], Any], emf: bool) -> int:
    """Answer requests on a bound port until a signal comes; the exit status."""
    server = Server(service, on_ready, emf)
    server.run(sockets=[listener, *(listener.dup() for _ in range(ACCEPTS - 1))])
    if server.failure is not None:
        print(f"error: {server.failure}", file=sys.stderr, flush=True)
        return 1
    return 0
