"""Drift: false alarms and power of `usecase monitor` and of other tools on the same rows, and the time of a report."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent / "drifting"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from preprocess import Command
from shifts import CASES, CATEGORIES, NUMBERS

import baking

SCRIPTS = Path(__file__).resolve().parent / "drifting"
# Of peers: the newest Evidently needs pandas 2, and NannyML does not name statsmodels.
PEERS = {"evidently": ["evidently==0.7.23", "pandas<3", "pyarrow"], "nannyml": ["nannyml==0.13.1", "statsmodels"]}
ROWS = {"ours": [500, 1000, 5000], "model_monitor": [500, 1000, 5000], "evidently": [500, 1000, 5000]}
ROWS["nannyml"] = [500, 1000]  # of 5,000 training rows, 5,000 are one chunk: nothing to learn limits from
LOOKS = {"ours": "look.py", "evidently": "look_evidently.py"}
REPEATS = 5


class Run(NamedTuple):
    """What a program took: seconds of wall time and of all cores, and MiB."""

    wall: float
    cores: float
    memory: int


def environments(folder: Path, peers: Path, wanted: Iterable[str]) -> dict[str, Path]:
    """Return the Python of each tool: of a new project in `folder`, and of the `wanted` PEERS below `peers`."""
    template = baking.release(baking.copy_of_working_tree(folder / "template"), "1.0.0")
    project = baking.bake("copier", template, folder, {"mlops_stage": "full"})
    subprocess.run(["make", "setup"], cwd=project, check=True, capture_output=True)
    ours = project / ".venv/bin/python"
    subprocess.run([ours, "-m", "compileall", "-q", project / "src"], check=True)  # as after a first run, and as peers
    uv = shutil.which("uv") or str(project / ".uv/bin/uv")
    found = {"ours": ours, "model_monitor": ours}
    for name in wanted:
        found[name] = peers / name / "bin/python"
        if not found[name].exists():
            subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, peers / name], check=True)
        install: Command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", found[name]]
        subprocess.run([*install, *PEERS[name]], check=True)
    return found


def calibrate(pythons: dict[str, Path], seeds: dict[str, int], sizes: list[int], picture: Path) -> None:
    """Print how often each tool calls drift, without and with it, and draw it."""
    print("## False alarms and power\n")
    print(f"{NUMBERS + CATEGORIES} columns, 5,000 training rows; a data set is flagged when a column is.\n")
    cases = [case for case in CASES if case != "none"]
    print(f"| tool | rows | seeds | data sets flagged | columns flagged | {' | '.join(cases)} |")
    print("| --- " * (5 + len(cases)) + "|")
    found: list[dict[str, Any]] = []
    for tool, python in pythons.items():
        rows = [str(rows) for rows in ROWS[tool] if rows in sizes]
        command: Command = [python, SCRIPTS / "run.py", tool, "--seeds", str(seeds[tool]), "--rows", *rows]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for entry in tally(tool, done.stdout.splitlines()):
            found.append(entry)
            shares = " | ".join(f"{share:.1%}" for share in (entry["sets"], entry["columns"], *entry["power"].values()))
            print(f"| {tool} | {entry['rows']:,} | {entry['seeds']} | {shares} |", flush=True)
    draw: Command = [pythons["ours"], SCRIPTS / "plot.py", picture]
    subprocess.run(draw, input=json.dumps(found), text=True, check=True)
    print(
        f"\nDrawn as {picture}.\n\n## Ten points of a category in 500 rows: found, of what can be found\n", flush=True
    )
    subprocess.run([pythons["ours"], SCRIPTS / "bound.py"], check=True)


def tally(tool: str, lines: list[str]) -> list[dict[str, Any]]:
    """Return shares of seeds by number of rows, for what a tool said."""
    found: dict[tuple[int, str], list[set[str]]] = defaultdict(list)
    for line in lines:
        said = json.loads(line)
        found[said["rows"], said["case"]].append(set(said["flagged"]))
    entries = []
    for rows in sorted({rows for rows, _ in found}):
        quiet = found[rows, "none"]
        power = {
            case: sum(column in said for said in found[rows, case]) / len(found[rows, case])
            for case, column in CASES.items()
            if column
        }
        sets = sum(bool(flagged) for flagged in quiet) / len(quiet)
        columns = sum(len(flagged - {"all rows"}) for flagged in quiet) / len(quiet) / (NUMBERS + CATEGORIES)
        entry = {"tool": tool, "rows": rows, "seeds": len(quiet), "sets": sets, "columns": columns, "power": power}
        entries.append(entry)
    return entries


def measure(command: Command) -> Run:
    """Run a program; return its time, and the most memory that it held."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[1]} failed")
    wall = time.perf_counter() - started
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)  # KiB on Linux


