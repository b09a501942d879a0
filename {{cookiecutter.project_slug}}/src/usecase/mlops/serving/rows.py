"""The rows of a request, out of bytes: CSV, JSON, JSON Lines, Parquet, npy and npz.

Cells are text, or what JSON and numpy have: numbers and booleans. A number counts as the text that it is written as.
"""

import contextlib
import csv
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import orjson

from usecase.mlops.serving.request import CSV, JSON, JSON_LINES, NPY, NPZ, ContentType, RequestError

Cell = str | int | float | bool | None
SEPARATORS = {";": "';'", "\t": "a tab", "|": "'|'"}
PLAIN_NUMBERS = b"0123456789+-.eE,\r\n"
# What is left of {"instances": [[1.5, 2], ...]}, or of the list alone, without PLAIN_NUMBERS and JSON's own signs.
JSON_SIGNS = PLAIN_NUMBERS + b"[] \t"
JSON_OF_NUMBERS = (b'{"instancs":}', b"")
BOM = "\ufeff"
NUMBERS = {int, float, type(None)}
EMPTY_BODY = "the body is empty: send at least one row"


@dataclass(frozen=True)
class Rows:
    """Rows (n) of cells, each with the columns `names`; None: no names came with them.

    `numbers`: no cell is anything but a number or missing. A row that is None was blank.
    """

    rows: Sequence[Sequence[Cell] | None]
    names: list[str] | None = None
    numbers: bool = False


def parse_rows(
    body: bytes, content: ContentType, features: Sequence[str], only_numbers: bool = False, keep_blank: bool = False
) -> Rows:
    """The rows of a body. CSV lines begin with a header when the first one holds the name of one of `features`.

    Rows may be of different lengths. `only_numbers`: no feature is anything else, so CSV may be read as numbers.
    `keep_blank`: a blank CSV line counts as a row. Raises RequestError.
    """
    if not body.strip():
        raise RequestError(EMPTY_BODY)
    if content.media_type in (NPY, NPZ):
        return _read_numpy(body, content.media_type)
    if content.media_type not in (CSV, JSON, JSON_LINES):
        return _read_parquet(body)
    if content.charset != "utf-8":
        body = _decoded(body, content.charset).encode()
    if content.media_type == CSV:
        if only_numbers and content.header is not True and not body.translate(None, PLAIN_NUMBERS):
            # Between brackets that is JSON, unless a cell is empty or written as in `.5`.
            with contextlib.suppress(orjson.JSONDecodeError):
                lines = body.strip(b"\r\n").replace(b"\r\n", b"\n").replace(b"\n", b"],[")
                return Rows(orjson.loads(b"[[%b]]" % lines), numbers=True)
        return _read_csv(body, content.header, features, keep_blank)
    if content.media_type == JSON_LINES:
        return _read_json_lines(body)
    return (only_numbers and _read_json_numbers(body)) or _read_json(body)


def _read_csv(body: bytes, header: bool | None, features: Sequence[str], keep_blank: bool) -> Rows:
    text = _decoded(body, "utf-8").removeprefix(BOM)
    if "\x00" in text:
        raise RequestError("the body is not text: send CSV in UTF-8")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows: list[Sequence[Cell] | None] = [
            cells if len(cells) > 1 or "".join(cells).strip() else None for cells in lines
        ]
    except csv.Error as error:
        reason = "opens a quote that is never closed" if "end of data" in str(error) else f"is no CSV ({error})"
        raise RequestError(f"line {lines.line_num} {reason}") from None
    while rows and rows[0] is None:
        rows.pop(0)
    if not keep_blank:
        rows = [row for row in rows if row is not None]
    if not rows:
        raise RequestError(EMPTY_BODY)
    first = [str(cell) for cell in rows[0] or ()]
    if header is False or (header is None and not set(first) & set(features)):
        return Rows(rows)
    if len(rows) == 1:
        raise RequestError("the body has a header but no rows")
    return Rows(rows[1:], _once(first, "the header"))


def _read_json_numbers(body: bytes) -> Rows | None:
    """The rows of JSON that holds lists of numbers and nothing else, so that no cell has to be looked at."""
    if body.translate(None, JSON_SIGNS) not in JSON_OF_NUMBERS:
        return None
    with contextlib.suppress(orjson.JSONDecodeError, KeyError):
        content = orjson.loads(body)
        rows = content["instances"] if isinstance(content, dict) else content
        if isinstance(rows, list) and set(map(type, rows)) == {list}:
            return Rows(rows, numbers=True)
    return None


def _read_json(body: bytes) -> Rows:
    content = _json(body, "the body")
    if isinstance(content, dict):
        content = _split_frame(content) or content.get("instances", [content])
    if isinstance(content, Rows):
        return content
    if not isinstance(content, list) or not content:
        raise RequestError('send {"instances": [{"column": value, ...}, ...]} with at least one row')
    return _records(content)


def _read_json_lines(body: bytes) -> Rows:
    return _records([_json(line, f"line {n}") for n, line in enumerate(body.splitlines(), 1) if line.strip()])


