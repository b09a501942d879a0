"""What Cookiecutter leaves to do once the files are written: the same project that Copier makes, and the next steps."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import jinja2
import yaml

PROJECT_FOLDER = "{{" + "cookiecutter.project_slug" + "}}"
GITLAB_SETUP = ["uv", "run", "--script", "tools/gitlab_setup.py", "apply"]
# In a new folder there is nothing yet to push. Afterwards `make setup` makes the first commit.
FIRST_TIME = ["--first-commit"]
# What Copier takes for a git repository without further signs (its documentation, "template URLs").
COPIER_GIT_PREFIXES = ("git@", "git://", "git+", "https://github.com/", "https://gitlab.com/")


def finish(project: Path, template: Path, answers: Mapping[str, Any]) -> None:
    """Prune the project, record where it comes from, create it on GitLab if asked and print the next steps.

    An error leaves with a non-zero status, and Cookiecutter then deletes the project: nothing may fail after GitLab.
    """
    for stream in (sys.stdout, sys.stderr):
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")  # a name may not fit the terminal's encoding
    spec = yaml.safe_load((template / "copier.yml").read_text(encoding="utf-8"))
    prune(project, template / PROJECT_FOLDER, exclusions(spec, answers))
    commit, warning = birth_commit(template)
    record_origin(project / ".copier-answers.yml", commit, source(template, answers))
    created = answers["create_gitlab_project"] == "yes" and create_gitlab_project(project)
    print(next_steps(spec, {**answers, "create_gitlab_project": "no"} if created else answers, project))
    if warning:
        print(f"warning: {warning}", file=sys.stderr)


def exclusions(spec: Mapping[str, Any], answers: Mapping[str, Any]) -> list[str]:
    """Return the patterns of copier.yml's ``_exclude`` for a new project with these answers."""
    env = jinja2.Environment()
    rendered = [env.from_string(entry).render(answers, _copier_operation="copy") for entry in spec["_exclude"]]
    return [pattern for pattern in rendered if pattern]


def prune(project: Path, tree: Path, patterns: list[str]) -> None:
    """Remove what the patterns match among the files of the template's tree, and the folders that are empty then.

    A bake over an existing project (`--overwrite-if-exists`) must not touch what the template did not bring: files of
    other names, or of other content (`--skip-if-file-exists`).
    """
    ours = [path.relative_to(tree) for path in tree.rglob("*")]
    for pattern in patterns:
        for match in tree.glob(pattern.removeprefix("/")):
            for path in [match, *match.rglob("*")]:
                copy = project / path.relative_to(tree)
                if copy.is_file() and brought(copy, path):
                    copy.unlink()
    for path in sorted(ours, reverse=True):  # children before their parents
        folder = project / path
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def brought(copy: Path, source: Path) -> bool:
    """Return whether the copy in the project is the template's; of a file with Jinja, that is taken for granted."""
    content = source.read_bytes()
    return b"{{" in content or b"{%" in content or copy.read_bytes() == content


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None when it fails or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def birth_commit(template: Path) -> tuple[str, str | None]:
    """Return the version that `copier update` will start from, and a warning when it is not a release."""
    release = "v" + json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))["_template_version"]
    if git(template, "rev-parse", "--show-cdup") != "":  # no git, no repository, or a folder inside another one
        return release, None
    described = git(template, "describe", "--tags", "--always", "--dirty") or release
    commit = described.removesuffix("-dirty")
    if described == release:
        return commit, None
    return commit, f"made from {described}, which is not a release; give Cookiecutter --checkout vX.Y.Z for one"


def source(template: Path, answers: Mapping[str, Any]) -> str:
    """Return the template's address for `copier update`: absolute when local, without user or token when not."""
    if answers["_repo_dir"] == answers["_template"]:
        return str(template)
    # Cookiecutter expanded abbreviations (gh:, or one's own) when it cloned.
    return public_url(git(template, "config", "--get", "remote.origin.url") or str(answers["_template"]))


def public_url(url: str) -> str:
    """Return the address of a git repository without secrets, in a form that Copier takes for one.

    An SSH user stays: it is part of the address and no secret.
    """
    parts = urlsplit(url)
    if parts.scheme and parts.netloc:
        user, _, host = parts.netloc.rpartition("@")
        if parts.scheme.endswith("ssh") and user:
            host = f"{user.partition(':')[0]}@{host}"
        url = urlunsplit((parts.scheme, host, parts.path, "", ""))
    if url.endswith(".git") or url.startswith(COPIER_GIT_PREFIXES):
        return url
    return f"git+{url}"


def record_origin(answers_file: Path, commit: str, template: str) -> None:
    """Write the template's version and address into the answers file, whose text has only a first guess of both."""
    text = answers_file.read_text(encoding="utf-8")
    for key, value in (("_commit", commit), ("_src_path", template)):
        line = f"{key}: {json.dumps(value, ensure_ascii=False)}"
        text = re.sub(rf"^{key}:.*$", lambda _, line=line: line, text, count=1, flags=re.MULTILINE)  # type: ignore[misc]
    answers_file.write_text(text, encoding="utf-8", newline="\n")


def create_gitlab_project(project: Path) -> bool:
    """Run the new project's GitLab set-up; print why not, and return False, when that is not possible or not wanted.

    The set-up shows its plan and asks at a terminal; without one, the answer `yes` was consent enough.
    """
    command = [os.environ.get("UV") or shutil.which("uv") or "", *GITLAB_SETUP[1:], *FIRST_TIME]
    try:
        if not command[0]:
            reason = "uv is not installed"
        elif not (project / GITLAB_SETUP[3]).is_file():
            reason = f"{GITLAB_SETUP[3]} is missing"
        elif not os.environ.get("GITLAB_TOKEN"):
            reason = "GITLAB_TOKEN is not set"
        elif status := subprocess.run(command, cwd=project, check=False).returncode:
            reason = f"the set-up ended with exit code {status}"
        else:
            return True
    except KeyboardInterrupt:
        reason = "interrupted"
    except OSError as error:
        reason = str(error)
    later = " ".join([*GITLAB_SETUP, *FIRST_TIME])
    print(f"GitLab: the project is not set up ({reason}). Later, in {project.resolve()}: {later}", file=sys.stderr)
    return False


def next_steps(spec: Mapping[str, Any], answers: Mapping[str, Any], project: Path) -> str:
    """Return the message that Copier prints after a copy."""
    message = jinja2.Environment().from_string(spec["_message_after_copy"])
    return message.render(answers, _copier_conf={"dst_path": project.resolve()})
