"""drift_baseline.json: the distribution of each column of the training rows, and of the model's answers for them.

Small enough to be loaded at each comparison, and without any row. `missing` is a share of all rows; the shares of a
column add up to 1 over the rows that have a value.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from usecase.mlops.baseline.profile import ColumnProfile, Numbers
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


class DriftBaseline(_Part):
    """The file. `rows` are the training rows; `probability` is that of the predicted class, for classifiers."""

    version: Literal[1] = 1
    rows: int
    prediction: Distribution
    probability: Distribution | None = None
    features: dict[str, Distribution]

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
