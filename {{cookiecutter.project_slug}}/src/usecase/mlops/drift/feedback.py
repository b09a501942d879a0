"""What became true later: labels that arrive as files, joined to what was answered, and how good the model has been.

A label file is CSV or Parquet with `inference_id`, `label`, and perhaps `row` (of a call with several rows, from 1) and
`time` (when the label was known, ISO 8601). Labels come late, twice, and against one another:

- the same label twice counts once;
- of different labels with different times the latest holds: a correction;
- of different labels that no time tells apart none holds: they are counted as conflicts;
- a label without a call, and a call without a label, are counted and wait.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from usecase.mlops.check import as_type, blank_to_null
from usecase.mlops.contract import Column, Contract
from usecase.mlops.drift.reader import ID, ROW, TIME, Found, read_traffic
from usecase.mlops.drift.tally import PREDICTION, PROBABILITY
from usecase.mlops.errors import UserError
from usecase.mlops.metrics import GROUP_METRICS, Answers
from usecase.mlops.scored import name_groups
from usecase.mlops.tables import read_batches

LABEL, ACTUAL, PERIOD = "label", "actual", "period"
KEY = [ID, ROW]
MIN_ROWS = 50  # of a period or a group; below, a metric is noise
DAY = 10  # characters of an ISO 8601 time


@dataclass(frozen=True)
class Merged:
    """Labelled rows: inference_id, row, time, prediction, probability, actual and protected columns; and the counts."""

    rows: pl.DataFrame
    labels: int
    repeated: int
    corrected: int
    conflicts: int
    unknown: int
    waiting: int
    invalid: int

    @property
    def counts(self) -> dict[str, int]:
        """How many labels there were, and what became of them."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int)}


def read_labels(path: Path, contract: Contract) -> tuple[pl.DataFrame, int]:
    """Labels as text: inference_id, row, label, time; and how many have no id or are none of the target's values.

    Raises UserError.
    """
    parts, invalid = [], 0
    for batch in read_batches(path):
        if absent := [name for name in (ID, LABEL) if name not in batch.columns]:
            raise UserError(
                f"{path}: has no column {absent[0]!r}: labels need {ID} and {LABEL}, and may have {ROW}, {TIME}"
            )
        text = _with_keys(batch).select(
            pl.col(name).cast(pl.String).fill_null("").str.strip_chars() for name in (*KEY, LABEL, TIME)
        )
        typed = as_type(text[LABEL].alias(contract.target.name), contract.target)
        classes = pl.Series(contract.classes, dtype=typed.dtype) if contract.classes else None
        fits = typed.is_not_null() if classes is None else typed.is_in(classes.implode()).fill_null(False)
        usable = fits & (text[ID] != "")
        invalid += int((~usable).sum())
        parts.append(text.filter(usable))
    return pl.concat(parts), invalid


def settle(labels: pl.DataFrame) -> tuple[pl.DataFrame, int, int, int]:
    """One label for each key, and how many were repeated, corrected, and in conflict (keys without a label)."""
    different = labels.unique([*KEY, LABEL, TIME])
    latest = different.filter(pl.col(TIME) == pl.col(TIME).max().over(KEY)).unique([*KEY, LABEL])
    choices = latest.group_by(KEY).agg(pl.col(LABEL).first(), count=pl.len())
    one = different.unique([*KEY, LABEL]).group_by(KEY).len()
    conflicts = choices.filter(pl.col("count") > 1).height
    corrected = one.filter(pl.col("len") > 1).height - conflicts
    told = choices.filter(pl.col("count") == 1).drop("count").sort(KEY)
    repeated = labels.height - labels.unique([*KEY, LABEL]).height
    return told, repeated, corrected, conflicts


def merge(data: Path, labels: Path, contract: Contract) -> Merged:
    """Join captured traffic with labels. Raises UserError."""
    told, invalid = read_labels(labels, contract)
    settled, repeated, corrected, conflicts = settle(told)
    asked = pl.concat([*_answered(data, contract)] or [_nothing(contract)], how="diagonal").unique(KEY, keep="last")
    rows = asked.join(settled, on=KEY, how="inner").rename({LABEL: ACTUAL}).sort(TIME, *KEY)
    return Merged(
        rows=rows,
        labels=told.height + invalid,
        repeated=repeated,
        corrected=corrected,
        conflicts=conflicts,
        unknown=settled.join(asked, on=KEY, how="anti").height,
        waiting=asked.join(settled, on=KEY, how="anti").height,
        invalid=invalid,
    )


def quality(merged: Merged, contract: Contract) -> list[dict[str, Any]]:
    """Metrics of each day and of all days together (period ""), over all rows and by group of protected columns.

    Rows: period, column ("" for all), group, rows, metrics; only of MIN_ROWS rows and more.
    """
    frame = with_groups(merged.rows.with_columns(pl.col(TIME).str.slice(0, DAY).alias(PERIOD)), contract)
    if not frame.height:
        return []
    days = sorted(day for day in frame[PERIOD].unique() if day)
    parts = {"": frame} | {day: frame.filter(pl.col(PERIOD) == day) for day in days}
    measured = ({PERIOD: period, **entry} for period, part in parts.items() for entry in by_group(part, contract))
    return [entry for entry in measured if entry["rows"] >= MIN_ROWS]


