"""The generated repository's pipeline: schema, jobs per event, scripts, images, and the checks it runs."""

import functools
import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import baking
import delivery
import gitlab_ci
from delivery import replace, run, tool
from gitlab_ci import Event, event

AWS_KEY = re.compile(r"AKIA[0-9A-Z]{16}")
AWS_KEY_VARIABLE = re.compile(r"AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)")
ARN = "arn:aws:sagemaker:eu-west-1:111111111111:model-package/churn-dev/3"
ROLES = {f"AWS_{name}_ROLE_ARN": "arn:aws:iam::111111111111:role/r" for name in ("TRAIN", "PROMOTE", "APPROVE")}
AWS = ROLES | {"TRAINING_DATA_URI": "s3://data/x", "AWS_SUB_CLAIMS": "tier"}
FREE = AWS | {"AWS_SUB_CLAIMS": "ref"}  # prod from protected tags
EVERYTHING = ("src/usecase/pipeline.py", "container/Dockerfile", "terraform/platform/storage.tf", "uv.lock")


def told(status: str, **more: Any) -> Event:
    """What EventBridge, or a poll, starts."""
    inputs = {"registry_event": status, "model_package_arn": ARN}
    return event(more.pop("source", "trigger"), inputs=inputs, variables=more.pop("variables", AWS), **more)


def scheduled(purpose: str) -> Event:
    return event("schedule", inputs={"schedule": purpose}, variables=AWS)


EVENTS = {
    "merge request": event("merge_request_event", changed=("README.md",)),
    "merge request that touches everything": event("merge_request_event"),
    "merge request with a role for plans": event("merge_request_event", variables={"AWS_PLAN_ROLE_ARN": "arn:r"}),
    "main": event("push", variables=AWS),
    "main without AWS": event("push"),
    "branch": event("push", ref="feature"),
    "version tag": event("push", tag="v1.2.3", variables=AWS),
    "other tag": event("push", tag="try", variables=AWS),
    "nightly": event("schedule", variables=AWS),
    "retrain": scheduled("retrain"),
    "poll": scheduled("poll"),
    "template update": scheduled("template-update"),
    "web": event("web", variables=AWS),
    "child of a parent's main": event("parent_pipeline"),
    "chat": event("chat"),
    "pending": told("pending"),
    "approved": told("approved"),
    "approved, found by a poll": told("approved", source="api"),
    "approved, GitLab Free": told("approved", variables=FREE),
    "approved, GitLab Free, on the tag": told("approved", source="web", variables=FREE, tag="v1.2.3"),
    "approved, on a tag": told("approved", source="web", tag="v1.2.3"),
    "rejected": told("rejected"),
    "asked to train again": event(
        "trigger",
        inputs={"registry_event": "retrain", "reason": "drift churn-prod-drift 2026-01-02T04:10:00Z"},
        variables=AWS,
    ),
}
KINDS = [
    "merge request that touches everything",
    "main",
    "version tag",
    "nightly",
    "retrain",
    "web",
    "pending",
    "approved",
]
NIGHTLY = {"gitleaks", "secrets", "dependencies"}
QUALITY = {"lint", "test", "sast", "licences", "sbom", "pipeline-definition"} | NIGHTLY
BASIC = {
    "merge request": QUALITY - {"pipeline-definition"},
    "nightly": NIGHTLY,
    "retrain": NIGHTLY,
    "template update": {"template-update"},
    **dict.fromkeys(("merge request that touches everything", "merge request with a role for plans"), QUALITY),
    **dict.fromkeys(("main", "main without AWS", "version tag", "web", "child of a parent's main"), QUALITY),
}
# What the stage automated adds.
INFRASTRUCTURE = {f"infrastructure:{name}" for name in ("dev", "qa", "prod")}
TO_QA = {"terraform-program", "deploy:dev", "smoke:dev", "stop:dev", "deploy:qa", "integration:qa"}
TO_PROD = {"deploy:prod", "verify:prod"}
TERRAFORM = {"terraform-fmt", "terraform-test", "iac"}
AUTOMATED: dict[str, set[str]] = {
    "merge request": {"iac"},
    "merge request that touches everything": TERRAFORM,
    "merge request with a role for plans": TERRAFORM | {"terraform-program", "plan:dev"},
    "main": TERRAFORM | INFRASTRUCTURE | {"terraform-program", "train"},
    "main without AWS": TERRAFORM,
    "version tag": TERRAFORM | {"release"},
    "nightly": {"terraform-program", "in-service:dev", "in-service:qa", "in-service:prod"},
    "poll": {"poll-registry"},
    "web": TERRAFORM | INFRASTRUCTURE | {"terraform-program", "train", "rollback:dev", "rollback:qa", "rollback:prod"},
    "child of a parent's main": TERRAFORM,
    "pending": {"model-report", "approve-model", "reject-model"},
    "approved": TO_QA | TO_PROD,
    "approved, found by a poll": TO_QA | TO_PROD,
    "approved, GitLab Free": TO_QA,
    "approved, GitLab Free, on the tag": TO_PROD | {"terraform-program"},
    "approved, on a tag": {"terraform-program"},
    "rejected": {"live:dev", "live:qa", "live:prod", "model-rejected"},
}
# Who trains again: by the clock alone, or by the rules that the stage full adds.
BY_CLOCK = {"retrain": {"train"}}
BY_RULES = {name: {"retrain"} for name in ("retrain", "poll", "asked to train again")}
TRAINS: dict[str, dict[str, set[str]]] = {"basic": {}, "automated": BY_CLOCK, "full": BY_RULES}
# What the own container adds.
OWN = {name: {"dockerfile"} for name in BASIC if name not in ("nightly", "retrain", "template update")}
for name in ("merge request that touches everything", "merge request with a role for plans"):
    OWN[name] = {"dockerfile", "build-image"}
