"""The rows of a request against the data contract, with the verdicts of `usecase.mlops.check` but without polars.

Most requests are right, so each rule first asks about all values of a column at once and looks for the rows only then.
"""

import contextlib
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache, partial
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from usecase.mlops.contract import Column, Contract
from usecase.mlops.problems import (
    EMPTY,
    EXTRA,
    NOT_FINITE,
    TWICE,
    UNSEEN,
    Problem,
    beyond,
    lacking,
    shown,
    time_format,
    wrong_type,
)
from usecase.mlops.serving.request import RequestError
from usecase.mlops.serving.rows import SEPARATORS, Cell, Rows
from usecase.mlops.serving.times import time_reader

Numbers = npt.NDArray[np.float64]
Value = Any
Read = Callable[[str], Value]

# The blanks of Unicode; Python's strip() takes four control characters more.
BLANKS = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
MAX_INTEGER = 2**63
MAX_FLOAT32 = float(np.finfo(np.float32).max)
EXACT = 2.0**53  # whole numbers up to here are the same as a float


@dataclass
class Fault:
    """A broken rule and the rows (from 0) that break it."""

    problem: Problem
    rows: list[int]


@dataclass
class Valid:
    """Rows (n) in the contract's types by column, None where missing; `numbers` instead, n x features, NaN there.

    `plain`: no number is missing, or beyond the 32 bits of the model.
    `refused` are the faults of rows that cannot be answered, `flagged` those that the contract's policy lets through.
    """

    count: int
    columns: dict[str, list[Value]] = field(default_factory=dict)
    numbers: Numbers | None = None
    plain: bool = False
    refused: list[Fault] = field(default_factory=list)
    flagged: list[Fault] = field(default_factory=list)


