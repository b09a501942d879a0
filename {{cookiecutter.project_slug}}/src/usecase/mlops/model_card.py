"""The model card: SageMaker's JSON, and a page for people, made of what was measured and of the team's own words.

JSON: "Model card JSON schema", SageMaker Developer Guide. Page: one HTML file that needs nothing beside it, and the same
as Markdown with its plots as SVG files.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import polars as pl

from usecase.mlops import plots
from usecase.mlops.errors import UserError
from usecase.mlops.files import write_json
from usecase.mlops.model import Model

SECTIONS = ("Purpose", "Intended use", "Out of scope", "Risk rating", "Ethical considerations", "Caveats")
RATINGS = ("Low", "Medium", "High", "Unknown")
UNFILLED = "Not filled in yet: write it in docs/model_card.md."
LIMIT = 2048  # characters of a text in SageMaker's schema

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True)
class Evidence:
    """All that a card is made of. `facts`: lineage by name. `quality`, `evaluation`, `report`: Evaluate's files."""

    group: str
    facts: Mapping[str, str]
    model: Model
    evaluation: Mapping[str, Any]
    quality: Mapping[str, Any]
    report: Mapping[str, Any]
    predictions: pl.DataFrame
    importance: Mapping[str, float]
    words: Mapping[str, str]

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics that are one number, by name."""
        return {name: m for name, m in next(iter(self.evaluation.values())).items() if "value" in m}


@dataclass(frozen=True)
class Plot:
    """A picture with its title and what to see in it."""

    title: str
    note: str
    svg: str


def read_words(path: Path) -> dict[str, str]:
    """The team's own text by section of docs/model_card.md; "" for a section without text. Raises UserError."""
    file = next(iter(sorted(path.glob("*.md"))), path) if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as text ({error})") from None
    parts = re.split(r"^##[ \t]+(.+?)[ \t]*$", _COMMENT.sub("", text), flags=re.MULTILINE)
    given = {title.strip(): body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}
    if unknown := [title for title in given if title not in SECTIONS]:
        raise UserError(f"{file}: section {unknown[0]!r} is not known: use {', '.join(SECTIONS)}")
    for title, body in given.items():
        if len(body) > LIMIT:
            raise UserError(f"{file}: section {title!r} has {len(body)} characters: SageMaker's card takes {LIMIT}")
    return {title: given.get(title, "") for title in SECTIONS}


def write_card(folder: Path, evidence: Evidence) -> None:
    """Write model_card.json, model_card.html, model_card.md and its plots into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = make_plots(evidence)
    write_json(folder / "model_card.json", content(evidence))
    (folder / "model_card.html").write_text(page(evidence, pictures), encoding="utf-8")
    (folder / "model_card.md").write_text(markdown(evidence, pictures), encoding="utf-8")
    for number, plot in enumerate(pictures, start=1):
        (folder / f"plot-{number}.svg").write_text(plot.svg, encoding="utf-8")


def content(evidence: Evidence) -> dict[str, Any]:
    """The card in SageMaker's schema."""
    words = evidence.words
    rating = next((word for word in RATINGS if words["Risk rating"].lower().startswith(word.lower())), "Unknown")
    numbers = [
        {"name": name, "type": "number", "value": m["value"], "notes": _spread(m)}
        for name, m in evidence.metrics.items()
    ]
    gates = [
        {"name": f"{check['gate']}: {check['metric']}", "type": "string", "value": _verdict(check)}
        for check in evidence.quality["checks"]
    ]
    groups = [{"name": "Test rows", "metric_data": numbers}]
    if gates:
        groups.append({"name": "Gates", "metric_data": gates})
    out_of_scope = f"\n\nOut of scope: {words['Out of scope']}" if words["Out of scope"] else ""
    return {
        "model_overview": {
            "model_description": f"{evidence.group}: {_problem(evidence)}",
            "algorithm_type": "XGBoost gradient-boosted trees",
            "problem_type": evidence.model.preprocessor.task.replace("_", " "),
        },
        "intended_uses": {
            "purpose_of_model": words["Purpose"] or UNFILLED,
            "intended_uses": ((words["Intended use"] or UNFILLED) + out_of_scope)[:LIMIT],
            "risk_rating": rating,
            "explanations_for_risk_rating": words["Risk rating"] or UNFILLED,
        },
        "training_details": {
            "training_observations": f"{evidence.report['splits']['train']} training rows of {evidence.report['rows']}."
        },
        "evaluation_details": [{"name": "Evaluation", "metric_groups": groups}],
        "additional_information": {
            "ethical_considerations": words["Ethical considerations"] or UNFILLED,
            "caveats_and_recommendations": words["Caveats"] or UNFILLED,
            "custom_details": {name: value[:256] for name, value in evidence.facts.items()},
        },
    }


