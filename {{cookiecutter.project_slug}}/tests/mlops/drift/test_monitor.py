"""`usecase monitor` as a whole: verdict, exit status and files; and that memory does not grow with the rows."""

import json
import pickle
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from drift.people import CONTRACT, NAMES, PROTECTED, baseline, capture, rows
from usecase.mlops.baseline.drift import FILE_NAME
from usecase.mlops.baseline.model_monitor import Violations
from usecase.mlops.cli import app
from usecase.mlops.drift.history import History
from usecase.mlops.drift.reader import Found, read_traffic
from usecase.mlops.drift.tally import WindowTally
from usecase.mlops.errors import UserError

Change = Callable[[pl.DataFrame], pl.DataFrame]
RICHER: Change = lambda table: table.with_columns(pl.col("income") * 1.5)  # noqa: E731


def run(*words: str) -> tuple[int, str]:
    """Exit status and output; the message of an error that a person can mend is output too."""
    result = CliRunner().invoke(app, ["monitor", *words])
    if isinstance(result.exception, UserError):
        return 1, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout


def look(folder: Path, name: str, count: int = 1500, change: Change | None = None) -> tuple[int, str]:
    capture(folder / name, count, seed=1, change=change)
    return run("--data", name, "--baseline", "baseline", "--output", "out")


def report(folder: Path) -> Any:
    return json.loads((folder / "out/report.json").read_text())


@pytest.mark.parametrize(
    ("count", "change", "status", "verdict"),
    [
        (1500, None, 0, "ok"),
        (1500, RICHER, 3, "drift"),
        (300, RICHER, 4, "insufficient_data"),
    ],
)
def test_the_exit_status_is_the_verdict(
    repository: Path, count: int, change: Change | None, status: int, verdict: str
) -> None:
    code, output = look(repository, "traffic", count, change)
    assert (code, output.split(":")[0]) == (status, verdict)
    assert report(repository)["verdict"] == verdict
    assert ("income" in output) is (status == 3)


def test_the_worst_column_comes_first_everywhere(repository: Path) -> None:
    look(repository, "traffic", change=RICHER)
    found = report(repository)
    assert found["columns"][0]["name"] == "income"
    assert found["reasons"] == [f"income: {found['findings'][0]['message']}"]
    assert found["window"] | {"data": ""} == {
        "data": "",
        "first": "2026-01-02T03:04:05Z",
        "last": "2026-01-02T03:04:05Z",
        "rows": 1500,
        "files": 1,
        "calls": 1500,
        "left_out": 0,
        "odd": {},
    }
    (violation,) = Violations.find(repository / "out").violations
    assert (violation.feature_name, violation.constraint_check_type) == ("income", "baseline_drift_check")


def test_metrics_are_cloudwatch_s_embedded_format(repository: Path) -> None:
    look(repository, "traffic", change=RICHER)
    window, *columns = [json.loads(line) for line in (repository / "out/metrics.jsonl").read_text().splitlines()]
    assert (window["Drift"], window["Broken"], window["Rows"]) == (1, 0, 1500)
    assert (columns[0]["Column"], columns[0]["Effect"] > 0.2) == ("income", True)
    for line in (window, *columns):
        (about,) = line["_aws"]["CloudWatchMetrics"]
        assert isinstance(line["_aws"]["Timestamp"], int)
        for name in (*about["Dimensions"][0], *(metric["Name"] for metric in about["Metrics"])):
            assert name in line
        assert all(isinstance(line[metric["Name"]], float) for metric in about["Metrics"])


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.headings: list[str] = []
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.asked += [str(value) for name, value in attrs if name in ("src", "srcset", "data", "action")]
        self.asked += [str(value) for name, value in attrs if name == "href" and not str(value).startswith("#")]
        self.asked += [tag] if tag in ("script", "link", "iframe") else []

    def handle_data(self, data: str) -> None:
        if self._tag in ("h1", "h2", "b"):
            self.headings.append(data)
        self._tag = ""