for name in ("main", "main without AWS", "child of a parent's main"):
    OWN[name] = {"dockerfile", "publish-image", "trivy", "image-scan"}
for name in ("nightly", "retrain"):
    OWN[name] = {"trivy", "image-scan"}


def expected(stage: str, container: str) -> dict[str, set[str]]:
    parts = [BASIC, AUTOMATED if stage != "basic" else {}, TRAINS[stage], OWN if container == "own" else {}]
    return {name: set[str]().union(*(part.get(name, set()) for part in parts)) for name in EVENTS}


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The largest pipeline: own container, stage full. For reading only."""
    folder = tmp_path_factory.mktemp("full")
    return gitlab_ci.repository(delivery.bake(folder, mlops_stage="full", container="own"))


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest pipeline: managed container, stage basic. For reading only."""
    folder = tmp_path_factory.mktemp("basic")
    return gitlab_ci.repository(delivery.bake(folder, mlops_stage="basic", container="managed"))


@pytest.fixture
def broken(baked: Path, tmp_path: Path) -> Path:
    """A copy to plant faults in."""
    return Path(shutil.copytree(baked, tmp_path / "broken"))


def started(project: Path, events: dict[str, Event]) -> dict[str, set[str]]:
    return {name: set(jobs) for name, jobs in gitlab_ci.graphs(project, events).items()}


def test_jobs_per_event_at_the_largest(baked: Path) -> None:
    assert started(baked, EVENTS) == expected("full", "own")


def test_jobs_per_event_at_the_smallest(smallest: Path) -> None:
    names = [name for name in EVENTS if BASIC.get(name) or name in ("poll", "branch", "approved")]
    wanted = expected("basic", "managed")
    assert started(smallest, {name: EVENTS[name] for name in names}) == {name: wanted[name] for name in names}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "container"), [("basic", "own"), ("automated", "own"), ("automated", "managed"), ("full", "managed")]
)
def test_jobs_per_event_everywhere_else(stage: str, container: str, tmp_path: Path) -> None:
    """By the events that differ in kind; all of them are asked at the largest."""
    project = gitlab_ci.repository(delivery.bake(tmp_path, mlops_stage=stage, container=container))
    wanted = expected(stage, container)
    assert started(project, {name: EVENTS[name] for name in KINDS}) == {name: wanted[name] for name in KINDS}
    assert [fault for check in CHECKS for fault in check(project)] == []


@pytest.mark.parametrize("status", ["pending", "approved", "rejected"])
def test_stage_basic_has_no_job_for_a_registry(status: str, smallest: Path) -> None:
    assert gitlab_ci.jobs(smallest, told(status)) == {}


