"""events.approval_trigger: poll. Reads the registry and starts the pipelines that AWS would have started by events."""

from collections.abc import Callable, Iterator
from itertools import islice

from usecase.mlops.aws.platform import connect
from usecase.mlops.aws.registry import SageMakerRegistry
from usecase.mlops.delivery import gitlab
from usecase.mlops.delivery.version import record_settings
from usecase.mlops.errors import UserError
from usecase.mlops.infrastructure.record import DeploymentRecord, read_record
from usecase.mlops.infrastructure.release import open_registry
from usecase.mlops.registry import APPROVED, PENDING, REJECTED

EVENTS = {PENDING: "pending", APPROVED: "approved", REJECTED: "rejected"}  # registry_event of .gitlab-ci.yml
NEWEST = 10  # versions that are looked at, beside the one in service
REMEMBERED = 1000  # pipelines that are looked through
Say = Callable[[str], None]


def poll(say: Say) -> None:
    """Start a pipeline for each decision that has none yet. Raises UserError.

    A pipeline has the name of its decision, which is how a later poll knows of it.
    """
    connection, settings, facts = connect(record_settings().environment)
    if settings.events.approval_trigger != "poll":
        raise UserError("events.approval_trigger is event: AWS tells of decisions; switch the schedule off")
    record = read_record(connection, settings)
    wanted = list(_decisions(open_registry(connection, settings, facts), record))
    where = gitlab.project("pipeline for a decision")
    with gitlab.explained("pipelines"):
        pipelines = where.pipelines.list(ref=settings.events.gitlab_ref, iterator=True, per_page=100)
        known = {pipeline.name for pipeline in islice(pipelines, REMEMBERED)}
        for event, arn in wanted:
            if f"{event} {arn}" in known:
                continue
            inputs = {"registry_event": event, "model_package_arn": arn}
            started = where.pipelines.create({"ref": settings.events.gitlab_ref, "inputs": inputs})
            say(f"{event} {arn}: {started.web_url}")
    say(f"{len(wanted)} decisions looked at")


def _decisions(registry: SageMakerRegistry, record: DeploymentRecord | None) -> Iterator[tuple[str, str]]:
    """What events would have told, oldest first. Of approved versions only the newest is to be deployed."""
    packages = registry.list()
    newest = {package.arn for package in packages[-NEWEST:]}
    champion = registry.champion()
    for package in packages:
        if package.arn not in newest and not (record and package.arn == record.package_arn):
            continue
        if package.status == APPROVED and not (champion and package.arn == champion.arn):
            continue
        yield EVENTS[package.status], package.arn