def test_the_page_opens_from_a_file_alone(repository: Path) -> None:
    look(repository, "traffic", change=RICHER)
    text = (repository / "out/report.html").read_text()
    page = _Page()
    page.feed(text)
    assert page.asked == []
    assert "@import" not in text
    assert "drift" in page.headings
    plots = [name for name in page.headings if name in (*NAMES, "left", "probability")]
    assert plots[0] == "income"
    assert set(plots) == {*NAMES, "left", "probability"}
    drawn = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawn) == len(plots)
    for svg in drawn:
        ElementTree.fromstring(svg)
    assert "nan" not in "".join(drawn)


def test_windows_are_remembered_and_drawn_over_time(repository: Path) -> None:
    look(repository, "first")
    look(repository, "second", change=RICHER)
    look(repository, "second", change=RICHER)
    windows = History.load(repository / "out/history.json").windows
    assert [(entry.data, entry.verdict, entry.columns) for entry in windows] == [
        ("first", "ok", []),
        ("second", "drift", ["income"]),
    ]
    assert windows[1].effects["income"] > 0.2 > windows[0].effects["income"]
    assert "Over time" in (repository / "out/report.html").read_text()


def test_without_a_baseline_there_is_no_verdict(repository: Path) -> None:
    capture(repository / "traffic", 10)
    code, message = run("--data", "traffic", "--baseline", "nowhere")
    assert (code, message) == (1, f"nowhere: no such file: pass the {FILE_NAME} of a version, or its folder")
    code, message = run("--data", "traffic")
    assert (code, "no version is approved" in message) == (1, True)
    code, message = run()
    assert (code, message) == (1, "monitor needs traffic: data=FILE_OR_FOLDER")
    (repository / "baseline" / FILE_NAME).write_text("{}")
    code, message = run("--data", "traffic", "--baseline", "baseline")
    assert (code, message.count("\n")) == (1, 0)
    assert not (repository / ".local").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--labels", "nowhere.csv"), "nowhere.csv: no such file"),
        (("--labels", "data_contract.yaml"), "data_contract.yaml: give a file that ends in .csv, .csv.gz, .parquet"),
        (("--output", "data_contract.yaml"), "data_contract.yaml: is a file: give a folder"),
    ],
)
def test_bad_paths_are_told_before_the_traffic_is_read(repository: Path, words: tuple[str, str], says: str) -> None:
    capture(repository / "traffic", 600)
    code, message = run("--data", "traffic", "--baseline", "baseline", *words)
    assert (code, message.startswith(says), message.count("\n")) == (1, True, 0)
    assert not (repository / ".local").exists()


def test_labels_that_no_group_needs_are_said_to_be_of_no_use(repository: Path) -> None:
    columns = [{name: value for name, value in column.items() if name != "protected"} for column in PROTECTED]
    (repository / "data_contract.yaml").write_text(yaml.safe_dump({"name": "people", "schema": {"fields": columns}}))
    capture(repository / "traffic", 600)
    (repository / "labels.csv").write_text("inference_id,label\na,yes\n")
    _, output = run("--data", "traffic", "--baseline", "baseline", "--labels", "labels.csv")
    assert "labels.csv: not looked at, since no protected column of the contract is a feature\n" in output


def test_nothing_is_written_when_a_later_file_is_damaged(repository: Path) -> None:
    (repository / "traffic").mkdir()
    rows(600).write_parquet(repository / "traffic/a.parquet")
    (repository / "traffic/b.parquet").write_bytes((repository / "traffic/a.parquet").read_bytes()[:-100])
    code, message = run("--data", "traffic", "--baseline", "baseline", "--output", "out")
    assert (code, message.startswith("traffic/b.parquet: the Parquet file is damaged")) == (1, True)
    assert not (repository / "out").exists()


def test_memory_does_not_grow_with_the_rows() -> None:
    window = WindowTally(baseline(), CONTRACT)
    sizes = []
    for seed in range(30):
        # no category comes twice: who keeps all of them grows
        window.add(rows(1000, seed).with_columns(plan=pl.lit(f"{seed}-") + pl.int_range(pl.len()).cast(pl.String)))
        sizes.append(len(pickle.dumps(window)))
    assert sizes[-1] < sizes[0] * 1.1


def test_a_large_file_comes_in_parts(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    pl.concat([rows(50_000)] * 20).write_parquet(file)
    heights = [part.rows.height for part in read_traffic(file, CONTRACT, Found())]
    assert sum(heights) == 1_000_000
    assert max(heights) < 600_000
