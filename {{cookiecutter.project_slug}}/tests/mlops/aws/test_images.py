"""Images by digest: ours for a commit, AWS's for a region."""

import warnings

import boto3
import pytest
from botocore.stub import ANY, Stubber

from usecase.mlops.aws import images
from usecase.mlops.aws.images import MANAGED_ACCOUNTS, find_image, managed_repository
from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.errors import UserError
from usecase.mlops.settings import Settings

from .conftest import put_image

OCI = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def managed(settings: Settings) -> Settings:
    return settings.model_copy(update={"container": "managed"})


def test_a_commits_image_is_named_by_its_digest(facts: PlatformFacts, settings: Settings, aws: boto3.Session) -> None:
    digest = put_image(aws, "abc123")
    image = find_image(aws, settings, facts, "abc123")
    assert (image.uri, image.note) == (f"{facts.image_repository_url}@{digest}", "")


def test_an_image_that_hosting_does_not_take_is_noted(
    facts: PlatformFacts, settings: Settings, aws: boto3.Session
) -> None:
    put_image(aws, "abc123", OCI)
    note = find_image(aws, settings, facts, "abc123").note
    assert note.startswith(f"the image is {OCI}")
    assert note.endswith("build with oci-mediatypes=false")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (None, "churn:abc123: there is no such image: .* --image-tag TAG takes another one"),
        ("", "the platform names no image_repository_url"),
        ("docker.io/churn", "docker.io/churn: is no ECR repository"),
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com/other", "RepositoryNotFoundException"),
    ],
)
def test_an_image_that_is_not_there_is_one_line(
    url: str | None, says: str, facts: PlatformFacts, settings: Settings, aws: boto3.Session
) -> None:
    if url is not None:
        facts = facts.model_copy(update={"image_repository_url": url})
    with pytest.raises(UserError, match=says) as error:
        find_image(aws, settings, facts, "abc123")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("denied", [False, True])
def test_the_managed_image_is_named_by_its_digest_where_ecr_tells_it(
    denied: bool, facts: PlatformFacts, managed: Settings, aws: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecr = aws.client("ecr")
    monkeypatch.setattr(aws, "client", lambda *_, **__: ecr)
    expected = {
        "registryId": "492215442770",
        "repositoryName": "sagemaker-xgboost",
        "imageIds": [{"imageTag": "3.2-0"}],
        "acceptedMediaTypes": ANY,
    }
    repository = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost"
    with Stubber(ecr) as stub:
        if denied:
            stub.add_client_error("batch_get_image", "AccessDeniedException", expected_params=expected)
        else:
            answer = {"images": [{"imageId": {"imageDigest": "sha256:1"}}]}
            stub.add_response("batch_get_image", answer, expected)
        image = find_image(aws, managed, facts, "ignored")
    assert image.uri == (f"{repository}:3.2-0" if denied else f"{repository}@sha256:1")
    assert bool(image.note) == denied


def test_a_version_that_aws_does_not_have_is_one_line(
    facts: PlatformFacts, managed: Settings, aws: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecr = aws.client("ecr")
    monkeypatch.setattr(aws, "client", lambda *_, **__: ecr)
    with Stubber(ecr) as stub:
        stub.add_response("batch_get_image", {"images": []})
        with pytest.raises(UserError, match=r"3.2-0: there is no such image: config/dev.yaml: managed_image.version"):
            find_image(aws, managed, facts, "ignored")
        stub.add_client_error("batch_get_image", "RepositoryNotFoundException")
        with pytest.raises(UserError, match="RepositoryNotFoundException"):
            find_image(aws, managed, facts, "ignored")


def test_a_region_without_a_managed_image_is_refused() -> None:
    with pytest.raises(UserError, match="aws_region mars-north-1: AWS offers no XGBoost image there"):
        managed_repository("mars-north-1")


@pytest.mark.sdk
def test_the_table_of_managed_images_is_the_sdks(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sagemaker.core import image_uris

        config = image_uris.config_for_framework("xgboost")
        version = settings.managed_image.version
        assert config["training"]["versions"][version]["registries"] == MANAGED_ACCOUNTS
        assert config["inference"]["versions"][version]["registries"] == MANAGED_ACCOUNTS
        for region in MANAGED_ACCOUNTS:
            for scope in ("training", "inference"):
                uri = image_uris.retrieve("xgboost", region, version=version, image_scope=scope)
                assert uri == f"{managed_repository(region)}:{version}"
                assert images._REPOSITORY.fullmatch(uri.partition(":")[0])
