#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.11"
# dependencies = ["python-gitlab==8.6.0", "pyyaml==6.0.3", "requests==2.34.2"]
# ///
"""Makes the GitLab project what gitlab.yml says.

plan (the default) only reads and prints what differs; apply writes exactly that. Every step compares before it writes,
so apply may be run again at any time, also after it was interrupted.

Needs GITLAB_TOKEN in the environment: a token with the scope `api` and the role Maintainer in the group.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import gitlab
import requests
import yaml
from gitlab.base import RESTObject
from gitlab.v4.objects import Project

EXIT_CODES = "exit status: 0 done, or nothing to do; 1 error; 2 wrong usage; 3 plan found differences"
ROLES = {"no_one": 0, "developers": 30, "maintainers": 40}
WANTED_KEYS = {
    "project": {"path", "name", "description", "visibility"},
    "default_branch": {"name", "push", "merge"},
}


class SetupError(Exception):
    """One line for the user: what is wrong and how to mend it."""


@dataclass(frozen=True)
class Wanted:
    """The content of gitlab.yml, checked."""

    url: str
    group: str
    project: dict[str, str]
    settings: dict[str, Any]
    branch: str
    access: dict[str, int]  # of push and merge, as GitLab numbers its roles

    @property
    def path(self) -> str:
        """Full path of the project."""
        return f"{self.group}/{self.project['path']}"


def read_wanted(path: Path) -> Wanted:
    """gitlab.yml at `path`. Raises SetupError naming the key that is wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SetupError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    known = {"url", "group", "project", "settings", "default_branch"}
    if not isinstance(content, dict) or set(content) != known:
        raise SetupError(f"{path}: needs exactly the keys {', '.join(sorted(known))}")
    for section, keys in WANTED_KEYS.items():
        values = content[section]
        if not isinstance(values, dict) or set(values) != keys or not all(isinstance(v, str) for v in values.values()):
            raise SetupError(f"{path}: {section} needs exactly the keys {', '.join(sorted(keys))}, each with a text")
    if not isinstance(content["settings"], dict):
        raise SetupError(f"{path}: settings must hold `name: value` lines")
    branch = content["default_branch"]
    for right in ("push", "merge"):
        if branch[right] not in ROLES:
            raise SetupError(f"{path}: default_branch.{right}: use one of {', '.join(ROLES)}")
    group = str(content["group"] or "").strip("/ ")
    if not group:
        raise SetupError(f"{path}: group is blank: give the group's full path, for example data-science/models")
    return Wanted(
        url=_checked_url(path, content["url"]),
        group=group,
        project=content["project"],
        settings=content["settings"],
        branch=branch["name"],
        access={right: ROLES[branch[right]] for right in ("push", "merge")},
    )


def _checked_url(path: Path, url: Any) -> str:
    parts = urlsplit(str(url))
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise SetupError(f"{path}: url must look like https://gitlab.com")
    if parts.username or parts.password:
        raise SetupError(f"{path}: url must not hold a user or token: those come from the environment")
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1"):
        raise SetupError(f"{path}: url must start with https://, else the token would travel in clear text")
    return urlunsplit(parts).rstrip("/")


