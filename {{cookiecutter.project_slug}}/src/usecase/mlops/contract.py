"""The data contract: what every column means, and the check of data against it.

`data_contract.yaml` is a Data Resource with a Table Schema (Data Package standard, version 2.0), so other tools read
it too. Four properties of a field are ours, as the standard allows: `role`, `reason`, `unit` and `pii`; so is
`policy` of the resource.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from usecase.mlops.errors import UserError
from usecase.mlops.yamlfile import parse, read_yaml

FILE_NAME = "data_contract.yaml"
PROFILE = "https://datapackage.org/profiles/2.0/dataresource.json"

# Stands for the offending cell in the messages below.
VALUE = "<value>"

Task = Literal["binary_classification", "multiclass_classification", "regression"]
Scalar = bool | int | float | str

DTYPES: dict[str, pl.DataType] = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
    "string": pl.String(),
}


class _Descriptor(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Constraints(_Descriptor):
    """Limits of a column, in its own type."""

    required: bool = False
    unique: bool = False
    minimum: int | float | str | None = None
    maximum: int | float | str | None = None
    enum: list[Scalar] | None = Field(default=None, min_length=1)


class Column(_Descriptor):
    """One column. A `string` with an `enum` is a category; a target that has one, or is boolean, makes a classifier."""

    name: str
    type: Literal["integer", "number", "boolean", "date", "datetime", "string"]
    role: Literal["feature", "target", "id", "ignored"]
    reason: str = ""
    unit: str = ""
    description: str = ""
    pii: Literal["no", "suspected", "yes"] = "no"
    format: str = "default"
    true_values: list[str] = Field(default=["true", "True", "TRUE", "1"], alias="trueValues")
    false_values: list[str] = Field(default=["false", "False", "FALSE", "0"], alias="falseValues")
    constraints: Constraints = Constraints()

    @model_validator(mode="after")
    def _enum_fits_type(self) -> "Column":
        kinds: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "string": (str,)}
        for value in self.constraints.enum or []:
            if self.type not in kinds or isinstance(value, bool) or not isinstance(value, kinds[self.type]):
                # YAML reads a bare `no`, `on` or 2024-01-01 as something else than text.
                raise ValueError(f"column {self.name!r}: enum value {value!r} is no {self.type}: put text in quotes")
        return self


class TableSchema(_Descriptor):
    """Table Schema of the file: `fieldsMatch: equal` means exactly these columns, in any order."""

    fields: list[Column] = Field(min_length=2)
    fields_match: Literal["equal"] = Field(default="equal", alias="fieldsMatch")
    missing_values: list[str] = Field(default=[""], alias="missingValues")


class Policy(_Descriptor):
    """What happens to a value that is well-formed but outside of what the contract has seen."""

    unseen_category: Literal["missing", "reject"] = "missing"
    out_of_range: Literal["flag", "reject"] = "flag"


@dataclass(frozen=True)
class Problem:
    """A value or column that breaks the contract. `row` counts data rows from 1; None is the whole column."""

    column: str
    message: str
    row: int | None = None

    def __str__(self) -> str:
        return f"column {self.column!r}{f', row {self.row}' if self.row else ''}: {self.message}"


@dataclass(frozen=True)
class Checked:
    """Rows in the contract's types, what is wrong with them, and what was let through by its policy."""

    frame: pl.DataFrame
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


