"""How long `usecase run` takes on the sample data: from nothing, unchanged, and with one parameter changed."""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from timing import measure, report

import baking


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        template = baking.release(baking.copy_of_working_tree(folder / "template"), "1.0.0")
        project = baking.bake("copier", template, folder)
        subprocess.run(["make", "setup"], cwd=project, check=True, capture_output=True)
        usecase = project / ".venv/bin/usecase"
        depths = itertools.cycle(["2", "3", "5", "6"])

        def run(*words: str) -> None:
            subprocess.run([usecase, *words], cwd=project, check=True, capture_output=True)

        def forget() -> None:
            shutil.rmtree(project / ".local", ignore_errors=True)

        def forget_and_run() -> None:
            forget()
            run("run")

        forget_and_run()  # bytecode of the project's own modules
        timings = [
            measure("interpreter start and `usecase --help`", repeats, lambda: run("--help")),
            measure("fresh: six steps", repeats, lambda: run("run"), before=forget),
            measure("unchanged: all steps cached", repeats, lambda: run("run")),
            measure(
                "MaxDepth changed: preprocessing cached",
                repeats,
                lambda: run("run", "--params", f"MaxDepth={next(depths)}"),
                before=forget_and_run,
            ),
        ]
    report("A local run on 569 rows x 30 features", timings)


if __name__ == "__main__":
    main()
