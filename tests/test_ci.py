"""The generated repository's pipeline: schema, jobs per event, scripts, images, and the checks it runs."""

import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import baking
import delivery
import gitlab_ci
from delivery import replace, run, tool
from gitlab_ci import Config, event

NIGHTLY = {"gitleaks", "secrets", "dependencies"}
IMAGE = {"trivy", "image-scan"}
QUALITY = {"lint", "test", "sast", "licences", "sbom", "pipeline-definition"} | NIGHTLY
MERGE_REQUEST = QUALITY - {"pipeline-definition"}
EVERYTHING = ("src/usecase/pipeline.py", "container/Dockerfile", "terraform/platform/storage.tf", "uv.lock")
EVENTS = {
    "merge request": event("merge_request_event", changed=("README.md",)),
    "merge request that touches everything": event("merge_request_event", changed=EVERYTHING),
    "main": event("push", changed=("README.md",)),
    "branch": event("push", ref="feature", changed=EVERYTHING),
    "version tag": event("tag", ref="v1.2.3"),
    "other tag": event("tag", ref="try"),
    "schedule": event("schedule"),
    "web": event("web"),
    "child of a parent's main": event("parent_pipeline"),
    "api": event("api"),
}
AWS_KEY = re.compile(r"AKIA[0-9A-Z]{16}")
AWS_KEY_VARIABLE = re.compile(r"AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)")


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The largest pipeline: own container, stage full. For reading only."""
    return delivery.bake(tmp_path_factory.mktemp("full"), mlops_stage="full", container="own")


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest pipeline: managed container, stage basic. For reading only."""
    return delivery.bake(tmp_path_factory.mktemp("basic"), mlops_stage="basic", container="managed")


@pytest.fixture
def broken(baked: Path, tmp_path: Path) -> Path:
    """A copy to plant faults in."""
    return Path(shutil.copytree(baked, tmp_path / "broken"))


def graph(config: Config) -> dict[str, set[str]]:
    return {name: set(gitlab_ci.pipeline(config, what)) for name, what in EVENTS.items()}


def test_jobs_per_event_at_the_smallest(smallest: Path) -> None:
    assert graph(gitlab_ci.load(smallest)) == {
        "merge request": MERGE_REQUEST,
        "merge request that touches everything": QUALITY,
        "main": QUALITY,
        "branch": set(),
        "version tag": QUALITY,
        "other tag": set(),
        "schedule": NIGHTLY,
        "web": QUALITY,
        "child of a parent's main": QUALITY,
        "api": set(),
    }


def test_jobs_per_event_at_the_largest(baked: Path) -> None:
    terraform = {"terraform-fmt", "terraform-test"}
    full = QUALITY | terraform | {"dockerfile", "iac"}
    assert graph(gitlab_ci.load(baked)) == {
        "merge request": MERGE_REQUEST | {"dockerfile"},
        "merge request that touches everything": full | {"build-image"},
        "main": full | {"publish-image"} | IMAGE,
        "branch": set(),
        "version tag": full,
        "other tag": set(),
        "schedule": NIGHTLY | IMAGE,
        "web": full,
        "child of a parent's main": full | {"publish-image"} | IMAGE,
        "api": set(),
    }


def test_a_monorepo_runs_the_same_jobs_on_its_own_paths_only(baked: Path, tmp_path: Path) -> None:
    shutil.copytree(baked, tmp_path / "churn")
    config = gitlab_ci.load(tmp_path, "churn/")
    assert set(config.jobs) == set(gitlab_ci.load(baked).jobs)
    for what, expected in ((EVERYTHING, False), (tuple(f"churn/{path}" for path in EVERYTHING), True)):
        jobs = gitlab_ci.pipeline(config, event("merge_request_event", changed=what))
        assert ("pipeline-definition" in jobs, "build-image" in jobs, "terraform-test" in jobs) == (expected,) * 3
    for job in config.jobs.values():
        for report in job.get("artifacts", {}).get("reports", {}).values():
            assert gitlab_ci.expand(report, config.variables(job)).startswith("churn/")
        assert 'cd "./$PROJECT_DIR"' in job["before_script"]


