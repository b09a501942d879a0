"""Drift: false alarms and power of `usecase monitor` and of other tools on the same rows, and the time of a report."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "drifting"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from preprocess import Command, run
from rows import CASES, CATEGORIES, NUMBERS

import baking

SCRIPTS = Path(__file__).resolve().parent / "drifting"
# Of peers: the newest Evidently needs pandas 2, and NannyML does not name statsmodels.
PEERS = {"evidently": ["evidently==0.7.23", "pandas<3", "pyarrow"], "nannyml": ["nannyml==0.13.1", "statsmodels"]}
ROWS = {"ours": [500, 1000, 5000], "model_monitor": [500, 1000, 5000], "evidently": [500, 1000, 5000]}
ROWS["nannyml"] = [500, 1000]  # of 5,000 training rows, 5,000 are one chunk: nothing to learn limits from


def environments(folder: Path) -> dict[str, Path]:
    """Return the Python of each tool: of a new project, and of environments with the peers."""
    template = baking.release(baking.copy_of_working_tree(folder / "template"), "1.0.0")
    project = baking.bake("copier", template, folder, {"mlops_stage": "full"})
    subprocess.run(["make", "setup"], cwd=project, check=True, capture_output=True)
    ours = project / ".venv/bin/python"
    uv = shutil.which("uv") or str(project / ".uv/bin/uv")
    found = {"ours": ours, "model_monitor": ours}
    for name, packages in PEERS.items():
        subprocess.run([uv, "venv", "--quiet", "--python", ours, folder / name], check=True)
        found[name] = folder / name / "bin/python"
        install: Command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", found[name], *packages]
        subprocess.run(install, check=True)
    return found


def calibrate(pythons: dict[str, Path], seeds: dict[str, int]) -> None:
    """Print how often each tool calls drift, without and with it."""
    print("## False alarms and power\n")
    print(f"{NUMBERS + CATEGORIES} columns, 5,000 training rows; a data set is flagged when a column is.\n")
    cases = [case for case in CASES if case != "none"]
    print(f"| tool | rows | seeds | data sets flagged | columns flagged | {' | '.join(cases)} |")
    print("| --- " * (5 + len(cases)) + "|")
    for tool, python in pythons.items():
        sizes = [str(rows) for rows in ROWS[tool]]
        command: Command = [python, SCRIPTS / "run.py", tool, "--seeds", str(seeds[tool]), "--rows", *sizes]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        tally(tool, done.stdout.splitlines())


def tally(tool: str, lines: list[str]) -> None:
    """Print the rows of the table for what a tool said."""
    found: dict[tuple[int, str], list[set[str]]] = defaultdict(list)
    for line in lines:
        said = json.loads(line)
        found[said["rows"], said["case"]].append(set(said["flagged"]))
    for rows in sorted({rows for rows, _ in found}):
        quiet = found[rows, "none"]
        sets = sum(bool(flagged) for flagged in quiet) / len(quiet)
        columns = sum(len(flagged - {"all rows"}) for flagged in quiet) / len(quiet) / (NUMBERS + CATEGORIES)
        hits = [found[rows, case] for case in CASES if case != "none"]
        moved = [column for column in CASES.values() if column]
        power = [sum(c in said for said in hit) / len(hit) for c, hit in zip(moved, hits, strict=True)]
        shares = " | ".join(f"{share:.1%}" for share in (sets, columns, *power))
        print(f"| {tool} | {rows:,} | {len(quiet)} | {shares} |", flush=True)


def speed(pythons: dict[str, Path], folder: Path, rows: list[int], peer_rows: int) -> None:
    """Print seconds and memory of a report, from files to files, by rows."""
    print("\n## Time of a report\n")
    print(f"{NUMBERS + CATEGORIES} columns, Parquet, 100,000 training rows; start of Python and imports included.\n")
    print("| tool | rows | seconds | MiB |\n| --- | --- | --- | --- |")
    os.environ |= {"DO_NOT_TRACK": "1"}
    for count in rows:
        data = folder / f"{count}"
        subprocess.run([pythons["ours"], SCRIPTS / "files.py", data, "--rows", str(count)], check=True)
        commands: dict[str, Command] = {"ours": [pythons["ours"], SCRIPTS / "look.py", data]}
        if count <= peer_rows:
            commands["evidently"] = [pythons["evidently"], SCRIPTS / "look_evidently.py", data]
        for tool, command in commands.items():
            seconds, memory = run([command])
            print(f"| {tool} | {count:,} | {seconds:.2f} | {memory} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--peer-seeds", type=int, default=200, help="of Evidently and NannyML, which take longer")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 10_000_000])
    parser.add_argument("--peer-rows", type=int, default=1_000_000, help="only up to so many are given to Evidently")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        pythons = environments(Path(scratch))
        seeds = {tool: arguments.peer_seeds if tool in PEERS else arguments.seeds for tool in pythons}
        calibrate(pythons, seeds)
        speed(pythons, Path(scratch), arguments.rows, arguments.peer_rows)


if __name__ == "__main__":
    main()
