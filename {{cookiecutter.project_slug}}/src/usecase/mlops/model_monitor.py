"""The files of SageMaker Model Monitor, written and read: statistics.json, constraints.json, constraint_violations.json.

Format: "Schema for Statistics", "Schema for Constraints" and "Schema for Violations", SageMaker Developer Guide. What a
file of the service has beyond them is kept. The sketch of a column is a KLL sketch ("Optimal Quantile Approximation in
Streams", Karnin, Lang, Liberty, 2016): level i of `data` holds values that stand for 2**i rows each.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict

from usecase.mlops.errors import UserError
from usecase.mlops.files import write_json
from usecase.mlops.yamlfile import parse

STATISTICS, CONSTRAINTS, VIOLATIONS = "statistics.json", "constraints.json", "constraint_violations.json"
VIOLATIONS_TOO = "constraints_violations.json"  # the container contract's name of the same file
BUCKETS = 10  # the service always has so many
SKETCH_SIZE, SKETCH_SHRINK = 2048, 0.64  # its parameters k and c
MAX_CATEGORIES = 100  # of a column with more values the distribution is left out

InferredType = Literal["Integral", "Fractional", "String", "Unknown"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class _File(_Part):
    version: float = 0

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file of ours or of the service. Raises UserError."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read ({error})") from None
        return parse(cls, content, str(path))

    def save(self, path: Path) -> None:
        """Write the file, complete or not at all."""
        write_json(path, self.model_dump(exclude_none=True))


class Common(_Part):
    """How many rows have a value."""

    num_present: int
    num_missing: int


class Bucket(_Part):
    """Values from `lower_bound` up to but without `upper_bound`; the last bucket holds its upper bound too."""

    lower_bound: float
    upper_bound: float
    count: float


class SketchParameters(_Part):
    """Size (k) and shrinking factor (c) of a KLL sketch."""

    c: float = SKETCH_SHRINK
    k: float = SKETCH_SIZE


class Sketch(_Part):
    """A KLL sketch: the values of each level."""

    parameters: SketchParameters = SketchParameters()
    data: list[list[float]]


class Kll(_Part):
    """Buckets of equal width, and the sketch that quantiles are read from."""

    buckets: list[Bucket]
    sketch: Sketch


class NumericalDistribution(_Part):
    """Distribution of a number."""

    kll: Kll | None = None


class NumericalStatistics(_Part):
    """What is known of a numeric column; the moments are missing when it has no values."""

    common: Common
    mean: float | None = None
    sum: float | None = None
    std_dev: float | None = None
    min: float | None = None
    max: float | None = None
    distribution: NumericalDistribution | None = None


class Category(_Part):
    """Rows that hold one value."""

    value: str
    count: float


class Categorical(_Part):
    """Rows by value, the most frequent first."""

    buckets: list[Category]


class CategoricalDistribution(_Part):
    """Distribution of a text column."""

    categorical: Categorical | None = None


class StringStatistics(_Part):
    """What is known of a text column."""

    common: Common
    distinct_count: float | None = None
    distribution: CategoricalDistribution | None = None


class FeatureStatistics(_Part):
    """Statistics of one column."""

    name: str
    inferred_type: InferredType
    numerical_statistics: NumericalStatistics | None = None
    string_statistics: StringStatistics | None = None


class Dataset(_Part):
    """Rows of the data set."""

    item_count: int


class Statistics(_File):
    """statistics.json."""

    dataset: Dataset
    features: list[FeatureStatistics]


class NumericConstraints(_Part):
    """Limits of numbers."""

    is_non_negative: bool


class StringConstraints(_Part):
    """The values that are known."""

    domains: list[str]


class FeatureConstraints(_Part):
    """What a column must keep; `completeness` is the share of rows with a value."""

    name: str
    inferred_type: InferredType
    completeness: float
    num_constraints: NumericConstraints | None = None
    string_constraints: StringConstraints | None = None
    monitoringConfigOverrides: dict[str, Any] | None = None  # noqa: N815 - the service's own spelling


class DistributionConstraints(_Part):
    """How the distributions of two data sets are compared."""

    perform_comparison: Literal["Enabled", "Disabled"] = "Enabled"
    comparison_threshold: float = 0.1
    comparison_method: Literal["Simple", "Robust"] = "Robust"
    categorical_comparison_threshold: float = 0.1
    categorical_drift_method: Literal["LInfinity", "ChiSquared"] = "LInfinity"


class MonitoringConfig(_Part):
    """What the monitor evaluates. All of it is always written: the service's defaults have changed before."""

    evaluate_constraints: Literal["Enabled", "Disabled"] = "Enabled"
    emit_metrics: Literal["Enabled", "Disabled"] = "Enabled"
    datatype_check_threshold: float = 1.0
    domain_content_threshold: float = 1.0
    distribution_constraints: DistributionConstraints = DistributionConstraints()


