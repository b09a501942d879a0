"""The check of rows against the data contract: types, ranges, categories, missing values; every problem named."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from usecase.mlops.contract import Column, Contract
from usecase.mlops.errors import UserError

# Stands for the offending cell in the messages below.
VALUE = "<value>"

DTYPES: dict[str, pl.DataType] = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
    "string": pl.String(),
}


# ISO 8601, what `format: default` means in a Table Schema.
TIME_FORMATS = {"date": "%Y-%m-%d", "datetime": "%Y-%m-%dT%H:%M:%S"}


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


def check_rows(rows: pl.DataFrame, contract: Contract, roles: tuple[str, ...] = ("id", "feature", "target")) -> Checked:
    """Give `rows` (text, or typed as Parquet has them) the contract's types, and collect what is wrong.

    Only columns of `roles` are kept, in contract order; columns of other roles may be missing.
    """
    wanted = [column for column in contract.table.fields if column.role in roles]
    missing = [column.name for column in wanted if column.name not in rows.columns]
    extra = [name for name in rows.columns if name not in contract.columns]
    problems = [Problem(name, f"is missing{_near(name, extra)}") for name in missing]
    problems += [Problem(name, "is not in the contract: drop it, or add it with `role: ignored`") for name in extra]
    if problems:
        return Checked(pl.DataFrame(), problems)
    warnings: list[Problem] = []
    series = []
    for column in wanted:
        values, found, allowed = _check_column(column, rows[column.name], contract)
        series.append(values)
        problems += found
        warnings += allowed
    return Checked(pl.DataFrame(series), problems, warnings)


def blank_to_null(raw: pl.Series, missing_values: list[str]) -> pl.Series:
    """Text without surrounding blanks, and null where it is one of `missing_values`; a float that is NaN is null."""
    if raw.dtype == pl.String:
        text = raw.str.strip_chars()
        return (
            pl.select(pl.when(~text.is_in(pl.Series(missing_values).implode())).then(text)).to_series().alias(raw.name)
        )
    return raw.fill_nan(None) if raw.dtype.is_float() else raw


def as_type(values: pl.Series, column: Column) -> pl.Series:
    """`values` (text or typed) in the column's type; null where they do not fit. Booleans by true/falseValues."""
    if values.dtype != DTYPES[column.type]:
        values = _convert(values, column)
    return values.fill_nan(None) if values.dtype.is_float() else values


def as_text(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """`rows` as text that `check_rows` reads back: dates in the contract's format, its words for true and false."""
    return rows.select(_write(rows[name], contract.columns.get(name)) for name in rows.columns)


def _write(values: pl.Series, column: Column | None) -> pl.Series:
    if column is not None and values.dtype == pl.Boolean and column.type == "boolean":
        words = {True: column.true_values[0], False: column.false_values[0]}
        return values.replace_strict(words, default=None, return_dtype=pl.String)
    if column is not None and column.type in TIME_FORMATS and values.dtype.is_temporal():
        return values.dt.strftime(_time_format(column))
    return values.cast(pl.String)


def _convert(values: pl.Series, column: Column) -> pl.Series:
    dtype = DTYPES[column.type]
    text = values.dtype == pl.String
    if column.type == "boolean":
        words = dict.fromkeys(column.true_values, True) | dict.fromkeys(column.false_values, False)
        return values.cast(pl.String).replace_strict(words, default=None, return_dtype=pl.Boolean)
    if column.type in TIME_FORMATS:
        if values.dtype.is_temporal():
            return values.cast(dtype, strict=False)
        if not text:
            return pl.Series(values.name, [None] * len(values), dtype=dtype)
        if column.type == "date":
            return values.str.to_date(_time_format(column), strict=False)
        return values.str.to_datetime(_time_format(column), strict=False, time_unit="us")
    if column.type != "integer" or values.dtype.is_integer() or values.dtype == pl.Boolean:
        return values.cast(dtype, strict=False)
    # pandas writes whole numbers beside missing ones as 30.0; the direct cast keeps numbers over 2**53 exact.
    exact = values.cast(pl.Int64, strict=False) if text else None
    numbers = values.cast(pl.Float64, strict=False)
    whole = pl.select(pl.when(numbers.round() == numbers).then(numbers.cast(pl.Int64, strict=False))).to_series()
    return whole if exact is None else exact.fill_null(whole)


def _time_format(column: Column) -> str:
    return TIME_FORMATS[column.type] if column.format == "default" else column.format


def _check_column(column: Column, raw: pl.Series, contract: Contract) -> tuple[pl.Series, list[Problem], list[Problem]]:
    given = blank_to_null(raw, contract.table.missing_values)
    values = as_type(given, column)
    problems: list[Problem] = []
    warnings: list[Problem] = []

    def note(to: list[Problem], bad: pl.Series, message: str) -> None:
        rows = bad.fill_null(False).arg_true()
        if len(rows):
            first = int(rows[0])
            more = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
            to.append(Problem(column.name, message.replace(VALUE, _shown(raw[first], column)) + more, first + 1))

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
        strict = column.role == "target" or contract.policy.unseen_category == "reject"
        note(problems if strict else warnings, unseen, f"{VALUE} is none of the values in the contract")
        values = pl.select(pl.when(~unseen).then(values)).to_series().alias(column.name)
    outside = problems if contract.policy.out_of_range == "reject" else warnings
    if limits.minimum is not None:
        note(outside, values < _limit(limits.minimum, column), f"{VALUE} is below {limits.minimum}")
    if limits.maximum is not None:
        note(outside, values > _limit(limits.maximum, column), f"{VALUE} is above {limits.maximum}")
    return values.alias(column.name), problems, warnings


def _type_name(column: Column) -> str:
    if column.type == "boolean":
        return f"boolean ({', '.join(column.true_values + column.false_values)})"
    return column.type if column.format == "default" else f"{column.type} ({column.format})"


def _limit(limit: int | float | str, column: Column) -> Any:
    typed = as_type(pl.Series([limit]), column)[0]
    if typed is None:
        raise UserError(f"the contract: column {column.name!r}: limit {limit!r} is no {_type_name(column)}")
    return typed


def _near(name: str, candidates: list[str]) -> str:
    same = [c for c in candidates if c.strip().lower() == name.strip().lower()]
    return f" (found {same[0]!r})" if same else ""


def _shown(value: Any, column: Column) -> str:
    """The cell as logs and answers may show it: never one that is, or may be, personal data."""
    if column.pii != "no":
        return "the value"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
