"""Model Monitor's files: counted in batches, written as the service writes them, read back, read from the service."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usecase.mlops.baseline import drift, model_monitor
from usecase.mlops.baseline.drift import DriftBaseline
from usecase.mlops.baseline.model_monitor import MAX_CATEGORIES, MONITORING, Constraints, Statistics, Violations
from usecase.mlops.baseline.profile import MAX_WORDS, ColumnProfile
from usecase.mlops.baseline.sketch import SIZE, Sketch
from usecase.mlops.check import as_text
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError

FINITE = st.floats(-1e9, 1e9, allow_subnormal=False)
CONTRACT = Contract.model_validate(
    {
        "name": "rows",
        "schema": {
            "fields": [
                {"name": "age", "type": "integer", "role": "feature", "constraints": {"minimum": 0}},
                {"name": "gain", "type": "number", "role": "feature", "constraints": {"minimum": -10}},
                {"name": "plan", "type": "string", "role": "feature", "constraints": {"enum": ["a", "b", "c"]}},
                {"name": "city", "type": "string", "role": "feature"},
                {"name": "on", "type": "boolean", "role": "feature", "trueValues": ["Y"], "falseValues": ["N"]},
                {"name": "day", "type": "date", "role": "feature", "format": "%d.%m.%Y"},
                {"name": "empty", "type": "number", "role": "feature"},
                {"name": "cost", "type": "number", "role": "target"},
            ]
        },
    }
)
ROWS = pl.DataFrame(
    {
        "age": pl.Series([3, 1, None, 2, 2], dtype=pl.Int64),
        "gain": pl.Series([0.5, 1.5, 2.5, 3.5, 10.5]),
        "plan": pl.Series(["b", "a", "b", None, "b"]),
        "city": pl.Series(["x", "y", "z", "x", "x"]),
        "on": pl.Series([True, False, None, True, True]),
        "day": pl.Series([date(2024, 1, 31), date(1969, 12, 31), None, date(2024, 1, 31), date(2024, 1, 31)]),
        "empty": pl.Series([None] * 5, dtype=pl.Float64),
    }
)


def profiled(rows: pl.DataFrame, size: int = 10**9, labels: tuple[str, ...] = ()) -> list[ColumnProfile]:
    columns = [ColumnProfile(c.name, c.dtype, c.name in labels) for c in rows.iter_columns()]
    for batch in rows.iter_slices(size):
        texts = as_text(batch, CONTRACT)
        for column in columns:
            column.add(batch[column.name], texts[column.name])
    return columns


def described(rows: pl.DataFrame = ROWS) -> dict[str, dict[str, Any]]:
    features = model_monitor.statistics(profiled(rows)).model_dump(exclude_unset=True)["features"]
    return {feature["name"]: feature for feature in features}


def constrained(rows: pl.DataFrame = ROWS) -> dict[str, dict[str, Any]]:
    found = model_monitor.constraints(profiled(rows), CONTRACT.columns)
    return {f["name"]: f for f in found.model_dump(exclude_unset=True)["features"]}


# The sketch


@settings(deadline=None)
@given(st.lists(st.lists(FINITE, max_size=50), max_size=8), st.integers(1, 700))
def test_the_weights_of_a_sketch_add_up_and_it_holds_only_given_values(batches: list[list[float]], times: int) -> None:
    sketch = Sketch()
    for batch in batches:
        sketch.add(np.array(batch * times))
    assert sum(len(level) << i for i, level in enumerate(sketch.levels)) == sum(map(len, batches)) * times
    assert {value for level in sketch.levels for value in level} <= {value for batch in batches for value in batch}


@settings(deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=200))
def test_a_sketch_of_few_values_is_exact(values: list[float]) -> None:
    sketch = Sketch()
    sketch.add(np.array(values))
    shares = np.linspace(0, 1, 11)
    assert sketch.quantiles(shares).tolist() == np.quantile(values, shares, method="inverted_cdf").tolist()
    assert sketch.below(np.array(values[:3])).tolist() == [sum(v < x for v in values) for x in values[:3]]
    assert sketch.at_most(np.array(values[:3])).tolist() == [sum(v <= x for v in values) for x in values[:3]]


@pytest.mark.parametrize("size", [997, 20_000, 400_000])
def test_a_sketch_of_many_values_is_small_near_and_the_same_again(size: int) -> None:
    values = np.random.default_rng(0).lognormal(size=400_000)
    sketches = [Sketch(), Sketch()]
    for sketch in sketches:
        for start in range(0, len(values), size):
            sketch.add(values[start : start + size])
    assert sketches[0].levels == sketches[1].levels
    assert sum(map(len, sketches[0].levels)) < 3 * SIZE
    shares = np.arange(1, 100) / 100
    ranks = np.searchsorted(np.sort(values), sketches[0].quantiles(shares)) / len(values)
    assert np.abs(ranks - shares).max() < 0.003


# Statistics


def test_numbers_have_moments_ten_buckets_and_the_sketch() -> None:
    found = described()["gain"]
    numbers = found["numerical_statistics"]
    assert found["inferred_type"] == "Fractional"
    assert list(found) == ["name", "inferred_type", "numerical_statistics"]
    assert list(numbers) == ["common", "mean", "sum", "std_dev", "min", "max", "distribution"]
    assert numbers["common"] == {"num_present": 5, "num_missing": 0}
    assert numbers["mean"] == pytest.approx(3.7)
    assert numbers["sum"] == pytest.approx(18.5)
    assert numbers["std_dev"] == pytest.approx(np.std([0.5, 1.5, 2.5, 3.5, 10.5]))
    assert (numbers["min"], numbers["max"]) == (0.5, 10.5)
    buckets = numbers["distribution"]["kll"]["buckets"]
    assert [list(bucket) for bucket in buckets] == [["lower_bound", "upper_bound", "count"]] * 10
    assert [bucket["count"] for bucket in buckets] == [1, 1, 1, 1, 0, 0, 0, 0, 0, 1]
    assert (buckets[0]["lower_bound"], buckets[-1]["upper_bound"]) == (0.5, 10.5)
    assert numbers["distribution"]["kll"]["sketch"] == {
        "parameters": {"c": 0.64, "k": 2048.0},
        "data": [[0.5, 1.5, 2.5, 3.5, 10.5]],
    }


def test_texts_booleans_and_dates_are_counted_as_requests_hold_them() -> None:
    found = described()
    assert found["plan"]["string_statistics"] == {
        "common": {"num_present": 4, "num_missing": 1},
        "distinct_count": 2.0,
        "distribution": {"categorical": {"buckets": [{"value": "b", "count": 3.0}, {"value": "a", "count": 1.0}]}},
    }
    values = {
        name: [b["value"] for b in found[name]["string_statistics"]["distribution"]["categorical"]["buckets"]]
        for name in ("on", "day")
    }
    assert values == {"on": ["Y", "N"], "day": ["31.01.2024", "31.12.1969"]}
    assert found["age"]["inferred_type"] == "Integral"


def test_a_column_without_values_is_unknown() -> None:
    found = described()["empty"]
    assert found["inferred_type"] == "Unknown"
    assert found["numerical_statistics"] == {"common": {"num_present": 0, "num_missing": 5}}
    assert constrained()["empty"] == {"name": "empty", "inferred_type": "Unknown", "completeness": 0.0}


def test_a_constant_has_ten_buckets_too() -> None:
    numbers = described(pl.DataFrame({"gain": [7.0] * 4}))["gain"]["numerical_statistics"]
    assert [bucket["count"] for bucket in numbers["distribution"]["kll"]["buckets"]] == [0] * 9 + [4]
    assert numbers["std_dev"] == 0


def test_batches_do_not_matter() -> None:
    numbers = np.random.default_rng(1).normal(1e6, 1, 5000)
    rows = pl.DataFrame({"gain": numbers, "city": [f"c{int(x) % 7}" for x in numbers]})
    whole, parts = (model_monitor.statistics(profiled(rows, size)).features for size in (10**9, 333))
    one, other = whole[0].numerical_statistics, parts[0].numerical_statistics
    assert one is not None and other is not None  # noqa: PT018
    assert other.std_dev == pytest.approx(numbers.std(), rel=1e-9)
    assert (one.mean, one.min, one.max) == pytest.approx((other.mean, other.min, other.max), rel=1e-12)
    assert whole[1] == parts[1]


def test_of_many_values_only_their_number_is_kept() -> None:
    many = pl.DataFrame({"city": [f"c{i}" for i in range(MAX_CATEGORIES + 1)]})
    assert "distribution" not in described(many)["city"]["string_statistics"]
    assert described(many)["city"]["string_statistics"]["distinct_count"] == MAX_CATEGORIES + 1
    assert "string_constraints" not in constrained(many)["city"]
    moments = pl.DataFrame({"day": [date(1970, 1, 1) + timedelta(days=i) for i in range(MAX_WORDS + 1000)] * 2})
    found = described(moments)["day"]["string_statistics"]
    assert found["distinct_count"] == pytest.approx(MAX_WORDS + 1000, rel=0.05)


# Constraints


def test_constraints_hold_what_was_seen_and_what_the_contract_allows() -> None:
    found = constrained()
    assert found["age"]["num_constraints"] == {"is_non_negative": True}
    assert found["gain"]["num_constraints"] == {"is_non_negative": False}, "the contract allows -10"
    assert found["plan"]["string_constraints"] == {"domains": ["a", "b", "c"]}, "the contract lists c too"
    assert found["city"]["string_constraints"] == {"domains": ["x", "y", "z"]}
    assert (found["age"]["completeness"], found["city"]["completeness"]) == (0.8, 1.0)
    assert list(found["plan"]) == ["name", "inferred_type", "completeness", "string_constraints"]


def test_negative_numbers_are_allowed_once_they_were_seen() -> None:
    rows = pl.DataFrame({"cost": [-1.0, 2.0]})
    assert constrained(rows)["cost"]["num_constraints"] == {"is_non_negative": False}


def test_the_monitoring_config_is_written_out_in_full(tmp_path: Path) -> None:
    model_monitor.constraints(profiled(ROWS), CONTRACT.columns).save(tmp_path / "constraints.json")
    content = json.loads((tmp_path / "constraints.json").read_text())
    assert list(content) == ["version", "features", "monitoring_config"]
    assert content["monitoring_config"] == {
        "evaluate_constraints": "Enabled",
        "emit_metrics": "Enabled",
        "datatype_check_threshold": 1.0,
        "domain_content_threshold": 1.0,
        "distribution_constraints": {
            "perform_comparison": "Enabled",
            "comparison_threshold": 0.1,
            "comparison_method": "Robust",
            "categorical_comparison_threshold": 0.1,
            "categorical_drift_method": "LInfinity",
        },
    }


# Write, read, equal

NAMES = st.text(min_size=1, max_size=20)
COLUMNS = st.one_of(
    st.tuples(NAMES, st.lists(st.none() | FINITE, max_size=30).map(lambda v: pl.Series(v, dtype=pl.Float64))),
    st.tuples(
        NAMES,
        st.lists(st.none() | st.integers(-(2**53), 2**53), max_size=30).map(lambda v: pl.Series(v, dtype=pl.Int64)),
    ),
    st.tuples(
        NAMES, st.lists(st.none() | st.text(max_size=5), max_size=30).map(lambda v: pl.Series(v, dtype=pl.String))
    ),
    st.tuples(NAMES, st.lists(st.none() | st.booleans(), max_size=30).map(lambda v: pl.Series(v, dtype=pl.Boolean))),
    st.tuples(
        NAMES,
        st.lists(st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), max_size=30).map(
            lambda v: pl.Series(v, dtype=pl.Datetime("us"))
        ),
    ),
)


@settings(deadline=None)
@given(st.lists(COLUMNS, min_size=1, max_size=5))
def test_what_is_written_is_read_back_the_same(tmp_path_factory: pytest.TempPathFactory, columns: Any) -> None:
    profiles = [profiled(values.alias(name).to_frame())[0] for name, values in columns]
    folder = tmp_path_factory.mktemp("files")
    statistics = model_monitor.statistics(profiles)
    constraints = model_monitor.constraints(profiles, {})
    violations = Violations.model_validate(
        {
            "violations": [
                {"feature_name": n, "constraint_check_type": "data_type_check", "description": n} for n, _ in columns
            ]
        }
    )
    shares = {profile.name: drift.distribution(profile) for profile in profiles}
    baseline = DriftBaseline(rows=1, answered=1, prediction=shares[profiles[0].name], features=shares)
    for written in (statistics, constraints, violations, baseline):
        written.save(folder / "file.json")
        assert type(written).load(folder / "file.json") == written
        first = (folder / "file.json").read_bytes()
        type(written).load(folder / "file.json").save(folder / "file.json")
        assert (folder / "file.json").read_bytes() == first


# What the service writes

THEIRS: dict[str, Any] = {
    "version": 0.0,
    "dataset": {"item_count": 3},
    "features": [
        {
            "name": "Churn",
            "inferred_type": "Integral",
            "numerical_statistics": {
                "common": {"num_present": 3, "num_missing": 0},
                "mean": 0.3333,
                "sum": 1.0,
                "std_dev": 0.4714,
                "min": 0.0,
                "max": 1.0,
                "approximate_num_distinct_values": 2,
                "completeness": 1.0,
                "distribution": {
                    "kll": {
                        "buckets": [{"lower_bound": 0.0, "upper_bound": 0.1, "count": 2.0}],
                        "sketch": {"parameters": {"c": 0.64, "k": 2048.0}, "data": [[0.0, 0.0, 1.0], []]},
                    }
                },
            },
        },
        {
            "name": "State",
            "inferred_type": "String",
            "string_statistics": {"common": {"num_present": 3, "num_missing": 0}, "distinct_count": 2.0},
        },
    ],
    "made_by": {"tool": "spark"},
}


def test_statistics_of_the_service_are_read_and_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "theirs.json").write_text(json.dumps(THEIRS))
    read = Statistics.load(tmp_path / "theirs.json")
    assert read.dataset.item_count == 3
    read.save(tmp_path / "ours.json")
    assert json.loads((tmp_path / "ours.json").read_text()) == THEIRS


def test_constraints_of_the_service_are_read_and_kept_whole(tmp_path: Path) -> None:
    theirs = {
        "version": 0,
        "features": [
            {
                "name": "Churn",
                "inferred_type": "Integral",
                "completeness": 1,
                "num_constraints": {"is_non_negative": True},
                "monitoring_config_overrides": {"evaluate_constraints": "Disabled"},
            },
            {"name": "State", "inferred_type": "String", "monitoringConfigOverrides": {}},
        ],
        "monitoring_config": {
            "evaluate_constraints": "Enabled",
            "distribution_constraints": {"comparison_threshold": 0.1},
        },
    }
    (tmp_path / "theirs.json").write_text(json.dumps(theirs))
    read = Constraints.load(tmp_path / "theirs.json")
    read.save(tmp_path / "ours.json")
    assert json.loads((tmp_path / "ours.json").read_text()) == theirs


@pytest.mark.parametrize("name", ["constraint_violations.json", "constraints_violations.json"])
def test_violations_are_found_under_both_names(tmp_path: Path, name: str) -> None:
    violation = {"feature_name": "a", "constraint_check_type": "completeness_check", "description": "gone"}
    (tmp_path / name).write_text(json.dumps({"violations": [violation]}))
    assert Violations.find(tmp_path).violations[0].constraint_check_type == "completeness_check"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read as JSON"),
        ("{", "cannot be read as JSON"),
        ("[]", "valid dictionary"),
        ("{}", "version: Field required"),
        (json.dumps(THEIRS | {"dataset": {"item_count": "many"}}), "dataset.item_count"),
        (json.dumps(THEIRS | {"features": [{"name": "a", "inferred_type": "Date"}]}), "features.0.inferred_type"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "statistics.json").write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        Statistics.load(tmp_path / "statistics.json")
    assert str(tmp_path / "statistics.json") in str(caught.value)
    assert "\n" not in str(caught.value)


# The SDK's own readers


class Session:
    """Instead of S3: the SDK's readers upload what they are given and read it again."""

    default_bucket_prefix = "prefix"
    objects: dict[str, str]

    def __init__(self) -> None:
        self.objects = {}

    def default_bucket(self) -> str:
        return "bucket"

    def upload_string_as_file_body(self, body: str, bucket: str, key: str, kms_key: str | None = None) -> str:
        self.objects[f"{bucket}/{key}"] = body
        return f"s3://{bucket}/{key}"

    def read_s3_file(self, bucket: str, key_prefix: str) -> str:
        return self.objects[f"{bucket}/{key_prefix}"]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    profiles = profiled(ROWS)
    model_monitor.statistics(profiles).save(tmp_path / "statistics.json")
    model_monitor.constraints(profiles, CONTRACT.columns).save(tmp_path / "constraints.json")
    violation = {"feature_name": "a", "constraint_check_type": "data_type_check", "description": "b"}
    Violations.model_validate({"violations": [violation]}).save(tmp_path / "constraint_violations.json")
    return tmp_path


