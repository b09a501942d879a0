"""Features over time: written once with the moment they were true, joined to training rows as of that row's moment.

A group has one row per record and event time. The same functions read a folder of Parquet files on this machine
(`.local/features`) and, in AWS, the offline store of a SageMaker feature group (`usecase.mlops.aws.feature_store`).
"""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import polars as pl

from usecase.mlops.errors import UserError
from usecase.mlops.settings import FeatureStore

ROOT = Path(".local/features")
WRITE_TIME, IS_DELETED = "write_time", "is_deleted"  # the offline store's own columns, named as SageMaker names them
TIME = pl.Datetime("us")


class FeatureGroup(Protocol):
    """A store of feature rows; `settings` says which columns hold the record's id and the event time."""

    settings: FeatureStore

    def write(self, rows: pl.DataFrame) -> int:
        """Add rows (n) with the id, the event time and the features; returns n. Raises UserError."""

    def read(self) -> pl.DataFrame:
        """All rows ever written, with `write_time` and `is_deleted`. Raises UserError when there are none."""


class LocalFeatureGroup:
    """A folder of Parquet files, one per write."""

    def __init__(self, settings: FeatureStore, root: Path = ROOT) -> None:
        self.settings = settings
        self._folder = root / settings.group

    def write(self, rows: pl.DataFrame) -> int:
        """Add rows (n), complete or not at all; returns n. Raises UserError."""
        rows = prepare(rows, self.settings)
        known = next(iter(sorted(self._folder.glob("*.parquet"))), None)
        if known is not None:
            refuse_other_columns(
                rows.columns, [n for n in pl.read_parquet_schema(known) if n not in _OWN], self.settings
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC).replace(tzinfo=None)
        draft = self._folder / f".{uuid.uuid4().hex}"
        rows.with_columns(pl.lit(now, TIME).alias(WRITE_TIME), pl.lit(False).alias(IS_DELETED)).write_parquet(draft)
        draft.rename(self._folder / f"{now:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}.parquet")
        return rows.height

    def read(self) -> pl.DataFrame:
        """All rows ever written. Raises UserError when there are none."""
        files = sorted(self._folder.glob("*.parquet"))
        if not files:
            raise UserError(
                f"{self._folder}: the feature group is empty: `usecase features write --data FILE` fills it"
            )
        return pl.concat([pl.read_parquet(file) for file in files], how="vertical_relaxed")


_OWN = (WRITE_TIME, IS_DELETED)


def prepare(rows: pl.DataFrame, settings: FeatureStore) -> pl.DataFrame:
    """Rows as a group takes them: id as text, event time as UTC without a zone. Raises UserError."""
    for name in (settings.record_id, settings.event_time):
        if name not in rows.columns:
            raise UserError(f"column {name!r} is missing: feature_store in config/ says that it is there")
        if rows[name].null_count():
            raise UserError(f"column {name!r} is empty in {rows[name].null_count()} rows: each row needs a value")
    for name in _OWN:
        if name in rows.columns:
            raise UserError(f"column {name!r} belongs to the feature store itself: rename it")
    return rows.with_columns(rows[settings.record_id].cast(pl.String), event_times(rows[settings.event_time]))


def event_times(values: pl.Series) -> pl.Series:
    """Moments (n) in UTC: from dates, times, ISO 8601 text, or seconds since 1970. Raises UserError."""
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone:
        values = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if values.dtype.is_temporal():
        return values.cast(TIME)
    if values.dtype.is_numeric():
        return (values.cast(pl.Float64) * 1e6).round().cast(pl.Int64).cast(TIME)
    text = values.cast(pl.String).str.replace("Z$", "+00:00").str.replace(r"^(\d{4}-\d\d-\d\d)$", "${1}T00:00:00")
    zoned = text.str.replace(r"([^+]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)$", "${1}+00:00")
    parsed = zoned.str.to_datetime("%+", strict=False, time_zone="UTC", time_unit="us").dt.replace_time_zone(None)
    if parsed.null_count() > values.null_count():
        bad = values.filter(parsed.is_null() & values.is_not_null())[0]
        raise UserError(f"column {values.name!r}: {bad!r} is no moment: write 2026-01-31 or 2026-01-31T12:00:00Z")
    return parsed


def refuse_other_columns(given: list[str], known: list[str], settings: FeatureStore) -> None:
    """Raise UserError unless both hold the same columns: a group has one schema for all time."""
    if missing := [name for name in known if name not in given]:
        raise UserError(
            f"feature group {settings.group!r} also has {', '.join(missing)}: add them, or write a new group"
        )
    if extra := [name for name in given if name not in known]:
        raise UserError(
            f"feature group {settings.group!r} has no {', '.join(extra)}: leave them out, or write a new group"
        )


def join(spine: pl.DataFrame, group: FeatureGroup) -> pl.DataFrame:
    """`spine` (n rows: id, event time, target, ...) with each row's features as they were known at its moment.

    The row of the record with the newest event time at or before the spine's; of several with the same event time, the
    one written last. A record without one, or deleted by then, has nulls. The order of the spine stays.
    Raises UserError.
    """
    settings = group.settings
    record, moment = settings.record_id, settings.event_time
    rows = prepare(spine, settings).with_row_index("#")
    known = group.read()
    known = known.with_columns(known[record].cast(pl.String), event_times(known[moment]))
    features = [name for name in known.columns if name not in (record, moment, *_OWN)]
    if clash := [name for name in features if name in spine.columns]:
        raise UserError(
            f"both the rows and feature group {settings.group!r} have {', '.join(clash)}: drop them from one"
        )
    history = known.sort(moment, WRITE_TIME).unique([record, moment], keep="last", maintain_order=True)
    gone = pl.col(IS_DELETED).fill_null(value=False)
    history = history.with_columns(pl.when(~gone).then(pl.col(name)).alias(name) for name in features).drop(_OWN)
    joined = rows.sort(moment, "#").join_asof(
        history.sort(moment), on=moment, by=record, strategy="backward", check_sortedness=False
    )
    return joined.sort("#").drop("#")
