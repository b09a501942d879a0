"""Making projects with both tools, and looking at them."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import copier
import hcl2
import nbformat
import yaml
from cookiecutter.main import cookiecutter

ROOT = Path(__file__).resolve().parent.parent
PROJECT_FOLDER = "{{cookiecutter.project_slug}}"
TOOLS = ["cookiecutter", "copier"]
STAGES = ["basic", "automated", "full"]
JINJA = re.compile(rb"\{[{%#]")


def git(folder: Path, *arguments: str) -> str:
    """Return what git prints; fail when it fails."""
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder: Path, message: str) -> None:
    """Commit everything that git does not ignore."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def working_tree() -> list[Path]:
    """Return the files that git tracks, or would, as far as they are on disk."""
    names = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def copy_of_working_tree(folder: Path) -> Path:
    """Copy the working tree, with what is not yet committed."""
    for path in working_tree():
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return folder


def holds_jinja(path: Path) -> bool:
    """Return whether a file of the template depends on the answers; every other comes out as it is."""
    return JINJA.search(path.read_bytes()) is not None


def copy_of_rendered_files(folder: Path) -> Path:
    """Copy the working tree with those files of the project alone that depend on the answers: baked in no time."""
    copy_of_working_tree(folder)
    for path in [path for path in (folder / PROJECT_FOLDER).rglob("*") if path.is_file() and not holds_jinja(path)]:
        path.unlink()
    return folder


def release(template: Path, version: str) -> Path:
    """Commit and tag the template's state as a version, as the release routine does."""
    questions = template / "cookiecutter.json"
    content = json.loads(questions.read_text(encoding="utf-8"))
    content["_template_version"] = version
    questions.write_text(json.dumps(content, indent=2), encoding="utf-8")
    if not (template / ".git").exists():
        git(template, "init", "--quiet")
    commit(template, f"Release {version}")
    git(template, "tag", f"v{version}")
    return template


def bake(tool: str, template: Path, into: Path, answers: Mapping[str, str] | None = None) -> Path:
    """Return a new project below `into`, made in this process with the defaults where there is no answer."""
    into.mkdir(parents=True, exist_ok=True)
    if tool == "cookiecutter":
        given = dict(answers or {}) or None
        return Path(cookiecutter(str(template), no_input=True, extra_context=given, output_dir=str(into)))
    project = into / "project"
    copier.run_copy(str(template), project, data=dict(answers or {}), defaults=True, quiet=True)
    return project


def run_tool(
    tool: str, template: Path | str, into: Path, answers: Mapping[str, str], *more: str
) -> subprocess.CompletedProcess[str]:
    """Run the tool's command as a user does, without questions; the project would be in or below `into`."""
    given = [f"{name}={value}" for name, value in answers.items()]
    if tool == "cookiecutter":
        command = ["cookiecutter", "--no-input", "--output-dir", str(into), *more, str(template), *given]
    else:
        data = [word for pair in given for word in ("--data", pair)]
        command = ["copier", "copy", "--defaults", *data, *more, str(template), str(into / "project")]
    return run_script(*command, cwd=into)


def run_script(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that is installed beside this Python."""
    program = Path(sys.executable).with_name(command[0])
    return subprocess.run(
        [str(program), *command[1:]],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def files(project: Path) -> dict[str, tuple[bytes, bool]]:
    """Return content and executable bit of every file by its path, without git's own."""
    return {
        path.relative_to(project).as_posix(): (path.read_bytes(), bool(path.stat().st_mode & 0o100))
        for path in sorted(project.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(project).parts
    }


def parse(path: Path) -> None:
    """Read a file as what its name says it is; raise ValueError, or an error of its parser, when it is not."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return  # not text
    if path.suffix in (".yaml", ".yml"):
        list(yaml.compose_all(text, Loader=yaml.SafeLoader))  # nodes: GitLab's own tags have no Python type
    elif path.suffix == ".json":
        json.loads(text)
    elif path.suffix == ".ipynb":
        nbformat.validate(json.loads(text))
    elif path.suffix == ".toml":
        tomllib.loads(text)
    elif path.suffix == ".py":
        ast.parse(text, path.name)
    elif path.suffix in (".tf", ".hcl"):
        hcl2.loads(text)
