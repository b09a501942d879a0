"""Waivers: findings that are accepted until a date, in config/waivers.yaml."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pydantic import Field

from usecase.mlops.errors import UserError
from usecase.mlops.scans.findings import Finding
from usecase.mlops.sections import Section
from usecase.mlops.settings import ScanName
from usecase.mlops.yamlfile import parse, read_yaml

WAIVERS = Path("config/waivers.yaml")
LONGEST = timedelta(days=366)  # a later date would be a waiver for good


class Waiver(Section):
    """One entry: the findings with this `id` of a scan, in every file or in that of `path`, until `expires` is over."""

    scan: ScanName
    id: str = Field(min_length=1)
    path: str = ""
    reason: str = Field(min_length=10)
    expires: date

    def __str__(self) -> str:
        return f"{self.scan} {self.id}{f' in {self.path}' if self.path else ''}"

    def covers(self, finding: Finding) -> bool:
        """Whether it is about this finding, whatever the date."""
        return (self.scan, self.id) == (finding.scan, finding.id) and self.path in ("", finding.path)


class _File(Section):
    waivers: list[Waiver] = Field(default_factory=list)


@dataclass(frozen=True)
class Applied:
    """Findings that stay, those that are waived with their waiver, and waivers that no finding needs any more."""

    open: list[Finding]
    waived: list[tuple[Finding, Waiver]]
    unused: list[Waiver]


def load_waivers(today: date, path: Path = WAIVERS) -> list[Waiver]:
    """All entries; a repository without the file has none. Raises UserError for an entry that is not well-formed."""
    if not path.exists():
        return []
    waivers = parse(_File, read_yaml(path), str(path)).waivers
    for waiver in waivers:
        if waiver.expires > today + LONGEST:
            raise UserError(
                f"{path}: the waiver of {waiver} expires {waiver.expires}: a year ahead at most,"
                f" {today + LONGEST}, so that somebody looks at it again"
            )
    return waivers


def refuse_expired(waivers: Sequence[Waiver], today: date, path: Path = WAIVERS) -> None:
    """Raise UserError when one is out of date, whether it is still needed or not."""
    if expired := [f"{waiver} (on {waiver.expires})" for waiver in waivers if waiver.expires < today]:
        raise UserError(f"{path}: expired: {', '.join(expired)}: mend the finding, or decide again and set a new date")


def apply(findings: Iterable[Finding], waivers: Sequence[Waiver]) -> Applied:
    """Sort the findings by what the waivers say of them."""
    stay, waived = [], []
    for finding in findings:
        waiver = next((waiver for waiver in waivers if waiver.covers(finding)), None)
        if waiver:
            waived.append((finding, waiver))
        else:
            stay.append(finding)
    used = [waiver for _, waiver in waived]
    return Applied(stay, waived, [waiver for waiver in waivers if waiver not in used])
