"""A steward's decision, written to the registry of record with who and why; and what follows from a rejection."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from usecase.mlops.aws.platform import read_platform
from usecase.mlops.delivery import gitlab
from usecase.mlops.delivery.version import open_version, refuse_unknown
from usecase.mlops.errors import UserError
from usecase.mlops.files import write_json
from usecase.mlops.infrastructure.deploy import Place
from usecase.mlops.infrastructure.record import read_record
from usecase.mlops.infrastructure.release import find_package, open_registry
from usecase.mlops.registry import REJECTED, SOURCE_ARN
from usecase.mlops.sections import Environment

LABEL = "model-rejected"
ENVIRONMENTS: tuple[Environment, ...] = ("dev", "qa", "prod")
Say = Callable[[str], None]


def decide(arn: str, approved: bool, say: Say) -> None:
    """Approve or reject, in the name of who started the job. Raises UserError.

    STEWARDS, where set, lists the user names that may; REASON says why, else the pipeline's address does.
    """
    who = gitlab.needed("GITLAB_USER_LOGIN")
    stewards = [name for name in re.split(r"[,\s]+", os.environ.get("STEWARDS", "")) if name]
    if stewards and who not in stewards:
        raise UserError(f"{who} is not among STEWARDS ({', '.join(stewards)}): ask one of them")
    reason = os.environ.get("REASON", "").strip()
    why = f"{reason} ({gitlab.pipeline_url()})" if reason else f"in {gitlab.pipeline_url()}"
    _, registry, package = open_version(arn)
    number = str(package.version)
    done = registry.approve(number, why) if approved else registry.reject(number, why)
    say(f"version {done.version} is {done.status}: {done.reason}")


def live(environment: Environment, arn: str, output: Path, say: Say) -> None:
    """Write whether a version of the registry of record, or a copy of it, is in service in an environment."""
    refuse_unknown(arn)
    place = Place.open(environment, say)
    record = read_record(place.connection, place.settings)
    since = ""
    if record:
        registry = open_registry(place.connection, place.settings, read_platform(place.connection, place.settings))
        package = find_package(registry, record.package_arn, place.settings)
        if arn in (package.arn, package.metadata.get(SOURCE_ARN)):
            since = record.deployed_at
    write_json(output, {"environment": environment, "since": since})
    say(f"{environment}: {f'in service since {since}' if since else 'not in service'}")


def rejected(arn: str, folder: Path, say: Say) -> None:
    """Open one issue about a rejected version: who, why, and where it is live, by the files of `live`.

    An event may come twice: the issue that is there counts. Raises UserError.
    """
    _, _, package = open_version(arn)
    if package.status != REJECTED:
        say(f"version {package.version} is {package.status} now: nothing to do")
        return
    group = package.description["ModelPackageGroupName"]
    places = _places(folder)
    urgent = [name for name, since in places.items() if since]
    table = "\n".join(f"| {name} | {_words(since)} |" for name, since in places.items())
    advice = (
        f"It still serves in {', '.join(urgent)}: run a pipeline by hand and start its `rollback:<environment>`."
        if urgent
        else "Nothing has to be rolled back where it is not in service."
    )
    text = (
        f"`{arn}` was rejected: {package.reason or 'no reason was given'}\n\n"
        f"| environment | |\n| --- | --- |\n{table}\n\n"
        f"{advice} No deployment and no rollback brings it into service any more.\n\n"
        f"What would make the next version pass? Pipeline: {gitlab.pipeline_url()}\n"
    )
    where = gitlab.project("issue about the rejection")
    address, is_new = gitlab.open_issue(where, LABEL, arn, f"Version {package.version} of {group} was rejected", text)
    say(f"{'opened' if is_new else 'there is already'} {address}")


def _places(folder: Path) -> dict[str, str | None]:
    """Since when the version serves, by environment: blank where it does not, None where nobody knows."""
    found: dict[str, str | None] = dict.fromkeys(ENVIRONMENTS)
    for name in ENVIRONMENTS:
        file = folder / f"live-{name}.json"
        if file.exists():
            found[name] = str(json.loads(file.read_text(encoding="utf-8"))["since"])
    return found


def _words(since: str | None) -> str:
    if since is None:
        return "not known: the job that looks there failed"
    return f"**in service** since {since}" if since else "not in service"
