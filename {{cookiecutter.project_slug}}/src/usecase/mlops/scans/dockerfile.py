"""Mistakes in container/Dockerfile: hadolint. https://github.com/hadolint/hadolint"""

from pathlib import Path
from typing import Any, Final

from usecase.mlops.scans.findings import Finding, Found
from usecase.mlops.scans.tools import HADOLINT, json_of, tool
from usecase.mlops.settings import Severity

NAME: Final = "dockerfile"
DOCKERFILE = Path("container/Dockerfile")
SEVERITY: dict[str, Severity] = {"error": "critical", "warning": "major", "info": "minor", "style": "info"}


def find() -> Found:
    """Findings in the Dockerfile. Raises UserError."""
    finished = tool(HADOLINT, "hadolint", "--no-fail", "--format", "json", str(DOCKERFILE))
    return Found(findings(json_of(finished.stdout, finished, "hadolint")))


def findings(report: list[dict[str, Any]]) -> list[Finding]:
    """Findings of hadolint's JSON."""
    return [
        Finding(NAME, issue["code"], issue["message"], SEVERITY[issue["level"]], issue["file"], max(1, issue["line"]))
        for issue in report
    ]
