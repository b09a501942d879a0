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
# Each category becomes a column of the matrix: with more, the model would need more memory than rows do.
MAX_CATEGORIES = 5000

Kind = Literal["number", "category", "date"]
Matrix = npt.NDArray[np.float32]


class Input(BaseModel):
    """One column that goes into the model. `categories` are the values seen in training, for kind category."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Kind
    categories: list[str] = []

    @property
    def usable(self) -> bool:
        """Whether it becomes at least one matrix column."""
        return self.kind != "category" or bool(self.categories)

    @property
    def feature_names(self) -> list[str]:
        """Names of the matrix columns that this input becomes."""
        if self.kind == "category":
            return [f"{self.name}={category}" for category in self.categories]
        if self.kind == "date":
            return [self.name, f"{self.name}.month", f"{self.name}.weekday"]
        return [self.name]

    def encode(self, values: pl.Series, columns: Matrix) -> None:
        """Write `values` (n rows) into `columns`, n x len(feature_names); missing values are NaN."""
        if self.kind == "category":
            codes = values.cast(pl.String).cast(pl.Enum(self.categories), strict=False).to_physical().cast(pl.Float32)
            columns[:] = codes.to_numpy()[:, None] == np.arange(len(self.categories))
            if values.null_count():
                columns[values.is_null().to_numpy()] = np.nan
            return
        numbers = [values.dt.total_milliseconds() / 1000 if values.dtype == pl.Duration else values]
        if self.kind == "date":
            numbers = [values.cast(pl.Date).cast(pl.Int32), values.dt.month(), values.dt.weekday()]
        for position, column in enumerate(numbers):
            columns[:, position] = column.cast(pl.Float32).to_numpy()


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
        fitting = Fitting(contract)
        fitting.add(train)
        return fitting.preprocessor()

    @classmethod
    def load(cls, folder: Path) -> "Preprocessor":
        """Read preprocessor.json in `folder`, or merge the preprocessor-<host>.json of several hosts.

        Raises UserError.
        """
        files = [folder / FILE_NAME]
        if not files[0].exists():
            files = sorted(folder.glob("preprocessor-*.json")) or files
        merged = cls._read(files[0])
        for file in files[1:]:
            merged = merged._merge(cls._read(file), f"{file.name} and {files[0].name}")
        return merged.model_copy(update={"inputs": [item for item in merged.inputs if item.usable]})

    def save(self, folder: Path, name: str = FILE_NAME) -> None:
        """Write preprocessor.json into `folder`, or preprocessor-<host>.json when it has seen one host's rows only."""
        (folder / name).write_text(json.dumps(self.model_dump(), indent=1) + "\n", encoding="utf-8")

    @property
    def feature_names(self) -> list[str]:
        """Names of the matrix columns, in order."""
        return [name for item in self.inputs for name in item.feature_names]

    def transform(self, rows: pl.DataFrame) -> Matrix:
        """Typed rows (n) as the model's matrix, n x len(feature_names), float32, NaN where a value is missing."""
        matrix: Matrix = np.empty((rows.height, len(self.feature_names)), np.float32)
        start = 0
        for item in self.inputs:
            end = start + len(item.feature_names)
            item.encode(rows[item.name], matrix[:, start:end])
            start = end
        return matrix

    def labels(self, rows: pl.DataFrame) -> npt.NDArray[np.float64]:
        """The target of `rows` as numbers: the class index, or the value itself for regression."""
        target = rows[self.target]
        if not self.classes:
            return target.cast(pl.Float64).to_numpy()
        index = {label: float(position) for position, label in enumerate(self.classes)}
        return target.replace_strict(index, return_dtype=pl.Float64).to_numpy()

    @classmethod
    def _read(cls, file: Path) -> "Preprocessor":
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{file}: cannot be read ({error})") from None
        return parse(cls, content, str(file))

    def _merge(self, other: "Preprocessor", source: str) -> "Preprocessor":
        """With the categories of both. Raises UserError naming `source` when they are of different columns."""
        alike = {"contract_sha256", "task", "target", "classes"}
        mine, theirs = self.model_dump(include=alike), other.model_dump(include=alike)
        if mine != theirs or [i.name for i in self.inputs] != [i.name for i in other.inputs]:
            raise UserError(f"{source}: were fitted with other contracts or other features")
        inputs = [_joined(a, b) for a, b in zip(self.inputs, other.inputs, strict=True)]
        return self.model_copy(update={"inputs": inputs})


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
            self._inputs = [_joined(old, new) for old, new in zip(self._inputs, inputs, strict=True)]

    def preprocessor(self, complete: bool = True) -> Preprocessor:
        """What was learned; not `complete` while other hosts have rows too: then inputs without values are kept."""
        return Preprocessor(
            contract_sha256=self._contract.sha256,
            task=self._contract.task,
            target=self._contract.target.name,
            classes=self._contract.classes,
            inputs=[item for item in self._inputs if item.usable or not complete],
        )


def _joined(old: Input, new: Input) -> Input:
    if old.kind != new.kind:
        raise UserError(f"feature {old.name!r} is a {old.kind} in some rows and a {new.kind} in others: make it one")
    if set(new.categories) <= set(old.categories):
        return old
    return _limited(old.model_copy(update={"categories": sorted({*old.categories, *new.categories})}))


def _limited(item: Input) -> Input:
    if len(item.categories) > MAX_CATEGORIES:
        raise UserError(
            f"feature {item.name!r} has more than {MAX_CATEGORIES} different texts, each a column of the model:"
            " set `role: ignored`, or derive fewer in add_features"
        )
    return item


def _input(values: pl.Series) -> Input:
    if values.dtype in (pl.Date, pl.Datetime):
        return Input(name=values.name, kind="date")
    if values.dtype == pl.String:
        return _limited(
            Input(name=values.name, kind="category", categories=values.drop_nulls().unique().sort().to_list())
        )
    if values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Duration):
        return Input(name=values.name, kind="number")
    raise UserError(f"feature {values.name!r} is {values.dtype}: make it a number, text, boolean, date or duration")
