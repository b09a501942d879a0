"""The data report of Preprocess: what came in, what was let through, how alike the parts are. Refuses useless data.

Batches are counted in a `Tally`. One host makes a `DataReport` of it (data_report.json); each of several hosts writes
its tally (data_report-<host>.json), and who reads the folder gets the report of them all.
"""

import hashlib
import json
import math
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_serializer, field_validator

from usecase.mlops.check import ProblemLog
from usecase.mlops.contract import Contract, Scalar, Task
from usecase.mlops.errors import UserError
from usecase.mlops.files import write_json
from usecase.mlops.hashing import KeySample, row_keys
from usecase.mlops.problems import Problem
from usecase.mlops.split import SHARES, split_keys
from usecase.mlops.yamlfile import parse

FILE_NAME = "data_report.json"
MIN_ROWS = 20
MAX_LISTED = 5
# With fewer different features than this, and rows split by them, shares of the parts are a matter of luck.
MIN_DISTINCT = 100
MAX_PAIRS = 10_000
GLANCE_ROWS = 1000


class LabelShift(BaseModel):
    """The largest difference in the target between the training rows and another part, with its standard error.

    Of a class's share; for regression of the mean, in standard deviations of the training rows (`class` is null).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    standard_error: float
    part: str
    label: Scalar | None = Field(validation_alias=AliasChoices("class", "label"), serialization_alias="class")


class DataReport(BaseModel):
    """data_report.json. `splits` and `overlap` are by part; overlap is the share of its rows that are in train too.

    `data_sha256` names the typed values: SHA-256 over the sorted `ContentHash`es of the files, one per line, so that
    neither names nor formats nor the number of hosts matter. `flagged_rows` have a value that `warnings` tells of.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_sha256: str
    rows: int
    features: int
    task: Task
    target: dict[str, Any]
    warnings: list[str]
    flagged_rows: int
    splits: dict[str, int]
    overlap: dict[str, float]
    label_shift: LabelShift

    @classmethod
    def load(cls, folder: Path) -> "DataReport":
        """The report in `folder`, or the one of all hosts' tallies there. Raises UserError, also for useless data."""
        file = folder / FILE_NAME
        if file.exists():
            return parse(cls, _read_json(file), str(file))
        shards = {path: parse(Tally, _read_json(path), str(path)) for path in sorted(folder.glob("data_report-*.json"))}
        if not shards:
            raise UserError(f"{folder}: holds no {FILE_NAME}: Preprocess did not end well")
        merged = next(iter(shards.values())).model_copy(deep=True)
        for path, tally in list(shards.items())[1:]:
            if tally.contract_sha256 != merged.contract_sha256:
                raise UserError(f"{path}: was made with another contract than {next(iter(shards)).name}")
            merged.merge(tally)
        absent = set(merged.hosts) - {tally.host for tally in shards.values()}
        if absent:
            raise UserError(f"{folder}: the data report of {', '.join(sorted(absent))} is missing")
        return merged.report()

    def save(self, file: Path) -> None:
        """Write `file`, and its folder if need be."""
        write_json(file, self.model_dump(mode="json", by_alias=True))


class Part(BaseModel):
    """The target in one part: rows of each class in the contract's order, or moments and limits of numbers."""

    model_config = ConfigDict(extra="forbid")

    rows: int = 0
    classes: list[int] = []
    mean: float = 0.0
    squares: float = 0.0  # sum of squared differences from the mean
    minimum: float | None = None
    maximum: float | None = None

    @classmethod
    def of(cls, target: pl.Series, classes: list[Scalar]) -> "Part":
        """Count the target values (n), of which none is missing."""
        if classes:
            counts = dict(target.value_counts().rows())
            return cls(rows=len(target), classes=[counts.get(label, 0) for label in classes])
        numbers = target.cast(pl.Float64).to_numpy()
        if not len(numbers):
            return cls()
        mean = float(numbers.mean())
        squares = float(np.square(numbers - mean).sum())
        low, high = float(numbers.min()), float(numbers.max())
        return cls(rows=len(numbers), mean=mean, squares=squares, minimum=low, maximum=high)

    def merge(self, other: "Part") -> None:
        """Add the counts of another batch (Chan, Golub, LeVeque: "Updating formulae ... for computing variances")."""
        rows = self.rows + other.rows
        if not rows:
            return
        difference = other.mean - self.mean
        self.squares += other.squares + difference**2 * self.rows * other.rows / rows
        self.mean += difference * other.rows / rows
        self.minimum = min((x for x in (self.minimum, other.minimum) if x is not None), default=None)
        self.maximum = max((x for x in (self.maximum, other.maximum) if x is not None), default=None)
        self.classes = [a + b for a, b in zip_longest(self.classes, other.classes, fillvalue=0)]
        self.rows = rows

    @property
    def variance(self) -> float:
        """Of the target as numbers; 0 for less than two rows."""
        return self.squares / (self.rows - 1) if self.rows > 1 else 0.0


