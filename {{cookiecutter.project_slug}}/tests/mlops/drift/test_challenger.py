"""A version that waits, asked about traffic that was answered: agreement, for whom not, and who is right."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from drift.people import GROUPED, leaves, record, rows
from usecase.mlops.check import as_text
from usecase.mlops.cli import app
from usecase.mlops.drift.challenger import REPORT, TEXT
from usecase.mlops.errors import UserError
from usecase.mlops.registry import Registry, open_registry

COUNT = 900


@pytest.fixture
def registry(repository: Path, trained: Path) -> Registry:
    """A registry with the version, which waits."""
    names = ("quality.json", "importance.json", "evaluation.json")
    evaluation = {"binary_classification_metrics": {"auc": {"value": 0.9, "standard_deviation": 0.0}}}
    (repository / "evaluation.json").write_text(json.dumps(evaluation))
    places = {name: repository / name if name == "evaluation.json" else trained / name for name in names}
    arguments = {
        "InferenceSpecification": {"Containers": [{"ModelDataUrl": "s3://b/model.tar.gz"}]},
        "ModelMetrics": {name: {"S3Uri": f"s3://b/{name}"} for name in names},
    }
    opened = open_registry()
    opened.register(
        arguments, lambda uri: (places | {"model.tar.gz": trained / "model.tar.gz"})[uri.rpartition("/")[2]]
    )
    return opened


def captured(folder: Path, count: int = COUNT, pro_flipped: bool = False) -> pl.DataFrame:
    """Calls, whose answers are the truth but for those of the people with `pro`; and the rows."""
    asked = rows(count, 11)
    truth = leaves(asked)
    said = truth ^ (asked["plan"] == "pro") if pro_flipped else truth
    lines = as_text(asked, GROUPED).write_csv(include_header=False).splitlines()
    calls = [
        record(line, f"{str(answer).lower()},0.9", f"id-{number}")
        for number, (line, answer) in enumerate(zip(lines, said, strict=True))
    ]
    # of what the service refused there is no answer; what the contract refuses (no income) cannot be asked
    age, _, *rest = lines[0].split(",")
    calls += [record(lines[0], "", "refused"), record(",".join([age, "", *rest]), "true,0.9", "odd"), "{"]
    folder.mkdir(exist_ok=True)
    (folder / "calls.jsonl").write_text("\n".join(calls) + "\n")
    pl.DataFrame(
        {"inference_id": [f"id-{i}" for i in range(count)], "label": ["yes" if left else "no" for left in truth]}
    ).write_csv("labels.csv")
    return asked.with_columns(said=said)


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["challenge", *words])
    if isinstance(result.exception, UserError):
        return 1, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_a_challenger_is_held_against_what_was_answered(registry: Registry, repository: Path) -> None:
    asked = captured(repository / "traffic", pro_flipped=True)
    code, output = run("--version", "latest", "--data", "traffic", "--labels", "labels.csv")
    assert code == 0, output
    folder = repository / ".local/registry/people/1/challenger"
    found: dict[str, Any] = json.loads((folder / REPORT).read_text())
    assert (found["status"], found["rows"], found["left_out"], found["labelled"]) == ("measured", COUNT, 3, COUNT)
    otherwise = {entry["group"]: entry["disagreements"] / entry["rows"] for entry in found["groups"]}
    assert otherwise["pro"] > 0.8  # the model knows the truth; the answers to these were wrong
    assert max(otherwise["basic"], otherwise["plus"]) < 0.15
    rows_of = {entry["group"]: entry["rows"] for entry in found["groups"] if entry["column"] == "plan"}
    assert rows_of == dict(asked.group_by("plan").len().rows())
    disagreements = sum(entry["disagreements"] for entry in found["groups"] if entry["column"] == "plan")
    assert found["agreement"] == pytest.approx(1 - disagreements / COUNT)
    assert found["shift"]["share of True"]["in_service"] == pytest.approx(asked["said"].mean())
    quality = found["quality"]["accuracy"]
    assert quality["challenger"] > 0.9 > quality["in_service"] == pytest.approx(1 - rows_of["pro"] / COUNT)
    text = (folder / TEXT).read_text()
    assert f"**{found['agreement']:.1%}**" in text
    assert "| `plan` | pro |" in text
    shown = CliRunner().invoke(app, ["registry", "show", "1"]).output
    assert f"Challenger    agreement {found['agreement']:.4f} on {COUNT} rows" in shown
    assert registry.approve("1").status == "Approved"  # the evidence is still what was registered
    code, message = run("--version", "1", "--data", "traffic")
    assert (code, message) == (1, "version 1 is Approved already: a challenger waits for a decision")


def test_few_answered_rows_decide_nothing(registry: Registry, repository: Path) -> None:
    captured(repository / "traffic", 120)
    code, output = run("--version", "1", "--data", "traffic", "--output", "out")
    assert (code, output.splitlines()[0]) == (4, "insufficient_data: 120 answered rows, 500 are needed")
    found = json.loads(Path("out", REPORT).read_text())
    assert (found["agreement"], found["shift"], found["quality"]) == (None, None, None)
    assert "ChallengerResult" not in registry.describe("1").metadata


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--version", "1"], "challenge needs a version and traffic"),
        (["--data", "traffic"], "which version?"),
        (["--version", "7", "--data", "traffic"], "version '7' is not registered"),
        (["--version", "1", "--data", "rows.parquet"], "holds no answers"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    registry: Registry, repository: Path, words: list[str], message: str
) -> None:
    rows(600).write_parquet("rows.parquet")
    code, said = run(*words)
    assert (code, message in said) == (1, True)
    assert not Path(".local/registry/people/1/challenger").exists()
