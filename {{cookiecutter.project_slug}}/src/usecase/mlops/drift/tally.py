"""A window of traffic, counted as the baseline counts: batch by batch, in memory that does not grow with the rows."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from usecase.mlops.baseline.drift import (
    Category,
    Distribution,
    DriftBaseline,
    Empty,
    Moments,
    Numeric,
    bins,
    numbers,
    scores,
)
from usecase.mlops.check import ProblemLog, as_text, as_type, blank_to_null, check_rows
from usecase.mlops.contract import Column, Contract

PREDICTION, PROBABILITY = "prediction", "probability"
ANSWERS = (PREDICTION, PROBABILITY)
RELATED_ROWS = 5000  # of a batch; more change a correlation by less than matters
MAX_UNKNOWN = 5  # categories that a report names
WORD, ROWS = "word", "rows"
Places = npt.NDArray[np.int64]


class ColumnTally:
    """Rows of one column: without a value (`missing`), with one that is not of its type (`wrong`).

    `beyond` are rows outside of what the baseline has seen, its range or its categories. `trained` are rows of those.
    """

    def __init__(self, column: Column, known: Distribution, trained: int) -> None:
        self.column, self.known, self.trained = column, known, trained
        self.rows = self.missing = self.wrong = self.beyond = 0

    @property
    def name(self) -> str:
        """Of the column."""
        return self.column.name

    @property
    def present(self) -> int:
        """Rows with a value of the column's type."""
        return self.rows - self.missing - self.wrong

    @property
    def is_constant(self) -> bool:
        """Whether one value, and no other, fills the rows."""
        return False

    def add(self, given: pl.Series, values: pl.Series, contract: Contract) -> None:
        """Add a batch (n): the cells as they came, null where there is none, and the same in the column's type."""
        self.rows += len(given)
        self.missing += given.null_count()
        self.wrong += values.null_count() - given.null_count()


class NumberTally(ColumnTally):
    """A number or moment: rows by bin of the baseline, and the range."""

    known: Numeric

    def __init__(self, column: Column, known: Numeric, trained: int) -> None:
        super().__init__(column, known, trained)
        self.counts = np.zeros(len(known.shares), np.int64)
        self.minimum, self.maximum = np.inf, -np.inf
        self._newest = np.zeros(0)

    @property
    def is_constant(self) -> bool:
        """See ColumnTally."""
        return self.minimum == self.maximum

    def shown(self, value: float) -> str:
        """A number, or the day of a moment, for people."""
        return f"{value:.4g}" if self.known.kind == "number" else str(np.datetime64(round(value), "s"))[:10]

    def places(self, step: int = 1) -> Places:
        """The bins of every so manieth row of the newest batch; -1 where there is no value."""
        return bins(self._newest[::step], self.known)

    def add(self, given: pl.Series, values: pl.Series, contract: Contract) -> None:
        """See ColumnTally."""
        super().add(given, values, contract)
        self._newest = numbers(values)
        present = self._newest[~np.isnan(self._newest)] if values.null_count() else self._newest
        if not len(present):
            return
        above = [np.count_nonzero(present > cut) for cut in self.known.cuts]  # some passes are faster than a search
        self.counts -= np.diff([len(present), *above, 0])
        low, high = float(present.min()), float(present.max())
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        if low < self.known.minimum or high > self.known.maximum:
            self.beyond += int(np.count_nonzero((present < self.known.minimum) | (present > self.known.maximum)))


