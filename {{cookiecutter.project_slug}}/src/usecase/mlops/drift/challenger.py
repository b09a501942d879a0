"""A version that waits for approval, asked about traffic that was answered already: as a batch job, never in service.

The version answers with the code of its own archive, in a process of its own. It is held against the captured answers:
how often both say the same, for whom they do not, and where labels are known, who is right more often. How fast it is
is not measured.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from usecase.mlops import champion
from usecase.mlops.baseline.blocks import Block, Card, Section, Table, Text, Tile
from usecase.mlops.baseline.page import as_html, as_markdown
from usecase.mlops.check import as_type, blank_to_null, check_rows
from usecase.mlops.contract import Contract
from usecase.mlops.drift import feedback
from usecase.mlops.drift.feedback import ACTUAL, KEY
from usecase.mlops.drift.reader import ID, ROW, Batch, Found, read_traffic
from usecase.mlops.drift.tally import PREDICTION, PROBABILITY, words
from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256, write_json
from usecase.mlops.registry import PENDING, ModelPackage
from usecase.mlops.score import PREDICTED

FOLDER = Path(".local/challenger")
REPORT, TEXT, PAGE = "challenger.json", "challenger.md", "challenger.html"
RESULT, REPORT_SHA256 = "ChallengerResult", "ChallengerReportSha256"  # of a version's metadata
SAID = "said"  # by the version in service
Agrees = npt.NDArray[np.bool_]
CLOSE = 0.1  # standard deviations of the answers: numbers nearer than that agree


@dataclass(frozen=True)
class Group:
    """Rows of a group of a protected column, and how many of them the two versions answer otherwise."""

    column: str
    group: str
    rows: int
    disagreements: int


@dataclass(frozen=True)
class Challenge:
    """What came of it. `shift`: shares of each class, or mean and spread of numbers, in service and by the challenger.

    `quality`: each metric of both, on `labelled` rows; none, with a note, when they are too few.
    """

    version: int
    arn: str
    data: str
    first: str
    last: str
    rows: int
    left_out: int
    status: Literal["measured", "insufficient_data"]
    note: str = ""
    agreement: float | None = None
    shift: Mapping[str, Mapping[str, float]] | None = None
    groups: Sequence[Group] = ()
    labelled: int = 0
    quality: Mapping[str, Mapping[str, float | None]] | None = None
    quality_note: str = ""

    def write(self, folder: Path, title: str) -> None:
        """Write the report for programs and for people. Raises OSError."""
        write_json(folder / REPORT, asdict(self))
        card = self._card(title)
        (folder / TEXT).write_text(as_markdown(card), encoding="utf-8")
        (folder / PAGE).write_text(as_html(card), encoding="utf-8")

    def metadata(self, folder: Path) -> dict[str, str]:
        """For the version's metadata; characters and length are those that SageMaker takes."""
        said = f"agreement {self.agreement:.4f} on {self.rows} rows"
        if self.quality:
            name, values = next(iter(self.quality.items()))
            told = [values[side] for side in ("challenger", "in_service")]
            if None not in told:
                said += f" - {name} {told[0]:.4f} against {told[1]:.4f} on {self.labelled} labelled rows"
        return {RESULT: said, REPORT_SHA256: file_sha256(folder / REPORT)}

    def _card(self, title: str) -> Card:
        agreed = "-" if self.agreement is None else f"{self.agreement:.1%}"
        when = f"{self.first} to {self.last}" if self.first else self.data
        return Card(
            kind="Challenger",
            title=f"{title}, version {self.version}",
            summary=f"Traffic **{when}** answered again by the version that waits, beside what was answered then.",
            tiles=[
                Tile("Agreement", agreed, "of the rows are answered alike"),
                Tile("Rows", f"{self.rows:,}", f"{self.left_out:,} left out"),
                Tile("Labelled rows", f"{self.labelled:,}", "of which the truth is known"),
            ],
            notice=f"Not enough data: {self.note}." if self.note else "",
            sections=[section for section in self._sections() if section.blocks],
        )

    def _sections(self) -> Iterator[Section]:
        if self.shift:
            names = list(next(iter(self.shift.values())))
            rows = [(what, *(f"{values[name]:.4g}" for name in names)) for what, values in self.shift.items()]
            head = ("", *(name.replace("_", " ") for name in names))
            yield Section("Answers", [Table(head, rows, frozenset(range(1, len(head))))])
        yield Section("Who is answered otherwise", list(self._disagreements()))
        quality: list[Block] = [Text(f"Not measured: {self.quality_note}.")] if self.quality_note else []
        if self.quality:
            cells = [
                (name, *("-" if value is None else f"{value:.4f}" for value in values.values()))
                for name, values in self.quality.items()
            ]
            quality.append(Table(("metric", "in service", "challenger"), cells, frozenset({1, 2})))
        yield Section("Quality", quality)

    def _disagreements(self) -> Iterator[Block]:
        if self.status == "measured" and not self.groups:
            yield Text("By group not measured: no feature of the data contract is marked as `protected`.")
        cells = [
            (f"`{g.column}`", g.group, f"{g.rows:,}", f"{g.disagreements:,}", f"{g.disagreements / g.rows:.1%}")
            for g in self.groups
        ]
        if cells:
            yield Table(("column", "group", "rows", "otherwise", "share"), cells, frozenset({2, 3, 4}))


