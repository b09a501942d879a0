"""One throw-away use case in a real AWS account, from nothing to a rollback and back to nothing: `make test-live-aws`.

Bounded in time, in money (the instance types that its roles allow, times the hours) and in names: everything begins
with one slug of this run and bears its tags. Whatever happens on the way, it is taken down at the end. It makes its own
state bucket, so terraform/bootstrap/account, whose parts serve a whole account, is left out.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parent.parent
# At most: an endpoint and its successor, and two jobs at a time. See docs/costs.md of a baked repository for the price.
INSTANCES, TYPES, DOLLARS_PER_HOUR = 4, ("ml.m5.large", "ml.m5.xlarge"), 0.269
MAXIMUM_HOURS = 6.0
CLEANING_MINUTES = 45  # per step of the end; that time is not part of the hours of the test
PROGRAMS = ("cookiecutter", "git", "make", "terraform", "uv")
USECASE = ("uv", "run", "--quiet", "usecase")


class LiveError(Exception):
    """What is wrong, in one line."""


@dataclass(frozen=True)
class Step:
    """A command in the project. `finds` is what its output must hold; the match is `{found}` in later commands."""

    title: str
    words: tuple[str, ...]
    minutes: float = 10
    types: str = ""  # on standard input
    finds: str = ""
    environment: dict[str, str] = field(default_factory=dict)


def usecase(title: str, words: str, minutes: float = 10, types: str = "", finds: str = "") -> Step:
    """A step that is a verb of the project."""
    return Step(title, (*USECASE, *words.split()), minutes, types, finds)


def serve(version: int, params: str) -> list[Step]:
    """Train a version, approve it, bring it into service, ask it."""
    more = f" --params {params}" if params else ""
    return [
        usecase(f"start the pipeline for version {version}", f"pipeline start --env dev --data {{found}}{more}"),
        usecase("wait for it", "pipeline status --env dev --wait", 60),
        usecase(f"approve version {version}", f"approve --env dev --version {version} --reason live-test"),
        usecase(f"deploy version {version}", f"deploy --env dev --root serving --version {version} --yes", 45),
        usecase("ask it", "ci ask --env dev --requests 20"),
    ]


STEPS = [
    Step("make its environment", ("make", "setup"), 15),
    Step("compile the pipeline", ("make", "pipeline"), 15),
    Step("compare with the one that is committed", ("git", "diff", "--exit-code", "pipeline.json")),
    usecase("make the roles of jobs and their boundary", "bootstrap --account dev --yes", 15),
    usecase("make the platform", "deploy --env dev --root platform --yes", 30),
    usecase("push the data", "data push data/sample.csv --env dev", finds=r"s3://\S+"),
    usecase("deploy the pipeline", "pipeline deploy --env dev --apply"),
    *serve(1, ""),
    *serve(2, "Seed=7"),
    usecase("roll back to version 1", "deploy rollback --env dev --yes", 45),
    usecase("ask it", "ci ask --env dev --requests 20"),
    usecase("verify", "deploy verify --env dev", 30),
]


@dataclass(frozen=True)
class Test:
    """One run: where it happens and what it is called."""

    account: str
    region: str
    slug: str
    hours: float

    @property
    def bucket(self) -> str:
        """Of Terraform's states, for this run alone."""
        return f"{self.slug}-states-{self.account}"

    @property
    def bound(self) -> float:
        """US dollars that the instances can cost, were they all in use all the time."""
        return INSTANCES * DOLLARS_PER_HOUR * self.hours

    @property
    def answers(self) -> dict[str, str]:
        """Of the template's questions."""
        own = {"aws_region": self.region, "aws_account_dev": self.account, "gitlab_group": "live"}
        return {"project_name": self.slug, "project_slug": self.slug, "mlops_stage": "automated", **own} | {
            "container": "managed"  # AWS's image: none has to be built
        }

    @property
    def settings(self) -> str:
        """Appended to config/dev.yaml."""
        return f"""\
account: {{ state_bucket: {self.bucket}, lock_table: none, oidc_provider: none, log_bucket: none }}
aws_access: {{ project_id: "1" }} # of nobody: no job of GitLab takes these roles
events: {{ approval_trigger: poll }}
instance_types: [{", ".join(TYPES)}]
rollout: {{ type: all_at_once, termination_wait_seconds: 0 }}
"""


