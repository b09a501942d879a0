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
from usecase.mlops.tables import parse_csv

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
    """Rows (n) of text cells; columns column_1, column_2, ... when the request names none. Raises RequestError."""
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

    Without column names the cells are taken in contract order. Known columns that are no features are dropped.
    """
    names = [column.name for column in contract.features]
    if (
        all(name == f"column_{position}" for position, name in enumerate(rows.columns, start=1))
        and rows.columns != names
    ):
        first = [str(cell) for cell in rows.row(0)]
        if set(names) <= set(first):
            rows = rows.slice(1).rename(dict(zip(rows.columns, first, strict=True)))
        elif rows.width == len(names):
            rows = rows.rename(dict(zip(rows.columns, names, strict=True)))
        else:
            raise RequestError(
                f"row 1 has {rows.width} cells, the contract has {len(names)} features: {', '.join(names[:5])}, ..."
            )
        if rows.height == 0:
            raise RequestError("the body has a header but no rows")
    checked = check_rows(rows, contract, roles=("feature",))
    if checked.problems:
        problem = checked.problems[0]
        raise RequestError(str(problem), row=problem.row, column=problem.column)
    return checked.frame


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
    if not isinstance(first, dict | list) or any(type(row) is not type(first) for row in rows):
        raise RequestError("each row must be an object of column and value, or a list of values in contract order")
    if isinstance(first, list):
        width = len(first)
        named = [{f"column_{i}": cell for i, cell in enumerate(row, start=1)} for row in rows]
    else:
        width = len(first)
        named = rows
    columns = dict.fromkeys(name for row in named for name in row)
    for number, row in enumerate(named, start=1):
        if isinstance(first, list) and len(row) != width:
            raise RequestError(f"row {number} has {len(row)} cells, row 1 has {width}", row=number)
        for name, cell in row.items():
            if isinstance(cell, dict | list):
                raise RequestError(
                    f"row {number}, column {name!r}: a cell holds one value, not a list or an object",
                    row=number,
                    column=name,
                )
    return pl.DataFrame(
        {name: [_text(row.get(name)) for row in named] for name in columns}, schema=dict.fromkeys(columns, pl.String)
    )


def _text(cell: str | float | bool | None) -> str | None:
    """A JSON cell as the text that a CSV would hold."""
    if cell is None or isinstance(cell, str):
        return cell
    return str(cell).lower() if isinstance(cell, bool) else repr(cell)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON: send null for a missing value")
