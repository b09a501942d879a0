"""Bring a version into service: choose, plan, ask, apply exactly that plan, look whether it is so, and record it."""

import importlib.util
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import typer

from usecase.mlops.aws.errors import explained
from usecase.mlops.aws.platform import PlatformFacts, parameter_name, read_platform, session
from usecase.mlops.aws.signing import check_where_enabled, container_environment
from usecase.mlops.errors import UserError
from usecase.mlops.infrastructure import live
from usecase.mlops.infrastructure.record import Deployment, DeploymentRecord, read_record, record_name, write_record
from usecase.mlops.infrastructure.release import check_approved, find_package, open_registry
from usecase.mlops.infrastructure.roots import Plan, Root, backend, environment_settings
from usecase.mlops.infrastructure.terraform import Say
from usecase.mlops.registry import ModelPackage, now
from usecase.mlops.run import git_sha
from usecase.mlops.settings import Settings

MARGIN_SECONDS = 600  # that SageMaker may need beyond the time of its roll-out
HOLDS_DATA = ("aws_s3_bucket", "aws_kms_key", "aws_ecr_repository", "aws_sagemaker_model_package_group")
MONITOR = "usecase.mlops.infrastructure.monitor"
NO_PLATFORM = "serving: is planned once the platform is there, which `usecase deploy` makes first"


@dataclass(frozen=True)
class Consent:
    """Whether a person is asked before something changes: they may have said yes, or only want to look."""

    yes: bool = False
    dry_run: bool = False

    def check(self) -> None:
        """Raise UserError when nobody can be asked."""
        if not (self.yes or self.dry_run or sys.stdin.isatty()):
            raise UserError(
                "standard input is no terminal, so nobody can be asked: add yes=1 (--yes), or look with dry_run=1"
            )

    def given(self, question: str, say: Say) -> bool:
        """Whether to go on. Ends the program when the answer is no."""
        if self.dry_run:
            say("Nothing was changed: --dry-run")
            return False
        if not self.yes:
            typer.confirm(question, abort=True)
        return True


@dataclass(frozen=True)
class Place:
    """An environment and the way to it."""

    settings: Settings
    connection: boto3.Session
    say: Say

    @classmethod
    def open(cls, environment: str, say: Say) -> "Place":
        """The environment, with credentials of its account. Raises UserError."""
        settings = environment_settings(environment)
        return cls(settings, session(settings), say)

    def root(self, name: str) -> Root:
        """A root with its state in the environment's bucket. Raises UserError."""
        return Root(name, self.settings, self.say, backend(self.settings, name))


def deploy_platform(place: Place, consent: Consent) -> None:
    """Plan and apply terraform/platform. What holds data goes only when a person is asked. Raises UserError."""
    root = place.root("platform")
    with tempfile.TemporaryDirectory(prefix="usecase-plan-") as folder:
        plan = root.plan(Path(folder), {})
        lost = [address for kind in HOLDS_DATA for address in plan.losses(kind)]
        if lost and consent.yes and not consent.dry_run:
            raise UserError(f"the plan would destroy {', '.join(lost)}: look at it, and deploy without --yes")
        if not plan.is_empty and consent.given(f"Apply this to {place.settings.environment}?", place.say):
            root.apply(plan)


def deploy_serving(place: Place, model: str, version: str, consent: Consent) -> None:
    """Plan and apply terraform/serving for one version, verify, record. Raises UserError.

    `model` is the ARN of a package, `version` its number in the environment's registry. Without both it is the version
    of the record. An environment without a record is a cold start, unless something is in service there.
    """
    settings, say = place.settings, place.say
    if consent.dry_run and not platform_is_there(place):
        say(NO_PLATFORM)
        return
    facts = read_platform(place.connection, settings)
    registry = open_registry(place.connection, settings, facts)
    record = read_record(place.connection, settings)
    root = place.root("serving")
    arn = model or (registry.describe(version).arn if version else "") or (record.package_arn if record else "")
    if not arn:
        _refuse_what_is_live(place, root)
        say("no version was deployed yet, and none is given: a cold start")
        package, digest, told = None, "", {}
    else:
        package = find_package(registry, arn, settings)
        check_approved(registry, arn, settings)
        check_where_enabled(package, settings)
        told = container_environment(package, settings)
        say(f"version {package.version}: {arn}")
        digest = package.image.partition("@")[2]
    with tempfile.TemporaryDirectory(prefix="usecase-plan-") as folder, tempfile.TemporaryDirectory() as built:
        monitor = _monitor(place, facts, package, Path(built)) if package else None
        plan = root.plan(Path(folder), serving_variables(facts, arn, told) | (monitor.variables if monitor else {}))
        _refuse_loss(plan)
        if not plan.is_empty or consent.dry_run:
            if not consent.given(f"Apply this to {settings.environment}?", say):
                return
            if arn:
                check_approved(registry, arn, settings)  # it may have been revoked while this waited for an answer
            if monitor:
                monitor.send(place, facts)
            root.apply(plan)
    if not arn:
        return
    wanted = live.Wanted.of(root.outputs(), arn, digest)
    _verified(place, wanted)
    if record and (record.package_arn, record.endpoint_config) == (arn, wanted.endpoint_config):
        say(f"in service since {record.deployed_at}, as recorded in {record_name(settings)}")
        return
    deployment = Deployment(
        package_arn=arn,
        image_digest=digest,
        git_sha=os.environ.get("CI_COMMIT_SHA") or git_sha(),
        deployed_at=now(),
        endpoint_config=wanted.endpoint_config,
        pipeline_url=os.environ.get("CI_PIPELINE_URL", ""),
    )
    write_record(place.connection, settings, deployment, record)
    say(f"in service and recorded in {record_name(settings)}")


