"""What scans find, and the report of it that every tier of GitLab shows in a merge request."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from usecase.mlops.settings import SEVERITIES, Severity


@dataclass(frozen=True)
class Finding:
    """Something that a scan found. `path` is relative to this repository's folder; `id` is what a waiver names."""

    scan: str
    id: str
    message: str
    severity: Severity
    path: str
    line: int = 1

    def is_at_least(self, severity: Severity) -> bool:
        """Whether it is that severe, or more."""
        return SEVERITIES.index(self.severity) >= SEVERITIES.index(severity)

    def __str__(self) -> str:
        return f"{self.severity:<8} {self.id}  {self.path}:{self.line}  {self.message}"


@dataclass(frozen=True)
class Found:
    """All that one scan found, and what else a reader should know: how much it looked at or left out."""

    findings: list[Finding]
    notes: list[str] = field(default_factory=list)


def code_quality(findings: Iterable[Finding], folder: str = "") -> list[dict[str, Any]]:
    """The findings in GitLab's Code Quality format; `folder` is where this repository lies in a monorepo, with a slash.

    The fingerprint leaves out the line, so that a finding stays the same one when code above it grows.
    https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
    """
    seen: Counter[str] = Counter()
    report = []
    for finding in findings:
        same = "\0".join((finding.scan, finding.id, finding.path, finding.message))
        seen[same] += 1
        report.append(
            {
                "description": f"{finding.id}: {finding.message}",
                "check_name": f"{finding.scan}/{finding.id}",
                "fingerprint": hashlib.sha256(f"{same}\0{seen[same]}".encode()).hexdigest(),
                "severity": finding.severity,
                "location": {"path": f"{folder}{finding.path}", "lines": {"begin": finding.line}},
            }
        )
    return report
