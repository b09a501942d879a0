"""Read CSV and Parquet as they come from other people: gzip, byte-order marks and CRLF are fine, doubt is an error.

CSV cells are read as text; the data contract gives them their types (`usecase.mlops.contract`). Files are read in
pieces of some megabytes, so that memory does not grow with the file.
"""

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from usecase.mlops.errors import UserError
from usecase.mlops.files import TABLES

SEPARATORS = {";": "';'", "\t": "a tab", "|": "'|'"}
# A piece of text this long becomes a frame of about five times its size.
PIECE_BYTES = 16 * 2**20
# A record longer than so many pieces is no record: a quote was left open.
RECORD_PIECES = 4
FIRST_PARQUET_ROWS = 10_000
QUOTE = b'"'
LINE_FEED = ord("\n")
BLANK_LINE = re.compile(rb"\n(?:[ \t]*\r?\n)+")
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"


Numbers = Mapping[str, pl.DataType]
NO_NUMBERS: Numbers = {}


class Piece(NamedTuple):
    """Consecutive rows of one file; `first_row` is the number of the first one, counted from 1 in each file."""

    file: Path
    first_row: int
    rows: pl.DataFrame


def read_table(path: Path) -> pl.DataFrame:
    """All rows of a CSV (.csv, .csv.gz) or Parquet file, or of all such files of a folder, columns in file order.

    Raises UserError with one line when the file is missing, empty, has no rows, or is not what it seems.
    """
    try:
        return pl.concat(list(read_batches(path)), how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise UserError(
            f"{path}: files hold other types in one column ({_first_line(error)}): write them alike"
        ) from None


def read_batches(path: Path, piece_bytes: int = PIECE_BYTES) -> Iterator[pl.DataFrame]:
    """The rows that `read_table` returns, in the same order, in frames of about `piece_bytes` of CSV text or values.

    Raises UserError as `read_table` does, when the place in the file is reached.
    """
    return (piece.rows for piece in read_pieces(path, piece_bytes))


def read_pieces(path: Path, piece_bytes: int = PIECE_BYTES, numbers: Numbers = NO_NUMBERS) -> Iterator[Piece]:
    """`read_batches`, with the place of each batch. No piece is empty, and none holds rows of two files.

    CSV columns named in `numbers` come in the type given there instead of as text, which is faster, from pieces where
    each of their cells is empty or a finite number.
    """
    files = data_files(path)
    columns: list[str] = []
    for file in files:
        next_row = 1
        for rows in _read_file(file, piece_bytes, numbers):
            columns = columns or rows.columns
            if set(rows.columns) != set(columns):
                raise UserError(f"{file}: has other columns than {files[0].name}")
            if rows.height:
                yield Piece(file, next_row, rows.select(columns))
            next_row += rows.height
        if next_row == 1:
            raise UserError(f"{file}: has a header but no rows")


def data_files(path: Path) -> list[Path]:
    """The file `path`, or the data files of the folder `path` in the order of their names. Raises UserError."""
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not path.is_dir():
        return [path]
    files = sorted(p for p in path.iterdir() if p.name.lower().endswith(TABLES) and p.is_file())
    if not files:
        raise UserError(f"{path}: the folder holds no data file ({', '.join(TABLES)})")
    return files


def parse_csv(content: bytes, source: str, header: bool = True) -> pl.DataFrame:
    """CSV text (RFC 4180, UTF-8, comma) as a frame of text columns; without `header` they are `unnamed`

    `source` names the text in errors. Raises UserError.
    """
    content = content.removeprefix(_BOM)
    if _is_old_mac(content):
        content = content.replace(b"\r", b"\n")
    text = content.lstrip(b"\r\n")
    return _parse(text, source, header, content.count(b"\n", 0, len(content) - len(text)))


def unnamed(position: int) -> str:
    """The name of the column at `position` (from 0) of rows that came without names: no header holds such a one."""
    return f"#{position + 1}"


def _read_file(file: Path, piece_bytes: int, numbers: Numbers) -> Iterator[pl.DataFrame]:
    try:
        with file.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None
    if magic == _PARQUET:
        return _read_parquet(file, piece_bytes)
    if file.suffix == ".parquet":
        raise UserError(f"{file}: is not a Parquet file although its name ends in .parquet: write it again")
    zipped = magic.startswith(_GZIP)
    if file.suffix == ".gz" and not zipped:
        raise UserError(f"{file}: is not a gzip file although its name ends in .gz")
    return _read_csv(file, zipped, piece_bytes, numbers)


def _read_csv(file: Path, zipped: bool, piece_bytes: int, numbers: Numbers) -> Iterator[pl.DataFrame]:
    header = b""
    for text, lines_before in _whole_records(_blocks(file, zipped, piece_bytes), str(file), piece_bytes):
        if not header:
            if not text.strip():
                continue
            rows = text.lstrip(b"\r\n")
            lines_before += text.count(b"\n", 0, len(text) - len(rows))
            header, text = rows.split(b"\n", 1)[0] + b"\n", rows
        else:
            text, lines_before = header + text, lines_before - 1
        frame = _parse(text, str(file), True, lines_before, numbers)
        if any(frame.schema.get(name) == pl.String for name in numbers):
            numbers = NO_NUMBERS  # a file with words among its numbers has more of them: do not read each piece twice
        yield frame
    if not header:
        raise UserError(f"{file}: the file is empty")


def _blocks(file: Path, zipped: bool, size: int) -> Iterator[bytes]:
    """The bytes of a text file, `size` at a time, without a byte-order mark and with line feeds as line ends."""
    try:
        with gzip.open(file) if zipped else file.open("rb") as stream:
            block = stream.read(size).removeprefix(_BOM)
            old_mac = _is_old_mac(block)
            while block:
                yield block.replace(b"\r", b"\n") if old_mac else block
                block = stream.read(size)
    except (OSError, EOFError, zlib.error) as error:
        reason = f"the gzip file is damaged ({error}): copy it again" if zipped else f"cannot be read ({error})"
        raise UserError(f"{file}: {reason}") from None


def _is_old_mac(text: bytes) -> bool:
    """Whether a carriage return alone ends the lines. One at the very end may be half of a CRLF."""
    return b"\n" not in text and b"\r" in text[:-1]


def _whole_records(blocks: Iterator[bytes], source: str, piece_bytes: int) -> Iterator[tuple[bytes, int]]:
    """The text of `blocks`, cut anew where a record ends, each piece with the number of lines before it."""
    rest, lines = b"", 0
    for block in blocks:
        text = rest + block
        end = _last_record_end(text)
        if end:
            yield text[:end], lines
            lines += int(np.count_nonzero(np.frombuffer(text, np.uint8, end) == LINE_FEED))  # bytes.count takes longer
        elif len(text) > RECORD_PIECES * piece_bytes:
            what = "opens a quote that is never closed" if QUOTE in text else "never ends"
            raise UserError(f"{source}: line {lines + 1} {what}")
        rest = text[end:]
    if rest:
        yield rest, lines


def _last_record_end(text: bytes) -> int:
    """The position after the last line end outside of quotes, 0 when there is none. `text` begins with a record."""
    end = text.rfind(b"\n") + 1
    inside = text.count(QUOTE, 0, end) % 2 if QUOTE in text else 0
    while end and inside:
        earlier = text.rfind(b"\n", 0, end - 1) + 1
        inside ^= text.count(QUOTE, earlier, end) % 2
        end = earlier
    return end


def _parse(text: bytes, source: str, header: bool, lines_before: int, numbers: Numbers = NO_NUMBERS) -> pl.DataFrame:
    """Text that begins with the header line, if there is one; its first line is number `lines_before` + 1."""
    if text.startswith(_PARQUET) or b"\x00" in text[:4096]:
        raise UserError(f"{source}: is not text: give a CSV in UTF-8 or a Parquet file")
    try:
        if not text.isascii():
            text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = lines_before + text.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{source}: line {line} is not UTF-8: save the file as UTF-8 (iconv -f WINDOWS-1252 -t UTF-8)"
        ) from None
    names = next(csv.reader([text.split(b"\n", 1)[0].decode("utf-8").rstrip("\r")]), [])
    if header:
        _check_header(names, source)
    numbers = {name: dtype for name, dtype in numbers.items() if name in names}
    try:
        frame = _read_cells(text, header, numbers)
        if frame.width == 1 or frame[:, -1].null_count():  # a blank line has no last cell
            plain = _without_blank_lines(text, source, lines_before)
            frame = frame if plain is text else _read_cells(plain, header, numbers)
    except pl.exceptions.ComputeError as error:
        reason = _bad_record(text, len(names), lines_before) or _first_line(error)
        raise UserError(f"{source}: {reason}") from None
    except pl.exceptions.NoDataError:
        raise UserError(f"{source}: the file is empty") from None
    if header and "" in frame.columns:
        frame = frame.rename({"": "row_index"})  # what pandas writes for its index
    return frame if header else frame.rename(lambda name: unnamed(frame.get_column_index(name)))


