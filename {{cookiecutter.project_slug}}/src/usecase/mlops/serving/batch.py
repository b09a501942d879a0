"""Predictions for the rows of files: `python -m usecase.mlops.serving.batch --model-dir DIR --input-dir DIR ...`

As a batch transform would make them: <file>.out has a line per row, an empty one between quotes where a row broke the
contract. A file that is there already is left alone, so an interrupted run goes on where it was.
"""

import argparse
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from usecase.mlops.errors import UserError
from usecase.mlops.job import run_job
from usecase.mlops.serving.model_code import use_code_of

if TYPE_CHECKING:
    from usecase.mlops.contract import Contract
    from usecase.mlops.serving.model import ServedModel
    from usecase.mlops.serving.own import OwnHandlers
    from usecase.mlops.serving.validation import Valid

SUFFIXES = (".csv", ".jsonl", ".parquet")
CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Done:
    """One file: its rows, how many of them have no answer, and why the first of these (blank where handlers refuse)."""

    file: str
    rows: int
    refused: int
    why: str = ""

    def __str__(self) -> str:
        if not self.refused:
            return f"{self.rows} rows"
        return f"{self.rows} rows, {self.refused} without an answer{f': {self.why}' if self.why else ''}"


def run_batch(model_dir: Path, input_dir: Path, output_dir: Path, say: Callable[[str], None]) -> None:
    """Answer all files of a folder; `say` is told of each. Raises UserError with the file."""
    from usecase.mlops.serving.model import ServedModel
    from usecase.mlops.serving.own import OwnHandlers, own_handlers

    files = sorted(path for path in input_dir.glob("*") if path.suffix in SUFFIXES and path.is_file())
    if not files:
        raise UserError(f"{input_dir}: holds no file to answer ({', '.join(SUFFIXES)})")
    output_dir.mkdir(parents=True, exist_ok=True)
    model = ServedModel(model_dir)
    own = OwnHandlers(model_dir, model.validator.names) if own_handlers() else None
    for number, file in enumerate(files, start=1):
        place, target = f"{number} of {len(files)}  {file.name}", output_dir / f"{file.name}.out"
        if target.exists():
            say(f"{place}  is there already")
            continue
        say(f"{place}  {_answer(model, own, file, target)}")


def _answer(model: "ServedModel", own: "OwnHandlers | None", file: Path, target: Path) -> Done:
    from usecase.mlops.serving.log import place_of
    from usecase.mlops.serving.request import CSV, JSON_LINES, ContentType, RequestError

    read_as = CSV if file.suffix == ".csv" else JSON_LINES
    written_as = JSON_LINES if file.suffix == ".jsonl" else CSV
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    rows = refused = 0
    why = ""
    try:
        with draft.open("wb") as output:
            for first_row, head, lines in _chunks(file, model.contract):
                try:
                    if own:
                        answered = _ask_handlers(own, head, lines, read_as, written_as)
                        body, given, without = _joined(answered, written_as), len(answered), answered.count(None)
                    else:
                        content = ContentType(read_as, header=bool(head))
                        chunk = head + b"".join(lines)
                        body, answers, valid = model.answer(chunk, content, written_as, one_by_one=True)
                        given, without = len(answers.values), len(answers.refused or ())
                        why = why or _first(valid, first_row)
                except RequestError as error:
                    raise UserError(f"{file}: rows from {first_row}: {error.message}") from None
                except Exception as error:
                    if own is None:
                        raise
                    said = f"{type(error).__name__}: {error}: {place_of(error)}"
                    raise UserError(f"{file}: rows from {first_row}: {said}") from None
                output.write(body)
                rows += given
                refused += without
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return Done(file.name, rows, refused, why)


def _first(valid: "Valid", first_row: int) -> str:
    """The first row that is refused, and its reason; blank when none is."""
    problems = [fault.problem for fault in valid.refused]
    if not problems:
        return ""
    first = min(problems, key=lambda problem: problem.row or 0)
    return str(replace(first, row=(first.row or 1) + first_row - 1, rows=1))


def _ask_handlers(
    own: "OwnHandlers", head: bytes, lines: list[bytes], read_as: str, written_as: str
) -> list[bytes | None]:
    """A line of answer per line, None where the handlers refuse the row: halves of halves are asked until it is found.

    Raises HandlerError unless output_fn writes a line per row.
    """
    from usecase.mlops.serving.own import HandlerError
    from usecase.mlops.serving.request import RequestError

    try:
        if not all(line.strip() for line in lines):
            raise RequestError("a blank line is no row", row=1)
        written = own.answer(head + b"".join(lines), read_as, written_as)[0].splitlines()
    except RequestError as error:
        if error.row is None:  # it is about all rows, such as a column that is missing
            raise
        if len(lines) == 1:
            return [None]
        half = len(lines) // 2
        parts = lines[:half], lines[half:]
        return [answer for part in parts for answer in _ask_handlers(own, head, part, read_as, written_as)]
    if len(written) != len(lines):
        raise HandlerError(f"output_fn wrote {len(written)} lines for {len(lines)} rows", own.handlers.output_fn)
    return list(written)


def _joined(answered: list[bytes | None], media_type: str) -> bytes:
    """The lines, with as many empty cells as the others have where there is no answer."""
    from usecase.mlops.serving.answers import NO_CELL
    from usecase.mlops.serving.request import JSON_LINES

    width = next((line.count(b",") + 1 for line in answered if line is not None), 1)
    gap = b'{"prediction":null}' if media_type == JSON_LINES else b",".join([NO_CELL.encode()] * width)
    return b"".join((gap if line is None else line) + b"\n" for line in answered)


def _chunks(file: Path, contract: "Contract") -> Iterator[tuple[int, bytes, list[bytes]]]:
    """Lines of a file, some at a time: the number of the first row, the header if the file has one, and the lines."""
    row = 1
    features = {column.name for column in contract.features}
    with _lines(file, contract) as stream:
        head, rest = b"", list[bytes]()
        if file.suffix == ".csv":
            first = stream.readline()
            cells = {cell.strip().strip('"') for cell in first.decode("utf-8-sig", "replace").split(",")}
            head, rest = (first, []) if cells & features else (b"", [first])
        while lines := rest + stream.readlines(CHUNK_BYTES):
            yield row, head, lines
            row, rest = row + len(lines), []


def _lines(file: Path, contract: "Contract") -> BinaryIO:
    """The lines of a file; of Parquet its rows as JSON Lines, in which text may hold line ends. Raises UserError."""
    if file.suffix != ".parquet":
        return file.open("rb")
    import polars as pl

    from usecase.mlops.check import as_text

    try:
        rows = pl.read_parquet(file)
        return io.BytesIO(as_text(rows, contract).write_ndjson().encode())
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{file}: cannot be read ({str(error).splitlines()[0]}): write it again") from None


def main() -> None:
    """Command line. Raises UserError."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder that Train wrote")
    parser.add_argument("--input-dir", type=Path, required=True, help="CSV, JSON Lines and Parquet files")
    parser.add_argument("--output-dir", type=Path, required=True)
    arguments = parser.parse_args()
    use_code_of(arguments.model_dir, "usecase.mlops.serving.batch")
    run_batch(arguments.model_dir, arguments.input_dir, arguments.output_dir, lambda line: print(line, flush=True))


if __name__ == "__main__":
    run_job(main)
