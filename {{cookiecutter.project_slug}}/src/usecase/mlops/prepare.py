"""What surrounds the loop of preprocessing.py: rows checked batch by batch ahead of it, parts and reports written.

Memory does not grow with the data, but for 8 bytes per row and column that holds each value once. With several hosts,
each has its share of the files, and what needs all rows is decided by who reads the reports.
"""

import json
import shutil
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from usecase.mlops import contract
from usecase.mlops.check import Checked, ProblemLog, check_rows, columns_of, number_types
from usecase.mlops.contract import Contract
from usecase.mlops.data_report import Tally, refuse
from usecase.mlops.errors import UserError
from usecase.mlops.features import Fitting
from usecase.mlops.hashing import ContentHash, KeyLog, Keys, mix, row_keys
from usecase.mlops.problems import TWICE, Problem
from usecase.mlops.split import SHARES
from usecase.mlops.tables import Piece, data_files, read_pieces

# Written by SageMaker for each processing job ("Amazon SageMaker Processing", developer guide); absent elsewhere.
RESOURCE_CONFIG = Path("/opt/ml/config/resourceconfig.json")
# Rows wait until a file of a part is this large in memory: large files are read faster, several can be shared out.
PART_BYTES = 16 * 2**20

Item = TypeVar("Item")


