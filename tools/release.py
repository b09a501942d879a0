"""Releases a version of the template: `make release version=X.Y.Z`.

Copier finds versions by their tags (PEP 440), Cookiecutter users check a tag out, and a project that Cookiecutter makes
records `_template_version` of cookiecutter.json. So the three are changed in one place, here, in one commit.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import subprocess
import sys
from pathlib import Path

from packaging.version import InvalidVersion, Version

CHANGELOG = "CHANGELOG.md"
# The same text for those who update: `make update` in a repository prints what is new in it.
COPY = "{{cookiecutter.project_slug}}/docs/template_changes.md"
PARTS = ("What changes in your repository", "What you must do")


class RefusedError(Exception):
    """One line: why there is no release, and how to mend it."""


def git(root: Path, *arguments: str) -> str:
    """Return what git prints. Raises RefusedError with git's own words when it fails."""
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise RefusedError(f"git {arguments[0]} failed: {reason[-1]}")
    return done.stdout.strip()


def parsed(version: str) -> Version:
    """Return the version. Raises RefusedError when it is not written as PEP 440 has it, or not meant for the public."""
    try:
        result = Version(version)
    except InvalidVersion:
        raise RefusedError(f"{version!r} is not a version (PEP 440): give one such as 1.4.0") from None
    if str(result) != version or result.local or result.dev is not None or result.epoch:
        raise RefusedError(f"{version!r} is not the plain form of a release: give one such as 1.4.0 or 1.4.0rc1")
    return result


def check(root: Path, version: str) -> str:
    """Return the heading of the version in the changelog. Raises RefusedError when the repository is not ready."""
    wanted = parsed(version)
    present = json.loads((root / "cookiecutter.json").read_text(encoding="utf-8"))["_template_version"]
    tags = git(root, "tag", "--list", "v*").split()
    if tags:
        newest = max(tags, key=lambda tag: Version(tag))
        if newest != f"v{present}":
            raise RefusedError(
                f"cookiecutter.json says {present} but the newest tag is {newest}: make them agree first"
            )
    if f"v{version}" in tags:
        raise RefusedError(f"the tag v{version} exists: a released version never changes, give the next one")
    if wanted <= Version(present):
        raise RefusedError(f"{version} is not newer than the present version {present}")
    if git(root, "status", "--porcelain"):
        raise RefusedError("the working tree has changes that are not committed: commit or drop them")
    changelog = (root / CHANGELOG).read_text(encoding="utf-8")
    section = re.search(rf"^(## {re.escape(version)} \(unreleased\))\n(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    if section is None:
        raise RefusedError(f"{CHANGELOG} has no section '## {version} (unreleased)': say what changes for users")
    for part in PARTS:
        text = re.search(rf"^### {part}\n(.*?)(?=^### |\Z)", section[2], re.M | re.S)
        if text is None or not text[1].strip():
            raise RefusedError(
                f"{CHANGELOG}: the section {version} has no text under '### {part}': say it to those who update"
            )
    if (root / COPY).read_text(encoding="utf-8") != changelog:
        raise RefusedError(f"{COPY} is not {CHANGELOG}: cp {CHANGELOG} '{COPY}', and commit it")
    return section[1]


def release(root: Path, version: str, today: datetime.date) -> None:
    """Write the version and the date, commit and tag. Raises RefusedError when the repository is not ready."""
    heading = check(root, version)
    changed = ["cookiecutter.json", CHANGELOG, COPY]
    for name, pattern, text in (
        ("cookiecutter.json", r'"_template_version": "[^"]*"', f'"_template_version": "{version}"'),
        *((page, re.escape(heading), f"## {version} ({today.isoformat()})") for page in (CHANGELOG, COPY)),
    ):
        path = root / name
        path.write_text(
            re.sub(pattern, text, path.read_text(encoding="utf-8"), count=1), encoding="utf-8", newline="\n"
        )
    try:
        git(root, "commit", "--quiet", "--message", f"Release {version}", "--", *changed)
    except RefusedError:
        git(root, "checkout", "--quiet", "HEAD", "--", *changed)
        raise
    git(root, "tag", "--annotate", "--message", f"Release {version}", f"v{version}")


def main() -> int:
    """Read the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Release a version of the template.")
    parser.add_argument("version", help="such as 1.4.0")
    parser.add_argument("--dry-run", action="store_true", help="only say whether it could be released")
    given = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    try:
        if given.dry_run:
            check(root, given.version)
            print(f"{given.version} can be released; nothing was changed")
            return 0
        release(root, given.version, datetime.datetime.now(datetime.UTC).date())
    except RefusedError as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    print(f"Released {given.version} here. Publish it: git push origin HEAD v{given.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
