"""From typed rows to the model's matrix: fitted once in Preprocess, written as preprocessor.json, applied everywhere.

XGBoost takes missing values as they are, so nothing is imputed or scaled. Categories become one column per value
(an unseen one is all zeros), booleans 0 and 1, dates days since 1970 with month and weekday, durations seconds.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from usecase.mlops.contract import Contract
from usecase.mlops.encoding import Encoding, Input, joined, limited
from usecase.mlops.errors import UserError

Matrix = npt.NDArray[np.float32]


class Preprocessor(Encoding):
    """The encoding of a model, fitted on frames and applied to them."""

    @classmethod
    def fit(cls, train: pl.DataFrame, contract: Contract) -> "Preprocessor":
        """Learn categories from the training rows only. Columns that `add_features` made are inputs too."""
        fitting = Fitting(contract)
        fitting.add(train)
        return fitting.preprocessor()

    def transform(self, rows: pl.DataFrame) -> Matrix:
        """Typed rows (n) as the model's matrix, n x len(feature_names), float32, NaN where a value is missing."""
        matrix: Matrix = np.empty((rows.height, len(self.feature_names)), np.float32)
        start = 0
        for item in self.inputs:
            end = start + len(item.feature_names)
            _encode(item, rows[item.name], matrix[:, start:end])
            start = end
        return matrix

    def labels(self, rows: pl.DataFrame) -> npt.NDArray[np.float64]:
        """The target of `rows` as numbers: the class index, or the value itself for regression."""
        target = rows[self.target]
        if not self.classes:
            return target.cast(pl.Float64).to_numpy()
        index = {label: float(position) for position, label in enumerate(self.classes)}
        return target.replace_strict(index, return_dtype=pl.Float64).to_numpy()


class Fitting:
    """A preprocessor that learns from the training rows batch by batch."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._inputs: list[Input] = []

    def add(self, train: pl.DataFrame) -> None:
        """Learn from a batch (n rows) with derived features. All batches have the same columns. Raises UserError."""
        roles = {column.name: column.role for column in self._contract.columns.values()}
        inputs = [_input(train[name]) for name in train.columns if roles.get(name, "feature") == "feature"]
        if not self._inputs:
            self._inputs = inputs
        elif [item.name for item in inputs] != [item.name for item in self._inputs]:
            raise UserError("add_features makes other columns for some rows: make the same ones for all")
        else:
            self._inputs = [joined(old, new) for old, new in zip(self._inputs, inputs, strict=True)]

    def preprocessor(self, complete: bool = True) -> Preprocessor:
        """What was learned; not `complete` while other hosts have rows too: then inputs without values are kept."""
        return Preprocessor(
            contract_sha256=self._contract.sha256,
            task=self._contract.task,
            target=self._contract.target.name,
            classes=self._contract.classes,
            inputs=[item for item in self._inputs if item.usable or not complete],
        )


def _encode(item: Input, values: pl.Series, columns: Matrix) -> None:
    """Write `values` (n rows) into `columns`, n x len(feature_names); missing values are NaN."""
    if item.kind == "category":
        codes = values.cast(pl.String).cast(pl.Enum(item.categories), strict=False).to_physical().cast(pl.Float32)
        columns[:] = codes.to_numpy()[:, None] == np.arange(len(item.categories))
        if values.null_count():
            columns[values.is_null().to_numpy()] = np.nan
        return
    numbers = [values.dt.total_milliseconds() / 1000 if values.dtype == pl.Duration else values]
    if item.kind == "date":
        numbers = [values.cast(pl.Date).cast(pl.Int32), values.dt.month(), values.dt.weekday()]
    for position, column in enumerate(numbers):
        columns[:, position] = column.cast(pl.Float32).to_numpy()


def _input(values: pl.Series) -> Input:
    if values.dtype in (pl.Date, pl.Datetime):
        return Input(name=values.name, kind="date")
    if values.dtype == pl.String:
        return limited(
            Input(name=values.name, kind="category", categories=values.drop_nulls().unique().sort().to_list())
        )
    if values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Duration):
        return Input(name=values.name, kind="number")
    raise UserError(f"feature {values.name!r} is {values.dtype}: make it a number, text, boolean, date or duration")