def refusals(test: Test, budget: float, yes: str | None) -> None:
    """Raise LiveError when something that needs no account forbids to begin. `yes` is None for a dry run."""
    if not re.fullmatch(r"\d{12}", test.account):
        raise LiveError("which account? make test-live-aws account=123456789012 [region=eu-central-1]")
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", test.region):
        raise LiveError(f"region={test.region} is no AWS region: one such as eu-central-1")
    if not 0 < test.hours <= MAXIMUM_HOURS:
        raise LiveError(f"hours={test.hours:g} must be more than 0 and at most {MAXIMUM_HOURS:g}")
    if test.bound > budget:
        raise LiveError(
            f"{test.hours:g} hours can cost {test.bound:.2f} US dollars, more than budget={budget:g}: fewer hours"
        )
    if yes is None:
        return
    if yes != test.account:
        raise LiveError(
            f"this makes resources in account {test.account} that cost money: look with dry_run=1, then say"
            f" yes={test.account}"
        )
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        raise LiveError(f"{', '.join(missing)}: not installed")


def connect(test: Test) -> boto3.Session:
    """A session with credentials of exactly that account. Raises LiveError."""
    session = boto3.Session(region_name=test.region)
    try:
        caller = session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        reason = str(error).splitlines()[0]
        raise LiveError(f"no AWS credentials that work ({reason}): `aws sso login`, or AWS_PROFILE") from None
    if caller["Account"] != test.account:
        raise LiveError(f"the credentials are of account {caller['Account']}, not {test.account}: nothing was done")
    return session


def plan(test: Test, say: Callable[[str], None]) -> None:
    """Say what would happen and what it can cost."""
    say(f"account {test.account}, {test.region}, use case {test.slug}, at most {test.hours:g} hours")
    say(
        f"at most {INSTANCES} instances of {' or '.join(TYPES)}: {test.bound:.2f} US dollars at {DOLLARS_PER_HOUR}"
        " an hour each; keys, requests and storage: cents"
    )
    for number, title in enumerate(["make a bucket for the states", "bake", *(step.title for step in STEPS)], 1):
        words = STEPS[number - 3].words if number > 2 else ()
        say(f"{number:>3}. {title}{': ' + ' '.join(words) if words else ''}")
    say("then, also after a failure: what serves, the versions, the platform, the roles, the bucket are destroyed")


def execute(step: Step, project: Path, found: str, deadline: float) -> str:
    """Run a step and show its output, which is returned. Raises LiveError when it fails or takes too long."""
    words = [word.replace("{found}", found) for word in step.words]
    print(f"\n=== {step.title}\n$ {' '.join(words)}", flush=True)
    seconds = min(60.0 * step.minutes, deadline - time.monotonic())
    if seconds <= 0:
        raise LiveError(f"{step.title}: the time is over")
    process = subprocess.Popen(
        words,
        cwd=project,
        env=os.environ | step.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(step.types, timeout=seconds)
    except BaseException as stopped:
        # Terraform ends what it has begun when it is interrupted, and writes its state.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=300)
        if isinstance(stopped, subprocess.TimeoutExpired):
            raise LiveError(f"{step.title}: took longer than {seconds:.0f} s") from None
        raise
    print(output, end="", flush=True)
    if process.returncode:
        raise LiveError(f"{step.title}: exit status {process.returncode}")
    return output


def go_through(test: Test, project: Path) -> None:
    """All steps, until one fails. Raises LiveError."""
    found, deadline = "", time.monotonic() + 3600 * test.hours
    for step in STEPS:
        output = execute(step, project, found, deadline)
        if step.finds:
            match = re.search(step.finds, output)
            if match is None:
                raise LiveError(f"{step.title}: its output names no {step.finds}")
            found = match[0]


def clean_up(test: Test, session: boto3.Session, project: Path) -> list[str]:
    """Take everything down, each part although another one failed; returns what did not go."""
    data = {"TF_DATA_DIR": str(project / ".local/terraform/bootstrap-usecase-dev")}
    destroy = ("terraform", "-chdir=terraform/bootstrap/usecase", "destroy", "-auto-approve", "-var=environment=dev")
    parts: list[tuple[str, Callable[[], object]]] = [
        ("what serves", lambda: taken_down(usecase("what serves", "destroy --env dev --root serving", types="dev\n"))),
        ("pipeline and versions", lambda: delete_versions(test, session)),
        ("platform", lambda: taken_down(usecase("platform", "destroy --env dev --root platform", types="dev\n"))),
        ("roles of jobs", lambda: taken_down(Step("roles of jobs", destroy, environment=data))),
    ]
    left: list[str] = []

    def taken_down(step: Step) -> None:
        execute(step, project, "", time.monotonic() + 60 * CLEANING_MINUTES)

    for name, part in parts:
        try:
            part()
        except (LiveError, BotoCoreError, ClientError) as error:
            left.append(f"{name} ({str(error).splitlines()[0]})")
    if not left:  # the states are the way to what is left
        delete_bucket(session, test.bucket)
    return left


def delete_versions(test: Test, session: boto3.Session) -> None:
    """What the pipeline and its executions made, which Terraform does not know and a group must not hold."""
    sagemaker, name = session.client("sagemaker"), f"{test.slug}-dev"
    for page in sagemaker.get_paginator("list_pipelines").paginate(PipelineNamePrefix=name):
        if name in [pipeline["PipelineName"] for pipeline in page["PipelineSummaries"]]:
            sagemaker.delete_pipeline(PipelineName=name)
    try:
        pages = list(sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=name))
    except ClientError as error:
        if "does not exist" in str(error):
            return
        raise
    for page in pages:
        for package in page["ModelPackageSummaryList"]:
            sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])


