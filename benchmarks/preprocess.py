"""Preprocessing of a table of 25 mixed columns: time against pandas and scikit-learn, memory of any number of rows."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from timing import Timing, report

import baking

SCRIPTS = Path(__file__).resolve().parent / "preprocessing"
COMPARED_ROWS = 1_000_000
PEERS = ["pandas", "pyarrow", "scikit-learn"]
Command = list[str | Path]


def run(commands: list[Command]) -> tuple[float, int]:
    """Run programs one after the other; return seconds of wall time, and the most MiB that one of them held."""
    memory = 0
    started = time.perf_counter()
    for command in commands:
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command[0]} failed")
        memory = max(memory, usage.ru_maxrss // 1024)  # ru_maxrss is in KiB on Linux
    return time.perf_counter() - started, memory


def environments(folder: Path) -> tuple[Path, Path]:
    """Return the Python of a new project, and one with the peers' libraries, both with their bytecode."""
    template = baking.release(baking.copy_of_working_tree(folder / "template"), "1.0.0")
    project = baking.bake("copier", template, folder)
    subprocess.run(["make", "setup"], cwd=project, check=True, capture_output=True)
    ours = project / ".venv/bin/python"
    uv = shutil.which("uv") or str(project / ".uv/bin/uv")
    subprocess.run([uv, "venv", "--quiet", "--python", ours, folder / "peers"], check=True)
    theirs = folder / "peers/bin/python"
    subprocess.run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", theirs, *PEERS], check=True)
    return ours, theirs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=COMPARED_ROWS, help="only up to a million are given to the peers")
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ours, theirs = environments(folder)
        data, output = folder / "data", folder / "output"
        make: Command = [ours, SCRIPTS / "generate.py", data, "--rows", str(arguments.rows)]
        subprocess.run([*make, "--format", arguments.format], check=True)

        preprocess: Command = [ours, "-m", "usecase.preprocessing", "--output-dir", output]
        preprocess += ["--input-dir", data / "data", "--contract-dir", data / "contract"]
        peer: Command = [theirs, SCRIPTS / "pandas_sklearn.py", data, output]
        candidates = {"Preprocess": [preprocess]}
        if arguments.rows <= COMPARED_ROWS and arguments.format == "csv":
            candidates |= {
                "pandas + scikit-learn, the same outputs": [peer],
                "Preprocess, and the matrices of all parts": [preprocess, [ours, SCRIPTS / "matrices.py", output]],
                "pandas + scikit-learn, matrices of all parts": [[*peer, "--matrices"]],
            }
        seconds: dict[str, list[float]] = {name: [] for name in candidates}
        memory = dict.fromkeys(candidates, 0)
        for _ in range(arguments.repeats):  # in turns, so that a busy minute of the machine is shared by all
            for name, commands in candidates.items():
                shutil.rmtree(output, ignore_errors=True)
                taken, held = run(commands)
                seconds[name].append(taken)
                memory[name] = max(memory[name], held)
        size = sum(file.stat().st_size for file in (data / "data").iterdir()) // 2**20
    report(
        f"Preprocessing of {arguments.rows:,} rows x 25 columns, {arguments.format} of {size} MiB",
        [Timing(name, taken) for name, taken in seconds.items()],
    )
    for name, held in memory.items():
        print(f"{name}: at most {held} MiB of memory")


if __name__ == "__main__":
    main()
