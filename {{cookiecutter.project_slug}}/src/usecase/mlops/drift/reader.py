"""Traffic from files: data capture of endpoints and of batch transforms, CSV and Parquet; in batches, as rows.

Formats: "Capture data from real-time endpoint" and "... from batch transform job", SageMaker Developer Guide. One line
of a capture may hold many rows. What cannot be read is counted by reason and left out: traffic is never clean.
"""

import base64
import csv
import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, Any, NamedTuple

import polars as pl

from usecase.mlops.check import number_types
from usecase.mlops.contract import Contract
from usecase.mlops.drift.tally import ANSWERS, PREDICTION, PROBABILITY
from usecase.mlops.errors import UserError
from usecase.mlops.files import TABLES
from usecase.mlops.tables import parse_csv, read_pieces, unnamed

BATCH_ROWS = 50_000
CHUNK_LINES = 1000  # of a batch transform's files
ID, ROW, TIME = KEYS = ("inference_id", "row", "time")
CAPTURES, MANIFESTS = (".jsonl", ".jsonl.gz"), (".json", ".manifest")
GZIP = b"\x1f\x8b"
OBJECTS = Path(".local/s3")  # where the local engine keeps s3://bucket/key
INPUT, OUTPUT = "input", "output"


class Batch(NamedTuple):
    """Rows (n) that were asked about, of text or typed, what was answered, and inference_id, row and time of each.

    `row` counts the rows of one call, from 1. An answer is null where there is none.
    """

    rows: pl.DataFrame
    answers: pl.DataFrame
    keys: pl.DataFrame


@dataclass
class Found:
    """What was read: `odd` are calls (or files) that were left out, whole or their answer, by reason."""

    files: int = 0
    calls: int = 0
    odd: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    first: str = ""
    last: str = ""

    def at(self, time: str) -> None:
        """Note the time of a call, ISO 8601."""
        if time:
            self.first = min(self.first or time, time)
            self.last = max(self.last, time)

    def leave_out(self, reason: str) -> None:
        """Count a call that cannot be read."""
        self.odd[reason] += 1
        self.unread += 1


class _OddError(Exception):
    """Why a call cannot be read."""


class _Answer(NamedTuple):
    prediction: str | None = None
    probability: str | None = None
    id: str | None = None
    time: str | None = None


@dataclass
class _Call:
    """The rows of one call: lines of plain CSV without a header, or cells by column."""

    lines: list[bytes]
    cells: list[dict[str, str | None]]
    answers: list[_Answer]
    id: str
    time: str


