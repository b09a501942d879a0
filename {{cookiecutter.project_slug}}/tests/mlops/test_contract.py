"""The data contract: its file, and the check of rows against it."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from usecase.mlops.check import ProblemLog, as_text, check_rows
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError

CONTRACT = """\
name: people
policy: POLICY
schema:
  fieldsMatch: equal
  missingValues: ['', NA]
  fields:
  - {name: id, type: string, role: id}
  - {name: age, type: integer, role: feature, constraints: {required: true, minimum: 0, maximum: 120}}
  - {name: income, type: number, role: feature}
  - {name: plan, type: string, role: feature, constraints: {enum: [basic, pro]}}
  - {name: active, type: boolean, role: feature, trueValues: ['yes'], falseValues: ['no']}
  - {name: joined, type: date, role: feature, format: '%d.%m.%Y'}
  - {name: comment, type: string, role: ignored}
  - {name: churned, type: string, role: target, constraints: {enum: ['no', 'yes']}}
"""
GOOD = {
    "id": ["1", "2", "3", "4"],
    "age": ["30", "40", "50", "60"],
    "income": ["1.5", "NA", "2", "1e3"],
    "plan": ["basic", "pro", "", "pro"],
    "active": ["yes", "no", "yes", ""],
    "joined": ["01.02.2024", "", "03.02.2024", "04.02.2024"],
    "comment": ["a", "b", "c", "d"],
    "churned": ["no", "yes", "no", "yes"],
}


def load(folder: Path, policy: str = "", text: str = CONTRACT) -> Contract:
    (folder / "data_contract.yaml").write_text(text.replace("POLICY", "{" + policy + "}"))
    return Contract.load(folder)


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    return load(tmp_path)


def rows(**changed: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({**GOOD, **changed})


def test_text_gets_the_types_of_the_contract(contract: Contract) -> None:
    checked = check_rows(rows(), contract)
    assert checked.problems == checked.warnings == []
    assert checked.frame.columns == ["id", "age", "income", "plan", "active", "joined", "churned"]
    assert checked.frame.row(0) == ("1", 30, 1.5, "basic", True, date(2024, 2, 1), "no")
    assert checked.frame.row(1)[2] is None


def test_typed_rows_are_read_like_text(contract: Contract) -> None:
    typed = check_rows(rows(), contract).frame
    assert check_rows(typed, contract).frame.equals(typed)


def test_order_of_columns_does_not_matter(contract: Contract) -> None:
    given = rows()
    assert check_rows(given.select(reversed(given.columns)), contract).frame.equals(check_rows(given, contract).frame)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"age": ["30", "forty", "x", "60"]}, "column 'age', row 2: 'forty' is no integer (and 1 more rows)"),
        ({"age": ["30", "40.5", "50", "60"]}, "column 'age', row 2: '40.5' is no integer"),
        ({"age": ["30", "40", "", "60"]}, "column 'age', row 3: is empty but a value is required"),
        ({"income": ["1", "2", "inf", "3"]}, "column 'income', row 3: 'inf' is not finite"),
        ({"income": ["1", "nan", "2", "3"]}, "column 'income', row 2: 'nan' is no number"),
        ({"active": ["yes", "no", "maybe", "no"]}, "column 'active', row 3: 'maybe' is no boolean (yes, no)"),
        ({"joined": ["2024-02-01", "", "", ""]}, "column 'joined', row 1: '2024-02-01' is no date (%d.%m.%Y)"),
        ({"id": ["1", "2", "2", "4"]}, "column 'id', row 3: '2' stands there twice"),
        ({"churned": ["no", "yes", "perhaps", "yes"]}, "column 'churned', row 3: 'perhaps' is none of the values"),
        ({"churned": ["no", "yes", "NA", "yes"]}, "column 'churned', row 3: is empty but a value is required"),
    ],
)
def test_broken_values_name_column_and_row(contract: Contract, changed: dict[str, list[str | None]], says: str) -> None:
    problems = [str(problem) for problem in check_rows(rows(**changed), contract).problems]
    assert len(problems) == 1
    assert problems[0].startswith(says)


def test_missing_and_extra_columns(contract: Contract) -> None:
    given = rows().rename({"age": "Age"})
    assert [str(problem) for problem in check_rows(given, contract).problems] == [
        "column 'age': is missing (found 'Age')",
        "column 'Age': is not in the contract: drop it, or add it with `role: ignored`",
    ]
    assert check_rows(rows().drop("comment"), contract).problems == []  # nobody needs an ignored column


@pytest.mark.parametrize("policy", ["missing", "reject"])
def test_unseen_category_as_the_policy_says(tmp_path: Path, policy: str) -> None:
    checked = check_rows(rows(plan=["basic", "gold", "pro", "pro"]), load(tmp_path, f"unseen_category: {policy}"))
    message = "column 'plan', row 2: 'gold' is none of the values in the contract"
    assert [str(p) for p in (checked.problems if policy == "reject" else checked.warnings)] == [message]
    assert checked.frame["plan"].to_list() == ["basic", None, "pro", "pro"]


@pytest.mark.parametrize("policy", ["flag", "reject"])
def test_out_of_range_as_the_policy_says(tmp_path: Path, policy: str) -> None:
    checked = check_rows(rows(age=["-1", "40", "121", "60"]), load(tmp_path, f"out_of_range: {policy}"))
    messages = ["column 'age', row 1: '-1' is below 0", "column 'age', row 3: '121' is above 120"]
    assert [str(p) for p in (checked.problems if policy == "reject" else checked.warnings)] == messages
    assert checked.frame["age"].to_list() == [-1, 40, 121, 60]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("role: target", "role: feature", "exactly one column needs `role: target`"),
        ("name: income", "name: age", "column 'age' stands twice"),
        ("role: id}", "role: identifier}", "schema.fields.0.role"),
        ("type: number", "type: float", "schema.fields.2.type"),
        ("['no', 'yes']", "[no, yes]", "enum value False is no string: put text in quotes"),
        ("['no', 'yes']", "['no']", "at least two values"),
        ("minimum: 0,", "minimum: low,", "column 'age': limit 'low' must be a number"),
        ("minimum: 0,", "minimum: 200,", "minimum 200 is above maximum 120"),
        ("format: '%d.%m.%Y'", "constraints: {minimum: 3}", "limit 3 must be a date in quotes"),
        ("trueValues: ['yes'], falseValues: ['no']", "constraints: {enum: ['yes']}", "a boolean takes no enum"),
        ("name: people", "name: people\nname: x", "'name' stands twice"),
        ("name: people", "name: people\nowner: x", "owner: unknown key"),
        ("name: people", "name: [", "not valid YAML"),
        (CONTRACT, "- a\n- b\n", "must hold `key: value` lines"),
    ],
)
def test_a_broken_contract_file_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        load(tmp_path, text=CONTRACT.replace(old, new))
    assert says in str(error.value)
    assert str(tmp_path / "data_contract.yaml") in str(error.value)


def test_a_missing_contract_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make contract data=FILE target=COLUMN"):
        Contract.load(tmp_path)


def test_personal_data_is_not_shown(tmp_path: Path) -> None:
    contract = load(tmp_path, text=CONTRACT.replace("type: integer, role", "type: integer, pii: suspected, role"))
    problem = str(contract_problem(contract, rows(age=["30", "jane@x.org", "50", "60"])))
    assert problem == "column 'age', row 2: the value is no integer"


def contract_problem(contract: Contract, given: pl.DataFrame) -> object:
    (problem,) = check_rows(given, contract).problems
    return problem


def test_yes_and_no_of_yaml_are_words(tmp_path: Path) -> None:
    contract = load(tmp_path, text=CONTRACT.replace("type: integer, role", "type: integer, pii: no, role"))
    assert contract.columns["age"].pii == "no"


def test_text_of_typed_rows_is_read_back(contract: Contract) -> None:
    typed = check_rows(rows(), contract).frame
    text = as_text(typed, contract)
    assert text["joined"].to_list() == ["01.02.2024", None, "03.02.2024", "04.02.2024"]
    assert text["active"].to_list() == ["yes", "no", "yes", None]
    assert check_rows(text, contract).frame.equals(typed)


def test_a_boolean_is_no_date(contract: Contract) -> None:
    given = rows().with_columns(joined=pl.lit(True))
    assert "is no date" in str(contract_problem(contract, given))


def test_words_for_people_do_not_change_the_hash(contract: Contract, tmp_path: Path) -> None:
    described = load(
        tmp_path, text=CONTRACT.replace("type: number, role", "type: number, description: Yearly, pii: 'yes', role")
    )
    assert described.sha256 == contract.sha256
    assert load(tmp_path, text=CONTRACT.replace("maximum: 120", "maximum: 130")).sha256 != contract.sha256


# Cells that look like something else: numbers with blanks, words for true and for missing, dates that are none.
CELLS = ["", " ", "NA", " NA ", "0", " 7", "30.0", "1e3", "-1", "inf", "nan", "200", "yes", " no", "maybe", "basic"]
CELLS += ["pro ", "gold", "01.02.2024", " 02.02.2024 ", "2024-02-01", "31.02.2024", "é"]


@given(st.data(), st.sampled_from(["['', NA]", "['', NA, '-1', '01.02.2024', basic]", "[]"]))
def test_a_row_alone_is_checked_as_among_others(data: st.DataObject, missing: str) -> None:
    contract = Contract.model_validate(yaml.safe_load(CONTRACT.replace("['', NA]", missing).replace("POLICY", "{}")))
    names = ["age", "income", "plan", "active", "joined"]
    given_rows = pl.DataFrame(
        {name: data.draw(st.lists(st.sampled_from([None, *CELLS]), min_size=4, max_size=4)) for name in names},
        schema=dict.fromkeys(names, pl.String),
    )
    together = check_rows(given_rows, contract, roles=("feature",))
    alone = [check_rows(given_rows[i : i + 1], contract, roles=("feature",)) for i in range(4)]
    assert together.frame.equals(pl.concat(checked.frame for checked in alone))
    log = ProblemLog()
    for row, checked in enumerate(alone, start=1):
        log.add(checked.problems, first_row=row)
    assert set(map(str, log)) == set(map(str, together.problems))
    assert together.flagged == sum(checked.flagged for checked in alone)


def test_a_word_for_missing_may_look_like_a_value(tmp_path: Path) -> None:
    contract = load(tmp_path, text=CONTRACT.replace("['', NA]", "['', '-1', '01.02.2024', basic, 'yes']"))
    frame = check_rows(rows(age=["-1", "40", "50", "60"], income=["-1", "-1.0", "2", "3"]), contract).frame
    assert frame["age"].to_list() == [None, 40, 50, 60]
    assert frame["income"].to_list() == [None, -1.0, 2, 3]
    plain = check_rows(rows(plan=["basic", "pro", "pro", "pro"]), contract).frame
    assert plain["plan"].to_list() == [None, "pro", "pro", "pro"]
    assert frame["joined"].to_list()[0] is frame["plan"].to_list()[0] is frame["active"].to_list()[0] is None


def test_flagged_rows_are_counted_once(contract: Contract) -> None:
    checked = check_rows(rows(age=["-1", "40", "121", "60"], plan=["gold", "basic", "pro", "tin"]), contract)
    assert checked.flagged == 3
    assert [warning.rows for warning in checked.warnings] == [1, 1, 2]


def test_protected_columns_are_typed_whatever_their_role(tmp_path: Path) -> None:
    contract = load(
        tmp_path, text=CONTRACT.replace("type: string, role: ignored", "type: integer, role: ignored, protected: true")
    )
    assert check_rows(rows(comment=["1", "2", "", "4"]), contract).frame["comment"].to_list() == [1, 2, None, 4]
    (problem,) = check_rows(rows(), contract).problems
    assert str(problem) == "column 'comment', row 1: 'a' is no integer (and 3 more rows)"
    assert "comment" not in check_rows(rows(), contract, roles=("feature",)).frame.columns