class Contract(_Descriptor):
    """The parsed data_contract.yaml."""

    profile: str = Field(default=PROFILE, alias="$schema")
    name: str = Field(pattern=r"^[a-z0-9._-]+$")
    path: str = ""
    policy: Policy = Policy()
    table: TableSchema = Field(alias="schema")

    @model_validator(mode="after")
    def _roles(self) -> "Contract":
        names = [column.name for column in self.table.fields]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"column {name!r} stands twice")
        targets = [c for c in self.table.fields if c.role == "target"]
        if len(targets) != 1:
            raise ValueError(f"exactly one column needs `role: target`, {len(targets)} have it")
        if not any(c.role == "feature" for c in self.table.fields):
            raise ValueError("no column has `role: feature`")
        if sum(c.role == "id" for c in self.table.fields) > 1:
            raise ValueError("only one column may have `role: id`")
        enum = targets[0].constraints.enum
        if enum is not None and len(enum) < 2:
            raise ValueError(f"target {targets[0].name!r} needs at least two values in its enum")
        if enum is None and targets[0].type not in ("integer", "number", "boolean"):
            raise ValueError(f"target {targets[0].name!r} is a {targets[0].type}: list its classes in constraints.enum")
        return self

    @classmethod
    def load(cls, path: Path) -> "Contract":
        """Read a contract file (or the one in the folder `path`). Raises UserError."""
        file = path / FILE_NAME if path.is_dir() else path
        if not file.exists():
            raise UserError(f"{file}: no such file: make it with `make contract data=FILE target=COLUMN`")
        return parse(cls, read_yaml(file), str(file))

    @cached_property
    def columns(self) -> dict[str, Column]:
        """All columns by name, in contract order."""
        return {column.name: column for column in self.table.fields}

    @cached_property
    def features(self) -> list[Column]:
        """Columns that the model may use, in contract order: the order of requests without a header."""
        return [column for column in self.table.fields if column.role == "feature"]

    @cached_property
    def target(self) -> Column:
        """The column to predict."""
        return next(column for column in self.table.fields if column.role == "target")

    @cached_property
    def id(self) -> Column | None:
        """The column that names a row, if there is one."""
        return next((column for column in self.table.fields if column.role == "id"), None)

    @cached_property
    def classes(self) -> list[Scalar]:
        """Class labels of a classifier in model order; the last of two is the positive one. [] for regression."""
        if self.target.type == "boolean":
            return [False, True]
        return list(self.target.constraints.enum or [])

    @property
    def task(self) -> Task:
        """The kind of problem, as SageMaker Model Monitor names it."""
        if not self.classes:
            return "regression"
        return "binary_classification" if len(self.classes) == 2 else "multiclass_classification"

    @property
    def sha256(self) -> str:
        """Hash of everything that decides how data is read; `path`, descriptions and reasons do not."""
        content = self.model_dump(
            mode="json",
            exclude={
                "profile": True,
                "path": True,
                "table": {"fields": {"__all__": {"reason", "description", "unit"}}},
            },
        )
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def check(self, rows: pl.DataFrame, roles: tuple[str, ...] = ("id", "feature", "target")) -> Checked:
        """Give `rows` (text, or typed as Parquet has them) the contract's types, and collect what is wrong.

        Only columns of `roles` are kept, in contract order; columns of other roles may be missing.
        """
        wanted = [column for column in self.table.fields if column.role in roles]
        missing = [column.name for column in wanted if column.name not in rows.columns]
        extra = [name for name in rows.columns if name not in self.columns]
        problems = [Problem(name, f"is missing{_near(name, extra)}") for name in missing]
        problems += [Problem(name, "is not in the contract: drop it, or add it with `role: ignored`") for name in extra]
        if problems:
            return Checked(pl.DataFrame(), problems)
        warnings: list[Problem] = []
        series = []
        for column in wanted:
            values, found, allowed = self._check_column(column, rows[column.name])
            series.append(values)
            problems += found
            warnings += allowed
        return Checked(pl.DataFrame(series), problems, warnings)

    def _check_column(self, column: Column, raw: pl.Series) -> tuple[pl.Series, list[Problem], list[Problem]]:
        given = self.blank_to_null(raw)
        values = as_type(given, column)
        problems: list[Problem] = []
        warnings: list[Problem] = []

        def note(to: list[Problem], bad: pl.Series, message: str) -> None:
            rows = bad.fill_null(False).arg_true()
            if len(rows):
                first = int(rows[0])
                more = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
                to.append(Problem(column.name, message.replace(VALUE, _shorten(raw[first])) + more, first + 1))

        limits = column.constraints
        note(problems, given.is_not_null() & values.is_null(), f"{VALUE} is no {_type_name(column)}")
        if values.dtype.is_float():
            note(problems, values.is_infinite(), f"{VALUE} is not finite")
        if limits.required or column.role in ("target", "id"):
            note(problems, given.is_null(), "is empty but a value is required")
        if limits.unique or column.role == "id":
            note(problems, values.is_not_null() & ~values.is_first_distinct(), f"{VALUE} stands there twice")
        if limits.enum is not None:
            unseen = values.is_not_null() & ~values.is_in(pl.Series(limits.enum, dtype=values.dtype).implode())
            strict = column.role == "target" or self.policy.unseen_category == "reject"
            note(problems if strict else warnings, unseen, f"{VALUE} is none of the values in the contract")
            values = pl.select(pl.when(~unseen).then(values)).to_series().alias(column.name)
        outside = problems if self.policy.out_of_range == "reject" else warnings
        if limits.minimum is not None:
            note(outside, values < _limit(limits.minimum, column), f"{VALUE} is below {limits.minimum}")
        if limits.maximum is not None:
            note(outside, values > _limit(limits.maximum, column), f"{VALUE} is above {limits.maximum}")
        return values.alias(column.name), problems, warnings

    def blank_to_null(self, raw: pl.Series) -> pl.Series:
        """Text without surrounding blanks, and null where it is one of `missingValues`; other types as they are."""
        if raw.dtype == pl.String:
            text = raw.str.strip_chars()
            return pl.select(
                pl.when(~text.is_in(pl.Series(self.table.missing_values).implode())).then(text)
            ).to_series()
        return raw.fill_nan(None) if raw.dtype.is_float() else raw


