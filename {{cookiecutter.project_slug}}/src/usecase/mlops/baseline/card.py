"""The model card: its sections, as text, tables and plots."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from usecase.mlops.baseline import plots
from usecase.mlops.baseline.blocks import Block, Card, Figures, Section, Table, Text, Tile, Verdict
from usecase.mlops.baseline.evidence import Check, Evidence
from usecase.mlops.baseline.plots import Plot
from usecase.mlops.baseline.words import SECTIONS
from usecase.mlops.contract import Column
from usecase.mlops.gates import MIN_GROUP_ROWS

UNFILLED = "Not filled in. The team writes it in `docs/model_card.md`."
# The metric that stands for the model, by kind of problem.
MAIN_METRICS = {"binary_classification": "auc", "multiclass_classification": "accuracy", "regression": "r2"}
SIGNS = {"<=": "≤", ">=": "≥"}
MAX_LISTED = 10


def make_card(evidence: Evidence) -> Card:
    """The card for what is known of a model."""
    words = evidence.words.sections
    own = [Section(title, [Text(body)]) for title, body in words.items() if title not in SECTIONS and body]
    unfilled = evidence.words.unfilled
    return Card(
        title=evidence.title,
        summary=_summary(evidence),
        tiles=list(_tiles(evidence)),
        notice=f"The team has not filled in: {', '.join(unfilled)}." if unfilled else "",
        sections=[
            Section("Purpose and use", [Text(_own_words(evidence, title)) for title in SECTIONS[:3]]),
            Section("Quality gates", _gates(evidence)),
            Section("Performance on the test rows", _performance(evidence)),
            Section("Comparison with the champion", [Text(_champion(evidence))]),
            Section("Fairness between groups", list(_fairness(evidence))),
            Section("What the model looks at", _importance(evidence)),
            Section("Data", list(_data(evidence))),
            Section("Limits", [Text("\n".join(f"- {limit}" for limit in _limits(evidence)))]),
            Section("Risks and caveats", [Text(_own_words(evidence, title)) for title in SECTIONS[3:]]),
            *own,
            Section("Lineage", [Table(("what", "value"), [(name, f"`{v}`") for name, v in evidence.facts.items()])]),
        ],
    )


def number(value: float | None) -> str:
    """A number in four digits, as people write it."""
    if value is None or math.isnan(value):
        return "-"
    if abs(value) >= 10_000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def problem(evidence: Evidence) -> str:
    """The kind of problem in words."""
    return evidence.task.replace("_", " ").replace("multiclass", "multi-class")


def calibration_bins(evidence: Evidence) -> list[tuple[float, float, int]]:
    """What probability was said and how often it came true: of the positive class, else of the predicted one."""
    predictions, classes = evidence.predictions, evidence.classes
    if len(classes) == 2:
        said, true = predictions["probability_1"], predictions["actual"] == classes[1]
    else:
        said = predictions.select(f"probability_{i}" for i in range(len(classes))).max_horizontal()
        true = predictions["actual"] == predictions["predicted"]
    return plots.bins_of(said.to_numpy().astype(np.float64), true.to_numpy().astype(np.float64))


def _own_words(evidence: Evidence, title: str) -> str:
    rating = f"Risk rating: **{evidence.words.risk_rating}**\n\n" if title.startswith("Risks") else ""
    return f"### {title}\n\n{rating}{evidence.words.sections[title] or f'*{UNFILLED}*'}"


def _summary(evidence: Evidence) -> str:
    inputs, trees = len(evidence.model.preprocessor.inputs), evidence.model.booster.num_boosted_rounds()
    return (
        f"{problem(evidence).capitalize()}: predicts **{evidence.target}** from {inputs} inputs,"
        f" by gradient-boosted trees (XGBoost, {trees:,} rounds)."
    )


def _tiles(evidence: Evidence) -> Iterator[Tile]:
    quality, splits = evidence.quality, evidence.report.splits
    compared = [check for check in quality.checks if check.value is not None]
    idle = len(quality.checks) - len(compared)
    yield Tile(
        "Quality gates",
        f"{sum(check.passed for check in compared)} of {len(compared)} passed" if compared else "none",
        f"{idle} could not be compared" if idle else "",
        tone="bad" if quality.failed else "good" if compared else "plain",
    )
    name = MAIN_METRICS[evidence.task]
    name = name if name in evidence.metrics else next(iter(evidence.metrics))
    metric = evidence.metrics[name]
    note = f"± {_spread(metric)} on {evidence.predictions.height:,} test rows"
    yield Tile(_label(name), number(metric["value"]), note)
    if quality.champion:
        difference = quality.champion.value - quality.champion.champion_value
        note = f"{_label(quality.champion.metric)} against version {quality.champion.version}"
        yield Tile("Champion", f"{difference:+.4f}", note)
    else:
        asked = next((check.note for check in quality.checks if check.gate == "champion"), "")
        yield Tile("Champion", "not compared", asked or "the gate is not set")
    yield Tile(
        "Rows", f"{evidence.report.rows:,}", f"{splits.get('train', 0):,} to train, {splits.get('test', 0):,} to test"
    )


def _gates(evidence: Evidence) -> list[Block]:
    if not evidence.quality.checks:
        return [Text("No limit is set in `config/`, so that any model passes.")]
    rows = [
        (
            check.gate.replace("_", " "),
            _verdict(check),
            _label(check.metric),
            number(check.value),
            f"{SIGNS[check.operator]} {number(check.threshold)}" if check.threshold is not None else "",
            check.note,
        )
        for check in evidence.quality.checks
    ]
    return [Table(("gate", "verdict", "measure", "value", "limit", "note"), rows, frozenset({3, 4}))]


def _verdict(check: Check) -> Verdict:
    if not check.passed:
        return Verdict("failed", "bad")
    return Verdict("passed", "good") if check.value is not None else Verdict("not compared", "plain")


def _performance(evidence: Evidence) -> list[Block]:
    rows = [(_label(name), number(metric["value"]), _spread(metric)) for name, metric in evidence.metrics.items()]
    text = (
        f"{evidence.predictions.height:,} rows that the model was not trained on. The standard deviation (bootstrap)"
        " says how far a metric would move with other test rows of the same kind."
    )
    return [
        Text(text),
        Table(("metric", "value", "standard deviation"), rows, frozenset({1, 2})),
        Figures(list(_plots(evidence))),
    ]


def _plots(evidence: Evidence) -> Iterator[Plot]:
    if evidence.task == "regression":
        yield from _regression_plots(evidence)
        return
    found = evidence.evaluation
    if roc := found.get("receiver_operating_characteristic_curve"):
        label = f"model (area {number(found['auc']['value'])})" if "auc" in found else "model"
        note = "How many of the positive rows are found, for each share of false alarms."
        axes = ("false positive rate", "true positive rate")
        svg = plots.curve(roc["false_positive_rates"], roc["true_positive_rates"], axes, [0, 1], label)
        yield Plot("roc", "ROC curve", note, svg)
    if pr := found.get("precision_recall_curve"):
        positive, actual = evidence.classes[-1], evidence.predictions["actual"]
        share = int((actual == positive).sum()) / len(actual)
        note = (
            f"Precision: how many of the rows called {positive} are it. Recall: how many of all {positive} are found."
        )
        svg = plots.curve(pr["recalls"], pr["precisions"], ("recall", "precision"), [share, share], "model")
        yield Plot("precision_recall", "Precision and recall", note, svg)
    counts = found.get("confusion_matrix", {})
    if 0 < len(counts) <= plots.MAX_CLASSES:
        note = "Test rows by actual and predicted class; stronger colour, larger share of the actual class."
        yield Plot("confusion", "Confusion matrix", note, plots.confusion(counts))
    bins = calibration_bins(evidence)
    gap = sum(rows * abs(said - true) for said, true, rows in bins) / evidence.predictions.height
    what = (
        f"probability of {evidence.classes[1]}" if len(evidence.classes) == 2 else "probability of the predicted class"
    )
    note = f"The {what}, in bins of as many rows each; off by {gap:.3f} on average. Whiskers: two standard errors."
    yield Plot("calibration", "Calibration", note, plots.calibration(bins))


def _regression_plots(evidence: Evidence) -> Iterator[Plot]:
    actual, predicted = (evidence.predictions[name].to_numpy().astype(np.float64) for name in ("actual", "predicted"))
    errors, name, unit = predicted - actual, evidence.target, evidence.model.contract.target.unit
    note = "On the dashed line a prediction is right; the means show whether it is right on average (calibration)."
    yield Plot("actual_predicted", "Actual and predicted", note, plots.actual_and_predicted(actual, predicted, name))
    note = f"Half of the test rows are off by less than {number(float(np.median(np.abs(errors))))}."
    yield Plot("residuals", "Errors", note, plots.residuals(errors, unit))
    note = "Errors should lie evenly around zero wherever the prediction is."
    svg = plots.residuals_by_prediction(predicted, errors, name, unit)
    yield Plot("residuals_predicted", "Errors by prediction", note, svg)


def _champion(evidence: Evidence) -> str:
    champion = evidence.quality.champion
    if champion is None:
        notes = [check.note for check in evidence.quality.checks if check.gate == "champion" and check.note]
        return f"Not compared: {notes[0]}." if notes else "Not compared with an approved version."
    difference = champion.value - champion.champion_value
    return (
        f"Version {champion.version}, the newest approved one, has {_label(champion.metric)}"
        f" {number(champion.champion_value)} on the same test rows; this model has {number(champion.value)}"
        f" ({difference:+.4f})."
    )


def _fairness(evidence: Evidence) -> Iterator[Block]:
    groups = evidence.quality.fairness
    if not groups:
        yield Text("Not measured: no column of the data contract is marked as `protected`.")
        return
    wanted = next((c.metric.split()[0] for c in evidence.quality.checks if c.gate == "fairness"), "")
    names = list(groups[0].metrics)
    shown = ([wanted] if wanted in names else []) + [name for name in names if name != wanted]
    yield Text(f"Metrics of the test rows in each group. A group of less than {MIN_GROUP_ROWS} rows says little.")
    figures: list[Plot] = []
    for column in dict.fromkeys(group.column for group in groups):
        members = [group for group in groups if group.column == column]
        rows = [(g.group, f"{g.rows:,}", *(number(g.metrics.get(name)) for name in shown)) for g in members]
        head = (column, "rows", *map(_label, shown))
        yield Table(head, rows, frozenset(range(1, len(head))))
        measured = {f"{g.group} ({g.rows:,})": v for g in members if (v := g.metrics.get(shown[0])) is not None}
        overall = evidence.metrics.get(shown[0], {}).get("value")
        if measured:
            svg = plots.bars(measured, _label(shown[0]), plots.ORANGE, overall)
            note = f"{_label(shown[0])} by group, with rows in brackets" + (
                "; dashed: all test rows." if overall is not None else "."
            )
            figures.append(Plot(f"groups_{len(figures) + 1}", f"Groups of {column}", note, svg))
    yield Figures(figures)


def _importance(evidence: Evidence) -> list[Block]:
    unit = f"the unit of {evidence.target}" if evidence.task == "regression" else "log-odds"
    text = (
        f"How far each input moves a prediction, on average: mean absolute SHAP value over {evidence.explained_rows:,}"
        f" training rows, in {unit}. It says what the model uses, not what causes the target."
    )
    more = len(evidence.importance) - plots.MAX_BARS
    note = f"The first {plots.MAX_BARS} of {len(evidence.importance)} inputs." if more > 0 else "All inputs."
    svg = plots.bars(evidence.importance, "mean |SHAP value|")
    return [Text(text), Figures([Plot("importance", "Importance of inputs", note, svg)])]


def _data(evidence: Evidence) -> Iterator[Block]:
    report = evidence.report
    parts = [f"{count:,} {name} ({count / max(1, report.rows):.0%})" for name, count in report.splits.items()]
    yield Text(f"{report.rows:,} rows with {report.features} features, split by a stable hash: {', '.join(parts)}.")
    if report.warnings:
        yield Text("The data check let through:\n" + "\n".join(f"- {warning}" for warning in report.warnings))
    columns = evidence.model.contract.features
    rows = [(c.name, c.type, _allowed(c), f"{evidence.missing.get(c.name, 0.0):.1%}", c.description) for c in columns]
    head = ("input", "type", "values", "missing", "description")
    yield Table(head, rows, frozenset({3}), summary=f"The {len(columns)} inputs of a request")


def _allowed(column: Column) -> str:
    limits = column.constraints
    unit = f" {column.unit}" if column.unit else ""
    if limits.enum:
        return _listed([str(value) for value in limits.enum])
    if limits.minimum is not None and limits.maximum is not None:
        return f"{limits.minimum} to {limits.maximum}{unit}"
    return f"any{unit}"


def _limits(evidence: Evidence) -> Iterator[str]:
    policy = evidence.model.contract.policy
    unseen = "counts as missing" if policy.unseen_category == "missing" else "is refused"
    beyond = "is answered all the same" if policy.out_of_range == "flag" else "is refused"
    yield f"A category that the contract does not list {unseen}; a value out of the contract's range {beyond}."
    if evidence.task != "regression":
        yield "A row gets the class with the largest probability; costs of different errors are not weighed."
    gaps = {name: share for name, share in evidence.missing.items() if share > 0}
    if gaps:
        most = sorted(gaps, key=lambda name: -gaps[name])
        listed = _listed([f"{name} ({gaps[name]:.1%})" for name in most])
        yield f"Values were missing in {len(gaps)} of {len(evidence.missing)} inputs of the training rows: {listed}."
    small = [f"{g.column}={g.group} ({g.rows})" for g in evidence.quality.fairness if g.rows < MIN_GROUP_ROWS]
    if small:
        yield f"Too few test rows to judge these groups: {_listed(small)}."
    if not evidence.quality.fairness:
        yield "It is not known whether the model serves groups of people alike."
    yield "Metrics hold for data like the test rows. Nothing is said here about data that has drifted since."


def _listed(words: list[str]) -> str:
    more = [f"and {len(words) - MAX_LISTED} more"] if len(words) > MAX_LISTED else []
    return ", ".join([*words[:MAX_LISTED], *more])


def _label(name: str) -> str:
    """A metric's name as people write it."""
    known = {"auc": "AUC", "r2": "R²", "mae": "MAE", "mse": "MSE", "rmse": "RMSE", "f1": "F1", "log_loss": "log loss"}
    first, _, rest = name.partition(" ")
    return " ".join(filter(None, [known.get(first, first.replace("_", " ").replace(" f1", " F1")), rest]))


def _spread(metric: Mapping[str, float]) -> str:
    spread = metric.get("standard_deviation")
    return "unknown" if spread is None else number(float(f"{spread:.2g}"))