@dataclass(frozen=True)
class Hosts:
    """This host of a processing job, and all of them."""

    current: str = "algo-1"
    names: tuple[str, ...] = ("algo-1",)

    @classmethod
    def read(cls, file: Path = RESOURCE_CONFIG) -> "Hosts":
        """The hosts that SageMaker lists in `file`; one where there is no file. Raises UserError."""
        if not file.exists():
            return cls()
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return cls(content["current_host"], tuple(content["hosts"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{file}: names no current_host and hosts ({error!r})") from None


class _Batch(NamedTuple):
    """A piece of a file, checked; `keys` of the columns that hold each value once."""

    piece: Piece
    checked: Checked
    keys: dict[str, Keys]


class _Start(NamedTuple):
    """Where a batch begins: position of its first row in all data, its file as errors name it, its row there."""

    position: int
    file: str
    row: int


class DataCheck:
    """Data files held against a contract, batch by batch, the next one being read and checked while one is used.

    After the last batch, `files` holds the `ContentHash` of each file, `warnings` what was let through, and `flagged`
    the number of rows with such a value. Errors name the file of a row when `name_files`.
    """

    def __init__(self, contract: Contract, name_files: bool = False) -> None:
        self.files: dict[Path, str] = {}
        self.warnings = ProblemLog()
        self.flagged = 0
        self._contract = contract
        self._name_files = name_files

    def batches(self, path: Path) -> Iterator[pl.DataFrame]:
        """The rows of a file or of a folder's files in the contract's types, in batches, in order.

        Raises UserError with the first problems of all files in one line; from the first on no batch comes any more.
        """
        name_files = self._name_files or len(data_files(path)) > 1
        problems = ProblemLog()
        contents: dict[Path, ContentHash] = defaultdict(ContentHash)
        unique = {c.name: KeyLog() for c in columns_of(self._contract) if c.role == "id" or c.constraints.unique}
        starts: list[_Start] = []
        rows = 0
        read = _ahead(read_pieces(path, numbers=number_types(self._contract)))
        for piece, checked, keys in _ahead(self._check(read, list(unique), contents)):
            if not checked.frame.width:
                refuse([str(problem) for problem in checked.problems])
            file = piece.file.name if name_files else ""
            problems.add(checked.problems, file, piece.first_row)
            self.warnings.add(checked.warnings, file, piece.first_row)
            self.flagged += checked.flagged
            starts.append(_Start(rows, file, piece.first_row))
            rows += checked.frame.height
            for name, log in unique.items():
                log.add(keys[name])
            if not problems:
                yield checked.frame
        for name, log in unique.items():
            problems.add(_repeated(name, log.repeated(), starts, problems.rows(name, TWICE)))
        refuse([str(problem) for problem in problems])
        self.files = {file: content.hexdigest() for file, content in contents.items()}

    def _check(self, pieces: Iterator[Piece], unique: list[str], contents: dict[Path, ContentHash]) -> Iterator[_Batch]:
        rows = 0
        for piece in pieces:
            checked = check_rows(piece.rows, self._contract)
            frame = checked.frame
            contents[piece.file].add(frame)
            keys = {name: _keys(frame[name], rows) for name in unique} if frame.width else {}
            rows += frame.height
            yield _Batch(piece, checked, keys)


class _Behind:
    """One task at a time in a thread, while the next batch is read; a task's error comes with the next task."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._task: Future[None] | None = None

    def do(self, task: Callable[[], None]) -> None:
        self.wait()
        self._task = self._pool.submit(task)

    def wait(self) -> None:
        if self._task is not None:
            self._task.result()

    def close(self) -> None:
        self._pool.shutdown()


class Preparation:
    """The outputs of Preprocess below one folder: train, validation, test, preprocessor and report.

    Use it as a context: at the end it writes what was learned and counted, after an error it takes its files back.
    """

    def __init__(self, contract_dir: Path, output_dir: Path, hosts: Hosts | None = None) -> None:
        self.contract = Contract.load(contract_dir)
        self._contract_file = contract_dir / contract.FILE_NAME if contract_dir.is_dir() else contract_dir
        self._output_dir = output_dir
        self._hosts = hosts or Hosts.read()
        self._alone = len(self._hosts.names) == 1
        self._check = DataCheck(self.contract, name_files=not self._alone)
        self._fitting = Fitting(self.contract)
        self._tally = Tally.of(self.contract, self._hosts.current, list(self._hosts.names))
        self._waiting: dict[str, list[pl.DataFrame]] = {name: [] for name in SHARES}
        self._written: list[Path] = []
        self._counter, self._writer = _Behind(), _Behind()

    def __enter__(self) -> "Preparation":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        complete = False
        try:
            if error is None:
                self._finish()
                complete = True
        finally:
            self._counter.close()
            self._writer.close()
            if not complete:
                self._take_back()

    def checked_batches(self, input_dir: Path) -> Iterator[pl.DataFrame]:
        """The rows of all data files in `input_dir` in the contract's types, in batches, in order. Raises UserError.

        There are none when there are more hosts than files and this one got no file.
        """
        if not self._alone and (not input_dir.exists() or not any(input_dir.iterdir())):
            return
        yield from self._check.batches(input_dir)

    def fit(self, train: pl.DataFrame) -> None:
        """Let the preprocessor learn from training rows (n) with their derived features."""
        self._fitting.add(train)

    def write(self, parts: dict[str, pl.DataFrame]) -> None:
        """Count the rows of each part in the report, and write them to its folder."""
        self._counter.do(lambda: self._tally.add(parts, self.contract))
        for name, rows in parts.items():
            self._waiting[name].append(rows)
            if sum(frame.estimated_size() for frame in self._waiting[name]) >= PART_BYTES:
                self._write_part(name)

    def _write_part(self, name: str) -> None:
        rows = pl.concat(self._waiting[name])
        self._waiting[name] = []
        if rows.height:
            number = sum(file.parent.name == name for file in self._written)
            file = self._new(name, f"part-{self._hosts.current}-{number:05}.parquet")
            self._writer.do(lambda: _write(rows, file))

    def _finish(self) -> None:
        self._counter.wait()
        self._tally.files = list(self._check.files.values())
        self._tally.warnings = list(self._check.warnings)
        self._tally.flagged_rows = self._check.flagged
        suffix = "" if self._alone else f"-{self._hosts.current}"
        report = self._tally.report() if self._alone else self._tally
        report.save(self._new("report", f"data_report{suffix}.json"))
        if not self._tally.rows:
            return
        for name, waiting in self._waiting.items():
            if waiting:
                self._write_part(name)
        self._writer.wait()
        fitted = self._new("preprocessor", f"preprocessor{suffix}.json")
        self._fitting.preprocessor(complete=self._alone).save(fitted.parent, fitted.name)
        shutil.copyfile(self._contract_file, self._new("preprocessor", contract.FILE_NAME))

    def _new(self, folder: str, name: str) -> Path:
        """The path of a new file in one of the outputs, which is taken back after an error."""
        path = self._output_dir / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._written.append(path)
        return path

    def _take_back(self) -> None:
        for path in self._written:
            path.unlink(missing_ok=True)


def _write(rows: pl.DataFrame, file: Path) -> None:
    # Only the next steps read it, whole: neither statistics nor compression are worth their time.
    rows.write_parquet(file, compression="uncompressed", statistics=False)


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """`items`, the next one being made in a thread while the last one is used."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = pool.submit(next, items, None)
            yield item


def _keys(values: pl.Series, rows_before: int) -> Keys:
    """A key per value (n); missing ones have keys of their own, since only values must not stand there twice."""
    keys = row_keys(values.to_frame())
    if not values.null_count():
        return keys
    rows = np.arange(rows_before, rows_before + len(values), dtype=np.uint64)
    return np.where(values.is_null().to_numpy(), mix(~rows), keys)


def _repeated(name: str, positions: npt.NDArray[np.int64], starts: list[_Start], known: int) -> list[Problem]:
    """The problem of values that came before, beyond the `known` ones that stand twice in one batch."""
    if len(positions) <= known:
        return []
    first = int(positions[0])
    start = starts[bisect_right(starts, first, key=lambda start: start.position) - 1]
    row = start.row + first - start.position
    return [Problem(name, TWICE, row, "the value", len(positions) - known, start.file)]
