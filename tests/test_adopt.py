"""The template in repositories that were there before it: merged into one, or as a folder of one. See docs/adopt.md."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import baking
import updating
from baking import PROJECT_FOLDER, ROOT, TOOLS, bake, commit, files, git
from updating import CODE, MANAGED, SETTINGS, THEIRS, append, write


@pytest.fixture(scope="module")
def versions(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small template with v1.1.0 and v1.2.0. Not to be changed."""
    folder = tmp_path_factory.mktemp("versions")
    return updating.moved_on(updating.cut_down(template, folder / "less"), folder / "template")


@pytest.fixture
def first(versions: Path, tmp_path: Path) -> Path:
    """Return that template as it was when v1.1.0 was its newest version."""
    return updating.at_first_version(versions, tmp_path / "template")


@pytest.mark.parametrize("tool", TOOLS)
def test_a_merge_loses_nothing_and_names_the_files_that_both_have(tool: str, first: Path, tmp_path: Path) -> None:
    project = updating.born(tool, first, tmp_path / "made")
    folder = tmp_path / "churn"
    write(folder, THEIRS)
    git(folder, "init", "--quiet")
    commit(folder, "Ours")
    command = ["git", "pull", "--quiet", "--no-rebase", "--allow-unrelated-histories", str(project), "HEAD"]
    merged = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert merged.returncode == 1
    both = {"README.md", "pyproject.toml", ".gitignore"}
    assert updating.conflicts(folder) == both == THEIRS.keys() & files(project).keys()
    for name, text in THEIRS.items():
        found = git(folder, "show", f":2:{name}") if name in both else (folder / name).read_text().strip()
        assert found == text.strip()
    check = subprocess.run([sys.executable, "tools/check_conflicts.py"], cwd=folder, capture_output=True, check=False)
    assert check.returncode == 1
    assert files(folder).keys() == files(project).keys() | THEIRS.keys()


def test_what_was_adopted_is_updated(first: Path, tmp_path: Path) -> None:
    folder = updating.adopted(updating.born("copier", first, tmp_path / "made"), tmp_path / "churn")
    git(first, "fetch", "--quiet", "--tags")
    done = baking.run_script("copier", "update", "--defaults", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert updating.conflicts(folder) == set()
    assert (folder / MANAGED).read_text().startswith("# from the template\n")
    assert git(folder, "diff", "HEAD", "--", *THEIRS) == ""


def test_a_copy_over_files_keeps_them_and_says_so(first: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    write(folder, THEIRS)
    git(folder, "init", "--quiet")
    commit(folder, "Ours")
    refused = baking.run_tool("copier", first, tmp_path, {})
    assert refused.returncode == 1
    assert "Interactive session required" in refused.stderr
    assert git(folder, "diff", "HEAD") == ""
    done = baking.run_tool("copier", first, tmp_path, {}, "--skip", "**")
    assert done.returncode == 0, done.stderr
    assert git(folder, "diff", "HEAD") == ""
    assert {*re.findall(r"conflict\S* +(\S+)", done.stderr)} >= {"README.md", "pyproject.toml", ".gitignore"}
    assert (folder / MANAGED).is_file()


def test_cookiecutter_over_files_prunes_none_of_theirs(first: Path, tmp_path: Path) -> None:
    """A file of theirs may have the name of one that the template leaves out at this stage."""
    folder = tmp_path / "tumour-diagnosis"
    theirs = {**THEIRS, ".gitlab/ci/terraform.yml": "ours: true\n"}
    write(folder, theirs)
    done = baking.run_tool("cookiecutter", first, tmp_path, {}, "--overwrite-if-exists", "--skip-if-file-exists")
    assert done.returncode == 0, done.stderr
    assert {name: (folder / name).read_text() for name in theirs} == theirs
    assert not (folder / ".gitlab/ci/prod.yml").exists()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_folder_of_a_monorepo(tool: str, first: Path, tmp_path: Path) -> None:
    root = tmp_path / "monorepo"
    outside = {"README.md": "# All\n", "other/config/defaults.yaml": "a: 1\n", "config/defaults.yaml": "b: 1\n"}
    write(root, outside)
    git(root, "init", "--quiet")
    commit(root, "Ours")
    project = bake(tool, first, root / "usecases")
    # The first steps leave the repository as it is: none within, no commit.
    done = subprocess.run(
        [sys.executable, "-c", "from usecase.mlops.start import make_repository; make_repository(print)"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT / PROJECT_FOLDER / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert not (project / ".git").exists()
    append(project / SETTINGS, "# ours")
    append(project / MANAGED, "# ours")
    append(project / "docs/changed.md", "ours, at the same place")
    commit(root, "A use case")
    git(first, "fetch", "--quiet", "--tags")
    done = baking.run_script("copier", "update", "--defaults", cwd=project)
    assert done.returncode == 0, done.stderr
    place = project.relative_to(root).as_posix()
    assert updating.conflicts(root) == {f"{place}/docs/changed.md"}
    changed = git(root, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert all(f" {place}/" in line for line in changed)
    managed = (project / MANAGED).read_text()
    assert managed.startswith("# from the template\n")
    assert managed.endswith("# ours\n")
    assert (project / CODE).read_text().endswith("# from the template\n")
    assert (project / "docs/added.md").is_file()
    assert not (project / "docs/removed.md").exists()
    assert {name: (root / name).read_text() for name in outside} == outside
