"""The check of rows against the data contract: types, ranges, categories, missing values; every problem named.

It runs on batches of a hundred thousand rows and on requests of one. Both are mostly right, so each rule first asks a
question that costs next to nothing (how many are missing, what is the least), and looks at the rows only then.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import polars as pl

from usecase.mlops.contract import Column, Contract
from usecase.mlops.errors import UserError
from usecase.mlops.problems import (
    EMPTY,
    EXTRA,
    NOT_FINITE,
    TIME_FORMATS,
    TWICE,
    UNSEEN,
    VALUE,
    Problem,
    beyond,
    lacking,
    shown,
    time_format,
    wrong_type,
)

DTYPES: dict[str, pl.DataType] = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
    "string": pl.String(),
}

# What training keeps of the rows; `protected` are the protected columns, whatever their role.
KEPT = ("id", "feature", "target", "protected")


class ProblemLog:
    """Problems of many batches: the first row that breaks a rule, and how many do."""

    def __init__(self) -> None:
        self._problems: dict[tuple[str, str], Problem] = {}

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._problems.values())

    def __bool__(self) -> bool:
        return bool(self._problems)

    def rows(self, column: str, rule: str) -> int:
        """How many rows break a rule so far."""
        known = self._problems.get((column, rule))
        return known.rows if known else 0

    def add(self, problems: Iterable[Problem], file: str = "", first_row: int = 1) -> None:
        """Add the problems of rows that begin with row `first_row` of `file`."""
        for problem in problems:
            row = problem.row and problem.row + first_row - 1
            known = self._problems.get((problem.column, problem.rule))
            self._problems[problem.column, problem.rule] = (
                replace(known, rows=known.rows + problem.rows)
                if known
                else replace(problem, row=row, file=problem.file or file)
            )


@dataclass(frozen=True)
class Checked:
    """Rows in the contract's types, what is wrong with them, and what was let through by its policy.

    `flagged` is the number of rows with at least one value of the last kind.
    """

    frame: pl.DataFrame
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    flagged: int = 0


def columns_of(contract: Contract, roles: tuple[str, ...] = KEPT) -> list[Column]:
    """The columns with one of `roles`, in contract order; `protected` stands for the protected ones of any role."""
    return [c for c in contract.table.fields if c.role in roles or (c.protected and "protected" in roles)]


def number_types(contract: Contract) -> dict[str, pl.DataType]:
    """The types of the columns whose cells may be read as numbers at once, blank ones as missing.

    None, or not all, when the contract takes a number for missing, or a blank cell for wrong.
    """
    words = tuple(contract.table.missing_values)
    return {
        column.name: DTYPES[column.type]
        for column in columns_of(contract)
        if column.type in ("integer", "number") and "" in words and not _any_reads(words, *_reading(column))
    }


def check_rows(rows: pl.DataFrame, contract: Contract, roles: tuple[str, ...] = KEPT) -> Checked:
    """Give `rows` (text, or typed as Parquet has them) the contract's types, and collect what is wrong.

    Only columns of `roles` are kept, in contract order; other columns of the contract may be missing.
    """
    wanted = columns_of(contract, roles)
    missing = [column.name for column in wanted if column.name not in rows.columns]
    extra = [name for name in rows.columns if name not in contract.columns]
    problems = [lacking(name, extra) for name in missing] + [Problem(name, EXTRA) for name in extra]
    if problems:
        return Checked(pl.DataFrame(), problems)
    checks = [_ColumnCheck(column, rows[column.name], contract) for column in wanted]
    frame = pl.DataFrame([check.run() for check in checks])
    flagged = pl.Series([False], dtype=pl.Boolean)
    for mask in (mask for check in checks for mask in check.flagged):
        flagged = flagged | mask
    return Checked(
        frame,
        [problem for check in checks for problem in check.problems],
        [warning for check in checks for warning in check.warnings],
        int(flagged.sum()),
    )


def blank_to_null(raw: pl.Series, missing_values: list[str]) -> pl.Series:
    """Text without surrounding blanks, and null where it is one of `missing_values`; a float that is NaN is null."""
    if raw.dtype == pl.String:
        text = raw.str.strip_chars()
        return (
            pl.select(pl.when(~text.is_in(pl.Series(missing_values).implode())).then(text)).to_series().alias(raw.name)
        )
    return raw if _all_finite(raw) else raw.fill_nan(None)


def as_type(values: pl.Series, column: Column) -> pl.Series:
    """`values` (text or typed) in the column's type; null where they do not fit. Booleans by true/falseValues."""
    if values.dtype != DTYPES[column.type]:
        values = _convert(values, column)
    return values if _all_finite(values) else values.fill_nan(None)


