"""Which window of time an event asks about."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from usecase.mlops.errors import UserError

HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    """From `start` on and before `end`, in UTC."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, event: Mapping[str, Any], minutes: int, grace_minutes: int) -> "Window":
        """The window that an event asks about: window_start and window_end, or the last one that is over at `time`.

        Windows begin at multiples of their length since 1970. One is over `grace_minutes` after its end: what was
        captured needs that long to arrive. Raises UserError.
        """
        if "window_start" in event or "window_end" in event:
            start, end = _moment(event, "window_start"), _moment(event, "window_end")
            if start >= end:
                raise UserError(f"window_start {start.isoformat()} is not before window_end {end.isoformat()}")
            return cls(start, end)
        length = timedelta(minutes=minutes)
        over = _moment(event, "time") - timedelta(minutes=grace_minutes)
        end = EPOCH + (over - EPOCH) // length * length
        return cls(end - length, end)

    @property
    def minutes(self) -> int:
        """How long it is."""
        return round((self.end - self.start).total_seconds() / 60)

    @property
    def folder(self) -> str:
        """Its place below the reports: by its start, as traffic is captured."""
        return f"{self.start:%Y/%m/%d/%H%M}"

    def hours(self) -> Iterator[datetime]:
        """The hours whose folders may hold its calls: a file that was begun before the window may end in it."""
        hour = self.start.replace(minute=0, second=0, microsecond=0) - HOUR
        while hour <= self.end:
            yield hour
            hour += HOUR

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%dT%H:%MZ} to {self.end:%Y-%m-%dT%H:%MZ}"


def _moment(event: Mapping[str, Any], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(event[name])
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"event: {name} is {event.get(name)!r}: give window_start and window_end, or time, each as ISO 8601"
            " such as 2026-01-01T05:00:00Z"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