def make_bucket(session: boto3.Session, test: Test) -> None:
    """The bucket of the states: private and encrypted, as S3 makes them, and versioned."""
    s3 = session.client("s3")
    place: Any = {"CreateBucketConfiguration": {"LocationConstraint": test.region}}
    s3.create_bucket(Bucket=test.bucket, **({} if test.region == "us-east-1" else place))
    s3.put_bucket_versioning(Bucket=test.bucket, VersioningConfiguration={"Status": "Enabled"})


def delete_bucket(session: boto3.Session, name: str) -> None:
    """The bucket, with all versions of what it holds."""
    bucket = session.resource("s3").Bucket(name)
    bucket.object_versions.delete()
    bucket.delete()


def run(test: Test, session: boto3.Session, folder: Path) -> bool:
    """Bake, go through the steps, take everything down; returns whether all of that worked. Raises LiveError."""
    answers = [f"{name}={value}" for name, value in test.answers.items()]
    bake = Step("bake", ("cookiecutter", "--no-input", "--output-dir", str(folder), str(ROOT), *answers))
    execute(bake, folder, "", time.monotonic() + 600)
    project = folder / test.slug
    with (project / "config/dev.yaml").open("a", encoding="utf-8") as settings:
        settings.write(test.settings)
    make_bucket(session, test)
    problem, left = "stopped", ["all of it"]
    try:
        go_through(test, project)
        problem = ""
    except LiveError as error:
        problem = str(error)
    finally:
        left = clean_up(test, session, project)
        if problem or left:
            print(f"error: {problem or 'the steps worked'}{kept(left, test, project)}", file=sys.stderr)
    return not (problem or left)


def kept(left: list[str], test: Test, project: Path) -> str:
    """A line about what costs on."""
    if not left:
        return "; everything was taken down"
    return (
        f"; NOT taken down: {', '.join(left)}: go on by hand in {project}, whose states are in s3://{test.bucket};"
        f" all of it is tagged Project={test.slug}"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--account", default="")
    parser.add_argument("--region", default="eu-central-1")
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--budget", type=float, default=5.0, help="US dollars")
    parser.add_argument("--yes", default="", metavar="ACCOUNT")
    parser.add_argument("--dry-run", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Return the exit status."""
    given = arguments()
    test = Test(given.account, given.region, f"live-{time.strftime('%y%m%d%H%M')}", given.hours)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VIRTUAL_ENV"):
        os.environ.pop(name, None)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # either way the end is reached
    try:
        refusals(test, given.budget, None if given.dry_run else given.yes)
        plan(test, print)
        if given.dry_run:
            return 0
        session = connect(test)
        folder = Path(tempfile.mkdtemp(prefix=f"{test.slug}-"))
        if not run(test, session, folder):
            return 1
    except (LiveError, BotoCoreError, ClientError) as error:
        print(f"error: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    shutil.rmtree(folder)
    print("\nAll of it worked, and everything was taken down; keys wait 30 days for their deletion, at no cost.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