@pytest.mark.parametrize("project_dir", ["churn", "../churn/", "/churn/", "a b/", "-x/"])
def test_a_folder_that_would_break_paths_is_refused(baked: Path, project_dir: str) -> None:
    pattern = gitlab_ci.split_header((baked / ".gitlab-ci.yml").read_text())[0]["spec"]["inputs"]["project_dir"][
        "regex"
    ]
    assert not re.search(pattern, project_dir)


# Checks: each returns what is wrong, and each is shown to fail on a planted fault below.


def schema(project: Path) -> list[str]:
    body = project.parent / "root.yml"  # the checker reads one document, so without the header
    body.write_text(gitlab_ci.split_header((project / ".gitlab-ci.yml").read_text())[1])
    files = [body, *sorted((project / ".gitlab/ci").glob("*.yml"))]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci"]
    done = run(*command, "--data-transform", "gitlab-ci", *files, cwd=project)
    return [] if done.returncode == 0 else [done.stdout + done.stderr]


def structure(project: Path) -> list[str]:
    config = gitlab_ci.load(project)
    found = []
    for name, what in EVENTS.items():
        jobs = gitlab_ci.pipeline(config, what)
        for job in jobs:
            found += [
                f"{name}: {job} needs {need}, which is not there"
                for need in gitlab_ci.needs(jobs[job])
                if need not in jobs
            ]
            if _waits_for_itself(job, config):
                found.append(f"{job} waits for itself")
    for job, content in config.jobs.items():
        found += [] if content["stage"] in config.root["stages"] else [f"{job}: no stage {content['stage']}"]
        found += [] if "rules" in content else [f"{job}: no rules"]
        found += [] if {"timeout", "retry", "interruptible"} <= set(content) else [f"{job}: misses a default"]
    return found


def _waits_for_itself(job: str, config: Config) -> bool:
    seen, todo = set(), gitlab_ci.needs(config.jobs[job])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += gitlab_ci.needs(config.jobs.get(name, {}))
    return job in seen


def scripts(project: Path) -> list[str]:
    found = []
    for name, job in gitlab_ci.load(project).jobs.items():
        for line in [line for part in ("before_script", "script", "after_script") for line in job.get(part, [])]:
            for shell in ("bash", "sh"):  # Alpine images have no bash
                done = run(tool(shell), "-n", cwd=project, text=line)
                found += [] if done.returncode == 0 else [f"{name}: {line!r}: {done.stderr}"]
    return found


def pins(project: Path) -> list[str]:
    config = gitlab_ci.load(project)
    found = []
    for name, job in config.jobs.items():
        image = job["image"]["name"] if isinstance(job["image"], dict) else job["image"]
        if not re.fullmatch(r"\$\w+", image):
            found.append(f"{name}: image {image} is not a variable, so no mirror can replace it")
        reference = gitlab_ci.expand(image, config.variables(job))
        if not re.fullmatch(r"docker\.io/[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*", reference):
            found.append(f"{name}: image {reference} has no exact version")
        if gitlab_ci.expand(image, {**config.variables(job), "IMAGE_REGISTRY": "mirror"}) == reference:
            found.append(f"{name}: image {reference} ignores IMAGE_REGISTRY")
        tools = [line for line in job["script"] if "uvx" in line]
        exact = re.compile(r"uvx (?:[\w-]+@|--from [\w-]+==)\d+\.\d+\.\d+(?:\.\d+)? ")
        found += [f"{name}: {line!r} runs whatever is newest" for line in tools if not exact.search(line)]
        found += [f"{name}: services need a privileged runner"] if "services" in job else []
    return found