def as_type(values: pl.Series, column: Column) -> pl.Series:
    """`values` (text or typed) in the column's type; null where they do not fit. Booleans by true/falseValues."""
    dtype = DTYPES[column.type]
    if values.dtype == dtype:
        return values
    if values.dtype == pl.Boolean and column.type != "string":
        return values.cast(pl.Int8).cast(dtype)
    if column.type == "boolean":
        words = dict.fromkeys(column.true_values, True) | dict.fromkeys(column.false_values, False)
        return values.cast(pl.String).replace_strict(words, default=None, return_dtype=pl.Boolean)
    if values.dtype == pl.String and column.type in ("date", "datetime"):
        pattern = None if column.format == "default" else column.format
        if column.type == "date":
            return values.str.to_date(pattern or "%Y-%m-%d", strict=False)
        return values.str.to_datetime(pattern or "%Y-%m-%dT%H:%M:%S", strict=False, time_unit="us")
    if column.type != "integer" or values.dtype.is_integer():
        return values.cast(dtype, strict=False)
    # pandas writes whole numbers beside missing ones as 30.0; the direct cast keeps numbers over 2**53 exact.
    exact = values.cast(pl.Int64, strict=False) if values.dtype == pl.String else None
    numbers = values.cast(pl.Float64, strict=False)
    whole = pl.select(pl.when(numbers.round() == numbers).then(numbers.cast(pl.Int64, strict=False))).to_series()
    return whole if exact is None else exact.fill_null(whole)


def _type_name(column: Column) -> str:
    if column.type == "boolean":
        return f"boolean ({', '.join(column.true_values + column.false_values)})"
    return column.type if column.format == "default" else f"{column.type} ({column.format})"


def _limit(limit: int | float | str, column: Column) -> Any:
    return as_type(pl.Series([limit]), column)[0]


def _near(name: str, candidates: list[str]) -> str:
    same = [c for c in candidates if c.strip().lower() == name.strip().lower()]
    return f" (found {same[0]!r})" if same else ""


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
