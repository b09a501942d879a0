"""Contracts drafted from files that nobody prepared."""

from pathlib import Path

import polars as pl
import pytest

from usecase.mlops.check import check_rows
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.infer import Draft, infer
from usecase.mlops.tables import read_table

N = 60
COLUMNS: dict[str, list[str]] = {
    "customer_id": [f"C{i:04}" for i in range(N)],
    "row": [str(i + 1) for i in range(N)],
    "age": ["" if i % 7 == 0 else str(18 + i % 50) for i in range(N)],
    "income": [f"{1000 + i * 1.5}" for i in range(N)],
    "odometer": ["?" if i % 9 == 0 else str(i * 13 % 51) for i in range(N)],
    "plan": [["basic", "plus", "pro"][i % 3] for i in range(N)],
    "active": [["true", "false"][i % 2 if i % 5 else 0] for i in range(N)],
    "joined": [f"2024-0{1 + i % 9}-1{i % 10}" for i in range(N)],
    "seen": [f"{10 + i % 20}.11.2024" for i in range(N)],
    "email": [f"user{i}@example.org" for i in range(N)],
    "comment": [f"a long text, number {i}" for i in range(N)],
    "zip": [f"0{1000 + i % 40}" for i in range(N)],
    "empty": [""] * N,
    "country": ["DE"] * N,
    "churned": [["no", "yes"][(i * 7 // 3) % 2] for i in range(N)],
}


def write(folder: Path, **changed: list[str]) -> Path:
    file = folder / "data.csv"
    pl.DataFrame({**COLUMNS, **changed}).write_csv(file)
    return file


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    return infer(write(tmp_path), "churned", root=tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "role"),
    [
        ("customer_id", "string", "id"),
        ("row", "integer", "ignored"),
        ("age", "integer", "feature"),
        ("income", "number", "feature"),
        ("odometer", "integer", "feature"),
        ("plan", "string", "feature"),
        ("active", "boolean", "feature"),
        ("joined", "date", "feature"),
        ("seen", "date", "feature"),
        ("email", "string", "ignored"),
        ("comment", "string", "ignored"),
        ("zip", "string", "ignored"),
        ("empty", "string", "ignored"),
        ("country", "string", "ignored"),
        ("churned", "string", "target"),
    ],
)
def test_type_and_role(draft: Draft, name: str, kind: str, role: str) -> None:
    column = draft.contract.columns[name]
    assert (column.type, column.role) == (kind, role)
    assert column.reason


def test_details(draft: Draft) -> None:
    columns = draft.contract.columns
    assert columns["age"].constraints.required is False
    assert (columns["income"].constraints.minimum, columns["income"].constraints.maximum) == (1000.0, 1088.5)
    assert columns["plan"].constraints.enum == ["basic", "plus", "pro"]
    assert columns["seen"].format == "%d.%m.%Y"
    assert columns["email"].pii == columns["zip"].pii == "suspected"
    assert columns["plan"].pii == "no"
    assert draft.contract.table.missing_values == ["", "?"]
    assert draft.contract.classes == ["no", "yes"]
    assert draft.contract.path == "data.csv"


def test_a_person_is_told_what_to_check(draft: Draft) -> None:
    text = "\n".join(draft.checks)
    assert "'yes' is the positive class" in text
    assert "comment: ignored, free text or high cardinality: 60 different values" in text
    assert "country: ignored, constant: always 'DE'" in text
    assert "email: may be personal data (e-mail addresses)" in text


def test_the_written_file_reads_back_and_fits_the_data(draft: Draft, tmp_path: Path) -> None:
    (tmp_path / "data_contract.yaml").write_text(draft.text)
    contract = Contract.load(tmp_path)
    assert contract == draft.contract
    checked = check_rows(read_table(tmp_path / "data.csv"), contract)
    assert checked.problems == checked.warnings == []


def test_parquet_gives_the_same_contract(draft: Draft, tmp_path: Path) -> None:
    frame = check_rows(read_table(tmp_path / "data.csv"), draft.contract).frame
    frame.write_parquet(tmp_path / "data.parquet")
    again = infer(tmp_path / "data.parquet", "churned").contract
    for column in draft.contract.features:
        other = again.columns[column.name]
        assert (other.type, other.constraints) == (column.type, column.constraints)


@pytest.mark.parametrize(
    ("values", "asked", "task"),
    [
        (["a", "b", "c"], None, "multiclass_classification"),
        (["0", "1"], None, "binary_classification"),
        (["true", "false"], None, "binary_classification"),
        (["1", "2", "3", "4", "5"], None, "multiclass_classification"),
        (["1", "2", "3", "4", "5"], "regression", "regression"),
        ([str(i) for i in range(30)], None, "regression"),
        ([str(i) for i in range(20)], "classification", "multiclass_classification"),
        (["1.5", "2.5"], "classification", "binary_classification"),
        (["1.5", "2.5", "3.1"], None, "regression"),
    ],
)
def test_task(tmp_path: Path, values: list[str], asked: str | None, task: str) -> None:
    target = [values[(i * i + i // 7) % len(values)] for i in range(N - len(values) * 2)] + values * 2
    assert infer(write(tmp_path, churned=target), "churned", asked).contract.task == task  # type: ignore[arg-type]


def test_a_copy_of_the_target_is_left_out_and_said(tmp_path: Path) -> None:
    file = write(tmp_path, plan=["stays" if value == "no" else "goes" for value in COLUMNS["churned"]])
    draft = infer(file, "churned")
    assert draft.contract.columns["plan"].role == "ignored"
    assert any("plan: ignored, identical to the target 'churned'" in check for check in draft.checks)


@pytest.mark.parametrize(
    ("changed", "target", "says"),
    [
        ({}, "churn", "has no column 'churn' for target=churn: the columns are customer_id"),
        ({"churned": ["no"] * N}, "churned", "target 'churned' is always 'no'"),
        ({"churned": ["no"] * (N - 1) + ["yes"]}, "churned", "class 'yes' of target 'churned' has only one row"),
        ({"churned": ["no", ""] * (N // 2)}, "churned", "target 'churned' is empty in 30 rows (first: row 2)"),
        ({"income": ["1.5", "inf"] * (N // 2)}, "churned", "column 'income', row 2: inf is not finite"),
    ],
)
def test_nothing_to_learn_from(tmp_path: Path, changed: dict[str, list[str]], target: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        infer(write(tmp_path, **changed), target)
    assert says in str(error.value)


def test_too_few_rows(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("a,b\n1,x\n")
    with pytest.raises(UserError, match="the data has 1 row: at least 20 are needed"):
        infer(tmp_path / "one.csv", "b")


def test_unique_codes_are_an_id_also_under_another_name(tmp_path: Path) -> None:
    frame = pl.read_csv(write(tmp_path), infer_schema=False).rename({"customer_id": "customer"})
    frame.write_csv(tmp_path / "renamed.csv")
    assert infer(tmp_path / "renamed.csv", "churned").contract.columns["customer"].role == "id"


@pytest.mark.parametrize("name", ["amount_paid", "bid", "body mass index", "grid", "valid"])
def test_a_number_is_no_id_because_of_the_end_of_its_name(tmp_path: Path, name: str) -> None:
    frame = pl.read_csv(write(tmp_path), infer_schema=False).with_columns(
        pl.Series(name, [str(i * 37 % 1009) for i in range(N)])
    )
    frame.write_csv(tmp_path / "more.csv")
    assert infer(tmp_path / "more.csv", "churned").contract.columns[name].role == "feature"


@pytest.mark.parametrize("pattern", ["{},5", "{}.33%", "€{}.50", "$ {}"])
def test_numbers_with_decoration_are_said_not_taken_for_ids(tmp_path: Path, pattern: str) -> None:
    draft = infer(write(tmp_path, income=[pattern.format(100 + i) for i in range(N)]), "churned")
    assert draft.contract.columns["income"].role == "ignored"
    assert any(check.startswith("income: looks like numbers") for check in draft.checks)


def test_ids_and_missing_words_are_said(tmp_path: Path) -> None:
    draft = infer(write(tmp_path, plan=["NA", "basic", "pro"] * (N // 3), row=[f"r{i}" for i in range(N)]), "churned")
    text = "\n".join(draft.checks)
    assert "customer_id: taken as the id" in text
    assert "row: ignored, a second id beside customer_id" in text
    assert "missing values: '?', 'NA' in any column" in text


def test_the_id_that_is_asked_for_must_be_one(tmp_path: Path) -> None:
    file = write(tmp_path)
    assert infer(file, "churned", id_column="email").contract.columns["customer_id"].role == "ignored"
    with pytest.raises(UserError, match="column 'plan', row 1: an id stands in each row once"):
        infer(file, "churned", id_column="plan")


@pytest.mark.parametrize(
    "name",
    [
        "Vorname",
        "nachname",
        "Geburtsdatum",
        "Straße",
        "strasse_privat",
        "PLZ",
        "kundenPlz",
        "Telefon",
        "telefonnummer",
        "handynummer",
        "Adresse",
        "Kontonummer",
        "längengrad",
        "first_name",
        "zipCode",
    ],
)
def test_names_of_personal_data_in_german_and_english(tmp_path: Path, name: str) -> None:
    draft = infer(renamed(tmp_path, name), "churned")
    assert draft.contract.columns[name].pii == "suspected"
    assert any(check.startswith(f"{name}: may be personal data") for check in draft.checks)


@pytest.mark.parametrize(
    "name",
    [
        "sex",
        "Gender",
        "age",
        "customer_age",
        "race",
        "ethnicity",
        "nationality",
        "religion",
        "disability",
        "maritalStatus",
        "Geschlecht",
        "Alter",
        "Nationalität",
        "staatsangehoerigkeit",
        "Familienstand",
        "Behinderung",
    ],
)
def test_columns_that_may_need_protection_are_said(tmp_path: Path, name: str) -> None:
    draft = infer(renamed(tmp_path, name), "churned")
    assert any(check.startswith(f"{name}: ") and "consider `protected: true`" in check for check in draft.checks)
    assert not draft.contract.columns[name].protected


@pytest.mark.parametrize("name", ["mileage", "average", "page", "trace", "voltage", "alterations", "plan", "sextant"])
def test_other_names_tell_of_no_person(tmp_path: Path, name: str) -> None:
    draft = infer(renamed(tmp_path, name), "churned")
    assert not [check for check in draft.checks if check.startswith(f"{name}: ")]


def renamed(folder: Path, name: str) -> Path:
    """The data with `plan` under another name, and without the column that is called `age`."""
    file = write(folder)
    pl.read_csv(file, infer_schema=False).drop("age").rename({"plan": name}).write_csv(file)
    return file
