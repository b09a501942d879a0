"""Each gate lets through, and refuses in words and numbers."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usecase.mlops import metrics
from usecase.mlops.champion import Champion
from usecase.mlops.data_report import DataReport
from usecase.mlops.errors import UserError
from usecase.mlops.gates import Limits, judge
from usecase.mlops.metrics import METRICS
from usecase.mlops.scored import Scored

LABELS = {"binary_classification": ["no", "yes"], "multiclass_classification": ["a", "b", "c"], "regression": []}


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Iterator[None]:
    """No gate looks at standard deviations, which are what takes time to measure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "RESAMPLES", 1)
        yield


def report(**changes: Any) -> DataReport:
    content = {
        "data_sha256": "0" * 64,
        "rows": 1000,
        "features": 3,
        "task": "binary_classification",
        "target": {"name": "churned"},
        "warnings": [],
        "flagged_rows": 20,
        "splits": {"train": 700, "validation": 150, "test": 150},
        "overlap": {"validation": 0.0, "test": 0.01},
        "label_shift": {"value": 0.02, "standard_error": 0.01, "part": "test", "class": "yes"},
    }
    return DataReport.model_validate(content | changes)


def classified(actual: list[int], predicted: list[int], **groups: list[str]) -> Scored:
    """Test rows of a binary classifier that is sure of what it says."""
    sure = np.array(predicted, dtype=np.float32)
    labels = LABELS["binary_classification"]
    frame = pl.DataFrame(
        {
            "actual": [labels[i] for i in actual],
            "predicted": [labels[i] for i in predicted],
            "probability_0": 1 - sure,
            "probability_1": sure,
            **{f"group:{column}": names for column, names in groups.items()},
        }
    )
    return Scored("binary_classification", labels, frame)


def measured(actual: list[float], predicted: list[float], **groups: list[str]) -> Scored:
    """Test rows of a regression."""
    columns = {f"group:{column}": names for column, names in groups.items()}
    frame = pl.DataFrame({"actual": actual, "predicted": predicted, **columns})
    return Scored("regression", [], frame)


def right(count: int, of: int = 100) -> Scored:
    """`count` of `of` rows are classified rightly; half of the rows are positive."""
    actual = [i % 2 for i in range(of)]
    return classified(actual, [value if i < count else 1 - value for i, value in enumerate(actual)])


def quality(scored: Scored, champion: Champion | Scored | None = None, **limits: Any) -> dict[str, Any]:
    """quality.json, as a reader of the file has it."""
    if isinstance(champion, Scored):
        champion = Champion("3", champion.answers)
    evaluation = metrics.evaluate(scored.task, scored.answers, scored.labels)
    found = judge(evaluation, report(), scored, champion or Champion("none", note="none yet"), Limits(**limits))
    loaded: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
    assert loaded == found
    assert loaded["failed"] == sum(not check["passed"] for check in loaded["checks"])
    return loaded


def on_data(limits: dict[str, float], **changes: Any) -> dict[str, Any]:
    scored = right(90)
    evaluation = metrics.evaluate(scored.task, scored.answers, scored.labels)
    return judge(evaluation, report(**changes), scored, Champion("none"), Limits(**limits))  # type: ignore[arg-type]


def test_without_limits_there_are_no_gates() -> None:
    assert quality(right(90)) == {
        "failed": 0,
        "reason": "no limit is set",
        "checks": [],
        "fairness": [],
        "champion": None,
    }


def test_threshold() -> None:
    limits = {"accuracy": {"minimum": 0.9}, "log_loss": {"maximum": 5}}
    found = quality(right(90), thresholds=limits)
    assert found["failed"] == 0
    assert found["checks"][0] == {
        "gate": "threshold",
        "metric": "accuracy",
        "value": 0.9,
        "operator": ">=",
        "threshold": 0.9,
        "passed": True,
        "note": "",
    }
    assert found["reason"].startswith("threshold: accuracy 0.9 >= 0.9; threshold: log_loss ")
    found = quality(right(80), thresholds={"accuracy": {"minimum": 0.9}, "recall": {"maximum": 0.7}})
    assert found["failed"] == 2
    assert found["reason"] == "threshold: accuracy 0.8 is not >= 0.9; threshold: recall 0.8 is not <= 0.7"


