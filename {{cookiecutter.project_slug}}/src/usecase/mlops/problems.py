"""What the check of rows says, whoever runs it: on batches (`usecase.mlops.check`) or in the prediction service."""

from dataclasses import dataclass
from typing import Any

from usecase.mlops.contract import Column

# Stands for the offending cell in the messages below.
VALUE = "<value>"
TWICE = f"{VALUE} stands there twice"
EMPTY = "is empty but a value is required"
NOT_FINITE = f"{VALUE} is not finite"
UNSEEN = f"{VALUE} is none of the values in the contract"
EXTRA = "is not in the contract: drop it, or add it with `role: ignored`"

# ISO 8601, what `format: default` means in a Table Schema.
TIME_FORMATS = {"date": "%Y-%m-%d", "datetime": "%Y-%m-%dT%H:%M:%S"}


@dataclass(frozen=True)
class Problem:
    """Values of a column that break one rule of the contract, or a column that does.

    `row` is the first such data row, counted from 1, and `value` its cell as it may be shown; None is the whole column.
    """

    column: str
    rule: str
    row: int | None = None
    value: str = ""
    rows: int = 1
    file: str = ""

    @property
    def message(self) -> str:
        """The broken rule in words, with the first value and the number of other rows that break it."""
        more = f" (and {self.rows - 1} more rows)" if self.rows > 1 else ""
        return self.rule.replace(VALUE, self.value) + more

    def __str__(self) -> str:
        place = f", row {self.row}" if self.row else ""
        return f"column {self.column!r}{place}{f' of {self.file}' if self.file else ''}: {self.message}"


def wrong_type(column: Column) -> str:
    """The rule that a cell of another type breaks."""
    name = column.type if column.format == "default" else f"{column.type} ({column.format})"
    if column.type == "boolean":
        name = f"boolean ({', '.join(column.true_values + column.false_values)})"
    return f"{VALUE} is no {name}"


def beyond(word: str, limit: int | float | str) -> str:
    """The rule that a value `below` or `above` its limit breaks."""
    return f"{VALUE} is {word} {limit}"


def lacking(name: str, extra: list[str]) -> Problem:
    """A column that is not there; one of the `extra` ones may be meant."""
    same = [other for other in extra if other.strip().lower() == name.strip().lower()]
    return Problem(name, f"is missing (found {same[0]!r})" if same else "is missing")


def time_format(column: Column) -> str:
    """How a date or datetime of the column is written, as strftime has it."""
    return TIME_FORMATS[column.type] if column.format == "default" else column.format


def shown(value: Any, column: Column) -> str:
    """The cell as logs and answers may show it: never one that is, or may be, personal data."""
    if column.pii != "no":
        return "the value"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