def keys(project: Path) -> list[str]:
    found = []
    for path in (path for path in project.rglob("*") if path.is_file()):
        text = path.read_bytes().decode("utf-8", "ignore")
        # Python may look for such a variable and warn of it; settings, jobs and documents have no use for one.
        if AWS_KEY.search(text) or (path.suffix != ".py" and AWS_KEY_VARIABLE.search(text)):
            found.append(f"{path}: static AWS key")
    return found


def publishing(project: Path) -> list[str]:
    config = gitlab_ci.load(project)
    found = []
    for name, what in EVENTS.items():
        pushing = [job for job, content in gitlab_ci.pipeline(config, what).items() if "push=true" in str(content)]
        if pushing and what.variables.get("CI_COMMIT_BRANCH") != "main":
            found.append(f"{name}: {', '.join(pushing)} would publish")
    return found


Check = Callable[[Path], list[str]]
CHECKS: list[Check] = [schema, structure, scripts, pins, keys, publishing]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nothing_is_wrong(check: Check, baked: Path, smallest: Path) -> None:
    assert check(baked) == []
    assert check(smallest) == []


@pytest.mark.parametrize(
    ("check", "file", "old", "new", "complaint"),
    [
        (schema, ".gitlab/ci/test.yml", "  stage: test", "  stagee: test", "stagee"),
        (schema, ".gitlab-ci.yml", "max: 2", "max: 5", "5"),
        (schema, ".gitlab/ci/lint.yml", "codequality:", "codequalitty:", "codequalitty"),
        (structure, ".gitlab/ci/image.yml", "dependencies]", "dependencies, build-image]", "needs build-image"),
        (structure, ".gitlab/ci/lint.yml", "needs: []", "needs: [tests]", "needs tests"),
        (structure, ".gitlab/ci/lint.yml", "needs: []", "needs: [publish-image]", "waits for itself"),
        (structure, ".gitlab/ci/lint.yml", "stage: lint", "stage: check", "no stage check"),
        (structure, ".gitlab/ci/lint.yml", "[.uv, .on-change]", "[.uv]", "no rules"),
        (structure, ".gitlab-ci.yml", "  timeout: 15 minutes\n", "", "misses a default"),
        (scripts, ".gitlab/ci/security.yml", ":+$CI_MERGE_REQUEST_DIFF_BASE_SHA..}", ":+x", "gitleaks"),
        (
            scripts,
            ".gitlab/ci/test.yml",
            "usecase pipeline --check",
            "usecase pipeline (--check",
            "pipeline-definition",
        ),
        (pins, ".gitlab-ci.yml", "image: $PYTHON_IMAGE", "image: python:3.12.1", "not a variable"),
        (pins, ".gitlab-ci.yml", "uv:0.13.8-python3.12-trixie", "uv:latest", "no exact version"),
        (pins, ".gitlab/ci/security.yml", "$IMAGE_REGISTRY/", "docker.io/", "ignores IMAGE_REGISTRY"),
        (pins, ".gitlab/ci/security.yml", "pysonar@1.9.0.5762", "pysonar", "whatever is newest"),
        (pins, ".gitlab/ci/image.yml", "  stage: build", "  stage: build\n  services: [docker:28-dind]", "privileged"),
        (keys, ".gitlab/ci/test.yml", "needs: []", "needs: []\n  variables: {AWS_ACCESS_KEY_ID: x}", "static AWS key"),
        (keys, "README.md", "#", "AKIAIOSFODNN7EXAMPLE\n#", "static AWS key"),
        (publishing, ".gitlab/ci/image.yml", 'OUTPUT: ""', "OUTPUT: type=image,push=true", "build-image would publish"),
        (
            publishing,
            ".gitlab/ci/image.yml",
            "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
            "$CI_PIPELINE_SOURCE",
            "publish-image",
        ),
    ],
)
def test_a_planted_fault_is_found(check: Check, file: str, old: str, new: str, complaint: str, broken: Path) -> None:
    replace(broken / file, old, new)
    assert complaint in "\n".join(check(broken))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('$A == "x"', True),
        ('$A != "x" || $B', False),
        ("$B == null && $A", True),
        ("$A =~ /^x$/ && ($B || $A)", True),
        ("$A !~ /x/", False),
    ],
)
def test_conditions_are_read_as_gitlab_reads_them(condition: str, expected: bool) -> None:
    assert gitlab_ci.holds(condition, {"A": "x"}) is expected


