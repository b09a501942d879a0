"""First steps in a fresh repository: git with a first commit, hooks, and what to do next."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from usecase.mlops.errors import UserError
from usecase.mlops.programs import git

NEXT = """\
Ready. Next:
  make run                       train on the data of data_contract.yaml, evaluate, register
  make approve version=latest    let the new version be served
  make serve                     and, in another terminal: make predict
With your own data first: make contract data=FILE target=COLUMN"""


def set_up(say: Callable[[str], None]) -> None:
    """git init and the first commit when there is no repository, the pre-commit hook, and the next commands."""
    make_repository(say)
    if Path(".git").is_dir() and not Path(".git/hooks/pre-commit").exists():
        command = [sys.executable, "-m", "pre_commit", "install"]
        installed = subprocess.run(command, check=False, capture_output=True, text=True)
        if installed.returncode:
            reason = (installed.stdout + installed.stderr).strip().splitlines()[:1]
            say(f"git hooks were not installed ({', '.join(reason)}): CI makes the same checks")
    say(NEXT)


def make_repository(say: Callable[[str], None]) -> None:
    """git init and the first commit, where there is no repository. Raises UserError."""
    if shutil.which("git") is None:
        raise UserError("git is not installed: install it, then run `make setup` again")
    # A repository without a commit is one whose first commit failed before, most often for want of an identity.
    if _git("rev-parse", "--is-inside-work-tree") and not (Path(".git").is_dir() and not _git("rev-parse", "HEAD")):
        return
    for command in (["init", "--quiet", "--initial-branch=main"], ["add", "--all"]):
        if not _git(*command):
            raise UserError(f"git {command[0]} failed: run it here to see why")
    try:
        git(Path(), "commit", "--quiet", "-m", "Start from the template")
    except UserError as error:
        say(
            f"git: repository without a commit: {error}. Mend that (an identity: `git config --global user.name NAME`,"
            " and user.email), then `git commit -m 'Start from the template'`"
        )
    else:
        say("git: repository with a first commit")


def _git(*arguments: str) -> bool:
    return subprocess.run(["git", *arguments], check=False, capture_output=True).returncode == 0