def read_traffic(path: Path, contract: Contract, found: Found) -> Iterator[Batch]:
    """The rows of a file, or of all files below a folder, in the order of their paths. Fills `found` on the way.

    Raises UserError when there is no such file, and for one that is no traffic at all.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder: pass captured traffic, or a CSV or Parquet file")
    paths = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    inner = {file: _manifest(file) for file in paths if file.suffix in MANIFESTS and path.is_dir()}
    manifests = {file: keys for file, keys in inner.items() if keys is not None}
    if path.is_file() and not path.name.endswith((*CAPTURES, *TABLES)):
        raise UserError(f"{path}: give a file that ends in {', '.join((*CAPTURES, *TABLES))}, or a folder of them")
    if manifests:
        yield from _batches(_transformed(manifests, path, contract, found), contract)
        return
    captures = [file for file in paths if file.name.endswith(CAPTURES)]
    yield from read_calls(_captured(captures, found), contract, found)
    for file in paths:
        if file.name.lower().endswith(TABLES):
            yield from _table(file, contract, found)


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """`batches`, of which the next is read on a thread of its own while one is worked on: polars holds no lock then."""
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(next, batches, None)
        while (batch := reading.result()) is not None:
            reading = reader.submit(next, batches, None)
            yield batch


def _table(file: Path, contract: Contract, found: Found) -> Iterator[Batch]:
    """A CSV or Parquet file: columns of the contract, and perhaps of answers and keys."""
    found.files += 1
    for piece in read_pieces(file, numbers=number_types(contract)):
        rows = piece.rows
        found.calls += rows.height
        beside = [name for name in (*ANSWERS, *KEYS) if name in rows.columns and name not in contract.columns]
        answers = rows.select(name for name in ANSWERS if name in beside)
        keys = rows.select(pl.col(name).cast(pl.String) for name in KEYS if name in beside)
        if TIME in keys.columns:
            for time in (keys[TIME].min(), keys[TIME].max()):
                found.at(str(time or ""))
        yield Batch(rows.drop(beside), answers, keys)


def read_calls(
    lines: Iterable[bytes], contract: Contract, found: Found, within: tuple[datetime, datetime] | None = None
) -> Iterator[Batch]:
    """The rows of lines of data capture. `within`: only of calls from the first moment on, and before the second."""
    return _batches(_calls(lines, contract, found, within), contract)


def read_lines(stream: IO[bytes], found: Found) -> Iterator[bytes]:
    """The lines of a file, unpacked if need be; what a damaged file holds up to the damage."""
    try:
        zipped = stream.read(2) == GZIP
        stream.seek(0)
        with gzip.open(stream) if zipped else nullcontext(stream) as lines:
            yield from (line for line in lines if line.strip())
    except (OSError, EOFError, zlib.error):
        found.leave_out("a file is damaged")


def _captured(files: Sequence[Path], found: Found) -> Iterator[bytes]:
    for file in files:
        found.files += 1
        yield from _lines(file, found)


def _lines(file: Path, found: Found) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            yield from read_lines(stream, found)
    except OSError:
        found.leave_out("a file is damaged")


def _calls(
    lines: Iterable[bytes], contract: Contract, found: Found, within: tuple[datetime, datetime] | None
) -> Iterator[_Call]:
    names = [column.name for column in contract.features]
    for line in lines:
        try:
            call = _call(line, names, found, within)
        except _OddError as reason:
            found.calls += 1
            found.leave_out(str(reason))
            continue
        if call is not None:
            found.calls += 1
            yield call


def _call(line: bytes, names: list[str], found: Found, within: tuple[datetime, datetime] | None = None) -> _Call | None:
    """A line of a capture file; None for a call at another time. Raises _OddError."""
    try:
        record = json.loads(line)
        data, about = record["captureData"], record.get("eventMetadata") or {}
        given, answer = data.get("endpointInput"), data.get("endpointOutput")
        name, time = str(about.get("inferenceId") or about.get("eventId") or ""), str(about.get("inferenceTime") or "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        cut = "" if line.endswith(b"\n") else ", cut off at the end of its file"
        raise _OddError(f"a line is no record of data capture{cut}") from None
    if within and not within[0] <= _moment(time) < within[1]:
        return None
    if not given:
        raise _OddError("a record has no request")
    lines, cells = _rows(*_content(given), names)
    answers: list[_Answer] = []
    try:
        answers = _answers(*_content(answer)) if answer else []
        if not answers:
            found.odd["a record has no answer"] += 1
    except _OddError as reason:
        found.odd[f"answer: {reason}"] += 1
    found.at(time)
    return _paired(_Call(lines, cells, answers, name, time), found)


def _moment(time: str) -> datetime:
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        raise _OddError("a record has no time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _paired(call: _Call, found: Found) -> _Call:
    """The call with an answer, or none, for each row."""
    rows = len(call.lines) + len(call.cells)
    if len(call.answers) != rows:
        if call.answers:
            found.odd["a call has another number of answers than of rows"] += 1
        call.answers = [_Answer()] * rows
    return call


def _content(part: Any) -> tuple[bytes, str]:
    """Body and kind of one half of a record; the encoding is BASE64 when the endpoint was not told of the type."""
    try:
        data, encoding = part["data"], part.get("encoding", "BASE64")
        body = base64.b64decode(data, validate=True) if encoding == "BASE64" else data.encode("utf-8")
    except (KeyError, TypeError, AttributeError, ValueError):
        raise _OddError("the content of a record cannot be decoded") from None
    return body, encoding if encoding in ("CSV", "JSON") else _kind(body)


def _rows(body: bytes, kind: str, names: list[str]) -> tuple[list[bytes], list[dict[str, str | None]]]:
    """The rows of a request: lines of plain CSV, or cells by column. Raises _OddError."""
    if not body.strip():
        raise _OddError("a request is empty")
    try:
        text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError:
        raise _OddError("a request is not UTF-8") from None
    if kind == "JSON":
        return [], [_named(row, names) for row in _instances(text)]
    lines = [line for line in text.encode().splitlines() if line.strip()]
    if '"' not in text and not set(lines[0].decode().split(",")) & set(names):
        if any(line.count(b",") != len(names) - 1 for line in lines):
            raise _OddError(f"a row has another number of cells than the {len(names)} features")
        return lines, []
    try:
        records = [record for record in csv.reader(text.splitlines(keepends=True), strict=True) if record]
    except csv.Error:
        raise _OddError("a request is no CSV") from None
    header = records.pop(0) if set(records[0]) & set(names) else names
    if any(len(record) != len(header) for record in records):
        raise _OddError(f"a row has another number of cells than the {len(header)} features")
    return [], [dict(zip(header, record, strict=True)) for record in records]


def _instances(text: str) -> list[Any]:
    """The rows of a request in JSON: {"instances": [...]}, a list of rows, one row, or a row per line."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        try:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise _OddError("a body is no JSON") from None
    rows = content.get("instances", [content]) if isinstance(content, dict) else content
    if not isinstance(rows, list) or not rows:
        raise _OddError("a body in JSON holds no rows")
    return rows if isinstance(rows[0], dict | list) else [rows]


