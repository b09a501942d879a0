"""A version into an environment: its platform, its image, its copy in the registry there, and into service."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from usecase.mlops.aws.platform import PlatformFacts, connect, read_platform, session
from usecase.mlops.aws.registry import SageMakerRegistry
from usecase.mlops.aws.status import CONSOLES
from usecase.mlops.delivery import gitlab
from usecase.mlops.delivery.images import Repository, copy_image
from usecase.mlops.delivery.version import record_settings, refuse_unknown
from usecase.mlops.infrastructure.deploy import Consent, Place, deploy_platform, deploy_serving
from usecase.mlops.infrastructure.live import endpoint_name
from usecase.mlops.infrastructure.record import read_record
from usecase.mlops.infrastructure.release import open_registry
from usecase.mlops.promotion import prepare
from usecase.mlops.sections import Environment
from usecase.mlops.settings import Settings

DOTENV = Path("deploy.env")  # GitLab's report of variables: the address of the environment, without https://
RECORD_PROFILE = "record"  # of AWS's configuration file: the role that reads the registry of record
Say = Callable[[str], None]


def deliver(environment: Environment, arn: str, again: bool, say: Say) -> None:
    """Bring an approved version of the registry of record into service in an environment. Raises UserError.

    Twice is once: what serves is left alone. A version that served here before is brought back by a person (`again`)
    or a rollback, never by an event that arrives late.
    """
    refuse_unknown(arn)
    place = Place.open(environment, say)
    _write_address(place.settings)
    deploy_platform(place, Consent(yes=True))
    facts = read_platform(place.connection, place.settings)
    registry = open_registry(place.connection, place.settings, facts)
    own = arn if environment == record_settings().environment else _copied(registry, facts, place, arn)
    record = read_record(place.connection, place.settings)
    if record and not again and own != record.package_arn and own in {past.package_arn for past in record.previous}:
        say(f"{own} was replaced by {record.package_arn} at {record.deployed_at}: nothing to do")
        return
    deploy_serving(place, own, "", Consent(yes=True))


def push_image(commit: str, say: Say) -> None:
    """Bring the image that a pipeline published for a commit to the registry that SageMaker reads. Raises UserError."""
    connection, settings, facts = connect(record_settings().environment)
    if settings.container == "managed":
        say("container: managed: the image is AWS's")
        return
    target = Repository.of_ecr(connection, facts.image_repository_url)
    if target.manifest(commit) is not None:
        say(f"{facts.image_repository_url}:{commit} is there already")
        return
    address = f"{gitlab.needed('CI_REGISTRY_IMAGE')}/{_image_name(os.environ.get('PROJECT_DIR', ''))}"
    source = Repository(address, gitlab.needed("CI_REGISTRY_USER"), gitlab.needed("CI_REGISTRY_PASSWORD"))
    digest = copy_image(source, commit, target, commit)
    say(f"{facts.image_repository_url}:{commit} is {digest}")


def _image_name(project_dir: str) -> str:
    """The use case's image in GitLab's registry, as .gitlab/ci/image.yml names it."""
    return re.sub(r"[^a-z0-9]", "-", f"usecase-{project_dir}".lower()).removesuffix("-")


def _copied(registry: SageMakerRegistry, facts: PlatformFacts, place: Place, arn: str) -> str:
    """ARN of the approved copy in the environment's own registry, with its image beside it. Raises UserError."""
    record = record_settings()
    connection = session(record, RECORD_PROFILE)
    made_in = read_platform(connection, record)
    source = open_registry(connection, record, made_in)
    promotion = prepare(source, arn.rpartition("/")[2], registry)
    digest = promotion.package.image.partition("@")[2]
    theirs, ours = made_in.image_repository_url, facts.image_repository_url
    if digest and ours and ours != theirs:
        tag = digest.replace(":", "-")  # images without a tag expire
        copy_image(Repository.of_ecr(connection, theirs), digest, Repository.of_ecr(place.connection, ours), tag)
        place.say(f"image {ours}@{digest}")
    why = f"{os.environ.get('GITLAB_USER_LOGIN', '')} {gitlab.pipeline_url()}".strip()
    copy = promotion.apply(approve=True, reason=why)
    place.say(f"version {promotion.package.version} of {record.environment} is version {copy.version}: {copy.arn}")
    return copy.arn


def _write_address(settings: Settings) -> None:
    """Where a person looks at what serves: SageMaker's page in the console."""
    partition = "aws-cn" if settings.aws_region.startswith("cn-") else ""
    partition = "aws-us-gov" if settings.aws_region.startswith("us-gov-") else partition
    console = f"{settings.aws_region}.{CONSOLES.get(partition, 'console.aws.amazon.com')}"
    name = endpoint_name(settings.project, settings.environment)
    page = f"{console}/sagemaker/home?region={settings.aws_region}#/endpoints/{name}"
    DOTENV.write_text(f"ENVIRONMENT_PAGE={page}\n", encoding="utf-8")
