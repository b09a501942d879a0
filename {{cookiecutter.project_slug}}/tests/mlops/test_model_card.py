"""The model card: the team's words, what was measured, and pages that anybody can open."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from baseline_cases import TASKS, WORDS, Case, make_case, use_own_handlers

from usecase.mlops.baseline import plots
from usecase.mlops.baseline.sagemaker_card import MAX_CHARACTERS, ModelCard
from usecase.mlops.baseline.words import SECTIONS, Words
from usecase.mlops.errors import UserError

VOID = {"meta", "br"}


@pytest.fixture(autouse=True)
def own_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    use_own_handlers(monkeypatch)


@pytest.fixture(scope="module", params=TASKS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("case"), request.param, maximum_fairness_gap=1.0, champion_version="7",
                     champion_metric={"regression": "r2"}.get(request.param, "accuracy"))  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(
        tmp_path_factory.mktemp("case"), "binary_classification", thresholds={"log_loss": {"maximum": 0.0}}
    )


@pytest.fixture
def binary(original: Case, tmp_path: Path) -> Case:
    return original.copy(tmp_path / "case")


class Page(HTMLParser):
    """The page's elements and text; fails on an element that is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def html_of(case: Case) -> str:
    return (case.output / "model_card/model_card.html").read_text(encoding="utf-8")


# The team's words


def words(folder: Path, text: str) -> Words:
    (folder / "card.md").write_text(text, encoding="utf-8")
    return Words.read(folder)


def test_words_are_read_by_section_without_hints(tmp_path: Path) -> None:
    found = words(tmp_path, WORDS)
    assert found.sections["Purpose"].startswith("Tells **who**")
    assert "hint" not in "".join(found.sections.values())
    assert found.unfilled == ["Intended use", "Out of scope", "Caveats"]
    assert found.risk_rating == "High"
    assert found.sections["Risks and ethical considerations"] == "Nobody is called twice."
    assert list(found.sections)[-1] == "Contact"


def test_the_file_that_the_repository_is_born_with_is_not_filled_in(tmp_path: Path) -> None:
    born = "".join(f"## {title}\n<!-- What?\n## no heading -->\n" for title in SECTIONS)
    found = words(tmp_path, born + "Risk rating: Unknown\n")
    assert len(found.unfilled) == 5
    assert found.risk_rating == "Unknown"


def test_a_risk_rating_may_be_explained(tmp_path: Path) -> None:
    found = words(tmp_path, "## Risks and ethical considerations\nrisk rating: LOW, since a person decides.\n")
    assert found.risk_rating == "Low"
    assert found.sections["Risks and ethical considerations"] == "since a person decides."
    assert words(tmp_path, "## Purpose\nRisk rating: lowest\n").risk_rating == "Unknown"


def test_a_heading_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two sections have the same heading"):
        words(tmp_path, "## Purpose\na\n## Purpose\nb\n")


# The page


def test_the_page_is_whole_and_needs_nothing_beside_it(case: Case) -> None:
    text = html_of(case)
    page = Page(text)
    assert {"script", "link", "img", "iframe"}.isdisjoint(page.tags)
    links = [value for name, value in page.attributes if name in ("href", "src", "xlink:href")]
    assert all(link.startswith(("#", "https://example.com/plan")) for link in links)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert set(re.findall(r"url\(#(.*?)\)", text)) <= set(ids)
    assert '<meta name="viewport"' in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "$" not in text.replace("Gain $x$", "")


def test_the_page_shows_the_plots_of_the_problem(case: Case) -> None:
    text = html_of(case)
    titles = re.findall(r"<figcaption><b>(.*?)</b>", text)
    shown = {
        "binary_classification": ["ROC curve", "Precision and recall", "Confusion matrix", "Calibration"],
        "multiclass_classification": ["Confusion matrix", "Calibration"],
        "regression": ["Actual and predicted", "Errors", "Errors by prediction"],
    }
    assert titles == [*shown[case.task], "Groups of sex", "Importance of inputs"]
    assert text.count('<svg role="img" aria-label=') == len(titles)


def test_the_page_tells_what_was_measured(case: Case) -> None:
    text = Page(html_of(case)).text
    evaluation = json.loads((case.folder / "evaluation/evaluation.json").read_text())[f"{case.task}_metrics"]
    main = evaluation[{"binary_classification": "auc", "regression": "r2"}.get(case.task, "accuracy")]
    assert f"{main['value']:.4g}" in text
    assert "Version 7, the newest approved one" in text
    assert "d" * 64 in text
    assert case.model.contract.sha256 in text
    assert "200 rows that the model was not trained on" in text
    assert "column 'plan', row 3" in text
    for group in ("f", "m"):
        assert re.search(rf"\b{group}\d", text), "the rows of the group follow its name"


def test_words_of_the_team_are_shown_and_missing_ones_are_told(case: Case) -> None:
    text = html_of(case)
    assert 'Tells <strong>who</strong> will leave; see <a href="https://example.com/plan">the plan</a>.' in text
    assert "<ul><li>first &lt;i&gt;item&lt;/i&gt;</li><li>second item</li></ul>" in text
    assert "The team has not filled in: Intended use, Out of scope, Caveats." in text
    assert text.count("Not filled in.") == 3
    assert "<h2>Contact</h2>" in text
    assert "Risk rating: <strong>High</strong>" in text


