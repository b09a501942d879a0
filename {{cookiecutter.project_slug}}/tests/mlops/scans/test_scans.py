"""Scans through `scan`: tools are replaced by a uv that prints what they print, in the form they document."""

import json
import re
from datetime import UTC, datetime, timedelta
from importlib.metadata import Distribution
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from usecase.mlops.errors import UserError
from usecase.mlops.scans import licences
from usecase.mlops.scans.run import scan

TODAY = datetime.now(UTC).date()

BANDIT: dict[str, Any] = {
    "errors": [],
    "metrics": {"_totals": {"loc": 3}},
    "results": [
        {
            "filename": "src/job.py",
            "issue_severity": severity,
            "issue_text": "text",
            "line_number": line,
            "line_range": [line],
            "test_id": test,
            "test_name": "name",
        }
        for test, severity, line in [("B602", "HIGH", 1), ("B506", "MEDIUM", 2), ("B404", "LOW", 3)]
    ],
}
PIP_AUDIT = {
    "dependencies": [
        {"name": "safe", "version": "1.0", "vulns": []},
        {
            "name": "jinja2",
            "version": "2.4.1",
            "vulns": [
                {"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"], "aliases": [], "description": "Sandbox\nescape."}
            ],
        },
    ],
    "fixes": [],
}
CHECKOV = {
    "check_type": "terraform",
    "summary": {"passed": 4, "failed": 1, "skipped": 2},
    "results": {
        "parsing_errors": [],
        "failed_checks": [
            {
                "check_id": "CKV_AWS_24",
                "check_name": "No SSH from everywhere",
                "resource": "aws_security_group.open",
                "file_path": "/platform/open.tf",
                "file_line_range": [3, 9],
            }
        ],
    },
}
HADOLINT = [{"code": "DL3007", "file": "container/Dockerfile", "level": "warning", "line": 1, "message": "latest"}]
GITLEAKS = [
    {
        "RuleID": "aws-access-token",
        "Description": "AWS credentials",
        "StartLine": 4,
        "Match": "key = hidden",
        "Secret": "hidden",
        "File": "src/job.py",
        "Commit": "0123456789abcdef",
        "Fingerprint": "0123456789abcdef:src/job.py:aws-access-token:4",
    }
]
TRIVY = {
    "SchemaVersion": 2,
    "ArtifactName": "registry.example.com/churn:abc",
    "Results": [
        {
            "Target": "debian 13",
            "Class": "os-pkgs",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-1",
                    "PkgName": "libc6",
                    "InstalledVersion": "1",
                    "Severity": "CRITICAL",
                    "FixedVersion": "2",
                    "Title": "overflow",
                },
                {"VulnerabilityID": "CVE-2", "PkgName": "tar", "InstalledVersion": "1", "Severity": "CRITICAL"},
                {
                    "VulnerabilityID": "CVE-3",
                    "PkgName": "zlib",
                    "InstalledVersion": "1",
                    "Severity": "MEDIUM",
                    "FixedVersion": "2",
                },
            ],
        },
        {"Target": "Python", "Class": "lang-pkgs"},
    ],
}
SBOM = {"components": [{"name": "pydantic", "version": "2"}, {"name": "not-here", "version": "1"}]}

# Scan, what its tool prints, id and place of what fails.
FAILURES = [
    ("sast", BANDIT, ["B602"], "src/job.py:1"),
    ("dependencies", PIP_AUDIT, ["PYSEC-2019-217"], "uv.lock:2"),
    ("iac", CHECKOV, ["CKV_AWS_24"], "terraform/platform/open.tf:3"),
    ("dockerfile", HADOLINT, ["DL3007"], "container/Dockerfile:1"),
    ("secrets", GITLEAKS, [GITLEAKS[0]["Fingerprint"]], "src/job.py:4"),
    ("image", TRIVY, ["CVE-1"], "container/Dockerfile:1"),
]
SETTINGS = """
project: churn
owner_email: a@example.com
container: own
aws_region: eu-west-1
scans:
  fail_at: { sast: major, image: critical }
  licences: [MIT, Apache-2.0, BSD-3-Clause]
"""
REPORTED = ("secrets", "image")


