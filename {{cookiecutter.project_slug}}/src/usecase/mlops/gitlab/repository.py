"""The git side: is there something to push, does it belong to the project, and the first push."""

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from usecase.mlops.errors import UserError

# git asks a program for user and password. It reads the token from the environment, so that no file and no list of
# arguments ever holds it; the file is gone when the push ends.
ASKPASS = """#!/bin/sh
case "$1" in
  Username*) echo oauth2 ;;
  *) printf '%s\\n' "$GITLAB_TOKEN" ;;
esac
"""


def without_user(url: str) -> str:
    """The address without user and password: some instances put a user into clone URLs."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class Repository:
    """The local repository in `folder`. Nothing here deletes or rewrites anything."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def origin(self) -> str | None:
        """Address of the remote `origin`, if there is one."""
        return self._git("remote", "get-url", "origin")

    def why_not_pushed(self, branch: str) -> str | None:
        """What is missing before `branch` can be pushed, with the command that mends it; None: nothing."""
        if self._git("rev-parse", "--git-dir") is None:
            return "this folder is no git repository: run `make setup`"
        if self._git("rev-parse", "--verify", "HEAD") is None:
            return "the git repository has no commit: run `make setup`, or `git commit` after setting user.name and user.email"
        if self._git("rev-parse", "--verify", f"refs/heads/{branch}") is None:
            current = self._git("branch", "--show-current") or "HEAD"
            return f"there is no local branch {branch}: `git branch {branch} {current}`"
        return None

    def is_dirty(self) -> bool:
        """Whether something is not committed."""
        return bool(self._git("status", "--porcelain"))

    def has_commit(self, sha: str) -> bool:
        """Whether a commit is part of the local history."""
        return self._git("cat-file", "-e", f"{sha}^{{commit}}") is not None

    def add_origin(self, url: str) -> None:
        """Name the project's address `origin`. Raises UserError."""
        if self._git("remote", "add", "origin", url) is None:
            raise UserError(f"`git remote add origin {url}` failed: run it here to see why")

    def push(self, url: str, branch: str, token: str) -> None:
        """Push `branch` to `url`, without starting a pipeline. Raises UserError in git's words."""
        authority = os.environ.get("REQUESTS_CA_BUNDLE")
        with tempfile.TemporaryDirectory() as folder:
            askpass = Path(folder, "askpass")
            askpass.write_text(ASKPASS, encoding="utf-8", newline="\n")
            askpass.chmod(0o700)
            environment = {
                **({"GIT_SSL_CAINFO": authority} if authority else {}),
                **os.environ,
                "GIT_ASKPASS": str(askpass),
                "GIT_TERMINAL_PROMPT": "0",
                "GITLAB_TOKEN": token,
                "LC_ALL": "C",
            }
            # an empty helper: no credential store of the user learns the token
            words = ["-c", "credential.helper=", "push", "--quiet", "-o", "ci.skip", url, f"{branch}:{branch}"]
            done = self._run(words, environment)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if re.match(r"fatal|error|remote", line)]
            said = " ".join((lines or done.stderr.splitlines() or ["git said nothing"])[0].split())
            hint = "" if "unable to access" in said and "403" not in said else "; the token needs the scope `api`, or `write_repository`"
            raise UserError(f"git push to {url}: {said.replace(token, '***')}{hint}")

    def _git(self, *words: str) -> str | None:
        done = self._run(list(words))
        return done.stdout.strip() if done.returncode == 0 else None

    def _run(self, words: list[str], environment: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(
                ["git", *words], cwd=self._folder, env=environment, capture_output=True, encoding="utf-8", check=False
            )
        except FileNotFoundError:
            raise UserError("git is not installed: install it, then repeat the command") from None
