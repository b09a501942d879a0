"""Write what a report is made from: contract, settings and baseline of 100,000 training rows, and a window."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import polars as pl  # type: ignore[import-not-found,import-untyped,unused-ignore]
from flag import baseline
from rows import make

TRAINED = 100_000
PART = 1_000_000


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    (folder / "window").mkdir(parents=True)
    (folder / "config").mkdir()
    (folder / "pyproject.toml").touch()  # by which the command knows a repository
    trained = pl.DataFrame(make(TRAINED, 0))
    trained.write_parquet(folder / "trained.parquet")
    for number, start in enumerate(range(0, arguments.rows, PART)):
        rows = pl.DataFrame(make(min(PART, arguments.rows - start), 1 + number))
        rows.write_parquet(folder / f"window/{number:02}.parquet")
    baseline(trained).save(folder / "drift_baseline.json")
    fields = [{"name": n, "type": "string" if n[0] == "c" else "number", "role": "feature"} for n in trained.columns]
    fields.append({"name": "target", "type": "boolean", "role": "target"})
    (folder / "data_contract.yaml").write_text(json.dumps({"name": "rows", "schema": {"fields": fields}}))
    settings = {"project": "rows", "owner_email": "team@example.com", "container": "own", "aws_region": "eu-west-1"}
    (folder / "config/defaults.yaml").write_text(json.dumps({**settings, "model_package_group": "rows"}))
    (folder / "config/local.yaml").write_text("{}")


if __name__ == "__main__":
    main()
