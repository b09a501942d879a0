"""The data report of Preprocess: what came in, what was wrong, what was let through."""

import hashlib
from typing import Any

import polars as pl

from usecase.mlops.check import check_rows
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.tables import row_texts

MIN_ROWS = 20
MAX_LISTED = 5


def check_training_data(rows: pl.DataFrame, contract: Contract) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Typed rows (n) and data_report.json as a mapping. Raises UserError with the first problems in one line."""
    refuse_few(rows)
    checked = check_rows(rows, contract)
    _refuse([str(problem) for problem in checked.problems])
    frame = checked.frame
    _refuse(_unusable_columns(frame, contract))
    report = {
        "data_sha256": _sha256(frame),
        "rows": frame.height,
        "features": len(contract.features),
        "task": contract.task,
        "target": _describe_target(frame, contract),
        "warnings": [str(warning) for warning in checked.warnings],
    }
    return frame, report


def refuse_few(rows: pl.DataFrame) -> None:
    """Raise UserError when there are too few rows (n) to train and test with."""
    if rows.height < MIN_ROWS:
        count = f"{rows.height} row{'s' * (rows.height != 1)}"
        raise UserError(f"the data has {count}: at least {MIN_ROWS} are needed to train and test")


def _refuse(problems: list[str]) -> None:
    if problems:
        more = f"; and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
        raise UserError("the data breaks the contract: " + "; ".join(problems[:MAX_LISTED]) + more)


def _unusable_columns(frame: pl.DataFrame, contract: Contract) -> list[str]:
    target = frame[contract.target.name]
    if target.n_unique() == 1:
        return [f"target {contract.target.name!r} is always {target[0]!r}: there is nothing to learn"]
    if contract.classes:
        label, count = target.value_counts(sort=True).row(-1)
        if count < 2:
            return [f"class {label!r} of target {contract.target.name!r} has only one row: add rows or drop it"]
    problems = []
    for column in contract.features:
        values = frame[column.name]
        if values.null_count() == frame.height:
            problems.append(f"column {column.name!r} has no values: mend the data or set `role: ignored`")
        elif mirrors(values, target):
            problems.append(
                f"column {column.name!r} is identical to the target {contract.target.name!r},"
                " a model would only copy it: drop it or set `role: ignored`"
            )
    return problems


def mirrors(values: pl.Series, target: pl.Series) -> bool:
    """Whether each value of the column stands for exactly one target value and the other way round (leakage)."""
    distinct = target.n_unique()
    if values.null_count() or values.n_unique() != distinct:
        return False
    # A target with a value per row pairs with any column that has one too: there only equality is a copy.
    if distinct == len(target):
        return values.dtype.is_numeric() == target.dtype.is_numeric() and bool(
            (values.cast(pl.String) == target.cast(pl.String)).all()
        )
    return pl.DataFrame({"value": values, "target": target}).n_unique() == distinct


def _describe_target(frame: pl.DataFrame, contract: Contract) -> dict[str, Any]:
    target = frame[contract.target.name]
    if contract.classes:
        counts = dict(target.value_counts().rows())
        return {"name": target.name, "rows_per_class": {str(label): counts.get(label, 0) for label in contract.classes}}
    numbers = target.cast(pl.Float64)
    return {"name": target.name, "minimum": numbers.min(), "mean": numbers.mean(), "maximum": numbers.max()}


def _sha256(frame: pl.DataFrame) -> str:
    """Hash of the typed values in row order: whatever the file's format, line ends and order of columns."""
    return hashlib.sha256("\x1e".join(["\x1f".join(frame.columns), *row_texts(frame)]).encode()).hexdigest()
