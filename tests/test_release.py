"""The release routine: one commit and one tag that agree, or one line and no change."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import release
from baking import ROOT, commit, copy_of_working_tree, git

TEXT = """# Changes

## 1.1.0 (unreleased)

### What changes in your repository
Something.

### What you must do
Nothing.

## 1.0.3 (unreleased)

### What changes in your repository
Something.

### What you must do

## 1.0.2 (unreleased)

### What changes in your repository
Something.

## 1.0.1 (unreleased)

## 1.0.0 (2026-01-01)
"""


def write(root: Path, changelog: str) -> None:
    """Write both places of the changelog."""
    for name in (release.CHANGELOG, release.COPY):
        (root / name).write_text(changelog)


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the release tool of a clone."""
    command = [sys.executable, str(root / "tools" / "release.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def version(root: Path) -> str:
    """Return the version that cookiecutter.json holds."""
    content: dict[str, str] = json.loads((root / "cookiecutter.json").read_text(encoding="utf-8"))
    return content["_template_version"]


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> Path:
    """Return a clone of the template at v1.0.0 with a changelog for 1.1.0."""
    root = tmp_path / "clone"
    git(template, "clone", "--quiet", str(template), str(root))
    write(root, TEXT)
    commit(root, "Write down what is new")
    return root


def test_a_release_is_one_commit_and_its_tag(clone: Path) -> None:
    before = git(clone, "rev-parse", "HEAD")
    done = run(clone, "1.1.0")
    assert done.returncode == 0, done.stderr
    assert "git push origin HEAD v1.1.0" in done.stdout
    assert version(clone) == "1.1.0"
    assert git(clone, "rev-parse", "v1.1.0^{commit}") == git(clone, "rev-parse", "HEAD")
    assert git(clone, "rev-parse", "HEAD^") == before
    assert git(clone, "diff", "--name-only", "HEAD^").split() == ["CHANGELOG.md", "cookiecutter.json", release.COPY]
    assert git(clone, "diff", "--shortstat", "HEAD^") == "3 files changed, 3 insertions(+), 3 deletions(-)"
    assert git(clone, "diff", "HEAD^", "--", "CHANGELOG.md").count("## 1.1.0 (2") == 1
    assert (clone / release.COPY).read_text() == (clone / release.CHANGELOG).read_text()
    assert git(clone, "status", "--porcelain") == ""


def test_a_dry_run_changes_nothing(clone: Path) -> None:
    before = git(clone, "rev-parse", "HEAD")
    done = run(clone, "1.1.0", "--dry-run")
    assert (done.returncode, done.stdout) == (0, "1.1.0 can be released; nothing was changed\n")
    assert (git(clone, "rev-parse", "HEAD"), git(clone, "tag")) == (before, "v1.0.0")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("1.0.0", "exists"),
        ("0.9.0", "not newer than the present version 1.0.0"),
        ("1.0.1", "the section 1.0.1 has no text under '### What changes in your repository'"),
        ("1.0.2", "the section 1.0.2 has no text under '### What you must do'"),
        ("1.0.3", "the section 1.0.3 has no text under '### What you must do'"),
        ("1.2.0", "no section '## 1.2.0 (unreleased)'"),
        ("v1.1.0", "plain form"),
        ("1.1", "no section"),
        ("1.01.0", "plain form"),
        ("1.1.0+local", "plain form"),
        ("1.1.0.dev1", "plain form"),
        ("next", "is not a version"),
        ("", "is not a version"),
    ],
)
def test_refused(wanted: str, reason: str, clone: Path) -> None:
    before = git(clone, "rev-parse", "HEAD")
    for arguments in ([wanted], [wanted, "--dry-run"]):
        done = run(clone, *arguments)
        assert done.returncode == 1
        assert reason in done.stderr
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
    assert (git(clone, "rev-parse", "HEAD"), git(clone, "tag"), version(clone)) == (before, "v1.0.0", "1.0.0")
    assert git(clone, "status", "--porcelain") == ""


def test_a_dirty_tree_is_refused(clone: Path) -> None:
    (clone / "note.txt").write_text("not committed\n")
    done = run(clone, "1.1.0")
    assert done.returncode == 1
    assert "not committed" in done.stderr
    assert version(clone) == "1.0.0"


def test_two_changelogs_are_refused(clone: Path) -> None:
    """Who updates would read another text than who looks at the template."""
    (clone / release.CHANGELOG).write_text(TEXT.replace("Something.", "Something else."))
    commit(clone, "Forget the copy")
    assert "is not CHANGELOG.md" in run(clone, "1.1.0").stderr


def test_a_tag_that_disagrees_is_refused(clone: Path) -> None:
    git(clone, "tag", "v1.0.5")
    done = run(clone, "1.1.0")
    assert done.returncode == 1
    assert "cookiecutter.json says 1.0.0 but the newest tag is v1.0.5" in done.stderr


def test_a_commit_that_fails_leaves_nothing_behind(clone: Path) -> None:
    hook = clone / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'no commits today' >&2\nexit 1\n")
    hook.chmod(0o755)
    done = run(clone, "1.1.0")
    assert done.returncode == 1
    assert done.stderr == "error: git commit failed: no commits today\n"
    assert (git(clone, "status", "--porcelain"), git(clone, "tag"), version(clone)) == ("", "v1.0.0", "1.0.0")


def test_the_first_release_needs_no_tag(tmp_path: Path) -> None:
    root = copy_of_working_tree(tmp_path / "new")
    write(root, TEXT.replace("1.1.0", "9.0.0"))
    git(root, "init", "--quiet")
    commit(root, "Begin")
    done = run(root, "9.0.0")
    assert done.returncode == 0, done.stderr
    assert git(root, "tag") == "v9.0.0"


def test_repositories_get_the_changelog_as_it_stands_here() -> None:
    assert (ROOT / release.COPY).read_text(encoding="utf-8") == (ROOT / release.CHANGELOG).read_text(encoding="utf-8")


def test_every_section_says_what_to_do() -> None:
    text = (ROOT / release.CHANGELOG).read_text(encoding="utf-8")
    for section in text.split("\n## ")[1:]:
        assert re.findall(r"^### (.*)$", section, re.MULTILINE) == [*release.PARTS]


def test_the_newest_tag_of_this_repository_agrees() -> None:
    tags = git(ROOT, "tag", "--points-at", "HEAD", "v*").split()
    assert tags in ([], [f"v{version(ROOT)}"])
