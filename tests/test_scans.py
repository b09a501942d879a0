"""The scans of a generated repository, really run: green when it is fresh, red for each planted fault.

Scanners that are no Python packages (gitleaks, trivy) are not here; docs/proof.md says what that leaves open.
"""

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import baking
import delivery
import gitlab_ci
from delivery import replace, run, tool

pytestmark = pytest.mark.slow

# build needs an image builder; pipeline-definition has a test of its own, in test_bake_run.py
JOBS = ["lint", "test", "gitleaks", "secrets", "sast", "licences", "sbom", "dependencies", "dockerfile", "iac"]
GITLEAKS = """#!/bin/sh
while [ "$1" != --report-path ]; do shift; done
echo '[]' > "$2"
"""
# The cache is this machine's: nothing may prune it.
UV = """#!/bin/sh
[ "$1 $2" != "cache prune" ] || exit 0
exec UV "$@"
"""


class Vulnerabilities(ThreadingHTTPServer):
    """A vulnerability service that speaks as OSV does. https://google.github.io/osv.dev/post-v1-query/"""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}  # id of a vulnerability by package
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def settings(self) -> dict[str, str]:
        """Environment that leads pip-audit here."""
        address = f"http://127.0.0.1:{self.server_port}/v1/query"
        return {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": address}


class _Answer(BaseHTTPRequestHandler):
    server: Vulnerabilities

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]
        affected = [{"package": asked, "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "99.0"}]}]}]
        found = self.server.known.get(asked["name"])
        answer = {"vulns": [{"id": found, "summary": "Planted.", "affected": affected}]} if found else {}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's
        """Say nothing."""


@pytest.fixture
def vulnerabilities() -> Iterator[Vulnerabilities]:
    """A service that knows of nothing yet."""
    with Vulnerabilities() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def born(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of stage automated with an own container, its lock and its environment."""
    project = delivery.bake(tmp_path_factory.mktemp("scans"), mlops_stage="automated", container="own")
    done = run(tool("uv"), "sync", "--quiet", cwd=project)
    assert done.returncode == 0, done.stderr
    return gitlab_ci.repository(project)


@pytest.fixture
def project(born: Path) -> Iterator[Path]:
    """The same, as it was born again afterwards."""
    yield born
    baking.git(born, "checkout", "--quiet", ".")
    baking.git(born, "clean", "--quiet", "--force", "-d", "config", "src")
    shutil.rmtree(born / ".local", ignore_errors=True)


def scan(project: Path, *words: str, **environment: str) -> tuple[int, str]:
    """Exit status and output of `usecase scan`."""
    done = run(tool("uv"), "run", "--quiet", "usecase", "scan", *words, cwd=project, env={"CI": "", **environment})
    return done.returncode, done.stdout + done.stderr


def test_a_fresh_repository_is_clean_and_its_bill_of_materials_is_valid(
    project: Path, vulnerabilities: Vulnerabilities
) -> None:
    status, output = scan(project, "sast", "licences", "sbom", "dependencies", "dockerfile", **vulnerabilities.settings)
    assert (status, output.count("0 to mend")) == (0, 5), output
    bill = json.loads((project / "gl-sbom-lock.cdx.json").read_text())
    licences = {component["name"]: component.get("licenses") for component in bill["components"]}
    assert licences["polars"] == [{"license": {"name": "MIT"}}]
    for component in bill["components"][1:]:
        component.pop("externalReferences", None)  # one of these is enough: the checker takes seconds for each address
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(bill)) is None
    for entry in json.loads((project / "gl-sast-report.json").read_text()):
        assert entry.keys() == {"description", "check_name", "fingerprint", "severity", "location"}


def test_a_vulnerable_function_is_found(project: Path) -> None:
    with (project / "src/usecase/train.py").open("a") as code:
        code.write("\n\ndef listing(folder: str) -> int:\n    return subprocess.call('ls ' + folder, shell=True)\n")
    replace(project / "src/usecase/train.py", '"""\n\nimport ', '"""\n\nimport subprocess\nimport ')
    status, output = scan(project, "sast")
    assert (status, "B602  src/usecase/train.py:" in output) == (1, True), output


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("FROM ${PYTHON_BASE} AS build", "FROM python:latest AS build", "DL3007"),
        ("COPY src src", "ADD src src", "DL3020"),
    ],
)
def test_a_bad_line_of_the_dockerfile_is_found(old: str, new: str, rule: str, project: Path) -> None:
    replace(project / "container/Dockerfile", old, new)
    status, output = scan(project, "dockerfile")
    assert (status, f"{rule}  container/Dockerfile:" in output) == (1, True), output
    (entry,) = json.loads((project / "gl-dockerfile-report.json").read_text())
    assert entry["check_name"] == f"dockerfile/{rule}"


def test_a_forbidden_licence_is_found(project: Path) -> None:
    (packages,) = project.glob(".venv/lib/python3*/site-packages")
    planted = packages / "copyleft-1.0.dist-info"
    planted.mkdir()
    try:
        (planted / "METADATA").write_text(
            "Metadata-Version: 2.4\nName: copyleft\nVersion: 1.0\nLicense-Expression: GPL-3.0-only\n"
        )
        status, output = scan(project, "licences")
    finally:
        shutil.rmtree(planted)
    assert (status, "copyleft 1.0: licence GPL-3.0-only is not among scans.licences" in output) == (1, True), output


def test_a_known_vulnerability_is_found_at_its_place_in_the_lock(
    project: Path, vulnerabilities: Vulnerabilities
) -> None:
    vulnerabilities.known["polars"] = "PYSEC-2026-1"
    status, output = scan(project, "dependencies", **vulnerabilities.settings)
    assert (status, "PYSEC-2026-1  uv.lock:" in output, "fixed in 99.0" in output) == (1, True, True), output
    line = json.loads((project / "gl-dependencies-report.json").read_text())[0]["location"]["lines"]["begin"]
    assert (project / "uv.lock").read_text().splitlines()[line - 1] == 'name = "polars"'


def test_a_vulnerability_service_out_of_reach_is_a_failure(project: Path) -> None:
    nobody = {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": "http://127.0.0.1:9/v1/query"}
    status, output = scan(project, "dependencies", **nobody)
    assert status == 1
    assert "pip-audit could not do its work" in output


def test_a_waiver_holds_until_its_day(project: Path) -> None:
    replace(project / "container/Dockerfile", "FROM ${PYTHON_BASE} AS build", "FROM python:latest AS build")
    entry = "waivers: [{scan: dockerfile, id: DL3007, reason: A test of waivers., expires: DAY}]"
    for days, expected, word in ((1, 0, "waived until"), (-1, 1, "expired: dockerfile DL3007")):
        day = datetime.now(UTC).date() + timedelta(days=days)
        replace(project / "config/waivers.yaml", "waivers: []", entry.replace("DAY", str(day)))
        status, output = scan(project, "dockerfile")
        assert (status, word in output) == (expected, True), output
        baking.git(project, "checkout", "--quiet", "config/waivers.yaml")


def test_a_model_that_was_changed_after_it_was_signed_is_found(project: Path) -> None:
    def usecase(*words: str, code: int = 0) -> str:
        done = run(tool("uv"), "run", "--quiet", "usecase", *words, cwd=project)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    usecase("run")
    key = ("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", ".local/signing.key")
    assert run(tool("openssl"), *key, cwd=project).returncode == 0
    settings = project / "config/local.yaml"
    settings.write_text("signing: { key: .local/signing.key, public_key: config/signing.pub }\n")
    (project / "config/signing.pub").write_text(usecase("registry", "public-key", "--env", "local"))
    usecase("registry", "sign", "latest", "--env", "local")
    assert "confirms" in usecase("registry", "verify", "latest", "--env", "local")

    (version,) = project.glob(".local/registry/*/1")
    package = json.loads((version / "package.json").read_text())
    signature = package["CustomerMetadataProperties"]["ModelSignature"]
    (version / "model.sig").write_bytes(base64.b64decode(signature))
    told = 'sha256sum model.tar.gz | openssl dgst -sha256 -verify "$1/config/signing.pub" -signature model.sig'
    assert run("sh", "-euc", told, "sh", project, cwd=version).stdout == "Verified OK\n"

    with (version / "model.tar.gz").open("ab") as model:
        model.write(b"\0")
    assert "is not what was registered" in usecase("registry", "verify", "latest", "--env", "local", code=1)
    assert run("sh", "-euc", told, "sh", project, cwd=version).returncode == 1


# The pipeline itself, by a runner that needs no GitLab.


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PATH with what the runner and the jobs need in front."""
    folder = tmp_path_factory.mktemp("programs")
    for name, text in {"gitleaks": GITLEAKS, "uv": UV.replace("exec UV", f"exec {tool('uv')}")}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return os.pathsep.join([str(folder), rsync(folder), os.environ["PATH"]])


def rsync(folder: Path) -> str:
    """Folder of rsync: this machine's, else Debian's package unpacked, which needs no right to install."""
    if not shutil.which("rsync") and shutil.which("apt-get"):
        run("apt-get", "update", cwd=folder)  # may lack the right: what is known may do
        run("apt-get", "download", "rsync", cwd=folder)
        for package in folder.glob("*.deb"):
            run("dpkg-deb", "--extract", package, folder, cwd=folder)
    unpacked = folder / "usr/bin"
    return str(unpacked if (unpacked / "rsync").exists() else Path(tool("rsync")).parent)


def test_the_jobs_of_a_push_are_green(born: Path, programs: str, vulnerabilities: Vulnerabilities) -> None:
    variables = vulnerabilities.settings | {
        "CI_PIPELINE_SOURCE": "push",
        "PYTEST_ADDOPTS": "-k test_settings",  # test_bake_run.py runs all of the tests
        "UV_CACHE_DIR": run(tool("uv"), "cache", "dir", cwd=born).stdout.strip(),
        "UV_PROJECT_ENVIRONMENT": str(born / ".venv"),
    }
    given = [word for name, value in variables.items() for word in ("--variable", f"{name}={value}")]
    options = ["--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source", "--concurrency", "1"]
    command = [*gitlab_ci.program(), *options, "--ignore-predefined-vars", "CI_PIPELINE_SOURCE", *given, *JOBS]
    done = subprocess.run(
        ["timeout", "--kill-after=5", "900", *command],
        cwd=born,
        env={**os.environ, "PATH": programs, "CI": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    passed = {line.split()[1] for line in done.stdout.splitlines() if line.strip().startswith("PASS")}
    assert (done.returncode, passed) == (0, set(JOBS)), done.stdout[-6000:] + done.stderr