def make_plots(evidence: Evidence) -> list[Plot]:
    """The pictures of the card; which ones depends on the kind of problem."""
    section = next(iter(evidence.evaluation.values()))
    predictions, task = evidence.predictions, evidence.model.preprocessor.task
    found = []
    if task == "regression":
        actual, predicted = (predictions[name].to_numpy() for name in ("actual", "predicted"))
        name = evidence.model.preprocessor.target
        found.append(
            Plot(
                "Actual and predicted",
                "Each point is a test row; on the dashed line the prediction is right.",
                plots.actual_and_predicted(actual, predicted, name),
            )
        )
        found.append(
            Plot(
                "Errors",
                "How far predictions are off, in the unit of the target.",
                plots.residuals(predicted - actual, name),
            )
        )
    else:
        if task == "binary_classification":
            roc, pr = section["receiver_operating_characteristic_curve"], section["precision_recall_curve"]
            found.append(
                Plot(
                    "ROC curve",
                    f"Area {section['auc']['value']:.3f}; 0.5 is chance, 1 is perfect.",
                    plots.curve(
                        roc["false_positive_rates"],
                        roc["true_positive_rates"],
                        ("false positive rate", "true positive rate"),
                        chance=True,
                    ),
                )
            )
            found.append(
                Plot(
                    "Precision and recall",
                    "What each threshold of the probability would give.",
                    plots.curve(pr["recalls"], pr["precisions"], ("recall", "precision"), chance=False),
                )
            )
        found.append(
            Plot(
                "Confusion matrix",
                "Test rows by true and predicted class.",
                plots.confusion(section["confusion_matrix"]),
            )
        )
        found.append(
            Plot(
                "Calibration",
                "Of the rows that get a probability of 0.8, about 80 % should be true.",
                plots.calibration(*_confidence(evidence)),
            )
        )
    found.append(
        Plot(
            "What the model looks at",
            f"Mean absolute SHAP value per input, {_margin(task)}.",
            plots.bars(evidence.importance, "mean |SHAP value|"),
        )
    )
    fairness = evidence.quality["fairness"]
    for column in dict.fromkeys(group["column"] for group in fairness):
        of_column = [group for group in fairness if group["column"] == column]
        metric = next(iter(of_column[0]["metrics"]))
        found.append(
            Plot(
                f"Groups of {column}",
                f"{metric} in each group of this protected column.",
                plots.groups(of_column, metric),
            )
        )
    return found


def page(evidence: Evidence, pictures: Sequence[Plot]) -> str:
    """The card as one HTML file."""
    escape = html.escape
    words = "".join(f"<section><h3>{title}</h3>{_paragraphs(body)}</section>" for title, body in evidence.words.items())
    checks = "".join(
        f'<tr><td>{escape(c["gate"].replace("_", " "))}</td><td>{escape(c["metric"])}</td><td class="n">{_number(c["value"])}</td>'
        f'<td class="n">{escape(c["operator"])} {_number(c["threshold"])}</td>'
        f'<td class="{"ok" if c["passed"] else "bad"}">{"passed" if c["passed"] else "failed"}</td><td>{escape(c["note"])}</td></tr>'
        for c in evidence.quality["checks"]
    )
    numbers = "".join(
        f'<tr><td>{escape(name)}</td><td class="n">{_number(m["value"])}</td><td class="n">{_number(m.get("standard_deviation"))}</td></tr>'
        for name, m in evidence.metrics.items()
    )
    facts = "".join(
        f"<tr><td>{escape(name)}</td><td><code>{escape(value)}</code></td></tr>"
        for name, value in evidence.facts.items()
    )
    figures = "".join(
        f"<figure><figcaption><strong>{escape(plot.title)}</strong><br>{escape(plot.note)}</figcaption>{plot.svg}</figure>"
        for plot in pictures
    )
    failed = evidence.quality["failed"]
    return _PAGE.substitute(
        title=escape(evidence.group),
        problem=escape(_problem(evidence)),
        verdict=f"{failed} of {len(evidence.quality['checks'])} gates failed"
        if failed
        else f"all {len(evidence.quality['checks'])} gates passed",
        verdict_class="bad" if failed else "ok",
        data=escape(_data(evidence)),
        words=words,
        checks=checks,
        numbers=numbers,
        facts=facts,
        figures=figures,
        warnings="".join(f"<li>{escape(text)}</li>" for text in evidence.report["warnings"]) or "<li>none</li>",
    )


