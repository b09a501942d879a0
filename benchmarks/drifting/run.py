"""Which columns a tool flags, seed by seed, as JSON lines: run by the Python that has the tool."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import flag
from rows import make
from shifts import CASES, TRAINED


def main() -> None:
    """Print a line per seed and case: {"rows", "case", "flagged", "dataset"}."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=sorted(flag.TOOLS))
    parser.add_argument("--rows", type=int, nargs="+", required=True)
    parser.add_argument("--seeds", type=int, required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    look = flag.TOOLS[arguments.tool]
    for rows, seed in itertools.product(arguments.rows, range(arguments.seeds)):
        known = make(TRAINED, 2 * seed)
        for case, moved in CASES.items():
            trained, now = known, make(rows, 2 * seed + 1, case)
            if moved and arguments.tool != "ours":  # the others look at each column by itself: spare them the rest
                trained, now = {moved: trained[moved]}, {moved: now[moved]}
            found = look(trained, now)
            if arguments.tool == "evidently" and seed == 0 and found != flag.evidently_report(trained, now):
                sys.exit(f"Evidently's report decides otherwise than its tests: {rows} rows, {case}")
            line = {"rows": rows, "case": case, "flagged": sorted(found.columns), "dataset": found.dataset}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
