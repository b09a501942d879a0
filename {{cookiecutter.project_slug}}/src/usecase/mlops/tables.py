"""Read CSV and Parquet as they come from other people: gzip, byte-order marks and CRLF are fine, doubt is an error.

CSV cells are read as text; the data contract gives them their types (`usecase.mlops.contract`).
"""

import csv
import gzip
import re
import zlib
from pathlib import Path

import polars as pl

from usecase.mlops.errors import UserError

SEPARATORS = {";": "';'", "\t": "a tab", "|": "'|'"}
SUFFIXES = (".csv", ".csv.gz", ".parquet")
QUOTE = b'"'
BLANK_LINE = re.compile(rb"\n(?:[ \t]*\r?\n)+")
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"


def read_table(path: Path) -> pl.DataFrame:
    """All rows of a CSV (.csv, .csv.gz) or Parquet file, or of all such files of a folder, columns in file order.

    Raises UserError with one line when the file is missing, empty, has no rows, or is not what it seems.
    """
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.name.lower().endswith(SUFFIXES))
        if not files:
            raise UserError(f"{path}: the folder holds no data file ({', '.join(SUFFIXES)})")
        frames = [read_table(file) for file in files]
        for file, frame in zip(files, frames, strict=True):
            if set(frame.columns) != set(frames[0].columns):
                raise UserError(f"{file}: has other columns than {files[0].name}")
        return pl.concat([frame.select(frames[0].columns) for frame in frames], how="vertical_relaxed")
    if not path.exists():
        raise UserError(f"{path}: no such file")
    content = _read_bytes(path)
    if not content.strip():
        raise UserError(f"{path}: the file is empty")
    frame = _parse_parquet(path, content) if content.startswith(_PARQUET) else parse_csv(content, str(path))
    if frame.height == 0:
        raise UserError(f"{path}: has a header but no rows")
    return frame


def parse_csv(content: bytes, source: str, header: bool = True) -> pl.DataFrame:
    """CSV text (RFC 4180, UTF-8, comma) as a frame of text columns; without `header` they are `unnamed`

    `source` names the text in errors. Raises UserError.
    """
    content = _plain_lines(content.removeprefix(b"\xef\xbb\xbf"), source)
    if content.startswith(_PARQUET) or b"\x00" in content[:4096]:
        raise UserError(f"{source}: is not text: give a CSV in UTF-8 or a Parquet file")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{source}: line {line} is not UTF-8: save the file as UTF-8 (iconv -f WINDOWS-1252 -t UTF-8)"
        ) from None
    first = content.split(b"\n", 1)[0].decode("utf-8").rstrip("\r")
    names = next(csv.reader([first]), [])
    if header:
        _check_header(names, source)
    try:
        frame = pl.read_csv(content, infer_schema=False, has_header=header)
    except pl.exceptions.ComputeError as error:
        reason = _open_quote(content) or _ragged_row(content, len(names)) or _first_line(error)
        raise UserError(f"{source}: {reason}") from None
    except pl.exceptions.NoDataError:
        raise UserError(f"{source}: the file is empty") from None
    if header and "" in frame.columns:
        frame = frame.rename({"": "row_index"})  # what pandas writes for its index
    return frame if header else frame.rename(lambda name: unnamed(frame.get_column_index(name)))


def unnamed(position: int) -> str:
    """The name of the column at `position` (from 0) of rows that came without names: no header holds such a one."""
    return f"#{position + 1}"


def _read_bytes(path: Path) -> bytes:
    content = path.read_bytes()
    if content.startswith(_GZIP):
        try:
            return gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{path}: the gzip file is damaged ({error}): copy it again") from None
    if path.suffix == ".gz":
        raise UserError(f"{path}: is not a gzip file although its name ends in .gz")
    if path.suffix == ".parquet" and not content.startswith(_PARQUET):
        raise UserError(f"{path}: is not a Parquet file although its name ends in .parquet: write it again")
    return content


def _parse_parquet(path: Path, content: bytes) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(content)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path}: the Parquet file is damaged ({_first_line(error)}): write it again") from None
    _check_header(frame.columns, str(path))
    for name, dtype in frame.schema.items():
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object, pl.Time, pl.Duration):
            raise UserError(f"{path}: column {name!r} holds {dtype}: give one number, text, boolean or date per cell")
    return frame.select(_plain_type(frame[name]) for name in frame.columns)


def _plain_type(values: pl.Series) -> pl.Series:
    """Types that only Parquet has, as the ones a contract knows: categories as text, time zones as UTC."""
    if values.dtype in (pl.Categorical, pl.Enum, pl.Null):
        return values.cast(pl.String)
    if values.dtype == pl.Decimal:
        return values.cast(pl.Float64)
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone:
        return values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return values


def row_texts(rows: pl.DataFrame) -> list[str]:
    """Each row (n) as one text, for hashing: cells in column order, missing ones marked."""
    cells = [pl.col(name).cast(pl.String).fill_null("\x00") for name in rows.columns]
    return rows.select(pl.concat_str(cells, separator="\x1f")).to_series().to_list()


def _check_header(names: list[str], source: str) -> None:
    if len(names) == 1:
        for separator, label in SEPARATORS.items():
            if separator in names[0]:
                raise UserError(f"{source}: columns are separated by {label}: save the file with commas")
        raise UserError(f"{source}: has only one column, {names[0]!r}: a feature and a target are needed")
    empty = [position for position, name in enumerate(names, start=1) if not name.strip()]
    if len(empty) > 1:
        raise UserError(f"{source}: columns {', '.join(map(str, empty))} have no name: name them in the first line")
    for position, name in enumerate(names):
        if names.index(name) != position:
            raise UserError(f"{source}: two columns are named {name!r}: rename or drop one")


def _plain_lines(content: bytes, source: str) -> bytes:
    """Line ends of old Macs as others have them; blank lines taken out, since polars makes rows of them."""
    if b"\r" in content and b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    content = content.lstrip(b"\r\n")
    if not BLANK_LINE.search(content):
        return content
    if QUOTE in content:  # it may stand inside of a cell
        line = content[: BLANK_LINE.search(content).start()].count(b"\n") + 2  # type: ignore[union-attr]
        raise UserError(f"{source}: line {line} is blank: take it out, or the line break out of the quoted cell")
    return BLANK_LINE.sub(b"\n", content)


def _open_quote(content: bytes) -> str | None:
    odd = [number for number, line in enumerate(content.split(b"\n"), start=1) if line.count(QUOTE) % 2]
    return f"line {odd[0]} opens a quote that is never closed" if len(odd) % 2 else None


def _ragged_row(content: bytes, width: int) -> str | None:
    text = content.decode("utf-8")
    reader = csv.reader(text.splitlines(keepends=True))
    for cells in reader:
        if len(cells) > width:
            return (
                f"line {reader.line_num} has {len(cells)} cells, the header has {width}: quote cells that hold commas"
            )
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
