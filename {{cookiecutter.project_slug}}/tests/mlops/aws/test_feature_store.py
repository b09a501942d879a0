"""The SageMaker feature group: what is put, and what is read back from the offline store's files."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import polars as pl
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

from usecase.mlops.aws.feature_store import SageMakerFeatureGroup
from usecase.mlops.errors import UserError
from usecase.mlops.feature_store import join
from usecase.mlops.settings import FeatureStore

SETTINGS = FeatureStore(group="people", record_id="person", event_time="at")
REGION = "eu-west-1"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        session = boto3.Session(region_name=REGION)
        session.client("s3").create_bucket(Bucket="features", CreateBucketConfiguration={"LocationConstraint": REGION})
        yield session


def create_group(session: boto3.Session, record_id: str = "person") -> SageMakerFeatureGroup:
    session.client("sagemaker").create_feature_group(
        FeatureGroupName="people",
        RecordIdentifierFeatureName=record_id,
        EventTimeFeatureName="at",
        FeatureDefinitions=[
            {"FeatureName": name, "FeatureType": kind}
            for name, kind in (("person", "String"), ("at", "String"), ("income", "Fractional"), ("age", "Integral"))
        ],
        OfflineStoreConfig={"S3StorageConfig": {"S3Uri": "s3://features/offline"}},
        RoleArn="arn:aws:iam::123456789012:role/features",
    )
    return SageMakerFeatureGroup(SETTINGS, session)


def test_a_row_is_put_as_the_service_takes_it(session: boto3.Session) -> None:
    group = create_group(session)
    rows = pl.DataFrame({"person": [7], "at": ["2026-01-31"], "income": [1.5], "age": [30.0]})
    expected: dict[str, Any] = {
        "FeatureGroupName": "people",
        "Record": [
            {"FeatureName": "person", "ValueAsString": "7"},
            {"FeatureName": "at", "ValueAsString": "2026-01-31T00:00:00.000Z"},
            {"FeatureName": "income", "ValueAsString": "1.5"},
            {"FeatureName": "age", "ValueAsString": "30"},
        ],
    }
    # moto has no PutRecord; the stub checks the request against the service's own model
    with Stubber(group._runtime) as stub:
        stub.add_response("put_record", {}, expected)
        assert group.write(rows) == 1
        stub.assert_no_pending_responses()
        stub.add_client_error(
            "put_record", "ValidationError", "no such feature", expected_params={"FeatureGroupName": ANY, "Record": ANY}
        )
        with pytest.raises(UserError, match="feature group 'people', person=7: no such feature"):
            group.write(rows)


def test_history_is_read_from_the_offline_store(session: boto3.Session) -> None:
    group = create_group(session)
    with pytest.raises(UserError, match="the offline store is empty"):
        group.read()
    described = session.client("sagemaker").describe_feature_group(FeatureGroupName="people")
    place = described["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"].removeprefix("s3://features/")
    for day, income, gone in ((1, 10.0, False), (5, 50.0, False), (7, 50.0, True)):
        frame = pl.DataFrame(
            {
                "person": ["a"],
                "at": [f"2026-01-0{day}T00:00:00.000Z"],
                "income": [income],
                "age": [30],
                "write_time": [datetime(2026, 1, day, 1, tzinfo=UTC)],
                "api_invocation_time": [datetime(2026, 1, day, 1, tzinfo=UTC)],
                "is_deleted": [gone],
            }
        )
        body = io.BytesIO()
        frame.write_parquet(body)
        key = f"{place}/year=2026/month=01/day=0{day}/hour=00/x.parquet"
        session.client("s3").put_object(Bucket="features", Key=key, Body=body.getvalue())
    spine = pl.DataFrame({"person": ["a"] * 3, "at": ["2026-01-04", "2026-01-05", "2026-01-09"]})
    assert join(spine, group)["income"].to_list() == [10.0, 50.0, None]


def test_a_group_that_is_not_as_the_settings_say_is_refused(session: boto3.Session) -> None:
    with pytest.raises(UserError, match="RecordIdentifierFeatureName is 'income', config/ says 'person'"):
        create_group(session, record_id="income")
