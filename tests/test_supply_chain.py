"""What the template is made with: pinned, listed, kept current, signed; and the check of it finds what is not."""

import json
import re
import shutil
from pathlib import Path

import pytest

import baking
import scorecard
from delivery import replace, run, tool

LOCK = "requirements-dev.txt"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template in git, with those files alone that the checks look at. Not to be changed."""
    folder = baking.copy_of_rendered_files(tmp_path_factory.mktemp("checked") / "template")
    baking.git(folder, "init", "--quiet")
    baking.commit(folder, "Everything")
    return folder


@pytest.fixture
def planted(repository: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(repository, tmp_path / "template"))


def failing(root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the names of the checks that fail, after the status of the whole was compared with them."""
    status = scorecard.main(root)
    names = re.findall(r"(?m)^fails  (\S+)", capsys.readouterr().out)
    assert status == bool(names)
    return names


def test_the_template_holds_all_of_them(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(repository, capsys) == []
    assert len(scorecard.CHECKS) >= 10


@pytest.mark.parametrize(
    ("file", "old", "new", "name"),
    [
        (LOCK, "ruff==", "ruff>=", "Pinned-Dependencies"),
        (LOCK, "\nruff==", "\nrough==", "Pinned-Dependencies"),
        ("pyproject.toml", '    "uv>=', '    "another-tool",\n    "uv>=', "Pinned-Dependencies"),
        ("Makefile", "--require-hashes -r", "-r", "Pinned-Dependencies"),
        (".gitlab-ci.yml", "python:3.11.13-trixie", "python:latest", "Pinned-Dependencies"),
        (".gitlab-ci.yml", "terraform:1.11.4", "terraform:1.11", "Pinned-Dependencies"),
        (".gitlab-ci.yml", "- make lint", "- make lint title=$CI_MERGE_REQUEST_TITLE", "Dangerous-Workflow"),
        (".gitlab-ci.yml", "- make lint", "- curl https://example.com/install | sh", "Dangerous-Workflow"),
        (".gitlab-ci.yml", "workflow:", "include: https://example.com/ci.yml\nworkflow:", "Dangerous-Workflow"),
        (".gitlab-ci.yml", "lint:\n", "lint:\n  allow_failure: true\n", "Token-Permissions"),
        (".gitlab-ci.yml", "- make lint", "- git push origin HEAD", "Token-Permissions"),
        (".gitlab-ci.yml", "lint:\n", "lint:\n  rules: [{ if: $CI_COMMIT_TAG }]\n", "CI-Tests"),
        ("pyproject.toml", '"S", ', "", "SAST"),
        ("pyproject.toml", '"docs/*" = ["S"]', '"hooks/*" = ["S"]', "SAST"),
        (".gitlab-ci.yml", "- make audit", "- make help", "Vulnerabilities"),
        ("Makefile", "pip-audit", "echo", "Vulnerabilities"),
        ("renovate.json", '"gitlabci", ', "", "Dependency-Update-Tool"),
        ("LICENSE", "Apache License", "Licence", "License"),
        ("SECURITY.md", "confidential", "public", "Security-Policy"),
        ("docs/maintainer.md", "git verify-tag", "git show", "Signed-Releases"),
        ("docs/maintainer.md", "Protected branch", "Branch", "Branch-Protection"),
    ],
)
def test_a_planted_fault_is_found(
    file: str, old: str, new: str, name: str, planted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(planted / file, old, new)
    assert failing(planted, capsys) == [name]


def test_tests_without_a_search_and_programs_in_git_are_found(
    planted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (planted / "tests").glob("test_*.py"):
        path.unlink()
    (planted / "tools/helper.whl").write_bytes(b"PK")
    baking.commit(planted, "A program")
    assert failing(planted, capsys) == ["Fuzzing", "Binary-Artifacts"]


def test_a_release_is_signed_and_a_moved_tag_is_found(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Set up as in docs/maintainer.md, tagged as by tools/release.py; then somebody else moves the tag."""
    key = tmp_path / "key"
    made = run(tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    (tmp_path / "signers").write_text(f"test@example.com {key.with_suffix('.pub').read_text()}")
    settings = {
        "gpg.format": "ssh",
        "user.signingKey": str(key.with_suffix(".pub")),
        "gpg.ssh.allowedSignersFile": str(tmp_path / "signers"),
        "tag.gpgSign": "true",
    }
    for name, value in settings.items():
        baking.git(planted, "config", name, value)
    baking.git(planted, "tag", "--annotate", "--message", "Release 1.0.0", "v1.0.0")
    assert run("git", "verify-tag", "v1.0.0", cwd=planted).returncode == 0
    assert failing(planted, capsys) == []
    baking.git(planted, "-c", "tag.gpgSign=false", "tag", "--force", "--annotate", "--message", "Moved", "v1.0.0")
    assert run("git", "verify-tag", "v1.0.0", cwd=planted).returncode != 0
    assert failing(planted, capsys) == ["Signed-Releases"]


def test_the_lock_names_no_index() -> None:
    assert "://" not in (baking.ROOT / LOCK).read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_lock_is_what_make_lock_writes(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", LOCK):
        shutil.copy(baking.ROOT / name, tmp_path)
    command = ["make", "--old-file", ".venv/ready", f"BIN={Path(tool('uv')).parent}", "lock"]
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / LOCK).read_text() == (baking.ROOT / LOCK).read_text()


@pytest.mark.slow
def test_the_bill_of_materials_lists_the_whole_lock(tmp_path: Path) -> None:
    """By the command of `make audit`; the program holds it against CycloneDX's schema."""
    done = run(
        tool("cyclonedx-py"), "requirements", "--output-file", tmp_path / "sbom.json", baking.ROOT / LOCK, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    listed = json.loads((tmp_path / "sbom.json").read_text())["components"]
    locked = re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)", (baking.ROOT / LOCK).read_text(encoding="utf-8"))
    assert {(part["name"], part["version"]) for part in listed} == set(locked)
    assert all(part["purl"].startswith("pkg:pypi/") for part in listed)


@pytest.mark.slow
def test_renovate_reads_its_settings() -> None:
    done = run(tool("check-jsonschema"), "--builtin-schema", "vendor.renovate", "renovate.json", cwd=baking.ROOT)
    assert done.returncode == 0, done.stdout