class Validator:
    """The check of requests against the features of one contract."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.names = [column.name for column in contract.features]
        self._checks = [_ColumnCheck(column, contract) for column in contract.features]
        # With numbers only, a request becomes one matrix and each rule one comparison.
        self.only_numbers = all(check.plain_number for check in self._checks)
        limits = [(check.minimum, check.maximum) if self.only_numbers else (None, None) for check in self._checks]
        self._low = np.array([-np.inf if low is None else low for low, _ in limits])
        self._high = np.array([np.inf if high is None else high for _, high in limits])
        # Most requests lie between these, where a comparison with NaN and infinite numbers is false.
        self._plain_low, self._plain_high = self._low.clip(-MAX_FLOAT32), self._high.clip(max=MAX_FLOAT32)
        self._whole = [n for n, column in enumerate(contract.features) if column.type == "integer"]
        self._optional = [n for n, column in enumerate(contract.features) if not column.constraints.required]
        self._places = lru_cache(maxsize=64)(self._find_places)

    def check(self, rows: Rows, one_by_one: bool = False) -> Valid:
        """Give the rows the contract's types and say what is wrong. Raises RequestError for wrong columns.

        `one_by_one`: a row of another length is a fault of that row alone.
        """
        if rows.numbers and self.only_numbers:
            numbers = self._as_matrix(rows)
            if numbers is not None:
                return numbers
        faults: list[Fault] = []
        width = len(rows.names) if rows.names is not None else len(self.names)
        cells = rows.rows
        wrong = [n for n, row in enumerate(cells) if row is None or len(row) != width]
        if wrong:
            faults.append(self._wrong_length(wrong, cells, width, rows.names is not None))
            if not one_by_one:
                raise RequestError(faults[0].problem.rule, row=faults[0].problem.row)
            bad = set(wrong)
            blank: list[Cell] = [None] * width
            cells = [blank if n in bad else row for n, row in enumerate(cells)]
        places = self._places(None if rows.names is None else tuple(rows.names))
        valid = Valid(len(cells), refused=faults)
        ignored = set(wrong)
        by_column = list(zip(*cells, strict=True)) if cells else []
        for check, place in zip(self._checks, places, strict=True):
            valid.columns[check.name] = check.run(by_column[place], valid, ignored)
        return valid

    def _as_matrix(self, rows: Rows) -> Valid | None:
        """The rows as n x features, unless something about them has to be said."""
        places = self._places(None if rows.names is None else tuple(rows.names))
        width = len(rows.names) if rows.names is not None else len(self.names)
        try:
            numbers = _numbers(rows.rows, width)
        except (ValueError, OverflowError):
            return None
        if numbers.ndim != 2 or numbers.shape[1] != width:
            return None
        if rows.names is not None:
            numbers = numbers[:, places]
        plain = (numbers >= self._plain_low) & (numbers <= self._plain_high)
        if np.count_nonzero(plain) == plain.size and self._are_whole(numbers):
            return Valid(len(numbers), numbers=numbers, plain=True)
        # NaN, from a missing value, is neither below nor above.
        if (numbers < self._low).any() or (numbers > self._high).any():
            return None
        total = numbers.sum()
        if not math.isfinite(total):
            missing = np.isnan(numbers)
            missing[:, self._optional] = False
            if missing.any() or np.isinf(numbers).any():
                return None
        if not self._are_whole(numbers):
            return None
        return Valid(len(numbers), numbers=numbers)

    def _are_whole(self, numbers: Numbers) -> bool:
        """Whether all integers are, and exactly so as floats; missing ones do not count."""
        if not self._whole:
            return True
        whole = np.nan_to_num(numbers[:, self._whole])
        return bool(((whole == np.rint(whole)) & (np.abs(whole) <= EXACT)).all())

    def _find_places(self, names: tuple[str, ...] | None) -> list[int]:
        """The position of each feature in rows with these columns. Raises RequestError."""
        if names is None:
            return list(range(len(self.names)))
        extra = [name for name in names if name not in self.contract.columns]
        problems = [lacking(name, extra) for name in self.names if name not in names]
        problems += [Problem(name, EXTRA) for name in extra]
        if problems:
            raise RequestError(str(problems[0]), column=problems[0].column)
        position = {name: place for place, name in enumerate(names)}
        return [position[name] for name in self.names]

    def _wrong_length(self, wrong: list[int], cells: Sequence[Any], width: int, named: bool) -> Fault:
        row = wrong[0]
        has = 0 if cells[row] is None else len(cells[row])
        if named:
            wanted = f"the header has {width}: quote cells that hold commas"
        else:
            some = ", ".join(self.names[:5]) + (", ..." if len(self.names) > 5 else "")
            wanted = f"the contract has {width} feature{'s' if width > 1 else ''}: {some}"
        if has == 1 and isinstance(cells[row][0], str):
            wanted += "".join(
                f"; cells end with a comma, not {said}" for sign, said in SEPARATORS.items() if sign in cells[row][0]
            )
        return Fault(Problem("", f"row {row + 1} has {has} cells, {wanted}", row + 1, rows=len(wrong)), wrong)


class _ColumnCheck:
    """The rules of one column. Limits and allowed values are in the column's type."""

    def __init__(self, column: Column, contract: Contract) -> None:
        limits, policy = column.constraints, contract.policy
        self.column, self.name = column, column.name
        self.required, self.unique = limits.required, limits.unique
        self.missing = frozenset(contract.table.missing_values)
        self.read_text = _reader(column)
        self.minimum, self.maximum = (self._limit(limit) for limit in (limits.minimum, limits.maximum))
        self.enum = None if limits.enum is None else frozenset(limits.enum)
        self.reject_unseen = policy.unseen_category == "reject"
        self.reject_range = policy.out_of_range == "reject"
        number = column.type in ("integer", "number")
        # A word for "missing" may be a number too, such as -999.
        self._numbers_may_be_missing = any(self._reads(word) for word in self.missing)
        self.takes_numbers = number and not self._numbers_may_be_missing
        self.plain_number = self.takes_numbers and self.enum is None and not self.unique

    def run(self, cells: Iterable[Cell], valid: Valid, ignored: set[int]) -> list[Value]:
        """The values of the column; faults go to `valid`, except for rows in `ignored`."""
        cells = list(cells)
        values: list[Value] = []
        misfits: list[int] = []
        for row, cell in enumerate(cells):
            try:
                values.append(self.read(cell))
            except (ValueError, OverflowError):
                values.append(None)
                misfits.append(row)
        refuse, flag = partial(self._note, valid.refused, cells), partial(self._note, valid.flagged, cells)
        if misfits:
            refuse(wrong_type(self.column), misfits)
        if self.column.type == "number":
            infinite = [row for row, value in enumerate(values) if value in (math.inf, -math.inf)]
            if infinite:
                refuse(NOT_FINITE, infinite)
        if self.required and None in values:
            unfit = ignored.union(misfits)
            empty = [row for row, value in enumerate(values) if value is None and row not in unfit]
            if empty:
                refuse(EMPTY, empty)
        if self.unique:
            repeated = _repeated(values)
            if repeated:
                refuse(TWICE, repeated)
        if self.enum is not None:
            unseen = [row for row, value in enumerate(values) if value is not None and value not in self.enum]
            if unseen:
                (refuse if self.reject_unseen else flag)(UNSEEN, unseen)
                for row in unseen:
                    values[row] = None
        self._check_range(values, refuse if self.reject_range else flag)
        return values

    def read(self, cell: Cell) -> Value:
        """The cell in the column's type, None when it is missing. Raises ValueError."""
        if self.takes_numbers and (type(cell) is float or type(cell) is int):
            return self._number(cell)
        if cell is None or cell != cell:  # NaN is the one value that is not equal to itself
            return None
        if isinstance(cell, date) and self.column.type in ("date", "datetime"):
            return _as_time(cell, self.column)
        if isinstance(cell, bool):
            if self.column.type == "boolean":
                return cell
            cell = str(cell).lower()
        text = cell.strip(BLANKS) if isinstance(cell, str) else str(cell)
        return None if text in self.missing else self.read_text(text)

    def _number(self, cell: int | float) -> Value:
        if self.column.type == "number":
            return None if cell != cell else float(cell)
        return None if cell != cell else _whole(cell)

    def _check_range(self, values: list[Value], note: Callable[[str, list[int]], None]) -> None:
        if self.minimum is None and self.maximum is None:
            return
        there = [value for value in values if value is not None]
        if not there:
            return
        limits = self.column.constraints
        if self.minimum is not None and min(there) < self.minimum:
            note(
                beyond("below", limits.minimum if limits.minimum is not None else ""),
                [row for row, value in enumerate(values) if value is not None and value < self.minimum],
            )
        if self.maximum is not None and max(there) > self.maximum:
            note(
                beyond("above", limits.maximum if limits.maximum is not None else ""),
                [row for row, value in enumerate(values) if value is not None and value > self.maximum],
            )

    def _note(self, faults: list[Fault], cells: list[Cell], rule: str, rows: list[int]) -> None:
        cell = cells[rows[0]]
        value = shown(cell if isinstance(cell, str) else _as_text(cell), self.column)
        faults.append(Fault(Problem(self.name, rule, rows[0] + 1, value, len(rows)), rows))

    def _limit(self, limit: int | float | str | None) -> Value:
        if limit is None:
            return None
        return self.read_text(limit) if isinstance(limit, str) else limit

    def _reads(self, word: str) -> bool:
        try:
            self.read_text(word)
        except (ValueError, OverflowError):
            return False
        return True


