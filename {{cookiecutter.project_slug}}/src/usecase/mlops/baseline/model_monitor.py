"""The files of SageMaker Model Monitor: statistics.json, constraints.json and constraint_violations.json.

Format: "Schema for Statistics", "Schema for Constraints" and "Schema for Violations", SageMaker Developer Guide. They
are read as the service writes them too; what it has beyond the schema is kept. Where Spark reads the data (Model
Monitor's own container does), a column's name may hold lower-case letters and `_` only; these files take any name.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from usecase.mlops.baseline.profile import ColumnProfile, Numbers
from usecase.mlops.baseline.sketch import SHRINK, SIZE
from usecase.mlops.contract import Column
from usecase.mlops.errors import UserError
from usecase.mlops.files import write_json
from usecase.mlops.yamlfile import parse

STATISTICS, CONSTRAINTS = "statistics.json", "constraints.json"
# The Developer Guide calls the last file both; the service writes the first.
VIOLATIONS = ("constraint_violations.json", "constraints_violations.json")
BUCKETS = 10  # the service always has so many
MAX_CATEGORIES = 120  # of a column with more values no distribution and no domain is kept, as Deequ's profiles do

InferredType = Literal["Integral", "Fractional", "String", "Unknown"]
Switch = Literal["Enabled", "Disabled"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class _File(_Part):
    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file of ours or of the service. Raises UserError."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read as JSON ({error})") from None
        return parse(cls, content, str(path))

    def save(self, path: Path) -> None:
        """Write the file, complete or not at all. Raises OSError."""
        write_json(path, self.model_dump(exclude_unset=True))


class Common(_Part):
    """How many rows have a value."""

    num_present: int
    num_missing: int


class Bucket(_Part):
    """Values from `lower_bound` up to, but without, `upper_bound`; the last bucket holds its upper bound too."""

    lower_bound: float
    upper_bound: float
    count: float


class SketchParameters(_Part):
    """Size (k) and shrinking factor (c) of the sketch."""

    c: float
    k: float


class SketchValues(_Part):
    """A KLL sketch: level i of `data` holds values that stand for 2**i rows each."""

    parameters: SketchParameters
    data: list[list[float]]


class Kll(_Part):
    """Ten buckets of equal width, and the sketch that quantiles are read from."""

    buckets: list[Bucket]
    sketch: SketchValues


class NumericalDistribution(_Part):
    """The distribution of a number."""

    kll: Kll | None = None


class NumericalStatistics(_Part):
    """A number; all but `common` is missing when no row has a value. `std_dev` is that of the rows themselves (n)."""

    common: Common
    mean: float | None = None
    sum: float | None = None
    std_dev: float | None = None
    min: float | None = None
    max: float | None = None
    distribution: NumericalDistribution | None = None


class Category(_Part):
    """The rows that hold one value."""

    value: str
    count: float


class Categorical(_Part):
    """Rows by value, the most frequent first."""

    buckets: list[Category]


class CategoricalDistribution(_Part):
    """The distribution of a text."""

    categorical: Categorical | None = None


class StringStatistics(_Part):
    """A text, boolean or date; without a distribution when it has many values."""

    common: Common
    distinct_count: float | None = None
    distribution: CategoricalDistribution | None = None


class FeatureStatistics(_Part):
    """One column: `numerical_statistics` or `string_statistics`, by its type."""

    name: str
    inferred_type: InferredType
    numerical_statistics: NumericalStatistics | None = None
    string_statistics: StringStatistics | None = None


class Dataset(_Part):
    """The whole data set."""

    item_count: int


class Statistics(_File):
    """statistics.json."""

    version: float
    dataset: Dataset
    features: list[FeatureStatistics]


class NumericConstraints(_Part):
    """The limit of a number that the service knows."""

    is_non_negative: bool


class StringConstraints(_Part):
    """The values that are known."""

    domains: list[str]


class FeatureConstraints(_Part):
    """What a column must keep; `completeness` is the share of rows with a value."""

    name: str
    inferred_type: InferredType
    completeness: float | None = None
    num_constraints: NumericConstraints | None = None
    string_constraints: StringConstraints | None = None


class DistributionConstraints(_Part):
    """How far distributions may differ, and how that is measured."""

    perform_comparison: Switch = "Enabled"
    comparison_threshold: float | None = None
    comparison_method: str | None = None
    categorical_comparison_threshold: float | None = None
    categorical_drift_method: str | None = None


class MonitoringConfig(_Part):
    """What the monitor evaluates."""

    evaluate_constraints: Switch = "Enabled"
    emit_metrics: Switch = "Enabled"
    datatype_check_threshold: float | None = None
    domain_content_threshold: float | None = None
    distribution_constraints: DistributionConstraints | None = None


class Constraints(_File):
    """constraints.json."""

    version: float
    features: list[FeatureConstraints]
    monitoring_config: MonitoringConfig | None = None


class Violation(_Part):
    """A constraint that was broken."""

    feature_name: str
    constraint_check_type: str
    description: str


class Violations(_File):
    """constraint_violations.json."""

    violations: list[Violation]

    @classmethod
    def find(cls, folder: Path) -> "Violations":
        """Read the file in `folder`, under either of its names. Raises UserError."""
        return cls.load(
            next((folder / name for name in VIOLATIONS if (folder / name).exists()), folder / VIOLATIONS[0])
        )


# All of it is always written: the service's defaults for the thresholds have changed before.
MONITORING = MonitoringConfig(
    evaluate_constraints="Enabled",
    emit_metrics="Enabled",
    datatype_check_threshold=1.0,
    domain_content_threshold=1.0,
    distribution_constraints=DistributionConstraints(
        perform_comparison="Enabled",
        comparison_threshold=0.1,
        comparison_method="Robust",
        categorical_comparison_threshold=0.1,
        categorical_drift_method="LInfinity",
    ),
)


def statistics(columns: Sequence[ColumnProfile]) -> Statistics:
    """Statistics of columns that have been counted over the same rows."""
    described = [_describe(column) for column in columns]
    return Statistics(version=0.0, dataset=Dataset(item_count=columns[0].rows), features=described)


def constraints(columns: Sequence[ColumnProfile], contract: dict[str, Column]) -> Constraints:
    """What later data is held against: what was seen, and what the contract (columns by name) allows beyond it."""
    limits = [_constrain(column, contract.get(column.name)) for column in columns]
    return Constraints(version=0.0, features=limits, monitoring_config=MONITORING)


def _inferred_type(column: ColumnProfile) -> InferredType:
    if not column.present:
        return "Unknown"
    if not column.dtype.is_numeric():
        return "String"
    return "Integral" if column.dtype.is_integer() else "Fractional"


def _describe(column: ColumnProfile) -> FeatureStatistics:
    common = Common(num_present=column.present, num_missing=column.missing)
    kind = _inferred_type(column)
    if column.dtype.is_numeric() and column.numbers:
        return FeatureStatistics(
            name=column.name, inferred_type=kind, numerical_statistics=_numerical(common, column.numbers)
        )
    words = column.words
    found: dict[str, Any] = {"distinct_count": float(words.distinct)} if words else {}
    if words and words.counts is not None and 0 < words.distinct <= MAX_CATEGORIES:
        ranked = sorted(words.counts.items(), key=lambda item: (-item[1], item[0]))
        buckets = [Category(value=value, count=float(count)) for value, count in ranked]
        found["distribution"] = CategoricalDistribution(categorical=Categorical(buckets=buckets))
    return FeatureStatistics(
        name=column.name, inferred_type=kind, string_statistics=StringStatistics(common=common, **found)
    )


def _numerical(common: Common, numbers: Numbers) -> NumericalStatistics:
    if not numbers.rows:
        return NumericalStatistics(common=common)
    edges = np.linspace(numbers.minimum, numbers.maximum, BUCKETS + 1)
    edges[-1] = numbers.maximum  # linspace may miss it by a rounding
    counts = np.diff([0, *numbers.sketch.below(edges[1:-1]), numbers.rows])
    buckets = [
        Bucket(lower_bound=low, upper_bound=high, count=count)
        for low, high, count in zip(edges.tolist(), edges[1:].tolist(), counts.tolist(), strict=False)
    ]
    sketch = SketchValues(parameters=SketchParameters(c=SHRINK, k=float(SIZE)), data=numbers.sketch.levels)
    return NumericalStatistics(
        common=common,
        mean=numbers.mean,
        sum=numbers.mean * numbers.rows,
        std_dev=float(np.sqrt(numbers.squares / numbers.rows)),
        min=numbers.minimum,
        max=numbers.maximum,
        distribution=NumericalDistribution(kll=Kll(buckets=buckets, sketch=sketch)),
    )


def _constrain(column: ColumnProfile, known: Column | None) -> FeatureConstraints:
    allowed = known.constraints if known else None
    found: dict[str, Any] = {}
    if column.dtype.is_numeric() and column.numbers and column.numbers.rows:
        lowest = allowed.minimum if allowed and isinstance(allowed.minimum, int | float) else 0.0
        found["num_constraints"] = NumericConstraints(is_non_negative=min(lowest, column.numbers.minimum) >= 0)
    elif column.words and column.words.counts is not None:
        domain = [str(value) for value in allowed.enum] if allowed and allowed.enum else sorted(column.words.counts)
        if 0 < len(domain) <= MAX_CATEGORIES:
            found["string_constraints"] = StringConstraints(domains=domain)
    return FeatureConstraints(
        name=column.name,
        inferred_type=_inferred_type(column),
        completeness=column.present / column.rows if column.rows else 0.0,
        **found,
    )
