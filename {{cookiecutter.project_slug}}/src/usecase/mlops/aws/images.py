"""The container image of the jobs, by digest: our own in the account's ECR, or AWS's XGBoost image of the region."""

import re
from dataclasses import dataclass

import boto3
from botocore.exceptions import ClientError

from usecase.mlops.aws.errors import explained
from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.errors import UserError
from usecase.mlops.settings import Settings

MANAGED_REPOSITORY = "sagemaker-xgboost"
# The account that offers AWS's XGBoost images in a region: image_uri_config/xgboost.json of the SageMaker Python SDK.
# It is the same for every version from 0.90 on. A test compares this table with the SDK.
MANAGED_ACCOUNTS = {
    "af-south-1": "510948584623",
    "ap-east-1": "651117190479",
    "ap-northeast-1": "354813040037",
    "ap-northeast-2": "366743142698",
    "ap-northeast-3": "867004704886",
    "ap-south-1": "720646828776",
    "ap-south-2": "628508329040",
    "ap-southeast-1": "121021644041",
    "ap-southeast-2": "783357654285",
    "ap-southeast-3": "951798379941",
    "ap-southeast-4": "106583098589",
    "ca-central-1": "341280168497",
    "ca-west-1": "190319476487",
    "cn-north-1": "450853457545",
    "cn-northwest-1": "451049120500",
    "eu-central-1": "492215442770",
    "eu-central-2": "680994064768",
    "eu-north-1": "662702820516",
    "eu-south-1": "978288397137",
    "eu-south-2": "104374241257",
    "eu-west-1": "141502667606",
    "eu-west-2": "764974769150",
    "eu-west-3": "659782779980",
    "il-central-1": "898809789911",
    "me-central-1": "272398656194",
    "me-south-1": "801668240914",
    "sa-east-1": "737474898029",
    "us-east-1": "683313688378",
    "us-east-2": "257758044811",
    "us-gov-east-1": "237065988967",
    "us-gov-west-1": "414596584902",
    "us-iso-east-1": "833128469047",
    "us-isob-east-1": "281123927165",
    "us-isof-east-1": "108575199400",
    "us-isof-south-1": "124985052026",
    "us-west-1": "746614075791",
    "us-west-2": "246618743249",
}
# Where a partition's registries are; all others end in amazonaws.com.
DOMAINS = {"cn": "amazonaws.com.cn", "us-iso": "c2s.ic.gov", "us-isob": "sc2s.sgov.gov", "us-isof": "csp.hci.ic.gov"}

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
MEDIA_TYPES = [
    DOCKER,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
]
_REPOSITORY = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z0-9.]+/(?P<name>[a-z0-9._/-]+)")
_DENIED = ("AccessDeniedException", "AccessDenied")


@dataclass(frozen=True)
class Image:
    """An image that jobs can be given, and what a person should know about it; a blank note is nothing."""

    uri: str
    note: str = ""


def managed_repository(region: str) -> str:
    """The repository of AWS's XGBoost image in a region. Raises UserError where there is none."""
    if region not in MANAGED_ACCOUNTS:
        raise UserError(f"aws_region {region}: AWS offers no XGBoost image there: set container: own in config/")
    partition = region.rpartition("-")[0].rpartition("-")[0]  # eu-central-1: eu; us-iso-east-1: us-iso
    domain = DOMAINS.get(partition, "amazonaws.com")
    return f"{MANAGED_ACCOUNTS[region]}.dkr.ecr.{region}.{domain}/{MANAGED_REPOSITORY}"


def find_image(connection: boto3.Session, settings: Settings, facts: PlatformFacts, tag: str) -> Image:
    """The image of the jobs: for the own container the one with `tag`, as a rule the commit. Raises UserError."""
    if settings.container == "managed":
        repository, tag = managed_repository(settings.aws_region), settings.managed_image.version
        missing = f"config/{settings.environment}.yaml: managed_image.version names no image of AWS"
    else:
        repository = facts.image_repository_url
        if not repository:
            raise UserError("the platform names no image_repository_url: apply terraform/platform with container: own")
        missing = "the CI job that publishes images makes one for each commit of the default branch; --image-tag TAG"
        missing += " takes another one"
    match = _REPOSITORY.fullmatch(repository)
    if match is None:
        raise UserError(f"{repository}: is no ECR repository: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME")
    ecr = connection.client("ecr", region_name=match["region"])
    with explained(f"{repository}:{tag}"):
        try:
            answer = ecr.batch_get_image(
                registryId=match["account"],
                repositoryName=match["name"],
                imageIds=[{"imageTag": tag}],
                acceptedMediaTypes=MEDIA_TYPES,
            )
        except ClientError as error:
            if settings.container == "own" or error.response["Error"]["Code"] not in _DENIED:
                raise
            note = f"ECR does not let you read {repository}: the image is given by its version, not by its digest"
            return Image(f"{repository}:{tag}", note)
    if not answer["images"]:
        raise UserError(f"{repository}:{tag}: there is no such image: {missing}")
    image = answer["images"][0]
    media_type = image.get("imageManifestMediaType", DOCKER)
    note = ""
    if media_type != DOCKER and settings.container == "own":
        note = f"the image is {media_type}: SageMaker hosting has taken {DOCKER} alone: build with oci-mediatypes=false"
    return Image(f"{repository}@{image['imageId']['imageDigest']}", note)
