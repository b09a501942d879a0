"""The template's own supply chain, by those checks of OpenSSF Scorecard that files can answer: `make scorecard`.

https://github.com/ossf/scorecard/blob/main/docs/checks.md
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PIPELINE = ".gitlab-ci.yml"
LOCK = "requirements-dev.txt"
JOBS = ("lint", "test", "slow", "supply-chain")
# What anybody may write who opens a merge request: as a part of a command, it would be one.
FOREIGN = r"CI_(COMMIT_(MESSAGE|TITLE|DESCRIPTION|AUTHOR|REF_NAME|BRANCH)|MERGE_REQUEST_(TITLE|DESCRIPTION|SOURCE\w+))"
PINNED_IMAGE = re.compile(r"[^:]+(:\d+|/[^:]*)*:(v?\d+\.\d+\.\d+\S*|\$\w+_VERSION\S*)(@sha256:[0-9a-f]{64})?")
PROGRAMS = {".so", ".dll", ".exe", ".dylib", ".jar", ".class", ".pyc", ".whl", ".egg", ".zip", ".gz", ".tar", ".pkl"}

Faults = Iterator[str]


def text(root: Path, name: str) -> str:
    """Return a file of the template, or nothing when it is not there."""
    path = root / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def pipeline(root: Path) -> dict[str, dict[str, object]]:
    """Return the jobs of the template's pipeline by name."""
    content = yaml.safe_load(text(root, PIPELINE)) or {}
    return {name: job for name, job in content.items() if isinstance(job, dict) and "script" in job}


def scripts(root: Path) -> str:
    """Return all commands of the pipeline."""
    return "\n".join(str(line) for job in pipeline(root).values() for line in _lines(job["script"]))


def _lines(script: object) -> list[object]:
    return script if isinstance(script, list) else [script]


def tracked(root: Path) -> list[str]:
    """Return the files of the repository. Raises CalledProcessError where there is no git."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if name]


def plain(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name, maxsplit=1)[0]).lower()


def locked_with_hashes(root: Path) -> Faults:
    """Every tool has one version and hashes, the tools that it needs in turn too."""
    entries = [entry for entry in re.split(r"(?m)^(?=[A-Za-z0-9])", text(root, LOCK)) if entry[:1].isalnum()]
    for entry in entries:
        if not re.match(r"[A-Za-z0-9._-]+==\S+", entry) or "--hash=sha256:" not in entry:
            yield f"{LOCK}: {entry.split()[0]} has no version or no hash; make lock"
    wanted = tomllib.loads(text(root, "pyproject.toml"))["dependency-groups"]["dev"]
    missing = {plain(entry) for entry in wanted} - {plain(entry) for entry in entries}
    if missing:
        yield f"{LOCK}: lacks {', '.join(sorted(missing))}; make lock"
    if f"pip install --quiet --python $(BIN)/python --require-hashes -r {LOCK}" not in text(root, "Makefile"):
        yield f"Makefile: does not install {LOCK} with --require-hashes"


def pinned_images(root: Path) -> Faults:
    """The pipeline's images have a full version."""
    for image in re.findall(r"(?m)^(?:\s*(?:image|name)|\s+\w+_IMAGE): (\$\w+/\S+)", text(root, PIPELINE)):
        if not PINNED_IMAGE.fullmatch(image):
            yield f"{PIPELINE}: {image} has no full version"


def no_foreign_text_in_commands(root: Path) -> Faults:
    """No command holds what a stranger wrote, runs what was just downloaded, or comes from elsewhere."""
    commands = scripts(root)
    for found in re.finditer(rf"\$\{{?({FOREIGN})", commands):
        yield f"{PIPELINE}: a command holds {found[1]}, which a stranger may write"
    if re.search(r"\b(curl|wget)\b.*\|\s*(ba|da|z)?sh\b|\beval\b", commands):
        yield f"{PIPELINE}: a command runs what it was just given"
    if re.search(r"(?m)^include:", text(root, PIPELINE)):
        yield f"{PIPELINE}: includes jobs from elsewhere"


def no_rights(root: Path) -> Faults:
    """No job has a token for another system, writes into the repository, or may fail unseen."""
    for name, job in pipeline(root).items():
        for key in ("id_tokens", "secrets", "allow_failure"):
            if job.get(key):
                yield f"{PIPELINE}: job {name} has {key}"
    if re.search(r"git push|CI_JOB_TOKEN|_TOKEN\b", scripts(root)):
        yield f"{PIPELINE}: a job pushes or uses a token"


def tests_on_each_change(root: Path) -> Faults:
    """Lint, tests and this check run for each merge request."""
    jobs = pipeline(root)
    for name in JOBS:
        if name not in jobs or jobs[name].get("rules"):
            yield f"{PIPELINE}: no job {name} for every pipeline"
    if "merge_request_event" not in text(root, PIPELINE):
        yield f"{PIPELINE}: no pipeline for merge requests"