@pytest.mark.parametrize("condition", ["$A = 1", '"${A}" == "x" and $B', "$A =~ $B", "$A $B"])
def test_a_condition_that_gitlab_would_refuse_is_refused(condition: str) -> None:
    with pytest.raises(ValueError, match="rules:if"):
        gitlab_ci.holds(condition, {"A": "x"})


# Scripts, really run; programs that are not here are replaced by ones that write down how they were called.


def run_script(project: Path, job: str, bin_dir: Path, variables: dict[str, str], project_dir: str = "") -> str:
    """Runs the script of `job` as a runner would; returns the arguments of the recorded programs, a line per call."""
    config = gitlab_ci.load(project, project_dir)
    content = config.jobs[job]
    calls = bin_dir / "calls"
    for program in ("gitleaks", "buildctl-daemonless.sh"):
        (bin_dir / program).write_text(f'#!/bin/sh\nprintf "<%s>" {program} "$@" >> "{calls}"\necho >> "{calls}"\n')
        (bin_dir / program).chmod(0o755)
    known = {**config.variables(content), **variables}
    script = "\n".join(["set -eu", *content["before_script"], *content["script"]])
    settings = {key: gitlab_ci.expand(str(value), known) for key, value in known.items()}
    done = run(
        "sh",
        "-c",
        script,
        cwd=project,
        env={**settings, "PATH": f"{bin_dir}:{os.environ['PATH']}", "HOME": str(bin_dir)},
    )
    assert done.returncode == 0, done.stderr
    return calls.read_text()


def test_gitleaks_reads_the_merge_requests_commits_else_the_whole_history(baked: Path, tmp_path: Path) -> None:
    sha = {"CI_COMMIT_SHA": "abc", "CI_PROJECT_DIR": str(baked)}
    assert "<--log-opts=abc>" in run_script(baked, "gitleaks", tmp_path, sha)
    assert "<--log-opts=123..abc>" in run_script(
        baked, "gitleaks", tmp_path, {**sha, "CI_MERGE_REQUEST_DIFF_BASE_SHA": "123"}
    )


def test_an_image_is_pushed_by_the_publishing_job_alone(baked: Path, tmp_path: Path) -> None:
    variables = {
        "CI_COMMIT_SHA": "abc",
        "CI_PROJECT_URL": "https://gitlab.example.com/ds/churn",
        "CI_REGISTRY": "registry.example.com",
        "CI_REGISTRY_IMAGE": "registry.example.com/ds/churn",
        "CI_REGISTRY_USER": "user",
        "CI_REGISTRY_PASSWORD": "secret",
        "IMAGE_REGISTRY": "mirror.example.com",
    }
    built = run_script(baked, "build-image", tmp_path, variables)
    assert "<build-arg:REGISTRY=mirror.example.com>" in built
    assert "<build-arg:GIT_SHA=abc>" in built
    assert "output" not in built
    assert "secret" not in built
    private = {"NETRC_FILE": "/netrc", "UV_DEFAULT_INDEX": "https://index.example.com/simple"}
    published = run_script(baked, "publish-image", tmp_path, {**variables, **private})
    assert (
        "<--output><type=image,name=registry.example.com/ds/churn/usecase:abc,push=true,oci-mediatypes=false>"
        in published
    )
    assert "<--secret><id=netrc,src=/netrc>" in published
    assert "<build-arg:UV_DEFAULT_INDEX=https://index.example.com/simple>" in published
    login = yaml.safe_load((tmp_path / ".docker/config.json").read_text())
    assert login == {"auths": {"registry.example.com": {"username": "user", "password": "secret"}}}


