"""What the tests of updates share: projects that people work in, and templates that move on."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import copier
import yaml
from jinja2 import Environment
from packaging.version import Version
from pathspec import GitIgnoreSpec

from baking import PROJECT_FOLDER, ROOT, bake, commit, copy_of_working_tree, git, release

STARTER = "src/usecase/train.py"
SETTINGS = "config/dev.yaml"
MANAGED = "config/defaults.yaml"
CODE = "src/usecase/mlops/steps.py"
NOTES = "docs/template_changes.md"
TO_DO = "### What you must do\nLook at docs/added.md."
# What is left of a template that is cut down to what an update reads: Copier takes seconds for all of it.
KEPT = (
    *(".copier-answers.yml", ".gitattributes", ".gitignore", ".gitlab-ci.yml", ".gitlab/ci/", "Makefile", "README.md"),
    *("pyproject.toml", "config/", "gitlab.yml", "pipeline.json", "src/usecase/__init__.py", STARTER, NOTES),
    *(f"src/usecase/mlops/{name}.py" for name in ("__init__", "cli", "errors", "programs", "steps", "update")),
    "tools/check_conflicts.py",
)
BIRTHS = ["cookiecutter", "copier", "adopted"]
OLDEST, NEWEST = "0.0.1", "999.0.0"  # made here: before and after every version that was released
OLDER = "# older"
# A repository from before it had the template.
THEIRS = {
    "README.md": "# Churn\n\nOurs since 2019.\n",
    "pyproject.toml": '[project]\nname = "churn"\nversion = "2.0"\ndependencies = ["lifelines>=0.30"]\n',
    ".gitignore": "*.pkl\n",
    "src/churn/__init__.py": '"""Ours."""\n',
    "src/churn/survival.py": "HALF_LIFE = 30\n",
    "tests/test_survival.py": "def test_half_life() -> None:\n    assert True\n",
}

# What is settled in its files that the template has too: their lines go into the template's.
SETTLED = {
    "pyproject.toml": ("\ndependencies = []\n", '\ndependencies = ["lifelines>=0.30"]\n'),
    ".gitignore": ("\n*.ubj\n", "\n*.ubj\n*.pkl\n"),
}


def append(path: Path, line: str) -> None:
    """Add a line at the end."""
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")


def prepend(path: Path, line: str) -> None:
    """Add a line at the beginning."""
    path.write_text(line + "\n" + path.read_text(encoding="utf-8"), encoding="utf-8")


def write(folder: Path, texts: dict[str, str]) -> None:
    """Write files by their path."""
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def edit(folder: Path, edits: dict[str, tuple[str, str]]) -> None:
    """Put other lines into files, by their path: lines that are there."""
    for name, (old, new) in edits.items():
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def born(tool: str, template: Path, into: Path, **answers: str) -> Path:
    """Return a new project as its first commit."""
    project = bake(tool, template, into, answers)
    git(project, "init", "--quiet")
    commit(project, "Birth")
    return project


def cut_down(template: Path, folder: Path) -> Path:
    """Return a copy of the template that makes a few files only."""
    git(template, "clone", "--quiet", str(template), str(folder))
    for path in (folder / PROJECT_FOLDER).rglob("*"):
        if path.is_file() and not path.relative_to(folder / PROJECT_FOLDER).as_posix().startswith(KEPT):
            path.unlink()
    return release(folder, "1.0.1")


def moved_on(template: Path, folder: Path) -> Path:
    """Return a copy whose v1.2.0 changes, adds and removes files of every kind in v1.1.0."""
    git(template, "clone", "--quiet", str(template), str(folder))
    tree = folder / PROJECT_FOLDER
    (tree / "docs").mkdir(exist_ok=True)
    for name in ("changed", "removed", "unwanted"):
        (tree / "docs" / f"{name}.md").write_text("first\n\n\n\nlast\n")
    release(folder, "1.1.0")
    for name in (STARTER, SETTINGS, "README.md", CODE, "docs/changed.md", "docs/unwanted.md"):
        append(tree / name, "# from the template")
    prepend(tree / MANAGED, "# from the template")
    (tree / "docs" / "added.md").write_text("New in {{ cookiecutter.project_name }}.\n")
    (tree / "docs" / "removed.md").unlink()
    prepend(tree / NOTES, f"## 1.2.0 (2026-02-01)\n\n{TO_DO}\n\n## 1.1.0 (2026-01-01)\n\nOlder.\n")
    return release(folder, "1.2.0")


def at_first_version(template: Path, folder: Path) -> Path:
    """Return a copy of the template from `moved_on` as it was when v1.1.0 was its newest version."""
    git(template, "clone", "--quiet", "--branch", "v1.1.0", str(template), str(folder))
    git(folder, "tag", "--delete", "v1.2.0")
    return folder


@cache
def releases() -> list[str]:
    """Return every version that was released, and before them one that a test makes, so that there always is one."""
    return [f"v{OLDEST}", *sorted(git(ROOT, "tag", "--list", "v*").split(), key=Version)]


def history(folder: Path) -> Path:
    """Return the template with all its `releases`, and the working tree as its newest version."""
    git(ROOT, "clone", "--quiet", "--no-checkout", str(ROOT), str(folder))
    now = copy_of_working_tree(folder.with_name("now"))
    shutil.copytree(now, folder, dirs_exist_ok=True)
    tree = folder / PROJECT_FOLDER
    for name in (CODE, SETTINGS):
        append(tree / name, OLDER)
    for name in (MANAGED, STARTER):
        prepend(tree / name, OLDER)
    (tree / "docs" / "removed.md").write_text("Goes.\n")
    (tree / "docs" / "service.md").unlink()
    release(folder, OLDEST)
    (tree / "docs" / "removed.md").unlink()
    shutil.copytree(now, folder, dirs_exist_ok=True)
    return release(folder, NEWEST)


def born_at(version: str, birth: str, template: Path, into: Path, **answers: str) -> Path:
    """Return a project that was made from a version of the template, or has adopted it."""
    at_version = into / "template"
    git(template, "clone", "--quiet", "--branch", version, str(template), str(at_version))
    if birth == "cookiecutter":
        return born("cookiecutter", at_version, into, **answers)
    project = into / "project"
    copier.run_copy(str(at_version), project, vcs_ref=version, data=answers, defaults=True, quiet=True)
    git(project, "init", "--quiet")
    commit(project, "Birth")
    return project if birth == "copier" else adopted(project, into / "churn")


def adopted(project: Path, folder: Path) -> Path:
    """Return a repository of other origin that has merged the project, as docs/adopt.md says."""
    write(folder, THEIRS)
    git(folder, "init", "--quiet")
    commit(folder, "Ours")
    command = ["git", "pull", "--quiet", "--no-rebase", "--allow-unrelated-histories", str(project), "HEAD"]
    merged = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert merged.returncode == 1, merged.stderr
    assert conflicts(folder) == {"README.md", "pyproject.toml", ".gitignore"}
    git(folder, "checkout", "--ours", "--", "README.md")
    git(folder, "checkout", "--theirs", "--", "pyproject.toml", ".gitignore")
    edit(folder, SETTLED)
    commit(folder, "Adopt the template")
    return folder


def conflicts(project: Path) -> set[str]:
    """Return the files that git holds in conflict."""
    return set(git(project, "diff", "--name-only", "--diff-filter=U").splitlines())


def yours() -> GitIgnoreSpec:
    """Return what an update never touches: starter code, what is generated, and settings."""
    spec = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    rendered = [Environment().from_string(entry).render(_copier_operation="update") for entry in spec["_exclude"]]
    born_with = [Environment().from_string(entry).render(_copier_operation="copy") for entry in spec["_exclude"]]
    return GitIgnoreSpec.from_lines([*({*rendered} - {*born_with}), *spec["_skip_if_exists"]])
