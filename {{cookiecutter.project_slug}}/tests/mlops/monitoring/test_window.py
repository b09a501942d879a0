"""Which window an event asks about: aligned, over, in UTC."""

import re
from itertools import pairwise
from typing import Any

import pytest

from usecase.mlops.errors import UserError
from usecase.mlops.monitoring.window import Window


@pytest.mark.parametrize(
    ("time", "minutes", "grace", "start", "end"),
    [
        ("2026-01-01T05:10:00Z", 60, 10, "2026-01-01T04:00Z", "2026-01-01T05:00Z"),
        ("2026-01-01T05:09:59Z", 60, 10, "2026-01-01T03:00Z", "2026-01-01T04:00Z"),  # not all has arrived yet
        ("2026-01-01T05:59:59Z", 60, 10, "2026-01-01T04:00Z", "2026-01-01T05:00Z"),
        ("2026-01-01T05:00:00Z", 60, 0, "2026-01-01T04:00Z", "2026-01-01T05:00Z"),
        ("2026-01-01T00:05:00Z", 60, 5, "2025-12-31T23:00Z", "2026-01-01T00:00Z"),
        ("2026-01-01T06:10:00+01:00", 60, 10, "2026-01-01T04:00Z", "2026-01-01T05:00Z"),
        ("2026-01-01T05:10:00", 60, 10, "2026-01-01T04:00Z", "2026-01-01T05:00Z"),  # UTC where nothing else is said
        ("2026-03-29T02:10:00Z", 60, 10, "2026-03-29T01:00Z", "2026-03-29T02:00Z"),  # clocks change elsewhere
        ("2026-01-01T05:10:00.5Z", 360, 10, "2025-12-31T18:00Z", "2026-01-01T00:00Z"),
        ("2026-01-02T00:10:00Z", 1440, 10, "2026-01-01T00:00Z", "2026-01-02T00:00Z"),
    ],
)
def test_the_last_full_window_before_the_event(time: str, minutes: int, grace: int, start: str, end: str) -> None:
    assert str(Window.of({"time": time}, minutes, grace)) == f"{start} to {end}"


def test_windows_follow_one_another_without_a_gap() -> None:
    found = [Window.of({"time": f"2026-01-01T{hour:02}:10:00Z"}, 60, 10) for hour in range(24)]
    assert all(before.end == after.start for before, after in pairwise(found))


def test_a_window_can_be_named() -> None:
    named = Window.of({"window_start": "2026-01-01T04:00:00Z", "window_end": "2026-01-01T05:30:00Z"}, 60, 10)
    assert (str(named), named.minutes, named.folder) == (
        "2026-01-01T04:00Z to 2026-01-01T05:30Z",
        90,
        "2026/01/01/0400",
    )
    assert [f"{hour:%d %H}" for hour in named.hours()] == ["01 03", "01 04", "01 05"]


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({}, "event: time is None: give window_start and window_end, or time, each as ISO 8601"),
        ({"time": "yesterday"}, "event: time is 'yesterday'"),
        ({"time": 5}, "event: time is 5"),
        ({"window_start": "2026-01-01T04:00:00Z"}, "event: window_end is None"),
        ({"window_start": "2026-01-01T04:00:00Z", "window_end": "2026-01-01T04:00:00Z"}, "is not before window_end"),
    ],
)
def test_an_event_that_names_none_is_one_line(event: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        Window.of(event, 60, 10)
