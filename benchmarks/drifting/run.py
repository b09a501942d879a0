"""Which columns a tool flags, seed by seed, as JSON lines: run by the Python that has the tool."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import flag
from rows import pair
from shifts import CASES


def main() -> None:
    """Print a line per seed and case: {"rows", "case", "flagged", "dataset"}."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=sorted(flag.TOOLS))
    parser.add_argument("--rows", type=int, nargs="+", required=True)
    parser.add_argument("--seeds", type=int, required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    look = flag.TOOLS[arguments.tool]
    for rows in arguments.rows:
        for case in CASES:
            for seed in range(arguments.seeds):
                trained, now = pair(rows, seed, case)
                moved = CASES[case]
                if moved and arguments.tool != "ours":  # the others look at each column by itself: spare them the rest
                    trained, now = {moved: trained[moved]}, {moved: now[moved]}
                found = look(trained, now)
                if arguments.tool == "evidently" and seed == 0 and found != flag.evidently_report(trained, now):
                    sys.exit(f"Evidently's report decides otherwise than its tests: {rows} rows, {case}")
                line = {"rows": rows, "case": case, "flagged": sorted(found.columns), "dataset": found.dataset}
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
