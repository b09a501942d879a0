"""What GitLab shows: the set-up's own comparison, `tools/gitlab_setup.py verify`, whose lines are read.

It is a program of its own, because the client of GitLab's API is no library of this repository.
"""

import os
import subprocess
from pathlib import Path

from usecase.mlops.maturity.evidence import Project, Unseen
from usecase.mlops.programs import uv_command

COMMAND = ("run", "--quiet", "--script", "tools/gitlab_setup.py", "verify")
PLAN, NOTE, ERROR = "plan: ", "note: ", "error: "
INVALID = "GitLab takes .gitlab-ci.yml for invalid"
SECONDS = 120


def look(root: Path) -> Project | Unseen:
    """Compare the project with gitlab.yml, which writes nothing."""
    if not os.environ.get("GITLAB_TOKEN"):
        return Unseen("GitLab: GITLAB_TOKEN is not set")
    try:
        done = subprocess.run(
            [uv_command(), *COMMAND], cwd=root, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Unseen(f"GitLab: {type(error).__name__}: {' '.join(str(error).split())}")
    return read(done.stdout, done.stderr, done.returncode)


def read(out: str, err: str, status: int) -> Project | Unseen:
    """What the set-up said, on both streams, and its exit status."""
    lines = out.splitlines()
    differences = [line.removeprefix(PLAN) for line in lines if line.startswith(PLAN)]
    notes = [line.removeprefix(NOTE) for line in lines if line.startswith(NOTE)]
    problem = next((line.removeprefix(ERROR) for line in err.splitlines() if line.startswith(ERROR)), "")
    if problem.startswith(INVALID):
        return Project(differences, notes, ci=False)
    if problem or (status and not differences):
        return Unseen(f"GitLab: {problem or f'the set-up ended with status {status}'}")
    asked_last = Unseen("GitLab is asked about the CI configuration when all else is as gitlab.yml says: `make gitlab`")
    return Project(differences, notes, ci=asked_last if differences else True)
