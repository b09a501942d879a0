"""The log of the service: one JSON object per line on standard output, never with the content of a request."""

import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

FLUSH_SECONDS = 0.2
OWN_PACKAGE = __name__.partition(".")[0]  # the files in it are the team's, the folders below it are not


def place_of(error: BaseException) -> str:
    """The line of code that is to blame: the last one of the use case's own, else the one that raised the error."""
    if place := getattr(error, "place", ""):
        return str(place)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parts[-2:-1] == (OWN_PACKAGE,)]
    return "".join(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in (own or frames)[-1:])


class Log:
    """Lines that are written together, at most FLUSH_SECONDS later; errors at once.

    `later` calls a function after some seconds; until it is given, lines are written at once.
    """

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self.later: Callable[[float, Callable[[], None]], object] | None = None

    def info(self, event: str, **fields: Any) -> None:
        """An event of everyday."""
        self._add("INFO", event, fields)

    def error(self, event: str, error: BaseException | None = None, **fields: Any) -> None:
        """An event that somebody should look at; of an exception also where it was raised."""
        if error is not None:
            fields |= {"error": f"{type(error).__name__}: {error}", "place": place_of(error)}
            fields["traceback"] = "".join(traceback.format_exception(error))
        self._add("ERROR", event, fields)
        self.flush()

    def write(self, content: dict[str, Any]) -> None:
        """A line of another form, as CloudWatch wants metrics."""
        self._lines.append(orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE))
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        lines, self._lines = self._lines, []
        if lines:
            try:
                sys.stdout.buffer.write(b"".join(lines))
                sys.stdout.buffer.flush()
            except BrokenPipeError:  # whoever read the log is gone; the answers are still wanted
                pass

    def _add(self, level: str, event: str, fields: dict[str, Any]) -> None:
        line = {"time": round(time.time(), 3), "level": level, "event": event, **fields}
        if not self._lines and self.later is not None:
            self.later(FLUSH_SECONDS, self.flush)
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE, default=str))
        if self.later is None:
            self.flush()