def challenge(
    package: ModelPackage, data: Path, contract: Contract, minimum_rows: int, labels: Path | None = None
) -> Challenge:
    """Replay the answered rows of the traffic at `data`. Raises UserError, also for a version that is decided about."""
    if package.status != PENDING:
        raise UserError(f"version {package.version} is {package.status} already: a challenger waits for a decision")
    package.verify()
    found = Found()
    with tempfile.TemporaryDirectory() as scratch:
        asked, place = Path(scratch) / "rows", Path(scratch) / "version"
        asked.mkdir()
        place.mkdir()
        parts, seen = [], 0
        for number, batch in enumerate(read_traffic(data, contract, found)):
            seen += batch.rows.height
            rows, about = _answered(batch, contract)
            rows.write_parquet(asked / f"{number:06}.parquet")
            parts.append(about)
        answered = pl.concat(parts, how="diagonal") if parts else pl.DataFrame()
        told: dict[str, Any] = {"version": package.version, "arn": package.arn, "data": str(data)}
        told |= {"first": found.first, "last": found.last, "rows": answered.height}
        told["left_out"] = seen + found.unread - answered.height
        if answered.height < minimum_rows:
            note = f"{answered.height:,} answered rows, {minimum_rows:,} are needed"
            return Challenge(**told, status="insufficient_data", note=note)
        try:
            said = champion.ask(package.model_data, place, contract.sha256, asked)
        except champion.NotComparableError as error:
            raise UserError(f"version {package.version} cannot be asked: {error}") from None
    frame = answered.hstack(said.select(PREDICTED, _sure(said)))
    agrees, shift = _numbers(frame) if not contract.classes else _labels(frame, contract)
    quality, labelled, why = _quality(frame, contract, labels)
    return Challenge(
        **told,
        status="measured",
        agreement=float(agrees.mean()),
        shift=shift,
        groups=list(_groups(frame, agrees, contract)),
        labelled=labelled,
        quality=quality,
        quality_note=why,
    )