class WordTally(ColumnTally):
    """A text, boolean or class: rows by category of the baseline. `unknown` are some that it does not have."""

    known: Category

    def __init__(self, column: Column, known: Category, trained: int) -> None:
        super().__init__(column, known, trained)
        self.counts: Counter[str] = Counter()
        self.unknown: list[str] = []

    @property
    def is_constant(self) -> bool:
        """See ColumnTally."""
        return self.beyond == 0 and max(self.counts.values(), default=0) == self.present > 0

    def add(self, given: pl.Series, values: pl.Series, contract: Contract) -> None:
        """See ColumnTally."""
        super().add(given, values, contract)
        words = values if values.dtype == pl.String else as_text(values.to_frame(), contract).to_series()
        self._count(words.drop_nulls().alias(WORD).value_counts(name=ROWS))

    def add_counted(self, counted: pl.DataFrame) -> None:
        """Add a batch of texts as its different words, null where there is none, and the rows of each."""
        present = counted.drop_nulls(WORD)
        rows = int(counted[ROWS].sum())
        self.rows += rows
        self.missing += rows - int(present[ROWS].sum())
        self._count(present)

    def _count(self, counted: pl.DataFrame) -> None:
        is_known = counted[WORD].is_in(pl.Series(list(self.known.shares), dtype=pl.String).implode())
        for word, rows in counted.filter(is_known).rows():
            self.counts[word] += rows
        if is_known.all():
            return
        others = counted.filter(~is_known)
        self.beyond += int(others[ROWS].sum())
        if self.column.pii == "no":
            new = others.sort(ROWS, WORD, descending=[True, False])[WORD].head(MAX_UNKNOWN)
            self.unknown = list(dict.fromkeys([*self.unknown, *new]))[:MAX_UNKNOWN]


