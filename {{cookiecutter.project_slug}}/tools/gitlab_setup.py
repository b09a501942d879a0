#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.11"
# dependencies = ["python-gitlab==8.6.0", "requests==2.34.2", "pydantic==2.14.3", "pyyaml==6.0.3", "boto3==1.44.5"]
# ///
"""Makes the GitLab project what gitlab.yml says: --help tells how. The work is in usecase.mlops.gitlab.

A script with libraries of its own, so that it runs before there is an environment, right after the repository is made.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from usecase.mlops.gitlab.cli import main  # noqa: E402

if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
