"""Secrets in the commits: gitleaks. https://github.com/gitleaks/gitleaks"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from usecase.mlops.errors import UserError
from usecase.mlops.scans.findings import Finding, Found
from usecase.mlops.scans.tools import MissingToolError, read_report

NAME: Final = "secrets"


def read(report: Path) -> Found:
    """Secrets of a JSON report of gitleaks. Raises UserError."""
    return Found(findings(read_report(report, "gitleaks")))


def find() -> Found:
    """Secrets in the whole history of this repository. Raises UserError."""
    program = shutil.which("gitleaks")
    if program is None:
        raise MissingToolError("gitleaks is not installed: see https://github.com/gitleaks/gitleaks")
    with tempfile.TemporaryDirectory(prefix="usecase-scan-") as folder:
        written = Path(folder) / "gitleaks.json"
        command = [program, "git", "--redact", "--exit-code=0", "--report-format=json", f"--report-path={written}", "."]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode:
            raise UserError(f"gitleaks could not do its work (exit {finished.returncode}): {finished.stderr.strip()}")
        return read(written)


def findings(report: list[dict[str, Any]] | None) -> list[Finding]:
    """One finding per secret and commit; its id is gitleaks' fingerprint, commit:file:rule:line.

    Nothing of the secret itself is passed on, whether gitleaks has redacted it or not.
    """
    return [
        Finding(
            NAME,
            leak["Fingerprint"],
            f"{leak['Description']} (rule {leak['RuleID']}, commit {leak['Commit'][:12]}): revoke it, then remove it",
            "blocker",
            leak["File"].removeprefix(os.environ.get("PROJECT_DIR", "")),
            max(1, leak["StartLine"]),
        )
        for leak in report or []
    ]
