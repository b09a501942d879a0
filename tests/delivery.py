"""What the tests of CI, GitLab, container and Terraform share: a baked repository and the tools they need."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import baking

ANSWERS = {
    "project_name": "Customer Churn",
    "project_slug": "churn",
    "owner_email": "owner@example.com",
    "create_gitlab_project": "no",
}


def bake(folder: Path, **answers: str) -> Path:
    """A repository born into `folder` by Cookiecutter, with `answers` over those of most tests."""
    return baking.bake("cookiecutter", baking.ROOT, folder, ANSWERS | answers)


def tool(name: str) -> str:
    """Path of a program, looked for beside this Python first. Missing: fails where CI is set, else skips the test."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed, and CI must not leave a check out")
        pytest.skip(f"{name} is not installed")
    return found


def run(
    *command: str | Path, cwd: Path, env: dict[str, str] | None = None, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs `command` in `cwd` with `env` over the environment; the exit status is left to the test."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def replace(path: Path, old: str, new: str) -> None:
    """Plants a fault: `old` must be there, so that a test cannot pass because nothing was planted."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} does not hold {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")