@pytest.mark.sdk
@pytest.mark.filterwarnings("ignore")
def test_the_sdk_reads_our_files_and_we_read_what_it_saves(files: Path) -> None:
    from sagemaker.core.model_monitor import monitoring_files

    pairs: dict[str, tuple[Any, Any]] = {
        "statistics.json": (monitoring_files.Statistics, Statistics),
        "constraints.json": (monitoring_files.Constraints, Constraints),
        "constraint_violations.json": (monitoring_files.ConstraintViolations, Violations),
    }
    for name, (theirs, ours) in pairs.items():
        session = Session()
        read = theirs.from_file_path(str(files / name), sagemaker_session=session)
        assert read.body_dict == json.loads((files / name).read_text())
        if name == "constraints.json":
            read.set_monitoring(False, "plan")
            read.set_monitoring(False)
        read.session = session  # only Constraints keep it
        read.save("s3://bucket/saved.json")
        (files / "saved.json").write_text(session.objects["bucket/saved.json"])
        again = ours.load(files / "saved.json")
        assert again.model_dump(exclude_unset=True) == read.body_dict
        if isinstance(again, Constraints):
            assert again.monitoring_config is not None
            assert again.monitoring_config != MONITORING


# The drift baseline


def test_numbers_are_cut_into_deciles_and_their_shares_add_up() -> None:
    values = np.random.default_rng(2).normal(size=10_000)
    found = drift.distribution(profiled(pl.DataFrame({"gain": values}))[0])
    assert isinstance(found, drift.Numeric)
    assert np.abs(np.array(found.shares) - 0.1).max() < 0.002
    assert sum(found.shares) == pytest.approx(1)
    assert len(found.cuts) == 9
    assert found.minimum == values.min()


