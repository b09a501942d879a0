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
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from usecase.mlops.errors import UserError
from usecase.mlops.serving.app import Service, load_or_explain

MAX_HEADER_BYTES = 32 * 1024
HEADER_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 75  # longer than what asks in front of us keeps its connections
DRAIN_SECONDS = 0.5  # between "not ready" and the end of listening: who asks learns of it from /ping meanwhile
STOP_SECONDS = 25
EMF_SECONDS = 60
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP with an end to the headers: in bytes and in seconds."""

    _header_bytes = 0
    _header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection begins: its first request has some seconds to say what it is."""
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(HEADER_SECONDS, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection ends."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request; those of headers are counted."""
        self._header_bytes += len(data)
        super().data_received(data)
        if self._header_timer is not None and self._header_bytes > MAX_HEADER_BYTES:
            self._refuse()

    def on_url(self, url: bytes) -> None:
        """A request begins."""
        super().on_url(url)
        if len(self.url) > MAX_HEADER_BYTES:
            self._refuse()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        super().on_header(name, value)
        if sum(len(name) + len(value) for name, value in self.headers) > MAX_HEADER_BYTES:
            self._refuse()

    def on_headers_complete(self) -> None:
        """The headers have come: from now on the application watches the clock."""
        self._stop_timer()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None


class Server(uvicorn.Server):
    """Listens at once and says 503 until the model is loaded; on SIGTERM answers what has come, then ends."""

    def __init__(self, service: Service, on_ready: Callable[[], None], emf: bool) -> None:
        super().__init__(
            uvicorn.Config(
                service,
                http=Protocol,
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
    server.run(sockets=[listener])
    if server.failure is not None:
        print(f"error: {server.failure}", file=sys.stderr, flush=True)
        return 1
    return 0