def _named(row: Any, names: list[str]) -> dict[str, str | None]:
    if isinstance(row, list):
        if len(row) != len(names):
            raise _OddError(f"a row has another number of cells than the {len(names)} features")
        row = dict(zip(names, row, strict=True))
    if not isinstance(row, dict):
        raise _OddError("a row in JSON is neither object nor list")
    return {name: _text(cell) for name, cell in row.items()}


def _text(cell: Any) -> str | None:
    """A cell of JSON as the text that a CSV would hold."""
    if cell is None or isinstance(cell, str):
        return cell
    return str(cell).lower() if isinstance(cell, bool) else repr(cell)


def _answers(body: bytes, kind: str) -> list[_Answer]:
    """What a body answers for each row. Raises _OddError."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise _OddError("is not UTF-8") from None
    if kind == "CSV":
        try:
            records = list(csv.reader(text.splitlines(keepends=True), strict=True))
        except csv.Error:
            raise _OddError("is no CSV") from None
        return [_cells(record) for record in records if record]
    content: Any = _instances(text)
    if len(content) == 1 and isinstance(content[0], dict) and "predictions" in content[0]:
        content = content[0]["predictions"]
    if not isinstance(content, list):
        raise _OddError("holds no predictions")
    return [_fields(row) for row in content]


def _cells(record: list[str]) -> _Answer:
    name, time = None, None
    if len(record) > 2 and re.match(r"\d{4}-\d\d-\d\dT", record[-1]):  # of a batch transform with GenerateInferenceId
        *record, name, time = record
    return _Answer(record[0], record[1] if len(record) > 1 else None, name, time)


def _fields(row: Any) -> _Answer:
    if isinstance(row, dict):
        if PREDICTION not in row:
            raise _OddError("holds no predictions")
        name, time = row.get("SageMakerInferenceId"), row.get("SageMakerInferenceTime")
        return _Answer(_text(row[PREDICTION]), _text(row.get(PROBABILITY)), _text(name), _text(time))
    return _Answer(_text(row[0] if isinstance(row, list) and row else row))


def _batches(calls: Iterable[_Call], contract: Contract) -> Iterator[Batch]:
    """Calls of one kind together, since many small frames take long to make."""
    waiting: dict[bool, list[_Call]] = {True: [], False: []}
    rows: Counter[bool] = Counter()
    for call in calls:
        kind = bool(call.lines)
        waiting[kind].append(call)
        rows[kind] += len(call.answers)
        if rows[kind] >= BATCH_ROWS:
            yield _batch(waiting[kind], contract)
            waiting[kind], rows[kind] = [], 0
    yield from (_batch(kind, contract) for kind in waiting.values() if kind)


def _batch(calls: list[_Call], contract: Contract) -> Batch:
    names = [column.name for column in contract.features]
    if calls[0].lines:
        text = b"\n".join(line for call in calls for line in call.lines) + b"\n"
        rows = parse_csv(text, "captured requests", header=False)
        rows = rows.rename({unnamed(place): name for place, name in enumerate(names)})
    else:
        found = [row for call in calls for row in call.cells]
        rows = pl.DataFrame(found, schema=dict.fromkeys((name for row in found for name in row), pl.String))
    answers = [answer for call in calls for answer in call.answers]
    keys = [
        (answer.id or call.id, str(number), answer.time or call.time)
        for call in calls
        for number, answer in enumerate(call.answers, start=1)
    ]
    return Batch(
        rows,
        pl.DataFrame([answer[:2] for answer in answers], schema=dict.fromkeys(ANSWERS, pl.String), orient="row"),
        pl.DataFrame(keys, schema=dict.fromkeys(KEYS, pl.String), orient="row"),
    )


def _manifest(file: Path) -> list[str] | None:
    """The URIs that a manifest of a batch transform's capture lists; None for any other file."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(content, list) and set(content[0]) == {"prefix"}:
            return [f"{content[0]['prefix']}{key}" for key in content[1:]]
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return None


