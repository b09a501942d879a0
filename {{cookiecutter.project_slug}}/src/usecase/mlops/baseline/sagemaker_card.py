"""model_card.json: the card as SageMaker Model Cards takes it (`Content` of CreateModelCard).

Source of names and limits: "Model card JSON schema", SageMaker Developer Guide. The card of a model package has the
same schema, but for `model_overview`.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from usecase.mlops.baseline import plots
from usecase.mlops.baseline.card import UNFILLED, calibration_bins, number, problem
from usecase.mlops.baseline.evidence import Evidence

FILE_NAME = "model_card.json"
MAX_CHARACTERS = 100_000  # of the whole content (API reference of CreateModelCard)
MAX_MATRIX = 20
MAX_GROUPS = 200

Name = Annotated[str, Field(min_length=1, max_length=63)]
MetricName = Annotated[str, Field(min_length=1, max_length=255)]
Long = Annotated[str, Field(max_length=2048)]
Middle = Annotated[str, Field(max_length=1024)]
Axis = Annotated[str, Field(max_length=63)]
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
Row = Annotated[list[float], Field(min_length=1, max_length=MAX_MATRIX)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelOverview(_Part):
    """What the model is."""

    model_description: Middle
    algorithm_type: Middle
    problem_type: str


class IntendedUses(_Part):
    """What it is for."""

    purpose_of_model: Long
    intended_uses: Long
    factors_affecting_model_efficiency: Long
    risk_rating: Literal["High", "Medium", "Low", "Unknown"]
    explanations_for_risk_rating: Long


class TrainingDetails(_Part):
    """How it was made."""

    training_observations: Middle


class SimpleMetric(_Part):
    """A number or a word."""

    name: MetricName
    type: Literal["number", "string"]
    value: float | Axis
    notes: Middle | None = None


class LinearGraph(_Part):
    """A line through points (x, y)."""

    name: MetricName
    type: Literal["linear_graph"] = "linear_graph"
    value: Annotated[list[Pair], Field(min_length=1)]
    x_axis_name: Axis
    y_axis_name: Axis


class BarChart(_Part):
    """A bar for each name."""

    name: MetricName
    type: Literal["bar_chart"] = "bar_chart"
    value: Annotated[list[float], Field(min_length=1)]
    x_axis_name: list[Axis]
    y_axis_name: Axis


class Matrix(_Part):
    """A table of numbers."""

    name: MetricName
    type: Literal["matrix"] = "matrix"
    value: Annotated[list[Row], Field(min_length=1, max_length=MAX_MATRIX)]
    x_axis_name: list[Axis]
    y_axis_name: list[Axis]


Metric = SimpleMetric | LinearGraph | BarChart | Matrix


class MetricGroup(_Part):
    """Metrics that belong together."""

    name: Name
    metric_data: list[Metric]


class EvaluationDetails(_Part):
    """One evaluation."""

    name: Name
    evaluation_observation: Annotated[str, Field(max_length=2096)]
    metric_groups: list[MetricGroup]


class AdditionalInformation(_Part):
    """What else there is to know."""

    ethical_considerations: Long
    caveats_and_recommendations: Long
    custom_details: dict[str, Middle]


class ModelCard(_Part):
    """The file."""

    model_overview: ModelOverview
    intended_uses: IntendedUses
    training_details: TrainingDetails
    evaluation_details: list[EvaluationDetails]
    additional_information: AdditionalInformation


def sagemaker_card(evidence: Evidence) -> ModelCard:
    """The card. Text that is too long for SageMaker is cut, with the mark …"""
    words = evidence.words.sections
    groups = [
        _metrics(evidence),
        MetricGroup(name="Quality gates", metric_data=_gates(evidence)),
        MetricGroup(name="Fairness", metric_data=_fairness(evidence)),
        MetricGroup(name="Importance of inputs", metric_data=[_importance(evidence)]),
        MetricGroup(name="Plots", metric_data=_plots(evidence)),
    ]
    risks = words["Risks and ethical considerations"] or UNFILLED
    return ModelCard(
        model_overview=ModelOverview(
            model_description=_cut(f"{evidence.title}: predicts {evidence.target}.", 1024),
            algorithm_type="Gradient-boosted trees (XGBoost)",
            problem_type=problem(evidence).capitalize(),
        ),
        intended_uses=IntendedUses(
            purpose_of_model=_cut(words["Purpose"] or UNFILLED, 2048),
            intended_uses=_cut(words["Intended use"] or UNFILLED, 2048),
            factors_affecting_model_efficiency=_cut(f"Out of scope: {words['Out of scope'] or UNFILLED}", 2048),
            risk_rating=evidence.words.risk_rating,
            explanations_for_risk_rating=_cut(risks, 2048),
        ),
        training_details=TrainingDetails(training_observations=_cut(_training(evidence), 1024)),
        evaluation_details=[
            EvaluationDetails(
                name="Test rows",
                evaluation_observation=f"{evidence.predictions.height} rows that the model was not trained on.",
                metric_groups=[group for group in groups if group.metric_data],
            )
        ],
        additional_information=AdditionalInformation(
            ethical_considerations=_cut(risks, 2048),
            caveats_and_recommendations=_cut(words["Caveats"] or UNFILLED, 2048),
            custom_details={name: _cut(value, 1024) for name, value in evidence.facts.items()},
        ),
    )


def _training(evidence: Evidence) -> str:
    splits = ", ".join(f"{count} {name}" for name, count in evidence.report.splits.items())
    rounds = evidence.model.booster.num_boosted_rounds()
    return f"{evidence.report.rows} rows ({splits}), {evidence.report.features} features, {rounds} boosting rounds."


def _metrics(evidence: Evidence) -> MetricGroup:
    found: list[Metric] = []
    for name, metric in evidence.metrics.items():
        if not math.isfinite(metric["value"]):
            continue  # JSON has no such number
        spread = metric.get("standard_deviation")
        notes = None if spread is None else f"Standard deviation {number(spread)} (bootstrap)"
        found.append(SimpleMetric(name=name, type="number", value=metric["value"], notes=notes))
    return MetricGroup(name=f"{evidence.task}_metrics", metric_data=found)


def _gates(evidence: Evidence) -> list[Metric]:
    return [
        SimpleMetric(
            name=_cut(f"{check.gate}: {check.metric}", 255),
            type="string",
            value=_verdict(check.passed, check.value, check.operator, check.threshold),
            notes=_cut(check.note, 1024) or None,
        )
        for check in evidence.quality.checks
    ]


def _verdict(passed: bool, value: float | None, operator: str, threshold: float | None) -> str:
    word = "passed" if passed else "failed"
    return "not compared" if value is None else f"{word}: {value:.4g} {operator} {threshold:.4g}"


def _fairness(evidence: Evidence) -> list[Metric]:
    found: list[Metric] = [
        SimpleMetric(
            name=_cut(f"{name}, {group.column}={group.group}", 255),
            type="number",
            value=value,
            notes=f"{group.rows} rows",
        )
        for group in evidence.quality.fairness
        for name, value in group.metrics.items()
        if value is not None and math.isfinite(value)
    ]
    return found[:MAX_GROUPS]


def _importance(evidence: Evidence) -> Metric:
    shown = dict(list(evidence.importance.items())[: plots.MAX_BARS])
    return BarChart(
        name="Mean absolute SHAP value",
        value=list(shown.values()),
        x_axis_name=[_cut(name, 63) for name in shown],
        y_axis_name="mean |SHAP value|",
    )


def _plots(evidence: Evidence) -> list[Metric]:
    found: list[Metric] = []
    evaluation = evidence.evaluation
    if roc := evaluation.get("receiver_operating_characteristic_curve"):
        x, y = roc["false_positive_rates"], roc["true_positive_rates"]
        found.append(_line("ROC curve", x, y, "false positive rate", "true positive rate"))
    if pr := evaluation.get("precision_recall_curve"):
        found.append(_line("Precision and recall", pr["recalls"], pr["precisions"], "recall", "precision"))
    counts = evaluation.get("confusion_matrix")
    if counts and len(counts) <= MAX_MATRIX:
        names = [_cut(label, 63) for label in counts]
        table = [[float(row.get(label, 0)) for label in counts] for row in counts.values()]
        found.append(
            Matrix(name="Confusion matrix (actual by predicted)", value=table, x_axis_name=names, y_axis_name=names)
        )
    if evidence.task != "regression":
        said, true, _ = zip(*calibration_bins(evidence), strict=True)
        found.append(_line("Calibration", said, true, "predicted probability", "observed share"))
    return found


def _line(name: str, x: Sequence[float], y: Sequence[float], x_name: str, y_name: str) -> LinearGraph:
    points = [list(point) for point in zip(x, y, strict=True)]
    return LinearGraph(name=name, value=points, x_axis_name=x_name, y_axis_name=y_name)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
