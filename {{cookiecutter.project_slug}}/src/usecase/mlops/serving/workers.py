"""Worker processes that share one port, and the one process that replaces them when they die.

They are forked before anything is imported, so that each loads at once; a connection waits in the port's queue until
one is there. gunicorn does the same, with an interface of its own that a bare ASGI server does not need.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

STOP_SECONDS = 28  # SageMaker kills 30 s after SIGTERM
MAX_DEATHS, DEATHS_SECONDS = 5, 30.0  # of workers, within so many seconds: something is wrong that a new one won't mend
READY = b"r"


class Supervisor:
    """Keeps `count` workers alive. `work` runs in each; it is given a function to call once it is ready."""

    def __init__(self, count: int, work: Callable[[Callable[[], None]], int]) -> None:
        self._count, self._work = count, work
        self._pipes: dict[int, int] = {}  # by process id: where it says that it is ready
        self._stopping = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT, or until a worker fails before it was ready; the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGALRM, self._kill)
        for _ in range(self._count):
            self._start()
        deaths: list[float] = []
        result = 0
        while self._pipes:
            pid, raw = os.wait()
            if pid not in self._pipes:  # an orphan that was given to process 1
                continue
            status = os.waitstatus_to_exitcode(raw)
            was_ready = self._ended(pid)
            if self._stopping:
                result = result or status
                continue
            deaths = [moment for moment in deaths if moment > time.monotonic() - DEATHS_SECONDS] + [time.monotonic()]
            if not was_ready or len(deaths) > MAX_DEATHS:
                result = max(1, status)
                self._stop(signal.SIGTERM, None)
                continue
            died = {
                "time": round(time.time(), 3),
                "level": "ERROR",
                "event": "worker died",
                "pid": pid,
                "status": status,
            }
            print(json.dumps(died), flush=True)
            self._start()
        return max(result, 0) if result >= 0 else 1

    def _start(self) -> None:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writer)
            self._pipes[pid] = reader
            return
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        for other in (*self._pipes.values(), reader):
            os.close(other)
        status = 1
        try:
            status = self._work(lambda: (os.write(writer, READY), None)[1])
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
            if isinstance(ended.code, str):
                print(ended.code, file=sys.stderr)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _ended(self, pid: int) -> bool:
        """Whether the worker that ended had been ready."""
        reader = self._pipes.pop(pid)
        was_ready = os.read(reader, 1) == READY
        os.close(reader)
        return was_ready

    def _stop(self, number: int, _: FrameType | None) -> None:
        self._stopping = True
        signal.alarm(STOP_SECONDS)
        for pid in list(self._pipes):
            os.kill(pid, signal.SIGTERM if number == signal.SIGTERM else signal.SIGINT)

    def _kill(self, *_: object) -> None:
        for pid in list(self._pipes):
            os.kill(pid, signal.SIGKILL)
