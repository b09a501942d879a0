"""Seconds to bake the stage with the most files, by both tools, in process: median and range of several runs."""

from __future__ import annotations

import contextlib
import io
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import copier
from cookiecutter.main import cookiecutter

ROOT = Path(__file__).resolve().parent.parent
RUNS = 7
ANSWERS = {"mlops_stage": "full"}


def bake_with_cookiecutter(template: Path, into: Path) -> None:
    """Bake as `cookiecutter --no-input` does, hook included."""
    cookiecutter(str(template), no_input=True, extra_context=dict(ANSWERS), output_dir=str(into), default_config=True)


def bake_with_copier(template: Path, into: Path) -> None:
    """Bake as `copier copy --defaults` does, clone included."""
    copier.run_copy(str(template), into / "project", data=dict(ANSWERS), defaults=True, quiet=True, vcs_ref="HEAD")


def main() -> None:
    """Print seconds and files for each tool."""
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(template)], check=True)
        for name, bake in (("cookiecutter", bake_with_cookiecutter), ("copier", bake_with_copier)):
            seconds = []
            for run in range(RUNS):
                into = Path(folder, f"{name}-{run}")
                into.mkdir()
                start = time.perf_counter()
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    bake(template, into)
                seconds.append(time.perf_counter() - start)
            files = sum(path.is_file() for path in into.rglob("*"))
            median, least, most = statistics.median(seconds), min(seconds), max(seconds)
            print(f"{name:12} {files} files  median {median:.2f} s  ({least:.2f} to {most:.2f})", flush=True)


if __name__ == "__main__":
    main()