def _split_frame(content: dict[str, Any]) -> Rows | None:
    """Rows of {"columns": [...], "data": [[...], ...]}, what pandas calls the orient `split`."""
    frame = content.get("dataframe_split", content)
    if not isinstance(frame, dict) or not {"columns", "data"} <= set(frame) <= {"columns", "data", "index"}:
        return None
    names, data = frame["columns"], frame["data"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError('"columns" must be a list of column names')
    if not isinstance(data, list) or not data or not all(isinstance(row, list) for row in data):
        raise RequestError('"data" must be a list of rows, each a list of values, with at least one row')
    return Rows(data, _once(names, '"columns"'), _only_numbers(data, names))


def _records(records: list[Any]) -> Rows:
    first = records[0]
    if not isinstance(first, dict | list) or not first or any(type(record) is not type(first) for record in records):
        raise RequestError("each row must be an object of column and value, or a list of values in contract order")
    if isinstance(first, list):
        return Rows(records, numbers=_only_numbers(records))
    names, rows = list(first), []
    with contextlib.suppress(KeyError):
        if set(map(len, records)) == {len(names)} and len(names) > 1:
            rows = list(map(itemgetter(*names), records))
    if not rows:
        names = list(dict.fromkeys(chain.from_iterable(records)))
        rows = [tuple(map(record.get, names)) for record in records]
    return Rows(rows, names, _only_numbers(rows, names))


def _only_numbers(rows: Sequence[Sequence[Any]], names: Sequence[str] = ()) -> bool:
    """Whether all cells are numbers or missing. Raises RequestError for one that is no single value."""
    kinds = set(map(type, chain.from_iterable(rows)))
    if not kinds & {list, dict}:
        return kinds <= NUMBERS
    row, cells = next((n, cells) for n, cells in enumerate(rows, 1) if any(isinstance(c, list | dict) for c in cells))
    position = next(n for n, cell in enumerate(cells) if isinstance(cell, list | dict))
    column = names[position] if position < len(names) else None
    where = f"row {row}, column {column!r}" if column is not None else f"row {row}, cell {position + 1}"
    raise RequestError(f"{where}: a cell holds one value, not a list or an object", row=row, column=column)


def _json(body: bytes, source: str) -> Any:
    """Parsed JSON. Raises RequestError, also for an object that has a key twice: one of the two would be lost."""
    try:
        content = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
        if body.count(b":") != _count_keys(content):  # a colon in text, or a key that was lost
            json.loads(body.removeprefix(b"\xef\xbb\xbf"), object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{source} is not valid JSON: {error}") from None
    return content


def _count_keys(content: Any) -> int:
    """The keys of a request of the usual form: an object, its objects, and the objects in its lists."""
    if isinstance(content, list):
        return sum(map(len, content)) if set(map(type, content)) == {dict} else 0
    if not isinstance(content, dict):
        return 0
    return len(content) + sum(
        len(value) if isinstance(value, dict) else _count_keys(value)
        for value in content.values()
        if isinstance(value, dict | list)
    )


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _once([name for name, _ in pairs], "an object")
    return dict(pairs)


def _once(names: list[str], where: str) -> list[str]:
    """The column names, each there once. Raises RequestError."""
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestError(f"{where} names {twice!r} twice", column=twice)
    return names


def _read_numpy(body: bytes, media_type: str) -> Rows:
    """A matrix (rows x features) of numbers, booleans or text, or of npz the only one. Pickled objects are refused."""
    try:
        content = np.load(io.BytesIO(body), allow_pickle=False)
        arrays = list(content.values()) if media_type == NPZ else [content]
        matrix = arrays[0]
    except (ValueError, OSError, EOFError, IndexError, KeyError, TypeError, zipfile.BadZipFile) as error:
        kind = "npz archive" if media_type == NPZ else "npy array"
        raise RequestError(f"the body is no {kind} of plain values ({str(error).splitlines()[0][:120]})") from None
    if len(arrays) != 1 or matrix.ndim not in (1, 2) or not matrix.size or matrix.dtype.kind not in "fiubU":
        raise RequestError("send one array of numbers or text: rows x features in contract order")
    return Rows(np.atleast_2d(matrix).tolist())


def _read_parquet(body: bytes) -> Rows:
    try:
        import polars as pl
    except ImportError:
        raise RequestError(
            "this image cannot read Parquet: send CSV or JSON", HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        ) from None
    try:
        frame = pl.read_parquet(io.BytesIO(body))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RequestError(f"the body is no Parquet file ({str(error).splitlines()[0][:120]})") from None
    return of_frame(frame)


def of_frame(frame: Any) -> Rows:
    """The rows of a polars frame, times as ISO 8601 text. Raises RequestError."""
    import polars as pl

    for name, dtype in frame.schema.items():
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object, pl.Time, pl.Duration):
            raise RequestError(f"column {name!r} holds {dtype}: give one value per cell", column=name)
    if not frame.height:
        raise RequestError(EMPTY_BODY)
    return Rows(frame.rows(), frame.columns)


def _decoded(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset)
    except (UnicodeError, LookupError) as error:
        line = body.count(b"\n", 0, getattr(error, "start", 0)) + 1
        raise RequestError(f"line {line} is not {charset.upper()}") from None
