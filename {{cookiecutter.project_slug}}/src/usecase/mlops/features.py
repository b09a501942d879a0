"""From typed rows to the model's matrix: fitted once in Preprocess, written as preprocessor.json, applied everywhere.

XGBoost takes missing values as they are, so nothing is imputed or scaled. Categories become one column per value
(an unseen one is all zeros), booleans 0 and 1, dates days since 1970 with month and weekday, durations seconds.
"""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict

from usecase.mlops.contract import Contract, Scalar
from usecase.mlops.errors import UserError
from usecase.mlops.yamlfile import parse

FILE_NAME = "preprocessor.json"

Kind = Literal["number", "category", "date"]
Matrix = npt.NDArray[np.float32]


class Input(BaseModel):
    """One column that goes into the model. `categories` are the values seen in training, for kind category."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Kind
    categories: list[str] = []

    @property
    def feature_names(self) -> list[str]:
        """Names of the matrix columns that this input becomes."""
        if self.kind == "category":
            return [f"{self.name}={category}" for category in self.categories]
        if self.kind == "date":
            return [self.name, f"{self.name}.month", f"{self.name}.weekday"]
        return [self.name]

    def encode(self, values: pl.Series) -> pl.DataFrame:
        """`values` (n rows) as n x len(feature_names) float32 columns; missing values are NaN."""
        if self.kind == "number":
            seconds = values.dtype == pl.Duration
            parts = [values.dt.total_milliseconds() / 1000 if seconds else values.cast(pl.Float32)]
        elif self.kind == "date":
            parts = [values.cast(pl.Date).cast(pl.Int32), values.dt.month(), values.dt.weekday()]
        else:
            text = values.cast(pl.String)
            parts = [text == category for category in self.categories]
        columns = [
            part.cast(pl.Float32).fill_null(np.nan).alias(name)
            for part, name in zip(parts, self.feature_names, strict=True)
        ]
        return pl.DataFrame(columns)


class Preprocessor(BaseModel):
    """Everything that turns typed rows into model input and model output into labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    contract_sha256: str
    task: Literal["binary_classification", "multiclass_classification", "regression"]
    target: str
    classes: list[Scalar]
    inputs: list[Input]

    @classmethod
    def fit(cls, train: pl.DataFrame, contract: Contract) -> "Preprocessor":
        """Learn categories from the training rows only. Columns that `add_features` made are inputs too."""
        others = {column.name for column in contract.columns.values() if column.role != "feature"}
        inputs = [_input(train[name]) for name in train.columns if name not in others]
        return cls(
            contract_sha256=contract.sha256,
            task=contract.task,
            target=contract.target.name,
            classes=contract.classes,
            inputs=[item for item in inputs if item.kind != "category" or item.categories],
        )

    @classmethod
    def load(cls, folder: Path) -> "Preprocessor":
        """Read preprocessor.json in `folder`. Raises UserError."""
        file = folder / FILE_NAME
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{file}: cannot be read ({error})") from None
        return parse(cls, content, str(file))

    def save(self, folder: Path) -> None:
        """Write preprocessor.json into `folder`."""
        (folder / FILE_NAME).write_text(json.dumps(self.model_dump(), indent=1) + "\n", encoding="utf-8")

    @property
    def feature_names(self) -> list[str]:
        """Names of the matrix columns, in order."""
        return [name for item in self.inputs for name in item.feature_names]

    def transform(self, rows: pl.DataFrame) -> Matrix:
        """Typed rows (n) as the model's matrix, n x len(feature_names), float32, NaN where a value is missing."""
        parts = [item.encode(rows[item.name]) for item in self.inputs]
        return pl.concat(parts, how="horizontal").to_numpy()

    def labels(self, rows: pl.DataFrame) -> npt.NDArray[np.float64]:
        """The target of `rows` as numbers: the class index, or the value itself for regression."""
        target = rows[self.target]
        if not self.classes:
            return target.cast(pl.Float64).to_numpy()
        index = {label: position for position, label in enumerate(self.classes)}
        return np.array([index[label] for label in target.to_list()], dtype=np.float64)


def _input(values: pl.Series) -> Input:
    if values.dtype in (pl.Date, pl.Datetime):
        return Input(name=values.name, kind="date")
    if values.dtype == pl.String:
        return Input(name=values.name, kind="category", categories=sorted(values.drop_nulls().unique().to_list()))
    if values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Duration):
        return Input(name=values.name, kind="number")
    raise UserError(f"feature {values.name!r} is {values.dtype}: make it a number, text, boolean, date or duration")