@pytest.mark.parametrize(
    ("folder", "name"), [("churn/", "usecase-churn"), ("teams/ml/Churn_2/", "usecase-teams-ml-churn-2")]
)
def test_each_use_case_of_a_monorepo_has_an_image_with_a_name_gitlab_takes(
    folder: str, name: str, baked: Path, tmp_path: Path
) -> None:
    shutil.copytree(baked, tmp_path / "repository" / folder)
    registry = {"CI_REGISTRY": "registry.example.com", "CI_REGISTRY_USER": "user", "CI_REGISTRY_PASSWORD": "secret"}
    image = {"CI_COMMIT_SHA": "abc", "CI_PROJECT_URL": "https://gitlab.example.com/ds/ml"}
    image |= {"CI_REGISTRY_IMAGE": "registry.example.com/ds/ml"}
    published = run_script(tmp_path / "repository", "publish-image", tmp_path, registry | image, folder)
    assert f"name=registry.example.com/ds/ml/{name}:abc,push=true,oci-mediatypes=false" in published


def test_tests_that_the_test_job_leaves_out_run_in_another(baked: Path) -> None:
    options = tomllib.loads((baked / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    (marker,) = re.findall(r"-m 'not (\w+)'", options)
    script = gitlab_ci.load(baked).jobs["pipeline-definition"]["script"]
    assert f"uv run --group sagemaker pytest -m {marker}" in script


def test_providers_are_cached_only_with_a_lock_file(baked: Path) -> None:
    """Without .terraform.lock.hcl, `terraform init` downloads past its cache."""
    job = gitlab_ci.load(baked).jobs["terraform-test"]
    cached = "cache" in job or "TF_PLUGIN_CACHE_DIR" in job["variables"]
    assert not cached or (baked / "terraform/platform/.terraform.lock.hcl").exists()


# The template's own pipeline.


def own_faults(text: str) -> list[str]:
    """What is wrong with the images of the template's own pipeline, and with the way to Terraform."""
    config = yaml.safe_load(text)
    variables = {**config["variables"], "IMAGE_REGISTRY": "mirror"}
    images = [config["image"], *[job["image"] for job in config.values() if isinstance(job, dict) and "image" in job]]
    versions = config["test"]["parallel"]["matrix"][0]["PYTHON_VERSION"]
    found = []
    for image in [image["name"] if isinstance(image, dict) else image for image in images]:
        for version in versions:
            reference = gitlab_ci.expand(image, {**variables, "PYTHON_VERSION": version})
            if not re.fullmatch(r"mirror/[\w/-]+:\d+\.\d+\.\d+[\w.-]*", reference):
                found.append(f"image {reference}: no mirror, or no exact version")
    (tools,) = config["terraform"]["artifacts"]["paths"]
    path = f"PATH=$CI_PROJECT_DIR/{tools.rstrip('/')}:"
    for name, job in config.items():
        lines = job.get("script", []) if isinstance(job, dict) else []
        found += [f"{name}: finds no terraform" for line in lines if "make test" in line and path not in line]
    if run(tool("git"), "check-ignore", "--quiet", f"{tools}terraform", cwd=baking.ROOT).returncode != 0:
        found.append(f"git does not ignore {tools}")
    return found


def test_the_templates_own_pipeline_has_exact_images_and_terraform() -> None:
    assert own_faults((baking.ROOT / ".gitlab-ci.yml").read_text()) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("python:3.11.13-trixie", "python:3.11-trixie", "no exact version"),
        ('"3.12.11"', '"3.12"', "no exact version"),
        ("$IMAGE_REGISTRY/hashicorp", "docker.io/hashicorp", "no mirror"),
        ("    - PATH=$CI_PROJECT_DIR/.tools:$PATH make test-slow", "    - make test-slow", "slow: finds no terraform"),
        ("paths: [.tools/]", "paths: [programs/]", "git does not ignore programs/"),
    ],
)
def test_a_planted_fault_in_the_templates_own_pipeline_is_found(old: str, new: str, complaint: str) -> None:
    text = (baking.ROOT / ".gitlab-ci.yml").read_text()
    assert old in text
    assert complaint in "\n".join(own_faults(text.replace(old, new)))


