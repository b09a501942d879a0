"""The test rows with a model's answers, and the groups that they belong to in each protected column."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from usecase.mlops.contract import Scalar
from usecase.mlops.metrics import Answers
from usecase.mlops.model import Model, Predictions
from usecase.mlops.score import PREDICTED, as_frame
from usecase.mlops.tables import read_batches

ACTUAL, GROUP = "actual", "group:"
MISSING, OTHER = "(missing)", "(other)"
MAX_VALUES = 10  # numbers and dates with more different values are put into four bands
MAX_GROUPS = 50  # the rows of rarer values form one group


@dataclass(frozen=True)
class Scored:
    """The test rows (n) as columns: actual, predicted, probability_<i> of each class, group:<protected column>.

    For classifiers actual and predicted are labels as text, one of `labels`.
    """

    task: str
    labels: list[str]
    frame: pl.DataFrame

    @classmethod
    def of(cls, model: Model, input_dir: Path, predict: Callable[[pl.DataFrame, Model], Predictions]) -> "Scored":
        """Ask the model about the rows in `input_dir`. They are read in batches; only the columns above are kept."""
        target, classes = model.preprocessor.target, model.preprocessor.classes
        protected = [column.name for column in model.contract.protected]
        batches = []
        for rows in read_batches(input_dir):
            truth = rows.select(_as_labels(rows[target], classes).alias(ACTUAL))
            groups = rows.select(pl.col(name).alias(GROUP + name) for name in protected)
            batches.append(pl.concat([truth, as_frame(predict(rows, model)), groups], how="horizontal"))
        frame = pl.concat(batches)
        frame = frame.with_columns(name_groups(frame[GROUP + name]) for name in protected)
        return cls(model.preprocessor.task, [str(label) for label in classes], frame)

    @cached_property
    def answers(self) -> Answers:
        """What metrics are measured on."""
        return self.answers_of(self.frame)

    @property
    def protected(self) -> list[str]:
        """Names of the protected columns."""
        return [name.removeprefix(GROUP) for name in self.frame.columns if name.startswith(GROUP)]

    def answers_of(self, frame: pl.DataFrame) -> Answers:
        """What another model answers for the same rows: `frame` (n) is what its `usecase.mlops.score` wrote."""
        actual, predicted = self.frame[ACTUAL], frame[PREDICTED]
        if not self.labels:
            return Answers(actual.to_numpy(), predicted.to_numpy())
        index = {label: float(position) for position, label in enumerate(self.labels)}
        actual, predicted = (column.replace_strict(index, return_dtype=pl.Float64) for column in (actual, predicted))
        probabilities = frame.select(f"probability_{i}" for i in range(len(self.labels))).to_numpy()
        return Answers(actual.to_numpy(), predicted.to_numpy(), probabilities)


def name_groups(values: pl.Series) -> pl.Series:
    """The group of each row (n) as text: its value, or a band such as "40 to 52"; "(missing)" is a group too."""
    ordered = values.dtype.is_numeric() or values.dtype.is_temporal()
    names = _bands(values) if ordered and values.drop_nulls().n_unique() > MAX_VALUES else _words(values)
    frequent = names.drop_nulls().value_counts(sort=True)[values.name].head(MAX_GROUPS)
    return names.set(~names.is_in(frequent.implode()), OTHER).fill_null(MISSING)


def _words(values: pl.Series) -> pl.Series:
    texts = {value: _text(value) for value in values.drop_nulls().unique()}
    return values.replace_strict(texts, return_dtype=pl.String)


def _bands(values: pl.Series) -> pl.Series:
    """Quarters of about as many rows. The outer ones are open, so that no report shows whose value is the extreme."""
    numbers = values.to_physical().drop_nulls().sort().to_numpy()
    below_top = numbers[numbers < numbers[-1]]
    edges = np.unique(np.quantile(numbers, [0.25, 0.5, 0.75], method="inverted_cdf"))
    edges = edges[edges < numbers[-1]] if edges[0] < numbers[-1] else below_top[-1:]
    bands = pl.DataFrame(
        {"value": values, "band": np.searchsorted(edges, values.to_physical().fill_null(0).to_numpy())}
    )
    bands = bands.with_columns(band=pl.when(pl.col("value").is_not_null()).then("band"))
    limits = bands.drop_nulls().group_by("band").agg(low=pl.col("value").min(), high=pl.col("value").max()).sort("band")
    texts = {band: _between(_text(low), _text(high)) for band, low, high in limits.rows()}
    first, *_, last = limits.rows()
    texts |= {first[0]: f"up to {_text(first[2])}", last[0]: f"{_text(last[1])} and over"}
    return bands["band"].replace_strict(texts, return_dtype=pl.String).alias(values.name)


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _as_labels(values: pl.Series, classes: list[Scalar]) -> pl.Series:
    if not classes:
        return values.cast(pl.Float64)
    return values.replace_strict({label: str(label) for label in classes}, return_dtype=pl.String)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() or abs(value) >= 1e6 else f"{value:.6g}"
    return str(value)