def _read_cells(text: bytes, header: bool, numbers: Numbers) -> pl.DataFrame:
    if numbers:
        try:
            frame = pl.read_csv(text, infer_schema=False, has_header=header, schema_overrides=numbers)
            if all(math.isfinite(frame[name].sum()) for name in numbers):
                return frame
        except pl.exceptions.PolarsError:
            pass  # with all cells as text, what is wrong can be said
    return pl.read_csv(text, infer_schema=False, has_header=header)


def _read_parquet(file: Path, piece_bytes: int) -> Iterator[pl.DataFrame]:
    try:
        table = pl.scan_parquet(file, glob=False, hive_partitioning=False)
        schema = table.collect_schema()
        _check_header(schema.names(), str(file))
        for name, dtype in schema.items():
            if dtype.is_nested() or dtype in (pl.Binary, pl.Object, pl.Time, pl.Duration):
                raise UserError(
                    f"{file}: column {name!r} holds {dtype}: give one number, text, boolean or date per cell"
                )
        start, height = 0, FIRST_PARQUET_ROWS
        while (rows := table.slice(start, height).collect()).height:
            yield rows.select(_plain_type(rows[name]) for name in rows.columns)
            start += rows.height
            height = max(1, int(piece_bytes * rows.height / rows.estimated_size()))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{file}: the Parquet file is damaged ({_first_line(error)}): write it again") from None


