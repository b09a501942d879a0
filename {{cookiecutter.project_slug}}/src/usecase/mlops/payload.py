"""Requests and answers of the prediction service as frames: what handlers of one's own are made of."""

import polars as pl

from usecase.mlops.check import check_rows
from usecase.mlops.contract import Contract
from usecase.mlops.model import Predictions
from usecase.mlops.serving.answers import Answers, Options
from usecase.mlops.serving.request import CSV, JSON, RequestError, choose_media_type, read_content_type
from usecase.mlops.serving.rows import Cell, parse_rows
from usecase.mlops.tables import unnamed

__all__ = ["CSV", "JSON", "RequestError", "choose_media_type", "read_rows", "typed_features", "write_predictions"]


def read_rows(body: bytes, content_type: str) -> pl.DataFrame:
    """Rows (n) of text cells; columns are `unnamed` when the request is CSV or lists. Raises RequestError."""
    rows = parse_rows(body, read_content_type(content_type), ())
    names = rows.names
    if names is None:
        names = [unnamed(position) for position in range(len(rows.rows[0] or ()))]
    for number, row in enumerate(rows.rows, start=1):
        if row is None or len(row) != len(names):
            raise RequestError(f"row {number} has {len(row or ())} cells, row 1 has {len(names)}", row=number)
    cells = [[_text(cell) for cell in row or ()] for row in rows.rows]
    return pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String), orient="row")


def typed_features(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """The features of `rows` in the contract's types and order. Raises RequestError naming row and column.

    Rows without column names may begin with a header: a line that holds the name of a feature. Else the cells are taken
    in contract order. Known columns that are no features are dropped.
    """
    if rows.columns and rows.columns[0] == unnamed(0):
        rows = _named(rows, [column.name for column in contract.features])
    checked = check_rows(rows, contract, roles=("feature",))
    if checked.problems:
        problem = checked.problems[0]
        raise RequestError(str(problem), row=problem.row, column=problem.column)
    return checked.frame


def write_predictions(predictions: Predictions, accept: str) -> bytes:
    """JSON {"predictions": [{"prediction", "probability"}]}, or CSV lines `prediction,probability` without a header."""
    answers = Answers(predictions.values, predictions.classes, "", predictions.probabilities)
    return answers.write(accept, Options())


def _named(rows: pl.DataFrame, features: list[str]) -> pl.DataFrame:
    first = ["" if cell is None else str(cell) for cell in rows.row(0)]
    if not set(first) & set(features):
        if rows.width != len(features):
            some = ", ".join(features[:5]) + (", ..." if len(features) > 5 else "")
            raise RequestError(f"row 1 has {rows.width} cells, the contract has {len(features)} features: {some}")
        return rows.rename(dict(zip(rows.columns, features, strict=True)))
    twice = [name for name in first if first.count(name) > 1]
    if twice:
        raise RequestError(f"the header names {twice[0]!r} twice", column=twice[0])
    if rows.height == 1:
        raise RequestError("the body has a header but no rows")
    return rows.slice(1).rename(dict(zip(rows.columns, first, strict=True)))


def _text(cell: Cell) -> str | None:
    """A cell as the text that a CSV would hold."""
    if cell is None or cell == "":
        return None
    return cell if isinstance(cell, str) else str(cell).lower() if isinstance(cell, bool) else str(cell)