def as_text(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """`rows` as text that `check_rows` reads back: dates in the contract's format, its words for true and false."""
    return rows.select(_write(rows[name], contract.columns.get(name)) for name in rows.columns)


def _write(values: pl.Series, column: Column | None) -> pl.Series:
    if column is not None and values.dtype == pl.Boolean and column.type == "boolean":
        words = {True: column.true_values[0], False: column.false_values[0]}
        return values.replace_strict(words, default=None, return_dtype=pl.String)
    if column is not None and column.type in TIME_FORMATS and values.dtype.is_temporal():
        return values.dt.strftime(time_format(column))
    return values.cast(pl.String)


def _convert(values: pl.Series, column: Column) -> pl.Series:
    dtype = DTYPES[column.type]
    text = values.dtype == pl.String
    if column.type == "boolean":
        words = dict.fromkeys(column.true_values, True) | dict.fromkeys(column.false_values, False)
        ordered = sorted(words, key=lambda word: not words[word])
        codes = values.cast(pl.String).cast(pl.Enum(ordered), strict=False).to_physical()
        return codes < sum(words.values())
    if column.type in TIME_FORMATS:
        if values.dtype.is_temporal():
            return values.cast(dtype, strict=False)
        if not text:
            return pl.Series(values.name, [None] * len(values), dtype=dtype)
        if column.type == "date":
            return values.str.to_date(time_format(column), strict=False)
        return values.str.to_datetime(time_format(column), strict=False, time_unit="us")
    if column.type != "integer" or values.dtype.is_integer() or values.dtype == pl.Boolean:
        return values.cast(dtype, strict=False)
    # The direct cast keeps numbers over 2**53 exact; pandas writes whole numbers beside missing ones as 30.0.
    exact = values.cast(pl.Int64, strict=False) if text else None
    if exact is not None and exact.null_count() == values.null_count():
        return exact
    numbers = values.cast(pl.Float64, strict=False)
    whole = pl.select(pl.when(numbers.round() == numbers).then(numbers.cast(pl.Int64, strict=False))).to_series()
    return whole if exact is None else exact.fill_null(whole)


class _ColumnCheck:
    """One column: its raw cells (n) on the way to typed values, and what was found."""

    def __init__(self, column: Column, raw: pl.Series, contract: Contract) -> None:
        self.column, self.raw, self.policy = column, raw, contract.policy
        self.missing_values = contract.table.missing_values
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.flagged: list[pl.Series] = []

    def run(self) -> pl.Series:
        """The values (n) in the column's type, null where they are missing, wrong, or of no known category."""
        column, limits = self.column, self.column.constraints
        given, values = self._read()
        if values.null_count() != given.null_count():
            self._refuse(given.is_not_null() & values.is_null(), wrong_type(column))
        if not _all_finite(values):
            self._refuse(values.is_infinite(), NOT_FINITE)
        if given.null_count() and (limits.required or column.role in ("target", "id")):
            self._refuse(given.is_null(), EMPTY)
        if (limits.unique or column.role == "id") and values.n_unique() + max(values.null_count() - 1, 0) < len(values):
            self._refuse(values.is_not_null() & ~values.is_first_distinct(), TWICE)
        if limits.enum is not None:
            values = self._known(values, limits.enum)
        self._check_range(values)
        return values.alias(column.name)

    def _read(self) -> tuple[pl.Series, pl.Series]:
        """The cells with null for what stands for a missing value, and the same in the column's type."""
        if self.raw.dtype != pl.String:
            given = self.raw if _all_finite(self.raw) else self.raw.fill_nan(None)
            return given, as_type(given, self.column)
        values = self._read_plain()
        if values is not None:
            return self.raw, values
        given = blank_to_null(self.raw, self.missing_values)
        return given, as_type(given, self.column)

    def _read_plain(self) -> pl.Series | None:
        """The values when each cell is one as it stands: no blanks around it, no word for a missing value."""
        column, enum = self.column, self.column.constraints.enum
        if column.type == "string":
            categories = _categories(tuple(enum), tuple(self.missing_values)) if enum else None
            return self.raw if categories and _all_in(self.raw, categories) else None
        if _any_reads(tuple(self.missing_values), *_reading(column)):
            return None
        values = as_type(self.raw, column)
        return values if values.null_count() == self.raw.null_count() else None

    def _known(self, values: pl.Series, enum: list[Any]) -> pl.Series:
        if values.dtype == pl.String and _all_in(values, pl.Enum(list(dict.fromkeys(enum)))):
            return values
        unseen = values.is_not_null() & ~values.is_in(pl.Series(enum, dtype=values.dtype).implode())
        if self.column.role == "target" or self.policy.unseen_category == "reject":
            self._refuse(unseen, UNSEEN)
        else:
            self._warn(unseen, UNSEEN)
        return values.set(unseen, None) if unseen.any() else values

    def _check_range(self, values: pl.Series) -> None:
        column, limits = self.column, self.column.constraints
        note = self._refuse if self.policy.out_of_range == "reject" else self._warn
        for limit, extreme, word in ((limits.minimum, "min", "below"), (limits.maximum, "max", "above")):
            if limit is None:
                continue
            typed, found = _limit(limit, column.name, *_reading(column)), getattr(values, extreme)()
            if found is not None and (found < typed if extreme == "min" else found > typed):
                note(values < typed if extreme == "min" else values > typed, beyond(word, limit))

    def _refuse(self, bad: pl.Series, rule: str) -> None:
        self.problems += self._note(bad, rule)

    def _warn(self, bad: pl.Series, rule: str) -> None:
        found = self._note(bad, rule)
        self.warnings += found
        if found:
            self.flagged.append(bad.fill_null(False))

    def _note(self, bad: pl.Series, rule: str) -> list[Problem]:
        rows = bad.fill_null(False).arg_true()
        if not len(rows):
            return []
        first = int(rows[0])
        return [Problem(self.column.name, rule, first + 1, shown(self.raw[first], self.column), len(rows))]


_Reading = tuple[str, str, tuple[str, ...], tuple[str, ...]]


def _reading(column: Column) -> _Reading:
    """All that decides which text is a value of the column."""
    return column.type, column.format, tuple(column.true_values), tuple(column.false_values)


@lru_cache(maxsize=4096)
def _limit(limit: int | float | str, name: str, *reading: *_Reading) -> Any:
    """A limit of the contract in the column's type. Raises UserError."""
    column = _column_like(name, *reading)
    typed = as_type(pl.Series([limit]), column)[0]
    if typed is None:
        raise UserError(f"the contract: column {name!r}: {wrong_type(column).replace(VALUE, f'limit {limit!r}')}")
    return typed


@lru_cache(maxsize=1024)
def _any_reads(words: tuple[str, ...], *reading: *_Reading) -> bool:
    """Whether one of the words for a missing value is a value of the column too, as -1 is a number."""
    values = as_type(pl.Series(words, dtype=pl.String), _column_like("words", *reading))
    return values.null_count() < len(words)


@lru_cache(maxsize=1024)
def _categories(enum: tuple[str, ...], missing_values: tuple[str, ...]) -> pl.Enum | None:
    """The type of the categories, unless reading takes blanks off one of them or takes it for missing."""
    plain = all(value == value.strip() and value not in missing_values for value in enum)
    return pl.Enum(list(dict.fromkeys(enum))) if plain else None


def _column_like(
    name: str, kind: str, pattern: str, true_words: tuple[str, ...], false_words: tuple[str, ...]
) -> Column:
    fields = {"type": kind, "format": pattern, "trueValues": list(true_words), "falseValues": list(false_words)}
    return Column.model_validate({"name": name, "role": "ignored", **fields})


def _all_in(values: pl.Series, categories: pl.Enum) -> bool:
    return values.cast(categories, strict=False).null_count() == values.null_count()


def _all_finite(values: pl.Series) -> bool:
    """False when a value is infinite or NaN: a sum then is too (and the sum of huge values, which is no harm)."""
    return not values.dtype.is_float() or math.isfinite(values.sum())