def _plain_type(values: pl.Series) -> pl.Series:
    """Types that only Parquet has, as the ones a contract knows: categories as text, time zones as UTC."""
    if values.dtype in (pl.Categorical, pl.Enum, pl.Null):
        return values.cast(pl.String)
    if values.dtype == pl.Decimal:
        return values.cast(pl.Float64)
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone:
        return values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return values


def _check_header(names: list[str], source: str) -> None:
    if len(names) == 1:
        for separator, label in SEPARATORS.items():
            if separator in names[0]:
                raise UserError(f"{source}: columns are separated by {label}: save the file with commas")
        raise UserError(f"{source}: has only one column, {names[0]!r}: a table has several, with commas between them")
    empty = [position for position, name in enumerate(names, start=1) if not name.strip()]
    if len(empty) > 1:
        raise UserError(f"{source}: columns {', '.join(map(str, empty))} have no name: name them in the first line")
    for position, name in enumerate(names):
        if names.index(name) != position:
            raise UserError(f"{source}: two columns are named {name!r}: rename or drop one")


def _without_blank_lines(text: bytes, source: str, lines_before: int) -> bytes:
    """Polars makes rows of blank lines."""
    blank = BLANK_LINE.search(text)
    if not blank:
        return text
    if QUOTE in text:  # it may stand inside of a cell
        line = lines_before + text.count(b"\n", 0, blank.start()) + 2
        raise UserError(f"{source}: line {line} is blank: take it out, or the line break out of the quoted cell")
    return BLANK_LINE.sub(b"\n", text)


def _bad_record(text: bytes, width: int, lines_before: int) -> str | None:
    """What is wrong with the first record that is no CSV, in words; None when only polars knows."""
    reader = csv.reader(io.StringIO(text.decode("utf-8"), newline="\n"), strict=True)
    line = lines_before + 1
    try:
        for cells in reader:
            if len(cells) > width:
                return f"line {line} has {len(cells)} cells, the header has {width}: quote cells that hold commas"
            line = lines_before + reader.line_num + 1
    except csv.Error:
        return f"line {line} opens a quote that is never closed"
    for number, content in enumerate(text.split(b"\n"), start=lines_before + 1):
        if content.count(QUOTE) % 2:
            return f"line {number} holds a single quote: put the cell in quotes and write two for one"
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
