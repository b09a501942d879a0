"""The git side: is there something to push, does it belong to the project, and the first push."""

import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from usecase.mlops.errors import UserError
from usecase.mlops.programs import git, run_program, token_settings


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
        return self._ask("remote", "get-url", "origin")

    def why_not_pushed(self, branch: str) -> str | None:
        """What is missing before `branch` can be pushed, with the command that mends it; None: nothing."""
        above = self._ask("rev-parse", "--show-cdup")
        if above is None:
            return "this folder is no git repository: run `make setup`"
        if above:
            return "this folder is part of another git repository: `git init` here makes it one of its own"
        if self._ask("rev-parse", "--verify", "HEAD") is None:
            return "the git repository has no commit: set git's user.name and user.email, then run `make setup`"
        if self._ask("rev-parse", "--verify", f"refs/heads/{branch}") is None:
            current = self._ask("branch", "--show-current") or "HEAD"
            return f"there is no local branch {branch}: `git branch {branch} {current}`"
        return None

    def is_dirty(self) -> bool:
        """Whether something is not committed."""
        return bool(self._ask("status", "--porcelain"))

    def has_commit(self, sha: str) -> bool:
        """Whether a commit is part of the local history."""
        return self._ask("cat-file", "-e", sha) is not None

    def add_origin(self, url: str) -> None:
        """Name the project's address `origin`. Raises UserError."""
        git(self._folder, "remote", "add", "origin", url)

    def push(self, url: str, branch: str, token: str) -> None:
        """Push `branch` to `url`, without starting a pipeline. Raises UserError in git's words.

        Only the environment of git holds the token: no file, argument or address, and no credential store is told.
        """
        authority = os.environ.get("REQUESTS_CA_BUNDLE")  # the API was reached with it, at the same host
        environment = {
            **token_settings(url, "GITLAB_TOKEN", "oauth2"),
            "GITLAB_TOKEN": token,
            **({"GIT_SSL_CAINFO": authority} if authority else {}),
        }
        words = ["push", "--quiet", "--push-option=ci.skip", url, f"refs/heads/{branch}"]
        try:
            run_program("git push", ["git", *words], self._folder, environment)
        except UserError as error:
            refused = any(word in str(error) for word in ("403", "Authentication", "not allowed"))
            hint = ": the token needs the scope `api` or `write_repository`" if refused else ""
            raise UserError(f"{error}{hint}") from None

    def _ask(self, *words: str) -> str | None:
        try:
            return git(self._folder, *words)
        except UserError:
            return None
