"""Repeat, measure, and print a table; the same for every benchmark."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """Wall times of one thing, in seconds, in the order they were measured."""

    name: str
    seconds: Sequence[float]

    def row(self) -> str:
        """Return the row of the table."""
        best, middle, worst = min(self.seconds), statistics.median(self.seconds), max(self.seconds)
        return f"| {self.name} | {len(self.seconds)} | {best:.2f} | {middle:.2f} | {worst:.2f} |"


def measure(
    name: str, repeats: int, action: Callable[[], object], before: Callable[[], object] = lambda: None
) -> Timing:
    """Time `action` `repeats` times, with `before` untimed before each."""
    seconds = []
    for number in range(1, repeats + 1):
        before()
        if sys.stderr.isatty():
            print(f"\r\033[K{name}: {number} of {repeats}", end="", file=sys.stderr, flush=True)
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return Timing(name, seconds)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what this process and its children print to nowhere."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def report(title: str, timings: Sequence[Timing]) -> None:
    """Print the machine and a Markdown table."""
    print(f"## {title}\n")
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, seconds of wall time\n")
    print("| what | repeats | best | median | worst |\n| --- | --- | --- | --- | --- |")
    for timing in timings:
        print(timing.row())
    print()
