"""What the model looks at in captured traffic, beside what it looked at in training: an importance that shifts.

The contributions (SHAP) of some rows are computed by the code of the version itself, in a process of its own:
`python -m usecase.mlops.drift.importance --model-dir DIR --input FILE --output FILE`. A version that cannot give them,
and traffic of too few rows, have no number. A shift does not change the verdict.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from usecase.mlops.baseline.blocks import Block, Figures, Section, Table, Text
from usecase.mlops.baseline.blocks import Verdict as Cell
from usecase.mlops.baseline.plots import Plot
from usecase.mlops.check import check_rows
from usecase.mlops.contract import Contract
from usecase.mlops.drift import plots
from usecase.mlops.errors import UserError
from usecase.mlops.job import run_job

IMPORTANCE, ARCHIVE = "importance.json", "model.tar.gz"  # of a version
MAX_ROWS = 2000  # as many as Baseline explains
SURE = 3  # standard errors that a share must have moved by
MAX_SECONDS = 600
MAX_SHOWN = 12
Status = Literal["measured", "insufficient_data", "not_available"]


@dataclass(frozen=True)
class Input:
    """The share of one input in all contributions, in training (`then`) and now, and whether that is another one."""

    name: str
    then: float
    now: float
    error: float
    moved: bool


@dataclass(frozen=True)
class Importance:
    """All inputs, those that have moved furthest first; none, and a note, when it was not measured."""

    status: Status
    note: str = ""
    rows: int = 0
    inputs: Sequence[Input] = ()

    @property
    def shift(self) -> float | None:
        """The share of all importance that has gone from some inputs to others."""
        return sum(abs(item.now - item.then) for item in self.inputs) / 2 if self.inputs else None

    def content(self) -> dict[str, Any]:
        """What report.json holds."""
        return asdict(self) | {"shift": self.shift}


class Sample:
    """MAX_ROWS of all rows that were added, each as likely as the others."""

    def __init__(self) -> None:
        self._chance = np.random.default_rng(0)
        self._rows: list[pl.DataFrame] = []
        self._lots: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
        self._limit = 1.0

    def add(self, rows: pl.DataFrame) -> None:
        """Add requests (n): columns of text, or typed."""
        lots = self._chance.random(rows.height)
        chosen = np.flatnonzero(lots < self._limit)
        if len(chosen) > MAX_ROWS:
            chosen = chosen[np.argpartition(lots[chosen], MAX_ROWS)[:MAX_ROWS]]
        self._rows.append(rows[chosen])
        self._lots.append(lots[chosen])
        if sum(map(len, self._lots)) > 4 * MAX_ROWS:
            self._draw()

    def typed(self, contract: Contract) -> pl.DataFrame:
        """The rows (at most MAX_ROWS) in the contract's types; what it refuses is missing. Empty without a column."""
        if not self._rows:
            return pl.DataFrame()
        self._draw()
        known = [name for name in self._rows[0].columns if name in contract.columns]
        return check_rows(self._rows[0].select(known), contract, ("feature",)).frame

    def _draw(self) -> None:
        rows, lots = pl.concat(self._rows, how="diagonal_relaxed"), np.concatenate(self._lots)
        kept = np.sort(lots.argsort()[:MAX_ROWS])
        self._rows, self._lots = [rows[kept]], [lots[kept]]
        self._limit = float(lots[kept].max()) if len(kept) == MAX_ROWS else 1.0


def measure(version: Path, sample: Sample, contract: Contract, minimum_rows: int, matters: float) -> Importance:
    """Of the version in a folder. An input has moved when its share has by more than `matters`, and than chance may."""
    archive = version / ARCHIVE
    then = known(version)
    if not then or not archive.exists():
        return Importance(
            "not_available", f"no {ARCHIVE if then else IMPORTANCE} of a version lies beside the baseline"
        )
    rows = sample.typed(contract)
    if rows.height < minimum_rows:
        return Importance("insufficient_data", f"{rows.height:,} rows, {minimum_rows:,} are needed", rows.height)
    from usecase.mlops.champion import NotComparableError, ask

    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "rows.parquet"
        rows.write_parquet(asked)
        place = Path(folder) / "version"
        place.mkdir()
        try:
            found = ask(archive, place, contract.sha256, asked, MAX_SECONDS, "usecase.mlops.drift.importance")
        except (UserError, NotComparableError, pl.exceptions.PolarsError) as error:
            return Importance("not_available", f"the version gives no contributions: {str(error).splitlines()[0]}")
    return compare(then, found, rows.height, matters)


