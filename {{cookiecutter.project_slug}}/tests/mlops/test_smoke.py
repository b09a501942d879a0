"""The jobs around a transform smoke."""

import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from usecase.mlops import smoke
from usecase.mlops.check import check_rows
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.tables import parse_csv

CONTRACT = """
$schema: https://datapackage.org/profiles/2.0/dataresource.json
name: rows
schema:
  fields:
    - {name: number, type: number, role: feature}
    - {name: member, type: boolean, role: feature, trueValues: ["yes"], falseValues: ["no"]}
    - {name: day, type: date, role: feature, format: "%d.%m.%Y"}
    - {name: text, type: string, role: feature}
    - {name: target, type: integer, role: target}
"""


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    (tmp_path / "data_contract.yaml").write_text(CONTRACT)
    return Contract.load(tmp_path)


def part(folder: Path, **columns: list[Any]) -> Path:
    """A part as Preprocess writes it: typed rows in Parquet files, with the target."""
    count = len(next(iter(columns.values())))
    dates = pl.Series("day", ["2024-02-01"] * count).str.to_date()
    frame = pl.DataFrame(
        {"number": [1.5] * count, "member": [True] * count, "text": ["a"] * count, "target": [1] * count}
    )
    rows = frame.with_columns(dates, *(pl.Series(name, values, strict=False) for name, values in columns.items()))
    folder.mkdir()
    for number, rows_of_host in enumerate(rows.iter_slices(80), start=1):
        rows_of_host.write_parquet(folder / f"part-algo-{number}-00000.parquet")
    return folder


def test_the_rows_are_what_a_client_of_the_service_would_send(contract: Contract, tmp_path: Path) -> None:
    rows = part(tmp_path / "test", number=[float(i) for i in range(120)], member=[False, None] * 60)
    smoke.write_rows(rows, contract, tmp_path / "out")
    text = (tmp_path / "out/smoke.csv").read_bytes()
    assert text.splitlines()[:2] == [b"0.0,no,01.02.2024,a", b"1.0,,01.02.2024,a"]
    read = parse_csv(text, "smoke.csv", header=False)
    assert read.height == smoke.MAXIMUM_ROWS
    named = read.rename(dict(zip(read.columns, ["number", "member", "day", "text"], strict=True)))
    assert check_rows(named, contract, roles=("feature",)).problems == []


def test_a_row_that_is_not_one_line_is_left_out(contract: Contract, tmp_path: Path) -> None:
    rows = part(tmp_path / "test", text=["a\nb", "c", "d\r", None])
    smoke.write_rows(rows, contract, tmp_path / "out")
    assert len((tmp_path / "out/smoke.csv").read_bytes().splitlines()) == 2
    with pytest.raises(UserError, match="holds no row to ask the model about"):
        smoke.write_rows(part(tmp_path / "other", text=["a\nb"]), contract, tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ("1\n2\n", "the model answered 2 of 3 rows: see the log of the transform job"),
        ("1\n2\n3\n4\n", "the model answered 4 of 3 rows: see the log of the transform job"),
        ("1\n\n3\n", "the model gave no answer for row 2: see the log of the transform job"),
        (None, "smoke.csv.out: no such file: the step before wrote none"),
    ],
)
def test_a_row_without_an_answer_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: str | None, reason: str
) -> None:
    (tmp_path / "smoke.csv").write_text("a\u2028,1\nb,2\nc,3\n")
    if answers is not None:
        (tmp_path / "smoke.csv.out").write_text(answers)
    words = [
        "smoke",
        "--rows-dir",
        str(tmp_path),
        "--answers-dir",
        str(tmp_path),
        "--output-dir",
        str(tmp_path / "out"),
    ]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(UserError) as error:
        smoke.main()
    assert str(error.value).endswith(reason)
    assert not (tmp_path / "out").exists()
    (tmp_path / "smoke.csv.out").write_text("1\n2\n3")
    smoke.main()
    assert '"rows": 3' in (tmp_path / "out/report.json").read_text()


def test_the_jobs_want_a_contract_or_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["smoke", "--rows-dir", str(tmp_path), "--output-dir", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as end:
        smoke.main()
    assert end.value.code == 2