def static_analysis(root: Path) -> Faults:
    """What runs at a birth and an update is looked at for weaknesses by ruff (the rules of bandit), and typed."""
    tool = tomllib.loads(text(root, "pyproject.toml"))["tool"]
    rules = tool["ruff"]["lint"]
    if "S" not in rules["select"]:
        yield "pyproject.toml: ruff does not look for weaknesses (rules S)"
    for path, ignored in rules.get("per-file-ignores", {}).items():
        if "S" in ignored and not path.startswith(("tests/", "benchmarks/", "docs/")):
            yield f"pyproject.toml: ruff does not look for weaknesses in {path}"
    if not tool["mypy"].get("strict"):
        yield "pyproject.toml: mypy is not strict"


def fuzzing(root: Path) -> Faults:
    """Tests look for bad answers by themselves."""
    if not any(
        "from hypothesis import" in path.read_text(encoding="utf-8") for path in (root / "tests").glob("test_*.py")
    ):
        yield "tests: none uses hypothesis"


def vulnerabilities(root: Path) -> Faults:
    """The lock is asked for known weaknesses, and its bill of materials is kept."""
    audit = text(root, "Makefile").partition("\naudit:")[2].partition("\n\n")[0]
    for program in ("pip-audit", "cyclonedx-py"):
        if program not in audit or LOCK not in audit:
            yield f"Makefile: audit does not run {program} over {LOCK}"
    job = pipeline(root).get("supply-chain", {})
    if "make audit" not in str(job.get("script")) or "sbom.cdx.json" not in str(job.get("artifacts")):
        yield f"{PIPELINE}: no job runs make audit and keeps sbom.cdx.json"


def updates(root: Path) -> Faults:
    """Renovate proposes newer versions of all that is pinned."""
    enabled = json.loads(text(root, "renovate.json") or "{}").get("enabledManagers", [])
    missing = {"pep621", "pip-compile", "gitlabci", "terraform", "pre-commit", "dockerfile"} - set(enabled)
    if missing:
        yield f"renovate.json: does not look at {', '.join(sorted(missing))}"


def licence(root: Path) -> Faults:
    """The licence is one that OSI approves."""
    if "Apache License" not in text(root, "LICENSE"):
        yield "LICENSE: not the Apache License"


def security_policy(root: Path) -> Faults:
    """It says how to report a weakness, privately, and which versions are mended."""
    for words in ("Reporting a weakness", "confidential", "newest version"):
        if words not in text(root, "SECURITY.md"):
            yield f"SECURITY.md: does not say {words!r}"


def no_programs(root: Path) -> Faults:
    """Nothing is in git that runs and cannot be read."""
    for name in tracked(root):
        if Path(name).suffix in PROGRAMS:
            yield f"{name}: cannot be reviewed"


def signed_releases(root: Path) -> Faults:
    """Each release's tag is signed, and users read how to look at that."""
    listed = subprocess.run(
        ["git", "-C", str(root), "tag", "--list", "v*", "--format=%(refname:short) %(contents:signature)"],
        check=True,
        capture_output=True,
        text=True,
    )
    for line in re.findall(r"(?m)^v\d\S* ?.*$", listed.stdout):
        if "BEGIN" not in line:
            yield f"{line.strip()}: the tag is not signed"
    for words in ("tag.gpgSign", "git verify-tag"):
        if words not in text(root, "docs/maintainer.md"):
            yield f"docs/maintainer.md: does not say {words}"


def branch_protection(root: Path) -> Faults:
    """What to set in GitLab is written down; no file can show that it is set."""
    for words in ("Protected branch", "Protected tags `v*`", "approval"):
        if words not in text(root, "docs/maintainer.md"):
            yield f"docs/maintainer.md: does not say {words!r}"


# By the names that OpenSSF Scorecard gives them.
CHECKS: list[tuple[str, Callable[[Path], Faults]]] = [
    ("Pinned-Dependencies", locked_with_hashes),
    ("Pinned-Dependencies", pinned_images),
    ("Dangerous-Workflow", no_foreign_text_in_commands),
    ("Token-Permissions", no_rights),
    ("CI-Tests", tests_on_each_change),
    ("SAST", static_analysis),
    ("Fuzzing", fuzzing),
    ("Vulnerabilities", vulnerabilities),
    ("Dependency-Update-Tool", updates),
    ("License", licence),
    ("Security-Policy", security_policy),
    ("Binary-Artifacts", no_programs),
    ("Signed-Releases", signed_releases),
    ("Branch-Protection", branch_protection),
]


def main(root: Path = ROOT) -> int:
    """Print a line per check and what is wrong below it; return 1 when anything is."""
    wrong = 0
    for name, check in CHECKS:
        faults = list(check(root))
        wrong += bool(faults)
        print(f"{'fails' if faults else 'holds'}  {name:<24}{(check.__doc__ or '').splitlines()[0]}")
        for fault in faults:
            print(f"         {fault}")
    print(f"{len(CHECKS) - wrong} of {len(CHECKS)} hold")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