def speed(pythons: dict[str, Path], folder: Path, rows: list[int], peer_rows: int, repeats: int = REPEATS) -> None:
    """Print seconds and memory of a report, from files to files, by rows; the tools in turns."""
    print("\n## Time of a report\n")
    print(f"{NUMBERS + CATEGORIES} columns, Parquet, 100,000 training rows; start of Python and imports included.")
    print(f"Of {repeats} runs each; of all cores the least seconds, and the most MiB.\n")
    print("| tool | rows | best, s | median | worst | of all cores | MiB |\n" + "| --- " * 7 + "|")
    os.environ |= {"DO_NOT_TRACK": "1"}
    ratios = []
    for count in rows:
        data = folder / f"{count}"
        shutil.rmtree(data, ignore_errors=True)
        subprocess.run([pythons["ours"], SCRIPTS / "files.py", data, "--rows", str(count)], check=True)
        runs: dict[str, list[Run]] = {tool: [] for tool in LOOKS if tool == "ours" or count <= peer_rows}
        for tool in [*runs] * repeats:
            runs[tool].append(measure([pythons[tool], SCRIPTS / LOOKS[tool], data]))
        shutil.rmtree(data)
        least: dict[str, Run] = {}
        for tool, found in runs.items():
            walls, cores, memory = (sorted(values) for values in zip(*found, strict=True))
            least[tool] = Run(walls[0], cores[0], memory[-1])
            cells = f"{walls[0]:.2f} | {walls[len(walls) // 2]:.2f} | {walls[-1]:.2f} | {cores[0]:.2f} | {memory[-1]:,}"
            print(f"| {tool} | {count:,} | {cells} |", flush=True)
        if len(least) > 1:
            ours, theirs = least["ours"], least["evidently"]
            times = f"{theirs.wall / ours.wall:.0f} times as long, {theirs.cores / ours.cores:.0f} times the work"
            ratios.append(f"{count:,} rows: {times}, {theirs.memory / ours.memory:.1f} times the memory.")
    print("\nEvidently, by the best of each:\n\n" + "\n".join(f"- {ratio}" for ratio in ratios) if ratios else "")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 seeds, windows of 500 rows, up to a million rows")
    parser.add_argument("--speed", action="store_true", help="only the time of a report")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of a report")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--peer-seeds", type=int, default=200, help="of Evidently and NannyML, which take longer")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 10_000_000])
    parser.add_argument("--peer-rows", type=int, default=1_000_000, help="only up to so many are given to Evidently")
    parser.add_argument("--peers", type=Path, help="folder that keeps the peers' environments for the next run")
    parser.add_argument("--picture", type=Path, default=SCRIPTS / "calibration.png")
    arguments = parser.parse_args()
    sizes, rows, picture = [500, 1000, 5000], arguments.rows, arguments.picture
    seeds = dict.fromkeys(ROWS, arguments.seeds) | dict.fromkeys(PEERS, arguments.peer_seeds)
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.quick:
            seeds = dict.fromkeys(ROWS, 20)
            sizes, rows, picture = [500], [10_000, 1_000_000], Path(scratch) / "calibration.png"
        peers = (arguments.peers or Path(scratch)).resolve()
        pythons = environments(Path(scratch), peers, ["evidently"] if arguments.speed else PEERS)
        if not arguments.speed:
            calibrate(pythons, seeds, sizes, picture)
        speed(pythons, Path(scratch), rows, arguments.peer_rows, arguments.repeats)


if __name__ == "__main__":
    main()