class WindowTally:
    """All columns of a window: its features, and what the model answered."""

    def __init__(self, baseline: DriftBaseline, contract: Contract) -> None:
        self.baseline, self.contract = baseline, contract
        self.rows = 0
        self.absent: Counter[str] = Counter()  # rows in which a feature had no column
        self.extra: Counter[str] = Counter()  # rows with a column that nobody knows
        self.problems = ProblemLog()  # values that the contract refuses
        self.warnings = ProblemLog()  # values that it lets through, with a warning
        columns = [contract.columns[name] for name in baseline.features if name in contract.columns]
        self.features = {
            column.name: _tally(column, baseline.features[column.name], baseline.rows) for column in columns
        }
        self._plain = {
            tally.name: self._plain_words(tally)
            for tally in self.features.values()
            if isinstance(tally, WordTally) and tally.column.type == "string"
        }
        self.answers = dict(_answers(baseline, contract))
        self.moments = Moments(len(baseline.relations.columns)) if baseline.relations else None

    @property
    def columns(self) -> Iterator[ColumnTally]:
        """The answers, then the features."""
        yield from self.answers.values()
        yield from self.features.values()

    def add(self, rows: pl.DataFrame) -> None:
        """Add requests (n): columns of text, or typed as Parquet has them; only features are counted."""
        features = {column.name for column in self.contract.features}
        here = [name for name in rows.columns if name in features]
        self.extra.update({name: rows.height for name in rows.columns if name not in self.contract.columns})
        self.absent.update(dict.fromkeys(features - set(here), rows.height))
        texts = {name: counted for name in here if (counted := self._counted(rows[name])) is not None}
        looked_at = [name for name in here if name not in texts or self._must_be_looked_at(name, texts[name][WORD])]
        checked = check_rows(rows.select(looked_at), _part(self.contract, looked_at), roles=("feature",))
        self.problems.add(checked.problems, first_row=self.rows + 1)
        self.warnings.add(checked.warnings, first_row=self.rows + 1)
        for name in here:
            tally = self.features.get(name)
            if isinstance(tally, WordTally) and name in texts:
                tally.add_counted(texts[name])
            elif tally:
                is_text = tally.column.type == "string"
                if is_text and tally.column.constraints.enum is None:
                    given = checked.frame[name]
                else:
                    given = blank_to_null(rows[name], self.contract.table.missing_values)
                # of a text the words themselves: the check takes those for missing that the contract does not list
                tally.add(given, given if is_text else _finite(checked.frame[name]), self.contract)
        self.rows += rows.height
        self._add_scores(rows.height)

    def add_answers(self, answers: pl.DataFrame) -> None:
        """Add answers (n) of the model: columns prediction and, of classifiers, probability; text or typed."""
        for name, tally in self.answers.items():
            if name in answers.columns:
                given = blank_to_null(answers[name].alias(tally.name), self.contract.table.missing_values)
                tally.add(given, _finite(as_type(words(given, tally.column), tally.column)), self.contract)

    def _counted(self, given: pl.Series) -> pl.DataFrame | None:
        """The different words of a text, null where there is none, and the rows of each; None for other columns."""
        if given.dtype != pl.String or given.name not in self._plain:
            return None
        counted = given.alias(WORD).value_counts(name=ROWS)
        if self._plain[given.name].issuperset(counted[WORD]):
            return counted
        read = blank_to_null(counted[WORD], self.contract.table.missing_values)
        return counted if read.equals(counted[WORD]) else counted.with_columns(read).group_by(WORD).agg(pl.sum(ROWS))

    def _must_be_looked_at(self, name: str, words: pl.Series) -> bool:
        """Whether rows of a text may break a rule of the contract: one of its different words does."""
        return not self._plain[name].issuperset(words) and self._breaks_a_rule(name, words)

    def _breaks_a_rule(self, name: str, words: pl.Series) -> bool:
        """Whether one of the different words of a text breaks a rule, or no word may come twice."""
        checked = check_rows(words.alias(name).to_frame(), _part(self.contract, [name]), roles=("feature",))
        return self.contract.columns[name].constraints.unique or bool(checked.problems or checked.warnings)

    def _plain_words(self, tally: WordTally) -> frozenset[str]:
        """Words of a text in training that are read as they stand and break no rule: their rows are only counted."""
        words = pl.Series(WORD, list(tally.known.shares), dtype=pl.String)
        plain = words.filter(words == blank_to_null(words, self.contract.table.missing_values))
        return frozenset() if self._breaks_a_rule(tally.name, plain) else frozenset(plain)

    def _add_scores(self, rows: int) -> None:
        known = self.baseline.relations
        if not known or not self.moments:
            return
        tallies = [self.features.get(name) for name in known.columns]
        scored = [tally for tally in tallies if isinstance(tally, NumberTally) and tally.name not in self.absent]
        if len(scored) == len(known.columns):
            step = max(1, rows // RELATED_ROWS)
            self.moments.add(np.column_stack([scores(tally.places(step), tally.known) for tally in scored]))


def _tally(column: Column, known: Distribution, trained: int) -> ColumnTally:
    if isinstance(known, Numeric):
        return NumberTally(column, known, trained)
    if isinstance(known, Category):
        return WordTally(column, known, trained)
    return ColumnTally(column, known, trained)


def _answers(baseline: DriftBaseline, contract: Contract) -> Iterator[tuple[str, ColumnTally]]:
    yield PREDICTION, _tally(contract.target, baseline.prediction, baseline.answered)
    if baseline.probability is not None and not isinstance(baseline.probability, Empty):
        column = Column.model_validate({"name": PROBABILITY, "type": "number", "role": "ignored"})
        yield PROBABILITY, _tally(column, baseline.probability, baseline.answered)


def words(given: pl.Series, column: Column) -> pl.Series:
    """The service writes true and false as JSON has them, whatever words the contract has for them."""
    if column.type != "boolean" or given.dtype != pl.String:
        return given
    spelled: Mapping[str, str] = {"true": column.true_values[0], "false": column.false_values[0]}
    return given.replace(spelled)


def _finite(values: pl.Series) -> pl.Series:
    """Null for what is no finite number."""
    if not values.dtype.is_float() or math.isfinite(values.sum()):
        return values
    return values.set(~values.is_finite(), None)


def _part(contract: Contract, names: list[str]) -> Contract:
    """The contract of some of its columns."""
    fields = [contract.columns[name] for name in contract.columns if name in names]
    return contract.model_copy(update={"table": contract.table.model_copy(update={"fields": fields})})