class Mirror(BaseModel):
    """What still speaks for a column being a copy of the target: equal values, or one value for each of the target.

    `pairs` is None once two values share a target value or the other way round, or there are too many to keep.
    """

    model_config = ConfigDict(extra="forbid")

    equal: bool = True
    pairs: dict[str, str] | None = {}

    def add(self, values: pl.Series, target: pl.Series) -> None:
        """Look at the column and the target of a batch (n)."""
        for rows in sorted({min(GLANCE_ROWS, len(values)), len(values)}):  # most columns are out after a glance
            if self.equal or self.pairs is not None:
                self._look(values.head(rows), target.head(rows))

    def merge(self, other: "Mirror") -> None:
        """Add what another host saw."""
        self.equal = self.equal and other.equal
        if self.pairs is not None:
            self._pair(other.pairs)

    def stands(self, rows: int) -> bool:
        """Whether the column is a copy, after all `rows`.

        A target with a value per row pairs with any column that has one too: there only equality is a copy.
        """
        return self.equal or (self.pairs is not None and 0 < len(self.pairs) < rows)

    def _look(self, values: pl.Series, target: pl.Series) -> None:
        if values.null_count() or target.null_count():
            self.equal, self.pairs = False, None
            return
        self.equal = self.equal and _equal(values, target)
        if self.pairs is not None:
            pairs = pl.DataFrame({"value": values, "target": target}).unique()
            one_to_one = pairs["value"].n_unique() == pairs["target"].n_unique() == pairs.height <= MAX_PAIRS
            self._pair(dict(pairs.cast(pl.String).rows()) if one_to_one else None)

    def _pair(self, pairs: dict[str, str] | None) -> None:
        both = {**(self.pairs or {}), **(pairs or {})}
        kept = pairs is not None and self.pairs is not None and all(both[key] == self.pairs[key] for key in self.pairs)
        self.pairs = both if kept and len(set(both.values())) == len(both) <= MAX_PAIRS else None


