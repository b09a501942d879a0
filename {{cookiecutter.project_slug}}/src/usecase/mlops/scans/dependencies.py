"""Known vulnerabilities of everything in uv.lock: pip-audit."""

import re
import tempfile
from pathlib import Path
from typing import Any, Final

from usecase.mlops.errors import UserError
from usecase.mlops.scans.findings import Finding, Found
from usecase.mlops.scans.tools import PIP_AUDIT, json_of, tool, uv

NAME: Final = "dependencies"
LOCK = Path("uv.lock")
DETAIL = 200  # characters of a description


def find() -> Found:
    """Vulnerabilities of the locked versions. A service out of reach, or a package unknown to it, is a UserError.

    Asks PyPI; PIP_AUDIT_VULNERABILITY_SERVICE=osv and PIP_AUDIT_OSV_URL name another service, such as a mirror's.
    """
    with tempfile.TemporaryDirectory(prefix="usecase-scan-") as folder:
        requirements = Path(folder) / "requirements.txt"
        exported = uv("export", "--quiet", "--all-groups", "--no-emit-project", "--output-file", str(requirements))
        if exported.returncode:
            raise UserError(f"uv.lock cannot be read: {exported.stderr.strip().splitlines()[-1]}: run `uv lock`")
        options = ["--strict", "--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json"]
        finished = tool(PIP_AUDIT, "pip-audit", *options, "--requirement", str(requirements))
    report = json_of(finished.stdout, finished, "pip-audit")
    return Found(findings(report, LOCK.read_text(encoding="utf-8")), [f"{len(report['dependencies'])} packages"])


def findings(report: dict[str, Any], lock: str) -> list[Finding]:
    """Findings of pip-audit's JSON, at the package's place in the lock. Raises UserError for a package left out."""
    if left_out := [package["name"] for package in report["dependencies"] if "skip_reason" in package]:
        raise UserError(f"pip-audit could not look up {', '.join(left_out)}: nothing is known of them")
    return [
        Finding(
            NAME,
            vulnerability["id"],
            f"{package['name']} {package['version']}: {' '.join(vulnerability['description'].split())[:DETAIL]}"
            f" ({_fix(vulnerability['fix_versions'])})",
            "critical",
            str(LOCK),
            _line(package["name"], lock),
        )
        for package in report["dependencies"]
        for vulnerability in package["vulns"]
    ]


def _fix(versions: list[str]) -> str:
    return f"fixed in {', '.join(versions)}: uv lock --upgrade-package" if versions else "no fix yet"


def _line(package: str, lock: str) -> int:
    match = re.search(rf'^name = "{re.escape(package)}"$', lock, re.MULTILINE)
    return lock.count("\n", 0, match.start()) + 1 if match else 1