def _transformed(manifests: dict[Path, list[str]], root: Path, contract: Contract, found: Found) -> Iterator[_Call]:
    """Batch transforms: the files below input/, each with the file below output/ whose name ends in .out."""
    uris: dict[str, dict[str, str]] = {INPUT: {}, OUTPUT: {}}
    for file, listed in manifests.items():
        found.files += 1
        kind = next((part for part in reversed(file.parts) if part in uris), None)
        if kind is None:
            found.leave_out("a manifest lies neither below input/ nor below output/")
            continue
        uris[kind] |= {uri.rpartition("/")[2].removesuffix(".out"): uri for uri in listed}
    for name, uri in uris[INPUT].items():
        asked, answered = _place(uri, root), _place(uris[OUTPUT].get(name, ""), root)
        if asked is None:
            found.leave_out("a file of a manifest is not here")
            continue
        if answered is None:
            found.odd["a file has no answers"] += 1
        yield from _pairs(asked, answered, contract, found)


def _place(uri: str, root: Path) -> Path | None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    places = (OBJECTS / bucket / key, root / key, root / key.rpartition("/")[2])
    return next((place for place in places if key and place.is_file()), None)


def _pairs(asked: Path, answered: Path | None, contract: Contract, found: Found) -> Iterator[_Call]:
    """Lines of a transform's input with those of its output, many at a time."""
    names = [column.name for column in contract.features]
    requests, answers = _lines(asked, found), _lines(answered, found) if answered else iter(())
    while pairs := list(zip_longest(islice(requests, CHUNK_LINES), islice(answers, CHUNK_LINES), fillvalue=b"")):
        found.calls += len(pairs)
        try:
            yield _lines_together(pairs, names, found)
        except _OddError:
            for pair in pairs:  # most of them can be read
                try:
                    yield _lines_together([pair], names, found)
                except _OddError as reason:
                    found.leave_out(str(reason))


def _lines_together(pairs: Sequence[tuple[bytes, bytes]], names: list[str], found: Found) -> _Call:
    body, answer = (b"".join(half) for half in zip(*pairs, strict=True))
    lines, cells = _rows(body, _kind(body), names)
    return _paired(_Call(lines, cells, _answers(answer, _kind(answer)) if answer else [], "", ""), found)


def _kind(body: bytes) -> str:
    return "JSON" if body.lstrip()[:1] in (b"{", b"[") else "CSV"