def compare(then: Mapping[str, float], now: pl.DataFrame, rows: int, matters: float) -> Importance:
    """`now` has the columns input, mean, error: of the absolute contributions of `rows` rows."""
    means = dict(now.select("input", "mean").iter_rows())
    errors = dict(now.select("input", "error").iter_rows())
    before, after = sum(then.values()), sum(means.values())
    if set(means) != set(then):
        return Importance("not_available", "the version has other inputs now than in its importance.json", rows)
    if not before or not after:
        return Importance("not_available", "no input moves any answer", rows)
    inputs = []
    for name, value in then.items():
        was, share, error = value / before, means[name] / after, errors[name] / after
        # training rows were a sample of about the same size
        moved = abs(share - was) > max(matters, SURE * math.sqrt(2) * error)
        inputs.append(Input(name, was, share, error, moved))
    return Importance("measured", "", rows, sorted(inputs, key=lambda item: (-abs(item.now - item.then), item.name)))


def known(version: Path) -> dict[str, float]:
    """The importance of each input in training; none where the folder holds none that can be read."""
    try:
        content = json.loads((version / IMPORTANCE).read_text(encoding="utf-8"))
        found: dict[str, float] = content["explanations"]["kernel_shap"]["label0"]["global_shap_values"]
        return {str(name): float(value) for name, value in found.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def section(found: Importance) -> Section:
    """For the report."""
    return Section("What the model looks at", list(_blocks(found)))


def _blocks(found: Importance) -> Iterator[Block]:
    if found.status != "measured":
        yield Text(f"{'Not enough data' if found.status == 'insufficient_data' else 'Not measured'}: {found.note}.")
        return
    yield Text(
        f"The share of each input in what moves the answers (mean absolute SHAP value), in {found.rows:,} of the rows"
        f" and in training: {found.shift:.1%} of it has gone to other inputs. This does not change the verdict; it says"
        " whether the columns that drift are those that the model listens to."
    )
    shown = found.inputs[:MAX_SHOWN]
    svg = plots.pairs(*zip(*((item.name, item.then, item.now) for item in shown), strict=True))
    more = len(found.inputs) - len(shown)
    note = f"The {len(shown)} that have moved furthest of {len(found.inputs)} inputs." if more else "All inputs."
    yield Figures([Plot("importance", "Share of each input", note, svg)])
    rows = [
        (
            f"`{item.name}`",
            f"{item.then:.1%}",
            f"{item.now:.1%} ± {2 * item.error:.1%}",
            Cell("moved" if item.moved else "as in training", "bad" if item.moved else "good"),
        )
        for item in found.inputs
    ]
    head = ("input", "in training", "now", "verdict")
    yield Table(head, rows, numeric=frozenset({1, 2}), summary="All inputs, with two standard errors")


def explain(model_dir: Path, source: Path, output: Path) -> None:
    """Write input, mean and error of the absolute contributions of the typed rows in `source`, as Parquet."""
    from usecase.inference import model_fn
    from usecase.mlops.baseline.explain import contributions
    from usecase.preprocessing import add_features

    rows = pl.read_parquet(source)
    found = contributions(model_fn(str(model_dir)), add_features(rows))
    amounts = np.abs(found.values).mean(axis=2)
    error = amounts.std(axis=0) / math.sqrt(len(amounts))
    pl.DataFrame({"input": found.inputs, "mean": amounts.mean(axis=0), "error": error}).write_parquet(output)


def main() -> None:
    """Command line of the process that explains a version's answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder that Train wrote")
    parser.add_argument("--input", type=Path, required=True, help="Parquet file with typed rows")
    parser.add_argument("--output", type=Path, required=True, help="Parquet file to write")
    given = parser.parse_args()
    explain(given.model_dir, given.input, given.output)


if __name__ == "__main__":
    run_job(main)