def _answered(batch: Batch, contract: Contract) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Typed rows that were answered and that the contract accepts, and what is known of each: keys, answer, groups."""
    names = [column.name for column in contract.features]
    if absent := [name for name in names if name not in batch.rows.columns]:
        raise UserError(f"the traffic has no column {absent[0]!r}: a version cannot be asked without it")
    if PREDICTION not in batch.answers.columns:
        raise UserError("the traffic holds no answers: a challenger is compared with what was answered")
    target = contract.target
    given = blank_to_null(batch.answers[PREDICTION].alias(target.name), contract.table.missing_values)
    about = pl.DataFrame({SAID: as_type(words(given, target), target)}).hstack(batch.keys)
    if PROBABILITY in batch.answers.columns:
        about = about.with_columns(batch.answers[PROBABILITY].cast(pl.Float64, strict=False))
    protected = feedback.protected_features(contract)
    about = about.with_columns(
        as_type(blank_to_null(batch.rows[column.name], contract.table.missing_values), column) for column in protected
    )
    kept = np.array([*_accepted(batch.rows.select(names), np.flatnonzero(about[SAID].is_not_null()), contract)], int)
    return check_rows(batch.rows.select(names)[kept], contract, ("feature",)).frame, about[kept]


def _accepted(rows: pl.DataFrame, places: npt.NDArray[np.intp], contract: Contract) -> Iterator[int]:
    """The places of rows that the contract accepts: the others are found by halves, for they are few."""
    if not check_rows(rows[places], contract, ("feature",)).problems:
        yield from places.tolist()
    elif len(places) > 1:
        yield from _accepted(rows, places[: len(places) // 2], contract)
        yield from _accepted(rows, places[len(places) // 2 :], contract)


def _sure(said: pl.DataFrame) -> pl.Expr:
    """The probability of the class that is predicted; 1 for numbers."""
    names = [name for name in said.columns if name.startswith("probability_")]
    return (pl.max_horizontal(names) if names else pl.lit(1.0)).cast(pl.Float64).alias("sure")


def _labels(frame: pl.DataFrame, contract: Contract) -> tuple[Agrees, dict[str, dict[str, float]]]:
    texts = {label: str(label) for label in contract.classes}
    before = frame[SAID].replace_strict(texts, return_dtype=pl.String).to_numpy()
    after = frame[PREDICTED].to_numpy()
    shift = {
        f"share of {label}": {
            "in_service": float(np.mean(before == text)),
            "challenger": float(np.mean(after == text)),
        }
        for label, text in texts.items()
    }
    return before == after, shift


def _numbers(frame: pl.DataFrame) -> tuple[Agrees, dict[str, dict[str, float]]]:
    before, after = frame[SAID].cast(pl.Float64).to_numpy(), frame[PREDICTED].to_numpy()
    shift = {
        name: {"in_service": float(of(before)), "challenger": float(of(after))}
        for name, of in (("mean", np.mean), ("standard deviation", np.std), ("median", np.median))
    }
    return np.abs(after - before) <= CLOSE * before.std(), shift


def _groups(frame: pl.DataFrame, agrees: Agrees, contract: Contract) -> Iterator[Group]:
    named = feedback.with_groups(frame, contract).with_columns(pl.Series("agrees", agrees))
    for column in feedback.protected_features(contract):
        for group, rows, same in (
            named.group_by(column.name).agg(pl.len(), pl.col("agrees").sum()).sort(column.name).rows()
        ):
            yield Group(column.name, group, rows, rows - same)


def _quality(
    frame: pl.DataFrame, contract: Contract, labels: Path | None
) -> tuple[dict[str, dict[str, float | None]] | None, int, str]:
    """Each metric of both, the number of labelled rows, and why there is none."""
    if labels is None:
        return None, 0, "no labels were given"
    if ID not in frame.columns:
        raise UserError(f"the traffic holds no {ID}: labels cannot be joined")
    keyed = frame if ROW in frame.columns else frame.with_columns(pl.lit("1").alias(ROW))
    settled, *_ = feedback.settle(feedback.read_labels(labels, contract)[0])
    joined = keyed.unique(KEY, keep="last").join(settled, on=KEY).rename({feedback.LABEL: ACTUAL})
    if joined.height < feedback.MIN_ROWS:
        return None, joined.height, f"{joined.height} labelled rows, {feedback.MIN_ROWS} are needed"
    served = joined.with_columns(pl.col(SAID).cast(pl.String).alias(PREDICTION))
    asked = joined.with_columns(pl.col(PREDICTED).cast(pl.String).alias(PREDICTION), pl.col("sure").alias(PROBABILITY))
    both = feedback.measure(served, contract), feedback.measure(asked, contract)
    quality = {name: {"in_service": value, "challenger": both[1][name]} for name, value in both[0].items()}
    return quality, joined.height, ""