def _numbers(rows: Sequence[Any], width: int) -> Numbers:
    """The rows as an array, None as NaN. Raises ValueError, OverflowError."""
    if set(map(len, rows)) == {width}:
        with contextlib.suppress(struct.error):  # a cell is None; else this takes half of numpy's time
            flat = struct.pack(f"{len(rows) * width}d", *chain.from_iterable(rows))
            return np.frombuffer(flat).reshape(len(rows), width)
    return np.array(rows, np.float64)


def _reader(column: Column) -> Read:
    """The function that reads text without blanks around it; it raises ValueError for what is no such value."""
    if column.type == "boolean":
        words = dict.fromkeys(column.true_values, True) | dict.fromkeys(column.false_values, False)
        return partial(_word, words)
    if column.type in ("date", "datetime"):
        read = time_reader(time_format(column))
        return (lambda text: read(text).date()) if column.type == "date" else read
    if column.type == "number":
        return _float
    return _integer if column.type == "integer" else str


def _word(words: dict[str, bool], text: str) -> bool:
    try:
        return words[text]
    except KeyError:
        raise ValueError(text) from None


def _float(text: str) -> float:
    if "_" in text or not text.isascii():  # Python's own ways to write a number
        raise ValueError(text)
    value = float(text)
    if value != value:
        raise ValueError(text)
    return value


def _integer(text: str) -> int:
    try:
        if "_" in text or not text.isascii():
            raise ValueError(text)
        value = int(text)
        if -MAX_INTEGER <= value < MAX_INTEGER:
            return value
    except ValueError:
        pass
    return _whole(_float(text))


def _whole(number: int | float) -> int:
    """A whole number of 64 bits, as pandas writes 30.0 where others are missing."""
    if number != math.floor(number) or not -MAX_INTEGER <= number < MAX_INTEGER:
        raise ValueError(number)
    return int(number)


def _as_time(cell: date, column: Column) -> Value:
    if column.type == "date":
        return cell.date() if isinstance(cell, datetime) else cell
    return cell.replace(tzinfo=None) if isinstance(cell, datetime) else datetime(cell.year, cell.month, cell.day)


def _as_text(cell: Cell) -> str:
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def _repeated(values: list[Value]) -> list[int]:
    seen: set[Value] = set()
    rows = []
    for row, value in enumerate(values):
        if value is not None and value in seen:
            rows.append(row)
        seen.add(value)
    return rows