def verify(place: Place, limit_seconds: float | None = None) -> None:
    """Compare what is in service with the record and Terraform's outputs. Raises UserError when they differ."""
    record = read_record(place.connection, place.settings)
    if record is None:
        name = live.endpoint_name(place.settings.project, place.settings.environment)
        if live.describe_endpoint(place.connection, name):
            raise UserError(
                f"endpoint {name} is live, but {record_name(place.settings)} records no version: deploy one"
            )
        place.say("no version was deployed yet")
        return
    wanted = live.Wanted.of(place.root("serving").outputs(), record.package_arn, record.image_digest)
    _verified(place, wanted, limit_seconds)


def rollback(place: Place, consent: Consent) -> None:
    """Deploy the newest version before the present one that is still approved. Raises UserError."""
    record = read_record(place.connection, place.settings)
    if record is None:
        raise UserError(f"{record_name(place.settings)}: records no version, so there is none to go back to")
    arn = _version_before(place, record)
    place.say(f"from {record.package_arn}, in service since {record.deployed_at}")
    deploy_serving(place, arn, "", consent)


def serving_variables(facts: PlatformFacts, arn: str, told: dict[str, str] | None = None) -> dict[str, Any]:
    """Variables of terraform/serving. `told`: environment variables of the container."""
    return {"platform": facts.model_dump(), "model_package_arn": arn or None, "container_environment": told or {}}


def monitor_variables(place: Place, facts: PlatformFacts, package: ModelPackage, folder: Path) -> dict[str, Any]:
    """Variables of terraform/serving of what looks for drift, built in the empty `folder`; {} before stage full."""
    monitor = _monitor(place, facts, package, folder)
    return dict(monitor.variables) if monitor else {}


def platform_is_there(place: Place) -> bool:
    """Whether terraform/platform was applied: it writes the facts that serving needs. Raises UserError."""
    name = parameter_name(place.settings)
    with explained(f"SSM parameter {name}"):
        return bool(place.connection.client("ssm").get_parameters(Names=[name])["Parameters"])


def _monitor(place: Place, facts: PlatformFacts, package: ModelPackage, folder: Path) -> Any:
    """usecase.mlops.infrastructure.monitor.Monitor, which comes with stage full; None before."""
    if not importlib.util.find_spec(MONITOR):
        return None
    return importlib.import_module(MONITOR).monitor_of(place, facts, package, folder)


def _version_before(place: Place, record: DeploymentRecord) -> str:
    registry = open_registry(place.connection, place.settings, read_platform(place.connection, place.settings))
    for deployment in record.previous:
        if deployment.package_arn == record.package_arn:
            continue
        try:
            check_approved(registry, deployment.package_arn, place.settings)
        except UserError as error:
            place.say(f"not {deployment.package_arn}: {error}")
        else:
            return deployment.package_arn
    raise UserError("no version of the record but the present one is approved: deploy one with --version N")


def _verified(place: Place, wanted: live.Wanted, limit_seconds: float | None = None) -> None:
    limit = place.settings.rollout.timeout_seconds + MARGIN_SECONDS if limit_seconds is None else limit_seconds
    found = live.differences(place.connection, wanted, place.say, limit)
    if found:
        more = "".join(f"\n  {line}" for line in found)
        raise UserError(f"what is in service in {place.settings.environment} is not what is wanted:{more}")
    place.say(f"verified: {wanted.endpoint_config or wanted.model_name} serves {wanted.package_arn}")


def _refuse_what_is_live(place: Place, root: Root) -> None:
    """Without a version, Terraform would plan to have none: nothing that serves may go that way."""
    name = live.endpoint_name(place.settings.project, place.settings.environment)
    found = ""
    if live.describe_endpoint(place.connection, name):
        found = f"endpoint {name} is live"
    elif root.has_resources():
        found = "the state of terraform/serving is not empty"
    if found:
        raise UserError(f"{found}, but no version is recorded: say which one, with --model ARN or --version N")


def _refuse_loss(plan: Plan) -> None:
    if lost := plan.losses("aws_sagemaker_endpoint"):
        raise UserError(
            f"the plan would destroy {', '.join(lost)}, which is live: take back the change of config/ that asks"
            " for it, or end the service first with `usecase destroy --root serving`"
        )