def test_numbers_that_differ_look_different() -> None:
    found = quality(right(90), thresholds={"accuracy": {"minimum": 0.900001}})
    assert found["reason"] == "threshold: accuracy 0.9 is not >= 0.900001"


def test_unknown_metrics_are_named_with_their_setting() -> None:
    known = "use one of auc, accuracy, precision, recall, f1, log_loss"
    with pytest.raises(UserError, match=f"^quality.binary_classification.acuracy: no such metric: {known}$"):
        quality(right(90), thresholds={"acuracy": {"minimum": 0.9}})
    with pytest.raises(UserError, match=f"^quality.champion.metric: no such metric 'r2': {known}$"):
        quality(right(90), champion_metric="r2")
    with pytest.raises(UserError, match=f"^quality.champion.metric: no such metric 'confusion_matrix': {known}$"):
        quality(right(90), champion_metric="confusion_matrix")
    with pytest.raises(UserError, match=f"^quality.fairness.metric: no such metric 'r2': {known}, selection_rate$"):
        quality(right(90), fairness_metric="r2", maximum_fairness_gap=0.1)


def test_a_metric_of_ones_own_can_be_a_threshold_and_nothing_else() -> None:
    scored = right(90)
    evaluation = metrics.evaluate(scored.task, scored.answers, scored.labels)
    evaluation["binary_classification_metrics"]["cost"] = {"value": 7.0, "standard_deviation": 0.0}

    def judged(**limits: Any) -> dict[str, Any]:
        return judge(evaluation, report(), scored, Champion("none"), Limits(**limits))

    assert judged(thresholds={"cost": {"maximum": 5}})["reason"] == "threshold: cost 7 is not <= 5"
    words = r"'cost' is your own and can only be a threshold: use one of auc, "
    with pytest.raises(UserError, match=rf"^quality\.champion\.metric: {words}"):
        judged(champion_metric="cost")
    with pytest.raises(UserError, match=rf"^quality\.fairness\.metric: {words}"):
        judged(fairness_metric="cost", maximum_fairness_gap=0.1)


def test_champion() -> None:
    limits = {"champion_metric": "accuracy", "champion_tolerance": 0.02}
    found = quality(right(93), right(95), **limits)
    assert found["failed"] == 0
    assert found["checks"][0]["note"] == "version 3: 0.95"
    assert found["champion"] == {"version": "3", "metric": "accuracy", "value": 0.93, "champion_value": 0.95}
    found = quality(right(91), right(95), **limits)
    assert found["failed"] == 1
    assert found["reason"] == "champion: accuracy 0.91 is below 0.95 of version 3 by 0.04, more than 0.02 allowed"
    assert found["checks"][0]["operator"] == ">="
    assert found["checks"][0]["threshold"] == pytest.approx(0.93)


def test_errors_are_compared_with_the_champion_by_their_ratio() -> None:
    actual = [float(i) for i in range(100)]
    champion = measured(actual, [value + 10 for value in actual])
    limits = {"champion_metric": "mae", "champion_tolerance": 0.02}
    assert quality(measured(actual, [value + 10.2 for value in actual]), champion, **limits)["failed"] == 0
    found = quality(measured(actual, [value + 12 for value in actual]), champion, **limits)
    assert found["reason"] == "champion: mae 12 is above 10 of version 3 by 20 %, more than 2 % allowed"
    assert found["checks"][0]["operator"] == "<="
    assert found["checks"][0]["threshold"] == pytest.approx(10.2)


def test_a_better_model_always_passes() -> None:
    assert quality(right(99), right(95), champion_metric="accuracy")["failed"] == 0
    assert quality(right(99), right(95), champion_metric="log_loss")["failed"] == 0


