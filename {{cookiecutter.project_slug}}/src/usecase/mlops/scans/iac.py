"""Insecure infrastructure: checkov over terraform/, beside our own controls over plans (`usecase plan`).

Nothing is fetched but the tool. Exceptions in the Terraform code are `#checkov:skip=ID:reason` comments; their number
is shown.
"""

from pathlib import Path
from typing import Any, Final

from usecase.mlops.errors import UserError
from usecase.mlops.scans.findings import Finding, Found
from usecase.mlops.scans.tools import CHECKOV, json_of, tool

NAME: Final = "iac"
TERRAFORM = Path("terraform")


def find() -> Found:
    """Checks that fail in terraform/. Raises UserError, also for a file that checkov cannot read."""
    options = ["--framework", "terraform", "--skip-download", "--compact", "--soft-fail", "--output", "json"]
    finished = tool(CHECKOV, "checkov", "--directory", str(TERRAFORM), *options)
    report = json_of(finished.stdout, finished, "checkov")
    return Found(findings(report), [counts(report)])


def findings(report: dict[str, Any]) -> list[Finding]:
    """One finding per failed check and resource of checkov's JSON. Raises UserError when it looked at nothing."""
    results = report.get("results")
    if not results or not report["summary"]["passed"] + report["summary"]["failed"]:
        raise UserError(f"checkov found nothing to check in {TERRAFORM}/")
    if unread := results.get("parsing_errors"):
        raise UserError(f"checkov cannot read {', '.join(unread)}: run `usecase test-terraform`")
    return [
        Finding(
            NAME,
            check["check_id"],
            f"{check['check_name']}: {check['resource']}",
            "major",  # checkov gives no severity without an account of its maker
            f"{TERRAFORM}{check['file_path']}",
            check["file_line_range"][0],
        )
        for check in results["failed_checks"]
    ]


def counts(report: dict[str, Any]) -> str:
    """What was checked, and what was left out, in words."""
    summary = report["summary"]
    return f"{summary['passed']} checks passed, {summary['skipped']} skipped by comments in {TERRAFORM}/"
