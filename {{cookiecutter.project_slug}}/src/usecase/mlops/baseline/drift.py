"""drift_baseline.json: the distribution of each column of the training rows, and of the model's answers to test rows.

Small enough to be loaded at each comparison, and without any row. `missing` is a share of all rows; the shares of a
column add up to 1 over the rows that have a value.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeGuard

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from usecase.mlops.baseline.profile import ColumnProfile, Numbers
from usecase.mlops.baseline.sketch import Vector
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.files import write_json
from usecase.mlops.yamlfile import parse

FILE_NAME = "drift_baseline.json"
BINS = 10
MAX_LEVELS = 50  # the rows of rarer values are `other`


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Numeric(_Part):
    """A number, or a `moment` in seconds since 1970: the shares of rows between cut points.

    `shares[i]` are the values above `cuts[i - 1]` and up to `cuts[i]`: the first and the last bin are open. Cuts are
    deciles; fewer where one value fills more than a bin, none for a constant.
    """

    kind: Literal["number", "moment"]
    missing: float
    minimum: float
    maximum: float
    cuts: list[float]
    shares: list[float]


class Category(_Part):
    """A text, boolean or class: the share of rows of each value, the most frequent first, and of all others."""

    kind: Literal["category"] = "category"
    missing: float
    shares: dict[str, float]
    other: float


class Empty(_Part):
    """A column without a value in any row."""

    kind: Literal["empty"] = "empty"
    missing: float


Distribution = Annotated[Numeric | Category | Empty, Field(discriminator="kind")]


class Relations(_Part):
    """How the numbers of a row belong together: correlations (d x d) of the `scores` of `columns`, over `rows` rows."""

    rows: int
    columns: list[str]
    correlations: list[list[float]]


class DriftBaseline(_Part):
    """The file. The features are those of the training `rows`, the answers those for `answered` test rows.

    A model is surer of rows that it has learned than it will be of new ones. `probability` is that of the predicted
    class, for classifiers. `contract` is what the training rows were read by: who compares may have nothing else.
    """

    version: Literal[1] = 1
    contract: Contract | None = None
    rows: int
    answered: int
    prediction: Distribution
    probability: Distribution | None = None
    features: dict[str, Distribution]
    relations: Relations | None = None

    @classmethod
    def load(cls, path: Path) -> "DriftBaseline":
        """Read the file. Raises UserError, also for another version."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read as JSON ({error})") from None
        return parse(cls, content, str(path))

    def save(self, path: Path) -> None:
        """Write the file, complete or not at all. Raises OSError."""
        write_json(path, self.model_dump())


def distribution(column: ColumnProfile) -> Distribution:
    """The distribution of a column that has been counted."""
    missing = column.missing / column.rows if column.rows else 1.0
    if not column.present:
        return Empty(missing=missing)
    if column.numbers and (column.dtype.is_temporal() or not column.words):
        return _bins(column.numbers, "moment" if column.dtype.is_temporal() else "number", missing)
    ranked = sorted(((column.words and column.words.counts) or {}).items(), key=lambda item: (-item[1], item[0]))
    shares = {value: count / column.present for value, count in ranked[:MAX_LEVELS]}
    return Category(
        missing=missing, shares=shares, other=sum(count for _, count in ranked[MAX_LEVELS:]) / column.present
    )


def relations(sample: pl.DataFrame, features: Mapping[str, Distribution]) -> Relations | None:
    """Of the numbers among the `features` that vary, in a sample of the training rows; None for less than two."""
    varied = {name: known for name, known in features.items() if is_scored(known)}
    if len(varied) < 2:
        return None
    moments = Moments(len(varied))
    moments.add(np.column_stack([scores(bins(numbers(sample[name]), known), known) for name, known in varied.items()]))
    return Relations(rows=moments.rows, columns=list(varied), correlations=moments.correlations().tolist())


def is_scored(known: Distribution) -> TypeGuard[Numeric]:
    """Whether rows of the column have scores: numbers that are not all alike."""
    return known.kind == "number" and len(known.cuts) > 0


def numbers(values: pl.Series) -> Vector:
    """Numbers, or moments as seconds since 1970 (n); NaN where there is none."""
    moments = values.dt.epoch("ms") / 1000 if values.dtype.is_temporal() else values
    return moments.cast(pl.Float64).to_numpy()


def bins(values: Vector, known: Numeric) -> npt.NDArray[np.int64]:
    """The bin of each of the `numbers` (n); -1 where there is none."""
    places = np.where(np.isnan(values), -1, 0)
    for cut in known.cuts:  # some passes are faster than a search
        places += values > cut
    return places


def scores(places: npt.NDArray[np.int64], known: Numeric) -> npt.NDArray[np.float64]:
    """Bins (n) as the share of training rows below the bin's middle, less a half: 0 for the median, and for no value.

    Unlike the numbers themselves, scores have no outliers.
    """
    ends = np.cumsum(known.shares)
    middles = np.append(ends - np.array(known.shares) / 2 - 0.5, 0.0)  # the last one is that of -1
    found: npt.NDArray[np.float64] = middles[places]
    return found


class Moments:
    """Sums and products of scores (d), which rows can be added to."""

    def __init__(self, columns: int) -> None:
        self.rows = 0
        self._sums = np.zeros(columns)
        self._products = np.zeros((columns, columns))

    def add(self, values: npt.NDArray[np.float64]) -> None:
        """Add rows (n x d)."""
        self.rows += len(values)
        self._sums += values.sum(axis=0)
        self._products += values.T @ values

    def correlations(self) -> npt.NDArray[np.float64]:
        """The correlation of each two columns (d x d); 0 with one that does not vary."""
        means = self._sums / max(1, self.rows)
        covariances = self._products / max(1, self.rows) - np.outer(means, means)
        spreads = np.sqrt(np.maximum(np.diag(covariances), 1e-12))
        found: npt.NDArray[np.float64] = covariances / np.outer(spreads, spreads)
        return found


def _bins(numbers: Numbers, kind: Literal["number", "moment"], missing: float) -> Numeric:
    deciles = np.unique(numbers.sketch.quantiles(np.arange(1, BINS) / BINS))
    cuts = deciles[deciles < numbers.maximum]
    shares = np.diff([0, *numbers.sketch.at_most(cuts), numbers.rows]) / numbers.rows
    return Numeric(
        kind=kind,
        missing=missing,
        minimum=numbers.minimum,
        maximum=numbers.maximum,
        cuts=cuts.tolist(),
        shares=shares.tolist(),
    )