class Setup:
    """Compares the project with `wanted`, step by step; writes each difference when `apply` is set."""

    def __init__(self, client: gitlab.Gitlab, wanted: Wanted, folder: Path, *, apply: bool) -> None:
        self._client, self._wanted, self._folder, self._apply = client, wanted, folder, apply
        self.differences = 0

    def run(self) -> None:
        """Every step in order: each may rely on the ones before it."""
        project = self._project()
        if project is None:  # only in a plan: nothing further can be compared
            self._announce(f"set {', '.join(self._wanted.settings)}")
            self._announce(f"protect branch {self._wanted.branch}")
            self._announce("add the remote origin, unless there is one")
            return
        self._settings(project)
        self._protection(project)
        self._remote(project)

    def _announce(self, change: str) -> bool:
        """Prints the difference; says whether to write it."""
        self.differences += 1
        print(f"{'apply' if self._apply else 'plan'}: {change}")
        return self._apply

    def _project(self) -> Project | None:
        wanted = self._wanted
        try:
            return self._client.projects.get(wanted.path)
        except gitlab.GitlabGetError as error:
            if error.response_code != 404:
                raise
        try:
            group = self._client.groups.get(wanted.group, with_projects=False)
        except gitlab.GitlabGetError as error:
            if error.response_code != 404:
                raise
            raise SetupError(f"{wanted.url}: no group {wanted.group} that the token may see") from None
        if not self._announce(f"create project {wanted.path}"):
            return None
        self._client.projects.create({**wanted.project, "namespace_id": group.id})
        return self._client.projects.get(wanted.path)

    def _settings(self, project: Project) -> None:
        wanted = {**self._wanted.project, **self._wanted.settings}
        del wanted["path"]
        if not project.attributes.get("empty_repo"):  # an empty repository takes the name of the first branch pushed
            wanted["default_branch"] = self._wanted.branch
        unknown = sorted(set(wanted) - set(project.attributes))
        if unknown:
            raise SetupError(f"gitlab.yml: settings: this GitLab's projects have no {', '.join(unknown)}")
        different = {key: value for key, value in wanted.items() if project.attributes[key] != value}
        if different and self._announce("; ".join(f"set {key} to {value}" for key, value in different.items())):
            self._client.projects.update(project.get_id(), different)

    def _protection(self, project: Project) -> None:
        name = self._wanted.branch
        current = next(
            (branch for branch in project.protectedbranches.list(iterator=True) if branch.name == name), None
        )
        wanted: dict[str, Any] = {f"{right}_access_level": level for right, level in self._wanted.access.items()}
        wanted["allow_force_push"] = False
        if current is not None and _protection_of(current) == {key: [value] for key, value in wanted.items()}:
            return
        if not self._announce(f"protect branch {name}"):
            return
        if current is not None:  # the API of GitLab Free cannot change a protection, only replace it
            current.delete()
        project.protectedbranches.create({"name": name, **wanted})

    def _remote(self, project: Project) -> None:
        # The clone URL never holds a credential: git asks its own helper.
        parts = urlsplit(project.http_url_to_repo)
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        if self._git("rev-parse", "--git-dir") is None:
            print(f"note: {self._folder} is no git repository yet: run `make setup`, then apply again for the remote")
            return
        current = self._git("remote", "get-url", "origin")
        if current is None:
            if self._announce(f"add remote origin {url}") and self._git("remote", "add", "origin", url) is None:
                raise SetupError(f"git remote add origin {url} failed")
        elif current != url:
            print(f"note: the remote origin is left as it is; the project's URL is {url}")

    def _git(self, *arguments: str) -> str | None:
        done = subprocess.run(["git", *arguments], cwd=self._folder, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None


def _protection_of(branch: RESTObject) -> dict[str, list[Any]]:
    """Everyone who may push and merge, under the names that the API takes when a protection is made."""
    rights = {
        f"{right}_access_level": [level["access_level"] for level in branch.attributes[f"{right}_access_levels"]]
        for right in ("push", "merge")
    }
    return {**rights, "allow_force_push": [branch.attributes["allow_force_push"]]}


def explain(error: Exception, wanted: Wanted) -> str:
    """One line for a failed call: what happened and what to do."""
    if isinstance(error, requests.exceptions.SSLError):
        return f"{wanted.url}: the certificate is not trusted: name your CA file in REQUESTS_CA_BUNDLE"
    if isinstance(error, requests.exceptions.RequestException):
        return f"{wanted.url}: cannot be reached: check the url in gitlab.yml, the network and HTTPS_PROXY"
    if isinstance(error, gitlab.GitlabParsingError):
        return f"{wanted.url}: does not answer like GitLab: check the url in gitlab.yml"
    code = getattr(error, "response_code", None)
    if code == 401:
        return f"{wanted.url}: 401: GITLAB_TOKEN is wrong or has expired"
    if code == 403:
        return f"{wanted.path}: 403: the token needs the scope `api` and the role Maintainer in {wanted.group}"
    message = " ".join(str(error).split())
    return f"{wanted.path}: {message} (what was done stays; apply again continues)"


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="gitlab_setup.py",
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", nargs="?", choices=("plan", "apply"), default="plan")
    parser.add_argument("--config", type=Path, default=Path("gitlab.yml"), help="wanted state (default: %(default)s)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Runs plan or apply and returns the exit status."""
    options = arguments(argv)
    try:
        wanted = read_wanted(options.config)
        token = os.environ.get("GITLAB_TOKEN", "").strip()
        if not token:
            raise SetupError("GITLAB_TOKEN is not set: export a token with the scope `api` and the role Maintainer")
        client = gitlab.Gitlab(wanted.url, private_token=token, timeout=30)
        setup = Setup(client, wanted, options.config.resolve().parent, apply=options.action == "apply")
        try:
            setup.run()
        except (gitlab.GitlabError, requests.exceptions.RequestException) as error:
            raise SetupError(explain(error, wanted)) from None
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if setup.differences == 0:
        print(f"{wanted.url}/{wanted.path} is as gitlab.yml says")
    return 3 if setup.differences and options.action == "plan" else 0


if __name__ == "__main__":
    sys.exit(main())
