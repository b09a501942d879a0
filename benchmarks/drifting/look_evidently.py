"""Evidently's drift report, with its defaults, of a folder of files.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd  # type: ignore[import-not-found,import-untyped,unused-ignore]
from evidently import Report  # type: ignore[import-not-found,import-untyped,unused-ignore]
from evidently.presets import DataDriftPreset  # type: ignore[import-not-found,import-untyped,unused-ignore]

folder = Path(sys.argv[1])
trained, now = pd.read_parquet(folder / "trained.parquet"), pd.read_parquet(folder / "window")
report = Report([DataDriftPreset()]).run(now, trained)
report.save_html(str(folder / "evidently.html"))
report.save_json(str(folder / "evidently.json"))