class Constraints(_File):
    """constraints.json."""

    features: list[FeatureConstraints]
    monitoring_config: MonitoringConfig | None = None


class Violation(_Part):
    """One broken constraint."""

    feature_name: str
    constraint_check_type: str
    description: str


class Violations(_Part):
    """constraint_violations.json."""

    violations: list[Violation]

    @classmethod
    def load(cls, folder: Path) -> "Violations":
        """Read the file in `folder`, under either of its two names. Raises UserError."""
        path = next((folder / n for n in (VIOLATIONS, VIOLATIONS_TOO) if (folder / n).exists()), folder / VIOLATIONS)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read ({error})") from None
        return parse(cls, content, str(path))

    def save(self, folder: Path) -> None:
        """Write constraint_violations.json into `folder`."""
        write_json(folder / VIOLATIONS, self.model_dump())


def describe(values: pl.Series) -> FeatureStatistics:
    """Statistics of a column (n values, of which some may be missing)."""
    present = values.drop_nulls()
    common = Common(num_present=len(present), num_missing=values.null_count())
    if values.dtype.is_numeric():
        kind: InferredType = "Integral" if values.dtype.is_integer() else "Fractional"
        numbers = present.cast(pl.Float64).sort().to_numpy()
        return FeatureStatistics(name=values.name, inferred_type=kind, numerical_statistics=_numerical(common, numbers))
    counts = (
        present.cast(pl.String)
        .alias("value")
        .value_counts(name="count")
        .sort(["count", "value"], descending=[True, False])
    )
    categorical = None
    if counts.height <= MAX_CATEGORIES:
        categorical = Categorical(buckets=[Category(value=value, count=count) for value, count in counts.rows()])
    return FeatureStatistics(
        name=values.name,
        inferred_type="String" if len(present) else "Unknown",
        string_statistics=StringStatistics(
            common=common, distinct_count=counts.height, distribution=CategoricalDistribution(categorical=categorical)
        ),
    )


def constrain(statistics: FeatureStatistics, domain: Sequence[str] | None) -> FeatureConstraints:
    """What later data is held against: the completeness and sign that were seen, and the values that are allowed."""
    details = statistics.numerical_statistics or statistics.string_statistics
    assert details is not None  # noqa: S101 - describe() gives one of them
    rows = details.common.num_present + details.common.num_missing
    numbers = statistics.numerical_statistics
    return FeatureConstraints(
        name=statistics.name,
        inferred_type=statistics.inferred_type,
        completeness=details.common.num_present / rows if rows else 0.0,
        num_constraints=NumericConstraints(is_non_negative=(numbers.min or 0.0) >= 0) if numbers else None,
        string_constraints=StringConstraints(domains=list(domain)) if domain else None,
    )


def _numerical(common: Common, numbers: npt.NDArray[np.float64]) -> NumericalStatistics:
    """Of sorted numbers."""
    if not len(numbers):
        return NumericalStatistics(common=common)
    edges = np.linspace(numbers[0], numbers[-1], BUCKETS + 1)
    edges[-1] = numbers[-1]
    cuts = np.searchsorted(numbers, edges[1:-1], side="left")
    counts = np.diff([0, *cuts, len(numbers)])
    buckets = [
        Bucket(lower_bound=float(low), upper_bound=float(high), count=float(count))
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
    return NumericalStatistics(
        common=common,
        mean=float(numbers.mean()),
        sum=float(numbers.sum()),
        std_dev=float(numbers.std()),
        min=float(numbers[0]),
        max=float(numbers[-1]),
        distribution=NumericalDistribution(kll=Kll(buckets=buckets, sketch=Sketch(data=_sketch(numbers)))),
    )


def _sketch(numbers: npt.NDArray[np.float64]) -> list[list[float]]:
    """Levels whose weights add up to all of the sorted `numbers`: the middle of each run of 2**i of them."""
    top = max(0, int(np.ceil(np.log2(len(numbers) / SKETCH_SIZE)))) if len(numbers) else 0
    weight = 2**top
    whole = len(numbers) // weight
    levels: list[list[float]] = [[] for _ in range(top)] + [
        numbers[: whole * weight].reshape(whole, weight)[:, weight // 2].tolist()
    ]
    rest = numbers[whole * weight :]
    for level in range(top - 1, -1, -1):
        if len(rest) >= 2**level:
            levels[level] = [float(rest[2**level // 2])]
            rest = rest[2**level :]
    return levels
