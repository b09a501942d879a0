"""`usecase monitor` as a person runs it, in a folder of files.py."""

from __future__ import annotations

import os
import sys

from usecase.mlops.cli import main  # type: ignore[import-not-found,import-untyped,unused-ignore]

os.chdir(sys.argv[1])
sys.argv = ["usecase", "monitor", "--data", "window", "--baseline", ".", "--output", "report"]
main()
