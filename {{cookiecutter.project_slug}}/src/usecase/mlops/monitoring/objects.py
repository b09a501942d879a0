"""Captured traffic in S3: found by the hours of a window, read many at a time, in bounded memory, until time is up."""

import io
import random
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

from usecase.mlops.drift.reader import CAPTURES, Found, read_lines
from usecase.mlops.monitoring.window import Window

Result = TypeVar("Result")

WORKERS = 16
IN_FLIGHT, IN_FLIGHT_BYTES = 4 * WORKERS, 128 * 2**20  # objects that were asked for and are not read yet
MAX_OBJECT_BYTES = 64 * 2**20
MAX_OBJECTS = 500_000  # of a window; the names of more take too much memory
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds
GONE = ("NoSuchKey", "404")
# What passes: S3 asks to slow down, or is not well ("Error responses", Amazon S3 API Reference).
PASSING = ("SlowDown", "503", "ServiceUnavailable", "InternalError", "500", "RequestTimeout", "RequestTimeTooSkewed")


class OutOfTimeError(Exception):
    """There is no time left to try again."""


class Patience:
    """Calls again what S3 refuses for now, with growing pauses, as long as there is time.

    `left` says how many seconds there are.
    """

    def __init__(self, left: Callable[[], float]) -> None:
        self.left = left
        self.repeated = 0
        self._ended = threading.Event()

    def end(self) -> None:
        """Wake all who wait, and let nobody begin."""
        self._ended.set()

    def call(self, ask: Callable[[], Result]) -> Result:
        """What `ask` returns. Raises OutOfTimeError, and ClientError for what does not pass."""
        pause = FIRST_PAUSE
        while not self._ended.is_set() and self.left() > 0:
            try:
                return ask()
            except ClientError as error:
                if error.response["Error"].get("Code", "") not in PASSING:
                    raise
            except (HTTPClientError, IncompleteReadError):
                pass
            self.repeated += 1
            # at random, so that those who were refused together do not come back together
            self._ended.wait(min(random.uniform(pause / 2, pause), max(0.0, self.left())))  # noqa: S311
            pause = min(2 * pause, LONGEST_PAUSE)
        raise OutOfTimeError


class Object(NamedTuple):
    """One file of captured traffic."""

    key: str
    size: int


@dataclass
class Coverage:
    """What of a window was read, in objects and bytes; not `complete`: some objects were not even listed."""

    objects: int = 0
    size: int = 0
    read_objects: int = 0
    read_size: int = 0
    complete: bool = True

    @property
    def share(self) -> float:
        """How much was read, from 0 to 1; 0 when nobody knows of how much. An object counts for a byte itself."""
        there = self.size + self.objects
        return (self.read_size + self.read_objects) / there if self.complete and there else float(self.complete)

    def __str__(self) -> str:
        least = "" if self.complete else "at least "
        return f"{self.read_objects:,} of {least}{self.objects:,} objects, {self.read_size:,} of {self.size:,} bytes"


class Traffic:
    """The traffic of a window below s3://`bucket`/`prefix`/<hour>/, all there `grace_minutes` after its end."""

    def __init__(self, s3: Any, bucket: str, prefix: str, window: Window, grace_minutes: int) -> None:
        self._s3, self._bucket, self._prefix = s3, bucket, prefix
        self._window, self._arrived = window, window.end + timedelta(minutes=grace_minutes)
        self.coverage = Coverage()

    def lines(self, patience: Patience, found: Found) -> Iterator[bytes]:
        """The lines of all files, until the time is up. Raises ClientError.

        Files are read in an order that has nothing to do with their time: what was read until then is a sample.
        """
        try:
            objects = sorted(self._list(patience), key=lambda item: zlib.crc32(item.key.encode()))
            yield from self._read(objects, patience, found)
        except OutOfTimeError:
            return

    def _list(self, patience: Patience) -> list[Object]:
        objects: list[Object] = []
        coverage = self.coverage
        coverage.complete = False
        for hour in self._window.hours():
            request = {"Bucket": self._bucket, "Prefix": f"{self._prefix}/{hour:%Y/%m/%d/%H}/"}
            while True:
                page = patience.call(partial(self._s3.list_objects_v2, **request))
                for item in page.get("Contents", []):
                    if item["Key"].endswith(CAPTURES) and self._may_hold(hour, item["LastModified"]):
                        objects.append(Object(item["Key"], item["Size"]))
                        coverage.objects, coverage.size = coverage.objects + 1, coverage.size + item["Size"]
                if not page.get("IsTruncated"):
                    break
                if len(objects) >= MAX_OBJECTS:
                    return objects
                request["ContinuationToken"] = page["NextContinuationToken"]
        coverage.complete = True
        return objects

    def _may_hold(self, hour: datetime, written: datetime) -> bool:
        """Whether a file may hold calls of the window: of the hours around it, few do."""
        if hour >= self._window.end:
            return written <= self._arrived
        return written >= self._window.start

    def _read(self, objects: list[Object], patience: Patience, found: Found) -> Iterator[bytes]:
        pool = ThreadPoolExecutor(WORKERS)
        waiting: deque[tuple[Object, Future[bytes | None]]] = deque()
        try:
            for item in objects:
                if item.size > MAX_OBJECT_BYTES:
                    found.odd[f"a file has more than {MAX_OBJECT_BYTES >> 20} MiB"] += 1
                    continue
                while len(waiting) >= IN_FLIGHT or sum(other.size for other, _ in waiting) > IN_FLIGHT_BYTES:
                    yield from self._next(waiting, patience, found)
                waiting.append((item, pool.submit(self._fetch, item, patience)))
            while waiting:
                yield from self._next(waiting, patience, found)
        finally:
            patience.end()
            pool.shutdown(wait=False, cancel_futures=True)

    def _next(
        self, waiting: "deque[tuple[Object, Future[bytes | None]]]", patience: Patience, found: Found
    ) -> Iterator[bytes]:
        item, future = waiting.popleft()
        try:
            content = future.result(timeout=max(0.0, patience.left()))
        except FutureTimeoutError:
            raise OutOfTimeError from None
        if content is None:
            found.odd["a file is gone"] += 1
            return
        yield from read_lines(io.BytesIO(content), found)
        found.files += 1
        self.coverage.read_objects += 1
        self.coverage.read_size += item.size

    def _fetch(self, item: Object, patience: Patience) -> bytes | None:
        """The content of a file; None when it is no longer there."""

        def ask() -> bytes:
            content: bytes = self._s3.get_object(Bucket=self._bucket, Key=item.key)["Body"].read()
            return content

        try:
            return patience.call(ask)
        except ClientError as error:
            if error.response["Error"].get("Code", "") in GONE:
                return None
            raise