def test_no_champion_passes_and_says_so() -> None:
    found = quality(right(90), Champion("none", note="no version is approved yet"), champion_metric="auc")
    check = found["checks"][0]
    assert (check["passed"], check["value"], check["note"]) == (True, None, "no version is approved yet")
    assert found["champion"] is None
    assert found["failed"] == 0


@settings(max_examples=40, deadline=None)
@given(task=st.sampled_from(list(METRICS)), seed=st.integers(0, 2**32 - 1), rows=st.integers(2, 60))
def test_a_model_that_equals_its_champion_always_passes(task: str, seed: int, rows: int) -> None:
    generator = np.random.default_rng(seed)
    labels = LABELS[task]
    if labels:
        probabilities = generator.dirichlet(np.ones(len(labels)), rows).astype(np.float32)
        names = {f"probability_{i}": probabilities[:, i] for i in range(len(labels))}
        actual = [labels[i] for i in generator.permutation(np.arange(rows) % len(labels))]
        predicted = [labels[i] for i in probabilities.argmax(axis=1)]
        scored = Scored(task, labels, pl.DataFrame({"actual": actual, "predicted": predicted, **names}))
    else:
        scored = measured(generator.normal(size=rows).tolist(), generator.normal(size=rows).tolist())
    again = scored.answers_of(scored.frame.drop("actual"))
    for metric in METRICS[task]:
        found = quality(scored, Champion("1", again), champion_metric=metric, champion_tolerance=0.0)
        assert found["failed"] == 0, found["reason"]
        assert found["champion"]["value"] == found["champion"]["champion_value"]


def by_sex(women: int, men: int, of: int = 50) -> Scored:
    """All rows are positive; so many of each sex are found. Three more rows are of no known sex, and none is found."""
    found = [i < women for i in range(of)] + [i < men for i in range(of)] + [False] * 3
    sex = ["f"] * of + ["m"] * of + ["(missing)"] * 3
    return classified([1] * len(found), [int(hit) for hit in found], sex=sex)


def test_fairness() -> None:
    scored = by_sex(women=35, men=42)
    found = judge(
        {"binary_classification_metrics": {}},
        report(),
        scored,
        Champion("none"),
        Limits(fairness_metric="recall", maximum_fairness_gap=0.2),
    )
    assert found["failed"] == 0
    check = found["checks"][0]
    assert check["value"] == pytest.approx(0.14)
    assert check["note"] == "sex=f 0.7, sex=m 0.84; not judged: sex=(missing) (3 rows)"
    assert found["fairness"][1]["column"] == "sex"
    assert found["fairness"][1]["group"] == "f"
    assert found["fairness"][1]["rows"] == 50
    assert found["fairness"][1]["metrics"]["recall"] == pytest.approx(0.7)
    assert found["fairness"][1]["metrics"]["selection_rate"] == pytest.approx(0.7)
    assert found["fairness"][1]["metrics"]["auc"] is None


def test_an_unfair_model_is_refused() -> None:
    actual = [1, 0] * 100
    sex = ["f", "f", "m", "m"] * 50
    predicted = [
        0 if group == "f" and i % 10 < 4 else value for i, (value, group) in enumerate(zip(actual, sex, strict=True))
    ]
    found = quality(classified(actual, predicted, sex=sex), fairness_metric="recall", maximum_fairness_gap=0.2)
    low = next(group for group in found["fairness"] if group["group"] == "f")["metrics"]["recall"]
    assert found["failed"] == 1
    assert found["reason"] == f"fairness: recall of sex=f {low:.4g} and sex=m 1 differ by {1 - low:.4g}, more than 0.2"
    found = quality(classified(actual, predicted, sex=sex), fairness_metric="selection_rate", maximum_fairness_gap=0.1)
    assert found["reason"].startswith("fairness: selection_rate of sex=f ")