def markdown(evidence: Evidence, pictures: Sequence[Plot]) -> str:
    """The card as Markdown; the plots are files beside it."""
    lines = [f"# {evidence.group}", "", f"{_problem(evidence)}. {_data(evidence)}", ""]
    for title, body in evidence.words.items():
        lines += [f"## {title}", body or f"*{UNFILLED}*", ""]
    lines += ["## Gates", "| gate | metric | value | limit | verdict | note |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| {c['gate'].replace('_', ' ')} | {c['metric']} | {_number(c['value'])} | {c['operator']} {_number(c['threshold'])}"
        f" | {'passed' if c['passed'] else 'failed'} | {c['note']} |"
        for c in evidence.quality["checks"]
    ]
    lines += ["", "## Metrics on the test rows", "| metric | value | standard deviation |", "| --- | --- | --- |"]
    lines += [
        f"| {name} | {_number(m['value'])} | {_number(m.get('standard_deviation'))} |"
        for name, m in evidence.metrics.items()
    ]
    for number, plot in enumerate(pictures, start=1):
        lines += ["", f"### {plot.title}", plot.note, "", f"![{plot.title}](plot-{number}.svg)"]
    lines += ["", "## Lineage", "| what | value |", "| --- | --- |"]
    lines += [f"| {name} | `{value}` |" for name, value in evidence.facts.items()]
    return "\n".join(lines) + "\n"


def _confidence(evidence: Evidence) -> tuple[plots.Vector, plots.Vector]:
    """Probability of the positive class and whether it was true; of several classes, of the predicted one."""
    predictions = evidence.predictions
    classes = [str(label) for label in evidence.model.preprocessor.classes]
    if len(classes) == 2:
        return predictions["probability_1"].to_numpy(), (predictions["actual"] == classes[1]).to_numpy().astype(float)
    columns = [f"probability_{i}" for i in range(len(classes))]
    sure = np.max(predictions.select(columns).to_numpy(), axis=1)
    return sure, (predictions["actual"] == predictions["predicted"]).to_numpy().astype(float)


def _problem(evidence: Evidence) -> str:
    preprocessor = evidence.model.preprocessor
    return f"{preprocessor.task.replace('_', ' ').capitalize()} of {preprocessor.target!r} from {len(preprocessor.inputs)} inputs"


def _data(evidence: Evidence) -> str:
    parts = ", ".join(f"{count:,} {name}" for name, count in evidence.report["splits"].items())
    return f"{evidence.report['rows']:,} rows: {parts}."


def _margin(task: str) -> str:
    return "in the unit of the target" if task == "regression" else "in log-odds"


def _verdict(check: Mapping[str, Any]) -> str:
    word = "passed" if check["passed"] else "failed"
    return (
        f"{word}: {_number(check['value'])} {check['operator']} {_number(check['threshold'])}"
        if check["value"] is not None
        else f"{word}: {check['note']}"
    )


def _spread(metric: Mapping[str, Any]) -> str:
    spread = metric.get("standard_deviation")
    return "" if spread is None else f"standard deviation {spread:.4g} (bootstrap)"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _paragraphs(text: str) -> str:
    if not text:
        return f'<p class="unfilled">{UNFILLED}</p>'
    return "".join(f"<p>{html.escape(part)}</p>" for part in re.split(r"\n\s*\n", text))


_PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Model card: $title</title>
<style>
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1d2026; --soft: #5c636e; --line: #dcdfe4; --ok: #1a7f37; --bad: #c0271d; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15181d; --ink: #e6e8eb; --soft: #a0a7b2; --line: #343a44; --ok: #57c46f; --bad: #ff7b6e; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
p { margin: 0 0 .5rem; }
.lead { color: var(--soft); }
.ok { color: var(--ok); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
.unfilled { color: var(--soft); font-style: italic; }
.words { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1.25rem 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: .85rem/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 2rem; }
figure { margin: 0; break-inside: avoid; }
figcaption { color: var(--soft); font-size: .9rem; margin-bottom: .5rem; }
figcaption strong { color: var(--ink); font-size: 1rem; }
svg { max-width: 100%; height: auto; }
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; } }
</style>
</head>
<body>
<header>
<h1>$title</h1>
<p class="lead">$problem. $data <span class="$verdict_class">$verdict</span>.</p>
</header>
<main>
<h2>What it is for</h2>
<div class="words">$words</div>
<h2>Gates</h2>
<div class="scroll"><table><thead><tr><th>gate</th><th>metric</th><th class="n">value</th><th class="n">limit</th><th>verdict</th><th>note</th></tr></thead>
<tbody>$checks</tbody></table></div>
<h2>Metrics on the test rows</h2>
<div class="scroll"><table><thead><tr><th>metric</th><th class="n">value</th><th class="n">standard deviation</th></tr></thead><tbody>$numbers</tbody></table></div>
<h2>Plots</h2>
<div class="figures">$figures</div>
<h2>Warnings of the data check</h2>
<ul>$warnings</ul>
<h2>Lineage</h2>
<div class="scroll"><table><thead><tr><th>what</th><th>value</th></tr></thead><tbody>$facts</tbody></table></div>
</main>
</body>
</html>
"""
)