def with_groups(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """With the names of groups in place of the values of protected columns, text or typed."""
    return rows.with_columns(
        name_groups(as_type(blank_to_null(rows[c.name], contract.table.missing_values), c))
        for c in protected_features(contract)
        if c.name in rows.columns
    )


def gaps(measured: list[dict[str, Any]], metric: str) -> dict[str, dict[str, float]]:
    """By protected column and period: the difference between the best and the worst group in one metric."""
    found: dict[str, dict[str, list[float]]] = {}
    for entry in measured:
        value = entry["metrics"].get(metric)
        if entry["column"] and value is not None:
            found.setdefault(entry["column"], {}).setdefault(entry[PERIOD], []).append(value)
    return {
        column: {period: max(values) - min(values) for period, values in periods.items() if len(values) > 1}
        for column, periods in found.items()
    }


def training_rows(merged: Merged, data: Path, contract: Contract) -> pl.DataFrame:
    """The labelled requests as rows to train on: the features as they were asked about, and the label as target.

    The rule: a row is used when its label is settled; the newest request of a key counts.
    """
    keyed = [
        batch.rows.select(pl.all().cast(pl.String)).hstack(_with_keys(batch.keys).select(KEY))
        for batch in read_traffic(data, contract, Found())
        if ID in batch.keys.columns
    ]
    if not keyed:
        raise UserError(f"{data}: holds no calls with an inference id: labels cannot be joined")
    names = [column.name for column in contract.features]
    rows = pl.concat(keyed, how="diagonal").unique(KEY, keep="last", maintain_order=True)
    labelled = rows.join(merged.rows.select(*KEY, ACTUAL), on=KEY, how="inner")
    target = pl.col(ACTUAL).alias(contract.target.name)
    return labelled.select(*(pl.col(name) for name in names if name in labelled.columns), target)


def _answered(data: Path, contract: Contract) -> Iterator[pl.DataFrame]:
    """Keys, answers and groups of the calls that were answered."""
    protected = [column.name for column in protected_features(contract)]
    for batch in read_traffic(data, contract, Found()):
        if ID not in batch.keys.columns or PREDICTION not in batch.answers.columns:
            raise UserError(f"{data}: holds no {ID} and {PREDICTION}: labels cannot be joined")
        groups = batch.rows.select(pl.col(name).cast(pl.String) for name in protected if name in batch.rows.columns)
        answers = batch.answers.select(pl.all().cast(pl.String))
        told = pl.concat([_with_keys(batch.keys), answers, groups], how="horizontal")
        yield told.filter(pl.col(PREDICTION).is_not_null())


def _with_keys(table: pl.DataFrame) -> pl.DataFrame:
    """`table` with a number of the row, the first of its call, and a time, blank, where it has none."""
    return table.with_columns(
        pl.col(ROW) if ROW in table.columns else pl.lit("1").alias(ROW),
        pl.col(TIME) if TIME in table.columns else pl.lit("").alias(TIME),
    )


def _nothing(contract: Contract) -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys((*KEY, TIME, PREDICTION, PROBABILITY), pl.String))


def protected_features(contract: Contract) -> list[Column]:
    """The protected columns that traffic holds."""
    return [column for column in contract.protected if column.role == "feature"]


def by_group(part: pl.DataFrame, contract: Contract) -> Iterator[dict[str, Any]]:
    """Metrics of all rows, then of each group of protected columns: column, group, rows, metrics."""
    yield {"column": "", "group": "", "rows": part.height, "metrics": measure(part, contract)}
    for column in protected_features(contract):
        if column.name in part.columns:
            for (group,), rows in part.group_by(column.name, maintain_order=True):
                metrics = measure(rows, contract)
                yield {"column": column.name, "group": str(group), "rows": rows.height, "metrics": metrics}


def measure(rows: pl.DataFrame, contract: Contract) -> dict[str, float | None]:
    """Metrics of labelled rows: actual, prediction, probability of the predicted class; None where undefined."""
    answers = _as_answers(rows, contract)
    return {name: metric.of(answers) for name, metric in GROUP_METRICS[contract.task].items()}


def _as_answers(rows: pl.DataFrame, contract: Contract) -> Answers:
    """Labels and answers as numbers. Of the other classes, captures hold no probability: they share what is left."""
    if not contract.classes:
        numbers = [rows[name].cast(pl.Float64, strict=False).to_numpy() for name in (ACTUAL, PREDICTION)]
        return Answers(*numbers)
    index = {word: i for i, label in enumerate(contract.classes) for word in _spellings(label, contract)}
    actual, said = (
        rows[name].replace_strict(index, default=None, return_dtype=pl.Float64).to_numpy()
        for name in (ACTUAL, PREDICTION)
    )
    sure = (
        rows[PROBABILITY].cast(pl.Float64, strict=False).fill_null(1.0).to_numpy()
        if PROBABILITY in rows.columns
        else np.ones(len(said))
    )
    count = len(contract.classes)
    known = ~np.isnan(said)
    shares = np.repeat(((1 - sure) / (count - 1))[:, None], count, axis=1)
    shares[np.flatnonzero(known), said[known].astype(int)] = sure[known]
    return Answers(actual[known], said[known], shares[known].astype(np.float32))


def _spellings(label: Any, contract: Contract) -> list[str]:
    """The words for a class: as people write it, and as the service does."""
    if isinstance(label, bool):
        words = contract.target.true_values if label else contract.target.false_values
        return [*words, str(label).lower(), str(label)]
    return [str(label)]
