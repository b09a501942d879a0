"""Insecure Python: bandit, beside the rules S of ruff that `usecase lint` checks."""

import re
from pathlib import Path
from typing import Any, Final

from usecase.mlops.scans.findings import Finding, Found
from usecase.mlops.scans.tools import BANDIT, json_of, tool
from usecase.mlops.settings import Severity

NAME: Final = "sast"
FOLDERS = ("src", "tools")
SEVERITY: dict[str, Severity] = {"HIGH": "critical", "MEDIUM": "major", "LOW": "minor", "UNDEFINED": "info"}


def find() -> Found:
    """Findings in the Python code; that of tests is left out. Raises UserError."""
    finished = tool(BANDIT, "bandit", "--quiet", "--recursive", "--format", "json", *FOLDERS)
    report = json_of(finished.stdout, finished, "bandit")
    problems = [f"{error['filename']}: {error['reason']}" for error in report["errors"]]
    unread = [Finding(NAME, "unreadable", problem, "critical", problem.partition(":")[0]) for problem in problems]
    lines = report["metrics"]["_totals"]["loc"]
    return Found(unread + findings(report, Path()), [f"{lines} lines of {', '.join(FOLDERS)}"])


def findings(report: dict[str, Any], root: Path) -> list[Finding]:
    """Findings of bandit's JSON. A line that tells ruff `noqa: S506` has told bandit, whose number is B506, as well."""
    return [
        Finding(
            NAME,
            issue["test_id"],
            f"{issue['issue_text']} ({issue['test_name']})",
            SEVERITY[issue["issue_severity"]],
            issue["filename"],
            issue["line_number"],
        )
        for issue in report["results"]
        if not _told(root / issue["filename"], issue["line_range"], issue["test_id"])
    ]


def _told(path: Path, numbers: list[int], test_id: str) -> bool:
    lines = path.read_text(encoding="utf-8").splitlines()
    rule = re.compile(rf"# noqa: [^#]*\bS{test_id[1:]}\b")
    return any(rule.search(lines[number - 1]) for number in numbers)
