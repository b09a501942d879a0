"""Repeat, measure, and print a table; the same for every benchmark."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Wall times of one thing, in seconds, in the order they were measured."""

    name: str
    seconds: Sequence[float]

    def row(self) -> str:
        """Return the row of the table."""
        best, middle, worst = min(self.seconds), statistics.median(self.seconds), max(self.seconds)
        return f"| {self.name} | {len(self.seconds)} | {best:.2f} | {middle:.2f} | {worst:.2f} |"


def measure(name: str, repeats: int, action: Callable[[], object], before: Callable[[], object] = lambda: None) -> Timing:
    """Time `action` `repeats` times, with `before` untimed before each."""
    seconds = []
    for number in range(1, repeats + 1):
        before()
        print(f"{name}: {number} of {repeats}", end="\r", file=sys.stderr, flush=True)
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return Timing(name, seconds)


def report(title: str, timings: Sequence[Timing]) -> None:
    """Print the machine and a Markdown table."""
    print(f"## {title}\n")
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, seconds of wall time\n")
    print("| what | repeats | best | median | worst |\n| --- | --- | --- | --- | --- |")
    for timing in timings:
        print(timing.row())
    print()