def include_in(repository: Path, folder: str) -> None:
    """A monorepo's own file, which takes the use case's from its folder."""
    include = {"local": f"{folder}.gitlab-ci.yml", "inputs": {"project_dir": folder}}
    (repository / ".gitlab-ci.yml").write_text(yaml.safe_dump({"include": [include]}))
    gitlab_ci.repository(repository)


def test_only_what_changed_is_looked_at(baked: Path, tmp_path: Path) -> None:
    """In a monorepo: the files of this use case alone count, and every path lies below its folder."""
    shutil.copytree(baked, tmp_path / "churn", ignore=shutil.ignore_patterns(".git"))
    include_in(tmp_path, "churn/")
    gitlab_ci.repository(tmp_path, [f"other/{name}" for name in EVERYTHING])
    variables = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "7"}

    def shown() -> tuple[bool, ...]:
        listed = json.loads(gitlab_ci.run(tmp_path, "--list-json", what=Event(variables, changed=())))
        run = {job["name"] for job in listed if job["when"] != "never"}
        return tuple(name in run for name in ("lint", "pipeline-definition", "build-image", "terraform-test"))

    assert shown() == (True, False, False, False)
    gitlab_ci.repository(tmp_path, [f"churn/{name}" for name in EVERYTHING])
    assert shown() == (True, True, True, True)
    config = gitlab_ci.load(tmp_path)
    for name, job in gitlab_ci.jobs_of(config).items():
        artifacts = job.get("artifacts", {})
        known = {**config["variables"], **job.get("variables", {})}
        for path in [*artifacts.get("paths", []), *artifacts.get("reports", {}).values()]:
            assert gitlab_ci.expand(path, known).startswith("churn/"), name
        assert 'cd "./$PROJECT_DIR"' in job["before_script"], name


@pytest.mark.parametrize(
    "inputs",
    [
        *({"project_dir": folder} for folder in ("churn", "../churn/", "/churn/", "a b/", "-x/")),
        {"registry_event": "deleted"},
        {"schedule": "yearly"},
        {"model_package_arn": "churn/3"},
        {"model_package_arn": f"{ARN}; true"},
        {"reason": "$(true)"},
    ],
    ids=str,
)
def test_an_input_that_nobody_means_starts_nothing(inputs: dict[str, str], smallest: Path) -> None:
    with pytest.raises(ValueError, match=next(iter(inputs))):
        gitlab_ci.load(smallest, inputs)


# Checks: each returns what is wrong, and each is shown to fail on a planted fault below.


def schema(project: Path) -> list[str]:
    body = project.parent / "root.yml"  # the checker reads one document, so without the header
    text = gitlab_ci.split_header((project / ".gitlab-ci.yml").read_text())[1]
    body.write_text(text.replace("$[[ inputs.project_dir ]]", ""))
    files = [body, *sorted((project / ".gitlab/ci").glob("*.yml"))]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci"]
    done = run(*command, "--data-transform", "gitlab-ci", *files, cwd=project)
    return [] if done.returncode == 0 else [done.stdout + done.stderr]


