"""Requests and answers of the prediction service as bytes: CSV and JSON in, CSV and JSON out."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import polars as pl

from usecase.mlops.check import check_rows
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.model import Predictions
from usecase.mlops.tables import parse_csv, unnamed

CSV, JSON = "text/csv", "application/json"
MEDIA_TYPES = (JSON, CSV)


@dataclass
class RequestError(Exception):
    """A request that cannot be answered: status 4xx, one line for the client, and the cell if there is one."""

    message: str
    status: HTTPStatus = HTTPStatus.BAD_REQUEST
    row: int | None = None
    column: str | None = None


def read_rows(body: bytes, content_type: str) -> pl.DataFrame:
    """Rows (n) of text cells; columns are `unnamed` when the request is CSV or lists. Raises RequestError."""
    media_type = content_type.split(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise RequestError(
            f"content type {media_type or 'missing'!r}: send {' or '.join(MEDIA_TYPES)}",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    if not body.strip():
        raise RequestError("the body is empty: send at least one row")
    return _read_csv(body) if media_type == CSV else _read_json(body)


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


def write_predictions(predictions: Predictions, accept: str) -> bytes:
    """JSON {"predictions": [{"prediction", "probability"}]}, or CSV lines `prediction,probability` without a header."""
    records: list[dict[str, Any]] = [{"prediction": value} for value in predictions.values]
    if predictions.probabilities is not None:
        for record, row in zip(records, predictions.probabilities, strict=True):
            record["probability"] = round(float(row.max()), 6)
    if accept == JSON:
        return json.dumps({"predictions": records}).encode()
    return pl.DataFrame(records).write_csv(include_header=False).encode()


def choose_media_type(accept: str) -> str:
    """The media type to answer with: the first of the Accept header that we have. Raises RequestError (406)."""
    for part in accept.split(","):
        media_type = part.split(";")[0].strip().lower()
        if media_type in ("", "*/*", "application/*"):
            return JSON
        if media_type in MEDIA_TYPES:
            return media_type
        if media_type == "text/*":
            return CSV
    raise RequestError(f"accept {accept!r}: this service answers {' or '.join(MEDIA_TYPES)}", HTTPStatus.NOT_ACCEPTABLE)


def _read_csv(body: bytes) -> pl.DataFrame:
    try:
        return parse_csv(body, "the body", header=False)
    except UserError as error:
        raise RequestError(str(error)) from None


def _read_json(body: bytes) -> pl.DataFrame:
    try:
        content = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not valid JSON: {error}") from None
    rows = content.get("instances", [content]) if isinstance(content, dict) else content
    if not isinstance(rows, list) or not rows:
        raise RequestError('send {"instances": [{"column": value, ...}, ...]} with at least one row')
    first = rows[0]
    if not isinstance(first, dict | list) or any(type(row) is not type(first) for row in rows) or not first:
        raise RequestError("each row must be an object of column and value, or a list of values in contract order")
    records: list[dict[str, Any]] = rows
    if isinstance(first, list):
        for number, row in enumerate(rows, start=1):
            if len(row) != len(first):
                raise RequestError(f"row {number} has {len(row)} cells, row 1 has {len(first)}", row=number)
        records = [{unnamed(position): cell for position, cell in enumerate(row)} for row in rows]
    columns = dict.fromkeys(name for record in records for name in record)
    cells = {
        name: [_text(record.get(name), number, name) for number, record in enumerate(records, 1)] for name in columns
    }
    return pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String))


def _text(cell: Any, row: int, column: str) -> str | None:
    """A JSON cell as the text that a CSV would hold."""
    if isinstance(cell, dict | list):
        raise RequestError(
            f"row {row}, column {column!r}: a cell holds one value, not a list or an object", row=row, column=column
        )
    if cell is None:
        return None
    text = cell if isinstance(cell, str) else str(cell).lower() if isinstance(cell, bool) else repr(cell)
    try:
        (text + column).encode()
    except UnicodeEncodeError:
        raise RequestError(f"row {row}: text holds half a character (a lone surrogate)", row=row) from None
    return text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON: send null for a missing value")