def test_fairness_of_errors_is_a_share_of_the_error_of_all_rows() -> None:
    region = ["n"] * 40 + ["s"] * 40
    scored = measured([0.0, 1.0] * 40, [3.0, 4.0] * 20 + [5.0, 6.0] * 20, region=region)
    found = quality(scored, fairness_metric="mae", maximum_fairness_gap=0.2)
    assert found["reason"] == "fairness: mae of region=n 3 and region=s 5 differ by 50 %, more than 20 %"
    assert quality(scored, fairness_metric="mae", maximum_fairness_gap=0.5)["failed"] == 0


def test_groups_that_cannot_be_judged_are_named() -> None:
    found = quality(right(90), fairness_metric="accuracy", maximum_fairness_gap=0.1)
    assert found["checks"][0]["note"] == "no column of the contract is protected"
    actual = [i % 2 for i in range(40)] + [0] * 40
    group = ["a"] * 40 + ["b"] * 40
    found = quality(classified(actual, actual, kind=group), fairness_metric="recall", maximum_fairness_gap=0.1)
    assert found["failed"] == 0
    assert found["checks"][0]["value"] is None
    assert found["checks"][0]["note"] == (
        "kind has fewer than two groups to compare; not judged: kind=b (recall is undefined)"
    )


def test_overlap() -> None:
    limits = {"maximum_overlap": 0.2}
    found = on_data(limits)
    assert found["failed"] == 0
    assert [check["metric"] for check in found["checks"]] == ["validation rows in train", "test rows in train"]
    found = on_data(limits, overlap={"validation": 0.0, "test": 0.31})
    assert found["failed"] == 1
    assert found["reason"] == "overlap: 31 % of the test rows stand in the training rows too, more than 20 %"


def test_label_shift() -> None:
    limits = {"maximum_label_shift": 0.1}
    shift = {"value": 0.15, "standard_error": 0.01, "part": "test", "class": "yes"}
    found = on_data(limits)
    assert found["failed"] == 0
    assert found["checks"][0]["metric"] == "shift in the share of yes, test"
    found = on_data(limits, label_shift=shift)
    assert found["reason"] == (
        "label_shift: the share of yes differs by 0.15 between the test and the training rows (standard error 0.01),"
        " more than 0.1"
    )
    found = on_data(limits, label_shift=shift | {"class": None})
    assert found["reason"] == (
        "label_shift: the mean of the target differs by 0.15 standard deviations between the test and the training rows"
        " (standard error 0.01), more than 0.1"
    )


def test_a_label_shift_that_may_be_luck_passes_with_a_note() -> None:
    shift = {"value": 0.15, "standard_error": 0.06, "part": "test", "class": "yes"}
    found = on_data({"maximum_label_shift": 0.1}, label_shift=shift)
    assert found["failed"] == 0
    assert found["checks"][0]["note"] == "3 standard errors: may be luck; the limit is 0.1"
    assert found["reason"].startswith("label_shift: shift in the share of yes, test 0.15 <= 0.18 (3 standard errors")
    assert on_data({"maximum_label_shift": 0.1}, label_shift=shift | {"value": 0.19})["failed"] == 1


def test_contract() -> None:
    limits = {"maximum_flagged_rows": 0.1}
    assert on_data(limits)["failed"] == 0
    found = on_data(limits, flagged_rows=120)
    assert found["failed"] == 1
    assert found["reason"] == (
        "contract: 12 % of the rows (120 of 1000) have a value that is out of range or of no known category,"
        " more than 10 %"
    )


def test_many_reasons_stay_one_line() -> None:
    limits = {name: {"minimum": 2.0} for name in ("auc", "accuracy", "precision", "recall", "f1")}
    found = quality(right(90), thresholds=limits | {"log_loss": {"maximum": 0.0}}, maximum_overlap=0.001)
    assert found["failed"] == 7
    assert found["reason"].endswith("; and 2 more")
    assert "\n" not in found["reason"]
