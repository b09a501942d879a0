"""What the tests of updates share: projects that people work in, and a template that moves on."""

from pathlib import Path

from baking import PROJECT_FOLDER, bake, commit, git, release

STARTER = "src/usecase/train.py"
SETTINGS = "config/dev.yaml"
MANAGED = "config/defaults.yaml"
CODE = "src/usecase/mlops/steps.py"
NOTES = "docs/template_changes.md"
TO_DO = "### What you must do\nLook at docs/added.md."


def append(path: Path, line: str) -> None:
    """Add a line at the end."""
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")


def prepend(path: Path, line: str) -> None:
    """Add a line at the beginning."""
    path.write_text(line + "\n" + path.read_text(encoding="utf-8"), encoding="utf-8")


def born(tool: str, template: Path, into: Path, **answers: str) -> Path:
    """Return a new project as its first commit."""
    project = bake(tool, template, into, answers)
    git(project, "init", "--quiet")
    commit(project, "Birth")
    return project


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