class Project:
    """A repository with one file of each kind, and a uv that prints what a test wants, in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        for name, text in {
            "config/defaults.yaml": SETTINGS,
            "config/local.yaml": "",
            "pyproject.toml": '[project]\nname = "churn"\n',
            "src/job.py": "call(x, shell=True)\nyaml.load(x)  # noqa: S506 - a SafeLoader\nimport subprocess\n",
            "uv.lock": '[[package]]\nname = "jinja2"\n',
            "container/Dockerfile": "FROM python:latest\n",
            "terraform/platform/open.tf": "",
        }.items():
            self.write(name, text)
        self.tool_prints({})

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def tool_prints(self, report: Any, status: int = 0, says: str = "") -> None:
        """Also what a report holds that a job before has written."""
        self.write("printed.json", report if isinstance(report, str) else json.dumps(report))
        self.write("uv", f"#!/bin/sh\ncat {self.folder}/printed.json\necho '{says}' >&2\nexit {status}\n")
        (self.folder / "uv").chmod(0o755)

    def waive(self, **entry: object) -> None:
        content = {"reason": "Not reached by our code.", "expires": str(TODAY + timedelta(days=30))} | entry
        self.write("config/waivers.yaml", json.dumps({"waivers": [content]}))

    def scan(self, *names: str) -> None:
        report = Path("printed.json") if names and names[0] in REPORTED else None
        scan(names, report, self.said.append)

    def report(self, name: str) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = json.loads((self.folder / f"gl-{name}-report.json").read_text())
        return content

    @property
    def output(self) -> str:
        return "\n".join(self.said)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UV", str(tmp_path / "uv"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # no gitleaks of the machine
    for name in ("CI", "PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return Project(tmp_path)


@pytest.mark.parametrize(("name", "printed", "ids", "place"), FAILURES, ids=[row[0] for row in FAILURES])
def test_what_a_tool_finds_fails_the_scan_and_is_reported(
    name: str, printed: Any, ids: list[str], place: str, project: Project
) -> None:
    project.tool_prints(printed)
    with pytest.raises(UserError, match=f"failed: {name}.*config/waivers.yaml"):
        project.scan(name)
    failing = [line for line in project.said if f"  {place}  " in line]
    assert [line.split()[2] for line in failing] == ids
    assert {entry["check_name"] for entry in project.report(name)} >= {f"{name}/{identifier}" for identifier in ids}
    path, _, line = place.partition(":")
    assert any(entry["location"] == {"path": path, "lines": {"begin": int(line)}} for entry in project.report(name))


@pytest.mark.parametrize(("name", "printed", "ids", "place"), FAILURES, ids=[row[0] for row in FAILURES])
def test_a_waiver_lets_a_finding_through_and_says_so(
    name: str, printed: Any, ids: list[str], place: str, project: Project
) -> None:
    project.tool_prints(printed)
    project.waive(scan=name, id=ids[0], path=place.partition(":")[0])
    project.scan(name)
    assert f"waived until {TODAY + timedelta(days=30)}: {ids[0]}" in project.output
    assert not [entry for entry in project.report(name) if ids[0] in entry["check_name"]]


def test_below_the_threshold_is_reported_and_passes(project: Project) -> None:
    project.tool_prints(BANDIT | {"results": BANDIT["results"][1:]})
    project.scan("sast")
    (entry,) = project.report("sast")  # B506 was told by `noqa: S506`
    assert (entry["check_name"], entry["severity"]) == ("sast/B404", "minor")
    assert "1 below major" in project.output
    project.write("config/local.yaml", "scans: { fail_at: { sast: minor } }")
    with pytest.raises(UserError, match="failed: sast"):
        project.scan("sast")


def test_a_vulnerability_without_a_fix_is_reported_as_minor(project: Project) -> None:
    project.tool_prints(TRIVY)
    with pytest.raises(UserError):
        project.scan("image")
    severities = {entry["check_name"]: entry["severity"] for entry in project.report("image")}
    assert severities == {"image/CVE-1": "blocker", "image/CVE-2": "minor", "image/CVE-3": "major"}


def test_the_fingerprint_stays_when_lines_move_and_differs_for_each_finding(project: Project) -> None:
    def fingerprints(*lines: int) -> list[str]:
        results = [BANDIT["results"][0] | {"line_number": line, "line_range": [1]} for line in lines]
        project.tool_prints(BANDIT | {"results": results})
        with pytest.raises(UserError):
            project.scan("sast")
        return [entry["fingerprint"] for entry in project.report("sast")]

    first, second = fingerprints(1, 2)
    assert first != second
    assert fingerprints(11, 12) == [first, second]


def test_in_a_monorepo_the_report_has_paths_of_the_whole_repository(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJECT_DIR", "churn/")
    project.tool_prints([GITLEAKS[0] | {"File": "churn/src/job.py"}])
    with pytest.raises(UserError):
        project.scan("secrets")
    assert project.report("secrets")[0]["location"]["path"] == "churn/src/job.py"


def test_no_secret_is_printed_or_reported(project: Project) -> None:
    project.tool_prints(GITLEAKS)
    with pytest.raises(UserError):
        project.scan("secrets")
    assert "hidden" not in project.output + json.dumps(project.report("secrets"))


@pytest.mark.parametrize("days", [-1, -400])
def test_an_expired_waiver_fails_by_name_even_when_nothing_needs_it(days: int, project: Project) -> None:
    project.tool_prints([])
    project.waive(
        scan="dockerfile", id="DL3007", path="container/Dockerfile", expires=str(TODAY + timedelta(days=days))
    )
    with pytest.raises(UserError, match="failed: dockerfile"):
        project.scan("dockerfile")
    assert "expired: dockerfile DL3007 in container/Dockerfile" in project.output


def test_a_waiver_holds_on_its_last_day(project: Project) -> None:
    project.tool_prints(HADOLINT)
    project.waive(scan="dockerfile", id="DL3007", expires=str(TODAY))
    project.scan("dockerfile")


def test_a_waiver_that_matches_nothing_is_said(project: Project) -> None:
    project.tool_prints(HADOLINT)
    project.waive(scan="dockerfile", id="DL3007", path="other/Dockerfile")
    with pytest.raises(UserError, match="failed: dockerfile"):
        project.scan("dockerfile")
    assert "the waiver of dockerfile DL3007 in other/Dockerfile matches nothing" in project.output


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"scan": "sonar"}, "waivers.0.scan"),
        ({"id": ""}, "waivers.0.id"),
        ({"reason": "later"}, "waivers.0.reason"),
        ({"expires": "soon"}, "waivers.0.expires"),
        ({"until": "2026-01-01"}, "waivers.0.until: unknown key"),
        ({"expires": str(TODAY + timedelta(days=367))}, "the waiver of sast B602 expires .* a year ahead at most"),
    ],
)
def test_a_malformed_waiver_fails(entry: dict[str, str], complaint: str, project: Project) -> None:
    project.tool_prints(BANDIT | {"results": []})
    project.waive(**{"scan": "sast", "id": "B602"} | entry)
    with pytest.raises(UserError, match="failed: sast"):
        project.scan("sast")
    assert re.search(f"config/waivers.yaml: {complaint}", project.output)


@pytest.mark.parametrize(
    ("name", "printed", "complaint"),
    [
        ("dependencies", "", "pip-audit could not do its work .exit 1.: no connection"),
        ("sast", "Traceback", "bandit could not do its work"),
        ("iac", {"passed": 0, "failed": 0}, "checkov found nothing to check"),
        ("iac", CHECKOV | {"results": {"parsing_errors": ["a.tf"], "failed_checks": []}}, "checkov cannot read a.tf"),
        (
            "dependencies",
            {"dependencies": [{"name": "private", "skip_reason": "not on PyPI"}]},
            "pip-audit could not look up private",
        ),
        ("image", {"SchemaVersion": 2}, "has no results"),
        ("image", TRIVY | {"SchemaVersion": 3}, "not of schema 2"),
        ("secrets", "no JSON", "is no JSON report of gitleaks"),
        ("secrets", [{"RuleID": "x"}], "has another form .* KeyError.'Fingerprint'"),
    ],
)
def test_a_tool_that_has_not_done_its_work_is_a_failure(
    name: str, printed: Any, complaint: str, project: Project
) -> None:
    # uv itself, which exports the lock first, has no complaint
    project.tool_prints(printed, status=1, says="no connection")
    script = (project.folder / "uv").read_text()
    project.write("uv", script.replace("#!/bin/sh\n", '#!/bin/sh\ntest "$1" != export || exit 0\n'))
    with pytest.raises(UserError, match=f"failed: {name}"):
        project.scan(name)
    assert re.search(complaint, project.output)


def test_a_lock_that_was_outgrown_is_a_failure(project: Project) -> None:
    project.tool_prints("", status=2, says="error: The lockfile needs to be updated")
    with pytest.raises(UserError):
        project.scan("dependencies", "sbom")
    assert "uv.lock cannot be read: error: The lockfile needs to be updated" in project.output
    assert "uv export could not do its work (exit 2): error: The lockfile needs to be updated" in project.output


def test_without_names_all_scans_run_and_those_without_a_tool_are_said(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.tool_prints({"components": []})
    (project.folder / "container/Dockerfile").unlink()
    with pytest.raises(UserError, match=r"failed: .*sast.*iac"):
        project.scan()
    assert "secrets: not run: gitleaks is not installed" in project.output
    assert "sbom: 0 components" in project.output
    assert "image" not in project.output
    monkeypatch.setenv("CI", "true")
    with pytest.raises(UserError, match="secrets: gitleaks is not installed"):
        project.scan()


@pytest.mark.parametrize(
    ("names", "report", "complaint"),
    [
        (["sats"], None, "there is no scan 'sats': did you mean sast"),
        (["dockerfile"], None, "there is no container/Dockerfile"),
        (["sast"], "printed.json", "--report belongs to one scan"),
        ([], "printed.json", "--report belongs to one scan"),
        (["secrets"], None, "secrets: gitleaks is not installed"),
    ],
)
def test_a_command_line_that_means_nothing(
    names: list[str], report: str | None, complaint: str, project: Project
) -> None:
    (project.folder / "container/Dockerfile").unlink()
    with pytest.raises(UserError, match=complaint):
        scan(names, Path(report) if report else None, project.said.append)


def test_the_bill_of_materials_has_licences_of_what_is_installed(project: Project) -> None:
    project.tool_prints(SBOM)
    project.scan("sbom")
    known, unknown = json.loads((project.folder / "gl-sbom-lock.cdx.json").read_text())["components"]
    assert known["licenses"] == [{"license": {"name": "MIT"}}]
    assert "licenses" not in unknown


def test_what_only_make_pipeline_and_make_ui_bring_is_not_held_against_the_list(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("churn", "daily", "on_demand", "by_hand"):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nLicense: GPL-2.0-only\n")
    installed = [Distribution.at(folder) for folder in sorted(tmp_path.glob("*.dist-info"))]
    monkeypatch.setattr(licences, "distributions", lambda: installed)

    def exported(*words: str) -> CompletedProcess[str]:
        return CompletedProcess(words, 0, "daily==1.0\n" + "on-demand==1.0 ; linux\n" * ("--all-groups" in words), "")

    monkeypatch.setattr(licences, "uv", exported)
    assert [finding.id for finding in licences.find().findings] == ["by-hand", "daily"]


ALLOWED = ["MIT", "Apache-2.0", "BSD-3-Clause"]


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ("License-Expression: MIT", ""),
        ("License-Expression: Apache-2.0 OR GPL-3.0-only", ""),
        ("License-Expression: (GPL-3.0-only OR MIT) AND Apache-2.0", ""),
        ("License-Expression: MIT AND GPL-3.0-only", "licence MIT AND GPL-3.0-only is not among"),
        ("License-Expression: MIT OR GPL-3.0-only AND Apache-2.0", ""),
        ("License-Expression: Apache-2.0 WITH LLVM-exception", "LLVM-exception is not among"),
        ("License-Expression: MIT) OR (MIT", "is not among"),
        ("Classifier: License :: OSI Approved :: BSD License", ""),
        ("Classifier: License :: OSI Approved\nLicense: MIT", ""),
        ("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)", "licence GPL-3.0-only"),
        ("Classifier: License :: Other/Proprietary License", "Other/Proprietary License"),
        ("License: Apache License 2.0", ""),
        ("License: GPL-2.0-only", "licence GPL-2.0-only"),
        ("License: All rights reserved by us, see the contract", "does not say its licence"),
        ("License: UNKNOWN", "licence UNKNOWN is not among"),
        ("Summary: nothing", "does not say its licence"),
    ],
)
def test_a_licence_is_read_and_held_against_the_list(metadata: str, complaint: str, tmp_path: Path) -> None:
    folder = tmp_path / "odd_name-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: Odd_Name\nVersion: 1.0\n{metadata}\n")
    found = licences.findings([Distribution.at(folder)], ALLOWED)
    assert [finding.id for finding in found] == (["odd-name"] if complaint else [])
    assert not complaint or complaint in found[0].message