def test_numbers_that_repeat_keep_their_own_bins() -> None:
    found = drift.distribution(profiled(pl.DataFrame({"age": [0] * 80 + [1] * 15 + [2] * 5}))[0])
    assert isinstance(found, drift.Numeric)
    assert found.cuts == [0.0, 1.0]
    assert found.shares == pytest.approx([0.8, 0.15, 0.05])


def test_a_constant_is_a_single_bin() -> None:
    found = drift.distribution(profiled(pl.DataFrame({"gain": [7.0] * 4}))[0])
    assert isinstance(found, drift.Numeric)
    assert (found.cuts, found.shares, found.minimum, found.maximum) == ([], [1.0], 7.0, 7.0)


def test_each_kind_of_column_has_its_distribution() -> None:
    found = {column.name: drift.distribution(column) for column in profiled(ROWS, labels=("age",))}
    assert {name: part.kind for name, part in found.items()} == {
        "age": "category",
        "gain": "number",
        "plan": "category",
        "city": "category",
        "on": "category",
        "day": "moment",
        "empty": "empty",
    }
    assert isinstance(found["age"], drift.Category)
    assert found["age"].shares == {"2": 0.5, "1": 0.25, "3": 0.25}
    assert found["age"].missing == 0.2
    day = found["day"]
    assert isinstance(day, drift.Numeric)
    assert day.minimum == -86400.0
    assert day.maximum == 1706659200.0


def test_rare_values_are_the_others() -> None:
    values = [f"c{i}" for i in range(100)] * 2 + ["c0"] * 100
    found = drift.distribution(profiled(pl.DataFrame({"city": values}))[0])
    assert isinstance(found, drift.Category)
    assert len(found.shares) == drift.MAX_LEVELS
    assert next(iter(found.shares)) == "c0"
    assert sum(found.shares.values()) + found.other == pytest.approx(1)


def test_a_drift_baseline_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "drift_baseline.json").write_text(
        json.dumps({"version": 2, "rows": 1, "prediction": {}, "features": {}})
    )
    with pytest.raises(UserError, match="version"):
        DriftBaseline.load(tmp_path / "drift_baseline.json")