def test_text_of_data_is_no_markup(case: Case) -> None:
    text = html_of(case)
    assert "<b>pro</b>" not in text
    assert "&lt;b&gt;pro&lt;/b&gt;" in text


def test_a_failed_gate_is_seen(binary: Case) -> None:
    text = html_of(binary)
    assert '<td class="bad">failed</td>' in text
    assert '<div class="tile bad"><dt>Quality gates</dt>' in text
    assert "Not compared with an approved version." in Page(text).text


def test_a_gate_without_anything_to_compare_is_not_called_passed(tmp_path: Path) -> None:
    case = make_case(tmp_path, "regression", champion_metric="r2")
    text = html_of(case)
    assert '<td class="plain">not compared</td>' in text
    assert "Not compared: no version is approved yet." in Page(text).text


def test_values_that_are_no_number_are_shown_but_not_sent(binary: Case) -> None:
    file = binary.folder / "evaluation/quality.json"
    quality = json.loads(file.read_text())
    quality["checks"][0]["value"] = float("inf")
    file.write_text(json.dumps(quality))
    file = binary.folder / "evaluation/evaluation.json"
    evaluation = json.loads(file.read_text())
    evaluation["binary_classification_metrics"]["cost"] = {"value": float("nan")}
    file.write_text(json.dumps(evaluation))
    output = binary.run()
    assert "inf" in Page((output / "model_card/model_card.html").read_text()).text
    assert "cost" in Page((output / "model_card/model_card.html").read_text()).text
    assert "NaN" not in (output / "model_card/model_card.json").read_text()
    assert "Infinity" not in (output / "model_card/model_card.json").read_text()


# Markdown and plots


def test_markdown_says_the_same_and_names_the_plots(case: Case) -> None:
    folder = case.output / "model_card"
    text = (folder / "model_card.md").read_text(encoding="utf-8")
    pictures = set(re.findall(r"!\[.*?\]\((.*?)\)", text))
    assert pictures == {file.name for file in folder.glob("*.svg")}
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == re.findall(r"<h2>(.*?)</h2>", (folder / "model_card.html").read_text(encoding="utf-8"))
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("| gate |")}
    assert widths == {7}


def test_plots_are_svg_with_text_and_without_dates(case: Case) -> None:
    for file in (case.output / "model_card").glob("*.svg"):
        text = file.read_text(encoding="utf-8")
        root = ElementTree.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "<text" in text
        assert "DejaVu" not in text
        assert not re.search(r"20\d\d-\d\d", text)


def test_labels_are_text_and_long_ones_are_cut() -> None:
    svg = plots.bars({"$a^{2$ <b>": 1.0, "x" * 80: 0.5}, "value")
    assert "$a^{2$ &lt;b&gt;" in svg
    assert "x" * 31 + "…" in svg
    assert "x" * 33 not in svg


def test_a_confusion_matrix_of_too_many_classes_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case(tmp_path, "multiclass_classification")
    monkeypatch.setattr(plots, "MAX_CLASSES", 2)
    assert "Confusion matrix" not in html_of(case)


@pytest.mark.parametrize("rows", [1, 3, 9, 1000])
def test_few_and_many_test_rows_make_a_calibration(rows: int) -> None:
    said = np.linspace(0, 1, rows)
    bins = plots.bins_of(said, (said > 0.5).astype(float))
    assert sum(count for _, _, count in bins) == rows
    assert len(bins) == min(10, max(1, rows // 10))
    assert plots.calibration(bins).startswith("<svg")


# SageMaker's card


def card_of(case: Case) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((case.output / "model_card/model_card.json").read_text(encoding="utf-8"))
    return content


def test_the_card_keeps_to_the_schema_of_sagemaker(case: Case) -> None:
    card = card_of(case)
    assert ModelCard.model_validate(card).model_dump(exclude_none=True) == card
    assert len(json.dumps(card)) < MAX_CHARACTERS
    groups = {group["name"]: group["metric_data"] for group in card["evaluation_details"][0]["metric_groups"]}
    assert {f"{case.task}_metrics", "Quality gates", "Fairness", "Importance of inputs"} <= set(groups)
    assert all(metric["type"] == "number" for metric in groups[f"{case.task}_metrics"])
    assert card["intended_uses"]["risk_rating"] == "High"
    assert card["intended_uses"]["intended_uses"].startswith("Not filled in")
    assert card["additional_information"]["custom_details"]["Git commit"] == "abc"


def test_text_that_is_too_long_for_sagemaker_is_cut(binary: Case) -> None:
    long = "word " * 1000
    (binary.folder / "card/model_card.md").write_text(f"## Purpose\n{long}\n## Caveats\n{long}\n")
    card = card_of(binary)
    assert len(card["intended_uses"]["purpose_of_model"]) == 2048
    assert card["intended_uses"]["purpose_of_model"].endswith("…")
    assert long.strip() in html_of(binary)


@pytest.mark.sdk
@pytest.mark.filterwarnings("ignore")
def test_the_sdk_takes_the_card_whole(case: Case) -> None:
    from sagemaker.core.model_card import ModelCardContent

    card = card_of(case)
    assert json.loads(ModelCardContent.model_validate(card).model_dump_json(exclude_none=True)) == card
