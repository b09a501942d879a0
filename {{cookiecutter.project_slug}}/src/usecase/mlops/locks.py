"""One process at a time: a lock of the operating system, which ends with the process that holds it, however it ends."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from usecase.mlops.errors import UserError

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.02

if sys.platform == "win32":
    import msvcrt

    def _take(stream: IO[Any]) -> None:
        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)

    def _release(stream: IO[Any]) -> None:
        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _take(stream: IO[Any]) -> None:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(stream: IO[Any]) -> None:
        fcntl.flock(stream, fcntl.LOCK_UN)


@contextmanager
def exclusive(path: Path, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock file `path`, which stays there empty, for as long as the block runs.

    Waits for another process or thread that holds it. Raises UserError when that takes longer than `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + wait_seconds
    with path.open("a") as stream:
        while True:
            try:
                _take(stream)
                break
            except OSError:
                if time.monotonic() > end:
                    raise UserError(
                        f"{path}: another command has held this lock for {wait_seconds:g} s: wait until it ends"
                    ) from None
                time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            _release(stream)
