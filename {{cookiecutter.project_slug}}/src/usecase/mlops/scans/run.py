"""Run scans, hold their findings against waivers and threshold, and say what is to be mended."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from usecase.mlops.errors import UserError, meant
from usecase.mlops.files import write_json
from usecase.mlops.scans import dependencies, dockerfile, iac, image, licences, sast, sbom, secrets, waivers
from usecase.mlops.scans.findings import Found, code_quality
from usecase.mlops.scans.tools import MissingToolError
from usecase.mlops.settings import ScanName, Severity, load_settings

Say = Callable[[str], None]


@dataclass(frozen=True)
class Scan:
    """`find` runs the tool, `read` takes a report that it has written. `subject` is what there must be to scan."""

    find: Callable[[], Found]
    read: Callable[[Path], Found] | None = None
    subject: Path | None = None


SCANS: dict[ScanName, Scan] = {
    secrets.NAME: Scan(secrets.find, secrets.read),
    sast.NAME: Scan(sast.find),
    dependencies.NAME: Scan(dependencies.find),
    licences.NAME: Scan(licences.find),
    sbom.NAME: Scan(sbom.find),
    iac.NAME: Scan(iac.find, subject=iac.TERRAFORM),
    dockerfile.NAME: Scan(dockerfile.find, subject=dockerfile.DOCKERFILE),
    image.NAME: Scan(image.find, image.read, dockerfile.DOCKERFILE),
}


def scan(names: Sequence[str], report: Path | None, say: Say) -> None:
    """Run the scans of these names, or all that there is something for. Raises UserError when one of them fails.

    Each scan runs to its end, whatever the others find. Without names, one whose tool is not here is left out, and
    that is said; in CI it fails.
    """
    chosen = _chosen(names)
    if report and (len(chosen) != 1 or SCANS[chosen[0]].read is None):
        readable = [name for name, known in SCANS.items() if known.read]
        raise UserError(f"--report belongs to one scan: usecase scan {'|'.join(readable)} --report FILE")
    fail_at = load_settings().scans.fail_at
    failed = []
    for name in chosen:
        try:
            failed += [] if _passes(name, report, fail_at.get(name, "info"), say) else [name]
        except MissingToolError as error:
            if names or os.environ.get("CI"):
                raise UserError(f"{name}: {error}") from None
            say(f"{name}: not run: {error}")
        except UserError as error:
            say(f"{name}: {error}")
            failed.append(name)
    if failed:
        raise UserError(f"failed: {', '.join(failed)}. Mend it, or waive it for a while in {waivers.WAIVERS}")


def _chosen(names: Sequence[str]) -> list[ScanName]:
    """Raises UserError for a name that is none, and for one with nothing to scan in this repository."""
    for name in names:
        known = next((known for other, known in SCANS.items() if other == name), None)
        if known is None:
            raise UserError(f"there is no scan {name!r}: {meant(name, SCANS)}")
        if known.subject and not known.subject.exists():
            raise UserError(f"{name}: there is no {known.subject} in this repository")
    there = [name for name, known in SCANS.items() if known.subject is None or known.subject.exists()]
    return [name for name in there if name in names or not names]


def _passes(name: ScanName, report: Path | None, fail_at: Severity, say: Say) -> bool:
    today = datetime.now(UTC).date()
    entries = [entry for entry in waivers.load_waivers(today) if entry.scan == name]
    known = SCANS[name]
    try:
        found = known.read(report) if report and known.read else known.find()
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"the tool's report has another form than that of its version here: {error!r}") from None
    result = waivers.apply(found.findings, entries)
    # Before the verdict: a merge request shows what was found, however the job ends.
    write_json(Path(f"gl-{name}-report.json"), code_quality(result.open, os.environ.get("PROJECT_DIR", "")))
    failing = [finding for finding in result.open if finding.is_at_least(fail_at)]
    for finding in failing:
        say(f"{name}: {finding}")
    for finding, waiver in result.waived:
        say(f"{name}: waived until {waiver.expires}: {finding.id} in {finding.path}: {waiver.reason}")
    for waiver in result.unused:
        say(f"{name}: the waiver of {waiver} matches nothing: take it out of {waivers.WAIVERS}")
    below = len(result.open) - len(failing)
    counts = [f"{len(failing)} to mend", f"{len(result.waived)} waived", f"{below} below {fail_at}" if below else ""]
    say(f"{name}: {', '.join(filter(None, [*found.notes, *counts]))}")
    waivers.refuse_expired(entries, today)
    return not failing
