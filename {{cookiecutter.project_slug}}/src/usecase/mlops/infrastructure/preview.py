"""What a deployment would do: plans of platform and serving that change nothing, with an account or without one."""

import importlib.util
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from usecase.mlops.aws.platform import PlatformFacts, read_platform
from usecase.mlops.aws.signing import container_environment
from usecase.mlops.errors import UserError
from usecase.mlops.infrastructure.deploy import (
    MONITOR,
    NO_PLATFORM,
    Place,
    monitor_variables,
    platform_is_there,
    serving_variables,
)
from usecase.mlops.infrastructure.record import read_record
from usecase.mlops.infrastructure.release import find_package, open_registry, refuse_foreign
from usecase.mlops.infrastructure.roots import TERRAFORM, Root, environment_settings, local_copy
from usecase.mlops.infrastructure.terraform import Say
from usecase.mlops.settings import Settings
from usecase.mlops.yamlfile import parse

FACTS = TERRAFORM / "tests/facts.json"  # a platform of no account, for tests and plans without one
PARTITIONS = {"cn": "aws-cn", "us-gov": "aws-us-gov", "us-iso": "aws-iso", "us-isob": "aws-iso-b"}
_ARN = re.compile(r"^arn:aws[a-z-]*:(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(\d{12})?:")


def plan(place: Place, roots: list[str], model: str) -> None:
    """Plan on what there is in the account. Raises UserError."""
    with tempfile.TemporaryDirectory(prefix="usecase-plan-") as folder:
        if "platform" in roots:
            place.root("platform").plan(Path(folder), {})
        if "serving" not in roots:
            return
        if not platform_is_there(place):
            place.say(NO_PLATFORM)
            return
        facts = read_platform(place.connection, place.settings)
        record = read_record(place.connection, place.settings)
        arn = model or (record.package_arn if record else "")
        variables = serving_variables(facts, arn)
        if arn:
            registry = open_registry(place.connection, place.settings, facts)
            version = find_package(registry, arn, place.settings)
            variables = serving_variables(facts, arn, container_environment(version, place.settings))
            with tempfile.TemporaryDirectory() as built:
                variables |= monitor_variables(place, facts, version, Path(built))
        place.root("serving").plan(Path(folder), variables)


def plan_offline(environment: str, roots: list[str], model: str, say: Say) -> None:
    """Plan as if nothing were there, on facts that are made up. No account is asked. Raises UserError."""
    settings = environment_settings(environment)
    variables: dict[str, dict[str, Any]] = {"platform": {}}
    if "serving" in roots:
        facts = offline_facts(settings)
        if model:
            refuse_foreign(model, settings, facts.model_package_group)
        variables["serving"] = serving_variables(facts, model)
        if importlib.util.find_spec(MONITOR):
            variables["serving"] |= importlib.import_module(MONITOR).offline_variables(settings, facts)
    with local_copy() as top, tempfile.TemporaryDirectory(prefix="usecase-plan-") as folder:
        for name in roots:
            Root(name, settings, say, top=top, offline=True).plan(Path(folder), variables[name])


def offline_facts(settings: Settings) -> PlatformFacts:
    """The facts of terraform/tests/facts.json, as if their platform were of this account and region."""
    try:
        content = json.loads(FACTS.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{FACTS}: is missing: take it back from git") from None
    kind = settings.aws_region.rpartition("-")[0].rpartition("-")[0]  # eu-central-1: eu; us-iso-east-1: us-iso
    partition = PARTITIONS.get(kind, "aws")

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(item) for item in value]
        match = _ARN.match(value)
        if match is None:
            return value
        region = settings.aws_region if match["region"] else ""
        head = f"arn:{partition}:{match['service']}:{region}:{settings.aws_account}:"
        return head + value[match.end() :]

    image = f"{settings.aws_account}.dkr.ecr.{settings.aws_region}.amazonaws.com/{settings.project}"
    own = {
        "image_repository_url": image if settings.container == "own" else "",
        "model_package_group": settings.model_package_group,
    }
    return parse(PlatformFacts, {key: moved(value) for key, value in content.items()} | own, str(FACTS))