def read(project: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The expanded configuration, and its jobs; read once for a project that nobody changes."""
    text = "".join(path.read_text() for path in [project / ".gitlab-ci.yml", *sorted(project.glob(".gitlab/ci/*.yml"))])
    config = _read(project, text)
    defaults = yaml.safe_load(gitlab_ci.split_header((project / ".gitlab-ci.yml").read_text())[1])["default"]
    return config, {name: {**defaults, **job} for name, job in gitlab_ci.jobs_of(config).items()}


@functools.cache
def _read(project: Path, _: str) -> dict[str, Any]:
    return gitlab_ci.load(project)


SAMPLE = (
    "merge request that touches everything",
    "main",
    "version tag",
    "retrain",
    "approved",
    "rejected",
    "pending",
    "poll",
)


def structure(project: Path) -> list[str]:
    """needs, stages, rules and defaults of every job."""
    try:
        config, jobs = read(project)
    except ValueError as error:
        return [str(error)]
    if found := [f"{name} waits for itself" for name in gitlab_ci.circles(jobs)]:
        return found
    for name, job in jobs.items():
        found += [] if job["stage"] in config["stages"] else [f"{name}: no stage {job['stage']}"]
        found += [] if "rules" in job else [f"{name}: no rules"]
        found += [] if {"timeout", "retry", "interruptible"} <= set(job) else [f"{name}: misses a default"]
    return found


def waiting(project: Path) -> list[str]:
    """Needs of jobs that are not in the same pipeline: GitLab refuses to create it."""
    return [
        f"{event_name}: {name} needs {need}, which is not there"
        for event_name, jobs in gitlab_ci.graphs(project, {name: EVENTS[name] for name in SAMPLE}).items()
        for name, job in jobs.items()
        for need in gitlab_ci.needs(job, optional=False)
        if need not in jobs
    ]


TIERS = {"dev": "development", "qa": "staging", "prod": "production", "model-approval": "other"}


def access(project: Path) -> list[str]:
    """Who may reach AWS, as which environment, and for how long."""
    found = []
    _, jobs = read(project)
    for name, job in jobs.items():
        environment = job.get("environment", {})
        tokens, script = job.get("id_tokens", {}), " ".join(job.get("before_script", []))
        found += [f"{name}: its token has no aud" for token in tokens.values() if not token.get("aud")]
        found += [f"{name}: takes a token, but no role"] if tokens and "aws_config.sh" not in script else []
        found += [f"{name}: takes a role, but has no token"] if "aws_config.sh" in script and not tokens else []
        found += [f"{name}: could be cut off in AWS"] if tokens and job["interruptible"] and name != "plan:dev" else []
        if environment and environment.get("deployment_tier") != TIERS.get(environment["name"]):
            found.append(f"{name}: {environment['name']} has not its tier")
        deploys = environment.get("action", "start") in ("start", "stop")
        if environment and deploys and job.get("resource_group") != environment["name"]:
            found.append(f"{name}: could deploy beside another job")
        role = job.get("variables", {}).get("AWS_ROLE_ARN", "")
        if tokens and bool(environment) != (role in ("", "$AWS_APPROVE_ROLE_ARN")):
            found.append(f"{name}: {role or 'AWS_ROLE_ARN'} does not trust such a job")
        if stop := environment.get("on_stop"):
            ends = jobs.get(stop, {}).get("environment", {})
            if (ends.get("name"), ends.get("action")) != (environment["name"], "stop"):
                found.append(f"{name}: {stop} does not stop {environment['name']}")
            if environment["name"] != "dev":
                found.append(f"{name}: {environment['name']} must not be stopped by a button")
        if role == "$AWS_PLAN_ROLE_ARN" and any(word in str(job["script"]) for word in ("deploy", "deliver", "apply")):
            found.append(f"{name}: the role for plans only reads")
    return found


def scripts(project: Path) -> list[str]:
    """Shell that does not parse, line by line (Alpine images have no bash), and what shellcheck warns of."""
    lines: dict[tuple[str, str], None] = {}
    files = []
    folder = project.parent / "shell"
    folder.mkdir(exist_ok=True)
    for name, job in read(project)[1].items():
        own = [line for part in ("before_script", "script") for line in job.get(part, [])]
        after = job.get("after_script", [])
        lines |= {(name, line): None for line in own + after}
        file = folder / f"{name.replace(':', '-')}.sh"
        known = sorted({*re.findall(r"\$\{?([A-Z][A-Z0-9_]+)", "\n".join(own))})
        file.write_text("\n".join(["#!/bin/bash", "set -e", *(f': "${{{v}:=}}"' for v in known), *own]) + "\n")
        files.append(file)
    found = []
    for name, line in lines:
        for shell in ("bash", "sh"):
            done = run(tool(shell), "-n", cwd=project, text=line)
            found += [] if done.returncode == 0 else [f"{name}: {line!r}: {done.stderr}"]
    files += sorted(project.glob("tools/*.sh"))
    done = run(tool("shellcheck"), "--severity=warning", "--exclude=SC1090,SC1091", *files, cwd=project)
    return found + ([] if done.returncode == 0 else [done.stdout])


def pins(project: Path) -> list[str]:
    config, jobs = read(project)
    found = []
    for name, job in jobs.items():
        image = job["image"]["name"] if isinstance(job["image"], dict) else job["image"]
        known = {**config["variables"], **job.get("variables", {})}
        if not re.fullmatch(r"\$\w+", image):
            found.append(f"{name}: image {image} is not a variable, so no mirror can replace it")
        reference = gitlab_ci.expand(image, known)
        if not re.fullmatch(r"docker\.io/[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*", reference):
            found.append(f"{name}: image {reference} has no exact version")
        if gitlab_ci.expand(image, {**known, "IMAGE_REGISTRY": "mirror"}) == reference:
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
    """Who would change an image, a model or a deployment without having reached the default branch, or a tag."""
    found = []
    unsafe = ("merge request that touches everything", "merge request with a role for plans", "approved, on a tag")
    for name, begun in gitlab_ci.graphs(project, {name: EVENTS[name] for name in unsafe}).items():
        for job in begun:
            definition = read(project)[1][job]
            content = f"{definition['script']} {definition.get('variables')}"
            if any(word in content for word in ("push=true", "--apply", " deliver ", " ci decide", "usecase deploy ")):
                found.append(f"{name}: {job} would publish")
    return found


Check = Callable[[Path], list[str]]
CHECKS: list[Check] = [schema, structure, waiting, access, scripts, pins, keys, publishing]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nothing_is_wrong(check: Check, baked: Path, smallest: Path) -> None:
    assert check(baked) == []
    assert check(smallest) == []


CI = ".gitlab/ci"
FAULTS: list[tuple[Check, str, str, str, str]] = [
    (schema, f"{CI}/test.yml", "  stage: test", "  stagee: test", "stagee"),
    (schema, ".gitlab-ci.yml", "max: 2", "max: 5", "5"),
    (schema, f"{CI}/lint.yml", "codequality:", "codequalitty:", "codequalitty"),
    (structure, f"{CI}/aws.yml", "      aud: $AWS_AUDIENCE", "      audience: x", "required property 'aud'"),
    (waiting, f"{CI}/image.yml", "dependencies]", "dependencies, build-image]", "needs build-image"),
    (structure, f"{CI}/lint.yml", "needs: []", "needs: [tests]", "tests"),
    (structure, f"{CI}/lint.yml", "needs: []", "needs: [publish-image]", "future stage"),
    (structure, f"{CI}/approve.yml", "needs: []", "needs: [approve-model]", "approve-model waits for itself"),
    (structure, f"{CI}/dev.yml", 'needs: ["deploy:dev"]', 'needs: ["smoke:dev"]', "smoke:dev waits for itself"),
    (structure, f"{CI}/lint.yml", "stage: lint", "stage: check", "check"),
    (structure, f"{CI}/lint.yml", "[.uv, .on-change]", "[.uv]", "no rules"),
    (structure, ".gitlab-ci.yml", "  timeout: 15 minutes\n", "", "misses a default"),
    (access, f"{CI}/aws.yml", "  id_tokens:\n    AWS_ID_TOKEN:\n      aud: $AWS_AUDIENCE\n", "", "has no token"),
    (access, f"{CI}/aws.yml", "  interruptible: false\n", "", "could be cut off"),
    (access, f"{CI}/qa.yml", "deployment_tier: staging", "deployment_tier: testing", "qa has not its tier"),
    (access, f"{CI}/prod.yml", "  resource_group: prod\n", "", "could deploy beside another job"),
    (access, f"{CI}/dev.yml", "on_stop: stop:dev", "on_stop: stop:all", "stop:all does not stop dev"),
    (access, f"{CI}/qa.yml", "    url:", "    on_stop: stop:dev\n    url:", "qa must not be stopped"),
    (
        access,
        f"{CI}/train.yml",
        "  resource_group",
        "  environment: {name: dev}\n  resource_group",
        "does not trust such",
    ),
    (access, f"{CI}/dev.yml", "usecase plan --env dev", "usecase deploy --env dev", "only reads"),
    (scripts, f"{CI}/security.yml", ":+$CI_MERGE_REQUEST_DIFF_BASE_SHA..}", ":+x", "gitleaks"),
    (scripts, f"{CI}/test.yml", "usecase pipeline --check", "usecase pipeline (--check", "pipeline-definition"),
    (scripts, f"{CI}/train.yml", "cat started.txt", "true && [ -n $CI_JOB_ID ]", "SC2070"),
    (pins, ".gitlab-ci.yml", "image: $PYTHON_IMAGE", "image: python:3.12.1", "not a variable"),
    (pins, ".gitlab-ci.yml", "uv:0.13.8-python3.12-trixie", "uv:latest", "no exact version"),
    (pins, f"{CI}/security.yml", "$IMAGE_REGISTRY/", "docker.io/", "ignores IMAGE_REGISTRY"),
    (pins, f"{CI}/security.yml", "pysonar@1.9.0.5762", "pysonar", "whatever is newest"),
    (pins, f"{CI}/image.yml", "  stage: build", "  stage: build\n  services: [docker:28-dind]", "privileged"),
    (keys, f"{CI}/test.yml", "needs: []", "needs: []\n  variables: {AWS_ACCESS_KEY_ID: x}", "static AWS key"),
    (keys, "README.md", "#", "AKIAIOSFODNN7EXAMPLE\n#", "static AWS key"),
    (publishing, f"{CI}/image.yml", 'OUTPUT: ""', "OUTPUT: type=image,push=true", "build-image would publish"),
    (publishing, f"{CI}/dev.yml", "|| $CI_COMMIT_TAG", "", "approved, on a tag: deploy:dev would publish"),
]


@pytest.mark.parametrize(
    ("check", "file", "old", "new", "complaint"), FAULTS, ids=[f"{fault[0].__name__}-{fault[4]}" for fault in FAULTS]
)
def test_a_planted_fault_is_found(check: Check, file: str, old: str, new: str, complaint: str, broken: Path) -> None:
    replace(broken / file, old, new)
    assert complaint in "\n".join(check(broken))


@pytest.mark.parametrize("condition", ["$A = 1", "$A $B", '$A == "1" and'])
def test_a_condition_that_gitlab_would_refuse_is_refused(condition: str) -> None:
    with pytest.raises(ValueError, match="evaluate"):
        gitlab_ci.holds(condition, {"A": "x"})


# Scripts, really run; programs that are not here are replaced by ones that write down how they were called.


def run_script(project: Path, job: str, bin_dir: Path, variables: dict[str, str], project_dir: str = "") -> str:
    """Runs the script of `job` as a runner would; returns the arguments of the recorded programs, a line per call."""
    if project_dir:
        include_in(project, project_dir)
    config = gitlab_ci.load(project)
    content = config[job]
    calls = bin_dir / "calls"
    for program in ("gitleaks", "buildctl-daemonless.sh"):
        (bin_dir / program).write_text(f'#!/bin/sh\nprintf "<%s>" {program} "$@" >> "{calls}"\necho >> "{calls}"\n')
        (bin_dir / program).chmod(0o755)
    known = {**config["variables"], **content.get("variables", {}), **variables}
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
    shutil.copytree(baked, tmp_path / "repository" / folder, ignore=shutil.ignore_patterns(".git"))
    registry = {"CI_REGISTRY": "registry.example.com", "CI_REGISTRY_USER": "user", "CI_REGISTRY_PASSWORD": "secret"}
    image = {"CI_COMMIT_SHA": "abc", "CI_PROJECT_URL": "https://gitlab.example.com/ds/ml"}
    image |= {"CI_REGISTRY_IMAGE": "registry.example.com/ds/ml"}
    published = run_script(tmp_path / "repository", "publish-image", tmp_path, registry | image, folder)
    assert f"name=registry.example.com/ds/ml/{name}:abc,push=true,oci-mediatypes=false" in published


def test_tests_that_the_test_job_leaves_out_run_in_another(baked: Path) -> None:
    options = tomllib.loads((baked / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    (marker,) = re.findall(r"-m 'not (\w+)'", options)
    script = read(baked)[1]["pipeline-definition"]["script"]
    assert f"uv run --group sagemaker pytest -m {marker}" in script


def test_providers_are_cached_only_with_a_lock_file(baked: Path) -> None:
    """Without .terraform.lock.hcl, `terraform init` downloads past its cache."""
    job = read(baked)[1]["terraform-test"]
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