class Tally(BaseModel):
    """All counts of the batches of one host, or of several after `merge`: everything that a report is made of."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    host: str
    hosts: list[str]
    contract_sha256: str
    task: Task
    target: str
    classes: list[Scalar]
    id: str | None
    features: list[str]
    files: list[str] = []  # ContentHash of each file
    flagged_rows: int = 0
    warnings: list[Problem] = []
    missing: dict[str, int]
    mirrors: dict[str, Mirror]
    parts: dict[str, Part]
    placed: KeySample = Field(default_factory=KeySample)  # ids when there are several hosts, features without an id
    seen: KeySample = Field(default_factory=KeySample)  # features and target, by part

    @classmethod
    def of(cls, contract: Contract, host: str, hosts: list[str]) -> "Tally":
        """No rows yet, on `host` of `hosts`."""
        names = [column.name for column in contract.features]
        return cls(
            host=host,
            hosts=hosts,
            contract_sha256=contract.sha256,
            task=contract.task,
            target=contract.target.name,
            classes=contract.classes,
            id=contract.id.name if contract.id else None,
            features=names,
            missing=dict.fromkeys(names, 0),
            mirrors={name: Mirror() for name in names},
            parts={name: Part() for name in SHARES},
        )

    @field_validator("placed", "seen", mode="before")
    @classmethod
    def _read_sample(cls, value: Any) -> Any:
        return KeySample.from_dict(value) if isinstance(value, dict) else value

    @field_serializer("placed", "seen")
    def _write_sample(self, sample: KeySample) -> dict[str, Any]:
        return sample.to_dict()

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.parts.values())

    def add(self, parts: dict[str, pl.DataFrame], contract: Contract) -> None:
        """Count a batch that is split into parts (typed rows)."""
        together = pl.concat(parts.values(), rechunk=True)
        for name, rows in parts.items():
            self.parts[name].merge(Part.of(rows[self.target], self.classes))
        for feature in self.features:
            self.missing[feature] += together[feature].null_count()
            self.mirrors[feature].add(together[feature], together[self.target])
        if len(self.hosts) > 1 if self.id else self.placed.complete:  # few features: no need to see beyond
            self.placed.add("all", split_keys(together, contract))
        if self.id is not None:  # without an id, equal features are in one part by construction
            keys = row_keys(together.select(*self.features, self.target))
            ends = np.cumsum([rows.height for rows in parts.values()])
            for name, part_keys in zip(parts, np.split(keys, ends), strict=False):
                self.seen.add(name, part_keys)

    def merge(self, other: "Tally") -> None:
        """Add the rows of another host with the same contract."""
        self.files = self.files + other.files
        self.flagged_rows += other.flagged_rows
        log = ProblemLog()
        log.add([*self.warnings, *other.warnings])
        self.warnings = list(log)
        for feature in self.features:
            self.missing[feature] += other.missing[feature]
            self.mirrors[feature].merge(other.mirrors[feature])
        for name, part in self.parts.items():
            part.merge(other.parts[name])
        self.placed.merge(other.placed)
        self.seen.merge(other.seen)

    def report(self) -> DataReport:
        """The report. Raises UserError when there is too little data, nothing to learn, or a part is useless."""
        refuse_few(self.rows)
        refuse(self._unusable())
        for name in self.parts:
            self._refuse_thin(name)
        return DataReport(
            data_sha256=hashlib.sha256("\n".join(sorted(self.files)).encode()).hexdigest(),
            rows=self.rows,
            features=len(self.features),
            task=self.task,
            target=self._describe_target(),
            warnings=[str(warning) for warning in self.warnings] + self._few_distinct(),
            flagged_rows=self.flagged_rows,
            splits={name: part.rows for name, part in self.parts.items()},
            overlap={name: self.seen.shared(name, "train") for name in self.parts if name != "train"},
            label_shift=max(
                (shift for name in self.parts if name != "train" for shift in self._shifts(name)),
                key=lambda shift: shift.value,
            ),
        )

    def save(self, file: Path) -> None:
        """Write `file`, and its folder if need be."""
        write_json(file, self.model_dump(mode="json"))

    def _total(self) -> Part:
        total = Part()
        for part in self.parts.values():
            total.merge(part)
        return total

    def _unusable(self) -> list[str]:
        total = self._total()
        present = [(label, count) for label, count in zip(self.classes, total.classes, strict=True) if count]
        if len(present) == 1 or (not self.classes and total.minimum == total.maximum):
            value = present[0][0] if present else total.minimum
            return [f"target {self.target!r} is always {value!r}: there is nothing to learn"]
        for label, count in present:
            if count < 2:
                return [f"class {label!r} of target {self.target!r} has only one row: add rows or drop it"]
        if self.id is not None and self.placed.most_frequent() > 1:
            return [
                f"column {self.id!r}: values stand in the files of several hosts: drop the rows that are there twice"
            ]
        problems = []
        for name in self.features:
            if self.missing[name] == total.rows:
                problems.append(f"column {name!r} has no values: mend the data or set `role: ignored`")
            elif self.mirrors[name].stands(total.rows):
                problems.append(
                    f"column {name!r} is identical to the target {self.target!r},"
                    " a model would only copy it: drop it or set `role: ignored`"
                )
        return problems

    def _refuse_thin(self, name: str) -> None:
        part = self.parts[name]
        if part.rows < 2:
            raise UserError(f"the {name} part has {part.rows} of {self.rows} rows: more data is needed")
        absent = [label for label, count in zip(self.classes, part.classes, strict=True) if not count]
        if absent and (name == "train" or len(self.classes) - len(absent) < 2):
            raise UserError(
                f"the {name} part ({part.rows} of {self.rows} rows) has no row of class {absent[0]!r}"
                f" of {self.target!r}: more rows of it are needed, or drop it from the contract"
            )

    def _few_distinct(self) -> list[str]:
        distinct = self.placed.distinct()
        if self.id is not None or distinct >= MIN_DISTINCT or 2 * distinct > self.rows:
            return []
        return [
            f"rows are split by their features, and only {distinct} of {self.rows} rows have different ones:"
            " parts may differ by chance; give the rows an id"
        ]

    def _describe_target(self) -> dict[str, Any]:
        total = self._total()
        if self.classes:
            labels = map(str, self.classes)
            return {"name": self.target, "rows_per_class": dict(zip(labels, total.classes, strict=True))}
        return {"name": self.target, "minimum": total.minimum, "mean": total.mean, "maximum": total.maximum}

    def _shifts(self, name: str) -> list[LabelShift]:
        train, part = self.parts["train"], self.parts[name]
        if not self.classes:
            deviation = math.sqrt(train.variance) or 1.0
            error = math.sqrt(1 / train.rows + part.variance / deviation**2 / part.rows)
            value = abs(part.mean - train.mean) / deviation
            return [LabelShift(value=value, standard_error=error, part=name, label=None)]
        shifts = []
        for label, here, there in zip(self.classes, part.classes, train.classes, strict=True):
            share = (here + there) / (part.rows + train.rows)
            error = math.sqrt(share * (1 - share) * (1 / part.rows + 1 / train.rows))
            value = abs(here / part.rows - there / train.rows)
            shifts.append(LabelShift(value=value, standard_error=error, part=name, label=label))
        return shifts


def refuse_few(rows: int) -> None:
    """Raise UserError when there are too few rows to train and test with."""
    if rows < MIN_ROWS:
        count = f"{rows} row{'s' * (rows != 1)}"
        raise UserError(f"the data has {count}: at least {MIN_ROWS} are needed to train and test")


def refuse(problems: list[str]) -> None:
    """Raise UserError with the first problems in one line, if there are any."""
    if problems:
        more = f"; and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
        raise UserError("the data breaks the contract: " + "; ".join(problems[:MAX_LISTED]) + more)


def mirrors(values: pl.Series, target: pl.Series) -> bool:
    """Whether each value of the column stands for exactly one target value and the other way round (leakage)."""
    mirror = Mirror()
    mirror.add(values, target)
    return mirror.stands(len(values))


def _equal(values: pl.Series, target: pl.Series) -> bool:
    if values.dtype.is_numeric() != target.dtype.is_numeric():
        return False
    dtype = pl.Float64 if values.dtype.is_numeric() else pl.String
    return bool((values.cast(dtype) == target.cast(dtype)).all())


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: must hold one JSON object")
    return content
