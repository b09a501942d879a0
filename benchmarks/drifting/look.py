"""The report of `usecase monitor` on a folder of files.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from usecase.mlops.contract import Contract  # type: ignore[import-not-found,import-untyped,unused-ignore]
from usecase.mlops.drift.monitor import monitor  # type: ignore[import-not-found,import-untyped,unused-ignore]
from usecase.mlops.settings import load_settings  # type: ignore[import-not-found,import-untyped,unused-ignore]

os.chdir(sys.argv[1])
monitor(Path("window"), Path(), Path("report"), Contract.load(Path()), load_settings())
