"""Known vulnerabilities of the built image, operating system and libraries: trivy. https://trivy.dev"""

from pathlib import Path
from typing import Any, Final

from usecase.mlops.errors import UserError
from usecase.mlops.scans.dockerfile import DOCKERFILE
from usecase.mlops.scans.findings import Finding, Found
from usecase.mlops.scans.tools import MissingToolError, read_report
from usecase.mlops.settings import Severity

NAME: Final = "image"
SCHEMA = 2
SEVERITY: dict[str, Severity] = {
    "CRITICAL": "blocker",
    "HIGH": "critical",
    "MEDIUM": "major",
    "LOW": "minor",
    "UNKNOWN": "major",
}


def find() -> Found:
    """Raises UserError: an image is scanned where it was built."""
    raise MissingToolError(
        "trivy's report is needed: trivy image --format json --output trivy.json IMAGE, then"
        " usecase scan image --report trivy.json"
    )


def read(report: Path) -> Found:
    """Vulnerabilities of a JSON report of trivy. Raises UserError."""
    content = read_report(report, "trivy")
    return Found(findings(content), [f"{content.get('ArtifactName')}, {len(content['Results'])} parts"])


def findings(report: dict[str, Any]) -> list[Finding]:
    """Findings of trivy's JSON. What has no fix yet cannot be mended: it is reported as minor. Raises UserError."""
    if report.get("SchemaVersion") != SCHEMA or not report.get("Results"):
        raise UserError(f"trivy's report has no results, or is not of schema {SCHEMA}: scan the image again")
    return [
        Finding(
            NAME,
            vulnerability["VulnerabilityID"],
            f"{vulnerability['PkgName']} {vulnerability['InstalledVersion']} in {result['Target']}:"
            f" {vulnerability.get('Title', 'no title')}"
            f" ({f'fixed in {fixed}' if (fixed := vulnerability.get('FixedVersion')) else 'no fix yet'})",
            SEVERITY[vulnerability["Severity"]] if fixed else "minor",
            str(DOCKERFILE),
        )
        for result in report["Results"]
        for vulnerability in result.get("Vulnerabilities") or []
    ]
