"""What a column holds, counted batch by batch in memory that does not grow with the rows."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from usecase.mlops.baseline.sketch import Sketch, Vector
from usecase.mlops.hashing import KeySample, row_keys

MAX_WORDS = 5000  # as many as a feature may have (`usecase.mlops.features`); of more, only their number is known


@dataclass
class Numbers:
    """The distribution of finite numbers; dates are seconds since 1970."""

    rows: int = 0
    mean: float = 0.0
    squares: float = 0.0  # sum of squared differences from the mean
    minimum: float = np.inf
    maximum: float = -np.inf
    sketch: Sketch = field(default_factory=Sketch)

    def add(self, values: Vector) -> None:
        """Add a batch (n) (Chan, Golub, LeVeque: "Updating Formulae and a Pairwise Algorithm for ... Variances")."""
        if not len(values):
            return
        rows = self.rows + len(values)
        mean = float(values.mean())
        difference = mean - self.mean
        self.squares += float(np.square(values - mean).sum()) + difference**2 * self.rows * len(values) / rows
        self.mean += difference * len(values) / rows
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))
        self.sketch.add(values)
        self.rows = rows


class Words:
    """How many rows hold each text. `counts` is None when there are more than MAX_WORDS."""

    def __init__(self) -> None:
        self.counts: Counter[str] | None = Counter()
        self._keys = KeySample()

    @property
    def distinct(self) -> int:
        """How many different texts there are; an estimate when `counts` is None."""
        return self._keys.distinct() if self.counts is None else len(self.counts)

    def add(self, values: pl.Series) -> None:
        """Add a batch of texts (n)."""
        if not len(values):
            return
        self._keys.add("", row_keys(values.to_frame()))
        if self.counts is not None:
            self.counts.update(dict(values.alias("value").value_counts(name="rows").iter_rows()))
            if len(self.counts) > MAX_WORDS:
                self.counts = None


class ColumnProfile:
    """One column of a request or of its answer.

    `words` is what it looks like as text; None for numbers, but for those that name a class. `numbers` is None for text
    and booleans.
    """

    def __init__(self, name: str, dtype: pl.DataType, is_label: bool = False) -> None:
        self.name, self.dtype = name, dtype
        self.missing = 0
        ordered = dtype.is_numeric() or dtype.is_temporal()
        self.numbers = Numbers() if ordered else None
        self.words = Words() if is_label or not dtype.is_numeric() else None

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing

    rows: int = 0

    def add(self, values: pl.Series, text: pl.Series) -> None:
        """Add a batch (n): the values, and the same as a request holds them."""
        self.rows += len(values)
        self.missing += values.null_count()
        if self.numbers:
            numbers = values.dt.epoch("ms") / 1000 if values.dtype.is_temporal() else values
            self.numbers.add(numbers.drop_nulls().cast(pl.Float64).to_numpy())
        if self.words:
            self.words.add(text.drop_nulls())
