"""From checked rows to the matrix of the model, as `usecase.mlops.features` makes it from frames."""

import math
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from usecase.mlops.contract import Contract
from usecase.mlops.encoding import Encoding, Input
from usecase.mlops.serving.validation import EXACT, Valid

Matrix = npt.NDArray[np.float32]
# Rows in the contract's types by column, to the matrix: for features that code derives.
Derive = Callable[[dict[str, list[Any]]], Matrix]

EPOCH = date(1970, 1, 1).toordinal()


class MatrixMaker:
    """The matrix (n x feature_names, NaN where a value is missing) of checked rows."""

    def __init__(self, encoding: Encoding, contract: Contract, derive: Derive | None = None) -> None:
        self.encoding, self._derive = encoding, derive
        self._width = len(encoding.feature_names)
        self._codes = {item.name: {word: n for n, word in enumerate(item.categories)} for item in encoding.inputs}
        self._names = [column.name for column in contract.features]
        self._whole = {column.name for column in contract.features if column.type == "integer"}
        places = {name: place for place, name in enumerate(self._names)}
        self._places = [places[item.name] for item in encoding.inputs] if derive is None else []
        self._same_order = self._places == list(range(len(self._names)))

    def make(self, valid: Valid) -> Matrix:
        """The matrix of all rows, also of refused ones: theirs holds missing values."""
        if self._derive is not None:
            return self._derive(self._typed(valid))
        if valid.numbers is not None:
            numbers = valid.numbers if self._same_order else valid.numbers[:, self._places]
            if valid.plain:
                return numbers.astype(np.float32)
            with np.errstate(over="ignore"):  # beyond 32 bits is infinite, as in training
                return numbers.astype(np.float32)
        matrix: Matrix = np.empty((valid.count, self._width), np.float32)
        start = 0
        for item in self.encoding.inputs:
            end = start + len(item.feature_names)
            self._encode(item, valid.columns[item.name], matrix[:, start:end])
            start = end
        return matrix

    def _encode(self, item: Input, values: list[Any], columns: Matrix) -> None:
        if item.kind == "category":
            columns[:] = 0.0
            codes = self._codes[item.name]
            for row, value in enumerate(values):
                if value is None:
                    columns[row] = np.nan
                elif value in codes:
                    columns[row, codes[value]] = 1.0
        elif item.kind == "date":
            for row, value in enumerate(values):
                columns[row] = np.nan if value is None else (value.toordinal() - EPOCH, value.month, value.isoweekday())
        else:
            with np.errstate(over="ignore"):
                columns[:, 0] = _floats(values)

    def _typed(self, valid: Valid) -> dict[str, list[Any]]:
        if valid.numbers is None:
            return valid.columns
        typed: dict[str, list[Any]] = {}
        for name, values in zip(self._names, valid.numbers.T.tolist(), strict=True):
            kind = int if name in self._whole else float
            typed[name] = [None if math.isnan(value) else kind(value) for value in values]
        return typed


def _floats(values: Sequence[Any]) -> npt.NDArray[Any]:
    if any(type(value) is int and abs(value) > EXACT for value in values):  # rounded once, not twice
        return np.array([np.nan if value is None else np.int64(value).astype(np.float32) for value in values])
    return np.array(values, np.float64)  # None becomes NaN