# Before a commit.


@pytest.fixture
def repository(smallest: Path, tmp_path: Path) -> Path:
    """A git repository with the baked hooks, one clean module, and pre-commit installed into it."""
    folder = tmp_path / "repository"
    package = folder / "src/usecase"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""A use case."""\n')
    (folder / "tests").mkdir()
    (folder / "tests/test_nothing.py").write_text("def test_nothing() -> None:\n    assert True\n")
    for name in (".pre-commit-config.yaml", "pyproject.toml", ".gitignore", ".gitattributes"):
        shutil.copy(smallest / name, folder)
    shutil.copytree(smallest / "tools", folder / "tools")
    baking.git(folder, "init", "--quiet")
    assert run(tool("pre-commit"), "install", cwd=folder).returncode == 0
    return folder


def commit(folder: Path) -> tuple[int, str]:
    """Commits everything; the locked environment that `uv run` would use is that of these tests."""
    programs = folder.parent / "bin"
    programs.mkdir(exist_ok=True)
    uv = programs / "uv"
    uv.write_text('#!/bin/sh\n[ "$1 $2" = "run --frozen" ] || exit 64\nshift 2\nexec "$@"\n')
    uv.chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    # No network: a hook that fetched something would fail.
    offline = {"PATH": path, "HTTPS_PROXY": "http://127.0.0.1:9", "PRE_COMMIT_HOME": str(folder.parent / "cache")}
    run("git", "add", "--all", cwd=folder)
    done = run("git", "commit", "-m", "change", cwd=folder, env=offline)
    return done.returncode, done.stdout + done.stderr


# As Jupyter saves it after a run.
RUN_NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": 3,
            "id": "0",
            "metadata": {},
            "outputs": [{"name": "stdout", "output_type": "stream", "text": ["somebody@example.com\n"]}],
            "source": ["print(rows)"],
        }
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def test_a_clean_change_is_committed(repository: Path) -> None:
    status, output = commit(repository)
    assert status == 0, output


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("notes.md", "a\n<<<<<<< before updating\nb\n=======\nc\n>>>>>>> after updating\n", "notes.md:2"),
        ("end.md", "c\n>>>>>>> after updating\n", "end.md:2"),
        ("pyproject.toml.rej", "@@ -1 +1 @@\n", "pyproject.toml.rej"),
        ("notebooks/a.ipynb", json.dumps(RUN_NOTEBOOK), "no outputs of notebooks"),
        ("src/usecase/a.py", '"""A."""\n\nimport os\n', "F401"),
        ("src/usecase/b.py", '"""B."""\n\nx  =  1\n', "ruff format"),
        ("src/usecase/c.py", '"""C."""\n\nx: int = "1"\n', "Incompatible types"),
    ],
)
def test_a_fault_stops_the_commit(file: str, content: str, complaint: str, repository: Path) -> None:
    (repository / file).parent.mkdir(exist_ok=True)
    (repository / file).write_text(content)
    status, output = commit(repository)
    assert status != 0
    assert complaint in output


def test_outputs_of_a_notebook_are_taken_out(repository: Path) -> None:
    notebook = repository / "notebooks/a.ipynb"
    notebook.parent.mkdir()
    notebook.write_text(json.dumps(RUN_NOTEBOOK).replace("print(rows)", "1 + 1"))
    assert commit(repository)[0] != 0
    assert "somebody" not in notebook.read_text()
    status, output = commit(repository)
    assert status == 0, output


def test_conflicts_cannot_be_judged_outside_a_repository(smallest: Path, tmp_path: Path) -> None:
    done = run(
        sys.executable,
        smallest / "tools/check_conflicts.py",
        cwd=tmp_path,
        env={"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: git grep: ")
