"""A SageMaker feature group as a store of features over time.

Rows go in by PutRecord; history is read from the offline store's Parquet files in S3 ("Offline store data format",
SageMaker Developer Guide): the columns of the group, write_time and is_deleted, in folders by event time.
"""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from typing import Any

import boto3
import polars as pl
from botocore.exceptions import ClientError

from usecase.mlops.errors import UserError
from usecase.mlops.feature_store import IS_DELETED, WRITE_TIME, prepare, refuse_other_columns
from usecase.mlops.settings import FeatureStore, Settings

WRITERS = 16  # requests at a time: PutRecord takes one record, and waiting for the network is most of its time
OFFLINE_COLUMNS = ("api_invocation_time", "year", "month", "day", "hour")


class SageMakerFeatureGroup:
    """The feature group that the settings name, which Terraform has made."""

    def __init__(self, settings: FeatureStore, session: boto3.Session) -> None:
        """Raises UserError when the group is missing, or not as the settings say."""
        self.settings = settings
        self._runtime = session.client("sagemaker-featurestore-runtime")
        self._s3 = session.client("s3")
        try:
            described = session.client("sagemaker").describe_feature_group(FeatureGroupName=settings.group)
        except ClientError as error:
            raise UserError(f"feature group {settings.group!r}: {error.response['Error']['Message']}") from None
        for key, name in (
            ("RecordIdentifierFeatureName", settings.record_id),
            ("EventTimeFeatureName", settings.event_time),
        ):
            if described[key] != name:
                raise UserError(
                    f"feature group {settings.group!r}: its {key} is {described[key]!r}, config/ says {name!r}"
                )
        self._types = {f["FeatureName"]: f["FeatureType"] for f in described["FeatureDefinitions"]}
        offline = described.get("OfflineStoreConfig", {})
        if offline.get("TableFormat", "Glue") != "Glue":
            raise UserError(
                f"feature group {settings.group!r}: its offline store is {offline['TableFormat']}: use Glue"
            )
        storage = offline.get("S3StorageConfig", {})
        self._offline = str(storage.get("ResolvedOutputS3Uri") or storage.get("S3Uri") or "")

    @classmethod
    def open(cls, settings: Settings) -> "SageMakerFeatureGroup":
        """The group of an environment. Raises UserError."""
        from usecase.mlops.aws.platform import session

        if settings.feature_store is None:
            raise UserError(f"config/{settings.environment}.yaml: there is no feature_store")
        return cls(settings.feature_store, session(settings))

    def write(self, rows: pl.DataFrame) -> int:
        """Put each of the rows (n) as a record; returns n. Writing a row twice changes nothing. Raises UserError."""
        rows = prepare(rows, self.settings)
        refuse_other_columns(rows.columns, list(self._types), self.settings)
        with ThreadPoolExecutor(WRITERS) as pool:
            # a failed record ends the loop; what was put before stays, and the same command finishes the rest
            for _ in pool.map(self._put, rows.iter_rows(named=True)):
                pass
        return rows.height

    def read(self) -> pl.DataFrame:
        """All rows of the offline store, which lags some minutes behind the writes. Raises UserError."""
        if not self._offline:
            raise UserError(f"feature group {self.settings.group!r} has no offline store: switch it on in Terraform")
        frames = [frame.drop(name for name in OFFLINE_COLUMNS if name in frame.columns) for frame in self._files()]
        if not frames:
            raise UserError(f"{self._offline}: the offline store is empty: it is filled some minutes after a write")
        return pl.concat([_plain_times(frame) for frame in frames], how="vertical_relaxed")

    def _put(self, row: dict[str, Any]) -> None:
        row[self.settings.event_time] = row[self.settings.event_time].replace(tzinfo=UTC)
        record = [
            {"FeatureName": name, "ValueAsString": _text(value, self._types[name])}
            for name, value in row.items()
            if value is not None
        ]
        try:
            self._runtime.put_record(FeatureGroupName=self.settings.group, Record=record)
        except ClientError as error:
            raise UserError(
                f"feature group {self.settings.group!r}, {self.settings.record_id}={row[self.settings.record_id]}:"
                f" {error.response['Error']['Message']}"
            ) from None

    def _files(self) -> Iterator[pl.DataFrame]:
        bucket, _, prefix = self._offline.removeprefix("s3://").partition("/")
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix.rstrip("/") + "/")
        for page in pages:
            for item in page.get("Contents", []):
                if item["Key"].endswith(".parquet"):
                    body = self._s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                    yield pl.read_parquet(io.BytesIO(body))


def _text(value: Any, feature_type: str) -> str:
    """A value as PutRecord takes it: moments as ISO 8601 with milliseconds and Z, or as seconds since 1970."""
    if hasattr(value, "timestamp"):
        stamp = value if value.tzinfo else value.replace(tzinfo=UTC)
        if feature_type == "Fractional":
            return f"{stamp.timestamp():.3f}"
        return str(stamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.")) + f"{stamp.microsecond // 1000:03}Z"
    if feature_type == "Integral":
        return str(int(value))
    return str(value)


def _plain_times(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        frame[WRITE_TIME].cast(pl.Datetime("us", "UTC")).dt.replace_time_zone(None)
        if frame[WRITE_TIME].dtype.is_temporal()
        else frame[WRITE_TIME].str.to_datetime(time_unit="us", time_zone="UTC").dt.replace_time_zone(None),
        frame[IS_DELETED].cast(pl.Boolean),
    )
