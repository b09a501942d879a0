"""How long it takes to make a project: both tools, smallest and largest stage, in process."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from timing import measure, quiet, report

import baking


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    timings = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        template = baking.release(baking.copy_of_working_tree(folder / "template"), "1.0.0")
        for tool in baking.TOOLS:
            for stage in ("basic", "full"):

                def bake(tool: str = tool, stage: str = stage) -> None:
                    with quiet(), tempfile.TemporaryDirectory(dir=folder) as into:
                        baking.bake(tool, template, Path(into), {"mlops_stage": stage})

                bake()  # imports and caches
                timings.append(measure(f"{tool}, {stage}", repeats, bake))
    report("Making a project", timings)


if __name__ == "__main__":
    main()
