"""Infer a data contract from a file: the first draft that a person then reads and corrects."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl
import yaml

from usecase.mlops.check import as_type, blank_to_null
from usecase.mlops.contract import PROFILE, Column, Contract
from usecase.mlops.data_report import mirrors, refuse_few
from usecase.mlops.errors import UserError
from usecase.mlops.tables import read_table
from usecase.mlops.yamlfile import parse

MAX_CATEGORIES = 50
MAX_CLASSES = 100
# A whole-number target with no more values than this is taken for classes, with more for a quantity.
MAX_INTEGER_CLASSES = 10

MISSING_WORDS = ["NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "?", "-"]
BOOLEAN_WORDS = [
    ("true", "false"),
    ("True", "False"),
    ("TRUE", "FALSE"),
    ("yes", "no"),
    ("Yes", "No"),
    ("YES", "NO"),
    ("y", "n"),
    ("Y", "N"),
    ("t", "f"),
    ("T", "F"),
]
DATE_FORMATS = ["default", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y%m%d"]
DATETIME_FORMATS = [
    "default",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
]

ID_NAME = re.compile(r"(^|[_\s.-])(?i:id|uuid|guid|key)$|^(?i:row|record)[_\s.-]?(?i:no|nr|number|num)$|[a-z](Id|ID)$")
CODE = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"
DECORATED_NUMBER = r"^[€$£]?\s?[+-]?\d[\d.,' ]*\s?[%€$£]?$"
# Words of a column name that usually stand for a person, after the categories of GDPR Art. 4(1) and NIST SP 800-122.
PII_NAME = re.compile(
    r"(^|[_\s.-])(e?-?mail|phone|mobile|telephone|fax|ssn|social security|passport|iban|account number|credit card"
    r"|first name|last name|full name|surname|firstname|lastname|fullname|forename|street|address|zip|zipcode|postcode"
    r"|postal code|birth|dob|birthday|birthdate|ip|ip address|latitude|longitude|lat|lon|licen[cs]e plate"
    r"|vorname|nachname|familienname|geburtsname|geburtsdatum|geburtstag|geburtsort|wohnort|stra(ss|ß)e|hausnummer|plz"
    r"|postleitzahl|adresse|anschrift|telefon(nummer)?|handy(nummer)?|mobilnummer|kontonummer|steuer(nummer|id)"
    r"|sozialversicherungsnummer|ausweisnummer|kennzeichen|breitengrad|l(ä|ae)ngengrad)([_\s.-]|$)",
    re.IGNORECASE,
)
# Grounds on which people must not be treated worse, after Art. 21 of the EU Charter of Fundamental Rights and § 1 AGG.
PROTECTED_NAME = re.compile(
    r"(^|[_\s.-])(sex|gender|age|age group|race|ethnicity|ethnic (group|origin)|nationality|citizenship|religion|belief"
    r"|disability|disabled|marital( status)?|pregnan(t|cy)|sexual orientation|geschlecht|alter|altersgruppe|rasse"
    r"|ethnie|herkunft|nationalit(ä|ae)t|staatsangeh(ö|oe)rigkeit|migrationshintergrund|konfession|weltanschauung|behinderung"
    r"|schwerbehindert|familienstand|schwanger(schaft)?|sexuelle orientierung)([_\s.-]|$)",
    re.IGNORECASE,
)
PII_VALUES = {
    "e-mail addresses": r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$",
    "IBANs": r"^[A-Z]{2}\d{2}[ ]?([A-Z0-9]{4}[ ]?){2,7}[A-Z0-9]{1,4}$",
    "IP addresses": r"^(\d{1,3}\.){3}\d{1,3}$",
    "phone numbers": r"^(\+|00)\d[\d\s()/-]{6,}$",
}


@dataclass
class Draft:
    """An inferred contract as written to the file, and what a person should look at."""

    contract: Contract
    text: str
    checks: list[str] = field(default_factory=list)


@dataclass
class _Column:
    """What was seen of one column while the draft grows."""

    name: str
    raw: pl.Series
    type: str = "string"
    role: str = "feature"
    reason: str = ""
    pii: str = "no"
    extra: dict[str, Any] = field(default_factory=dict)
    constraints: dict[str, Any] = field(default_factory=dict)

    @property
    def typed(self) -> pl.Series:
        return as_type(
            self.raw, Column.model_validate({"name": self.name, "type": self.type, "role": "ignored", **self.extra})
        )


def infer(
    path: Path,
    target: str,
    task: Literal["classification", "regression"] | None = None,
    id_column: str | None = None,
    root: Path | None = None,
) -> Draft:
    """Draft a contract for the rows of `path`. Raises UserError when there is nothing to learn from it.

    `root` is the repository: a file inside of it is recorded by its relative path.
    """
    rows = read_table(path)
    for name, label in ((target, "target"), (id_column, "id")):
        if name is not None and name not in rows.columns:
            raise UserError(
                f"{path}: has no column {name!r} for {label}={name}: the columns are {', '.join(rows.columns)}"
            )
    refuse_few(rows.height)

    checks: list[str] = []
    missing_values = ["", *_missing_words(rows)]
    if missing_values[1:]:
        checks.append(f"missing values: {', '.join(map(repr, missing_values[1:]))} in any column is taken as no value")
    columns = [_Column(name, blank_to_null(rows[name], missing_values)) for name in rows.columns]
    for column in columns:
        _infer_type(column, checks)
    goal = next(column for column in columns if column.name == target)
    _infer_target(goal, task, path, checks)
    for column in columns:
        if column is not goal:
            _infer_role(column, goal, column.name == id_column, checks)
    _keep_one_id(columns, id_column, checks)
    for column in columns:
        _note_pii(column, checks)
        _note_protected(column, checks)
        if column.role != "ignored":
            _infer_constraints(column)

    if not any(column.role == "feature" for column in columns):
        reasons = "; ".join(f"{column.name}: {column.reason}" for column in columns if column is not goal)
        raise UserError(f"{path}: no column is left as a feature: {reasons}")
    descriptor = {
        "$schema": PROFILE,
        "name": re.sub(r"[^a-z0-9._-]+", "-", path.name.split(".")[0].lower()).strip("-") or "data",
        "path": _recorded_path(path, root, checks),
        "policy": {"unseen_category": "missing", "out_of_range": "flag"},
        "schema": {
            "fieldsMatch": "equal",
            "missingValues": missing_values,
            "fields": [_descriptor(column) for column in columns],
        },
    }
    return Draft(parse(Contract, descriptor, str(path)), render(descriptor), checks)


def render(descriptor: dict[str, Any]) -> str:
    """The contract as YAML with its explanation on top; short leaf mappings and lists stay on one line."""
    text = yaml.dump(descriptor, Dumper=_ContractDumper, sort_keys=False, allow_unicode=True, width=120)
    return HEADER + text


HEADER = """\
# What every column means: read by training, evaluation and the prediction service alike.
# Format: Data Resource with a Table Schema, Data Package standard 2.0 (datapackage.org); role, reason, unit, pii and
# policy are this repository's own properties. Check roles, ranges, PII and the order of the target's values
# (the last of two is the positive class); fill in unit and description.
"""


class _ContractDumper(yaml.SafeDumper):
    """Block style for the outline, flow style for mappings and lists that hold only scalars."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        if not {"name", "fields"} & set(mapping):
            node.flow_style = True
        return node

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        node = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = not any(isinstance(item, dict) for item in sequence)
        return node


def _missing_words(rows: pl.DataFrame) -> list[str]:
    """Words for "no value" that occur. `?` and `-` count only where they stand between numbers."""
    found = []
    for name in rows.columns:
        if rows.schema[name] != pl.String:
            continue
        text = rows[name].str.strip_chars()
        words = [word for word in MISSING_WORDS if (text == word).any()]
        for word in words:
            rest = text.filter(~text.is_in(pl.Series(["", *words]).implode()))
            certain = word not in ("?", "-") or (
                len(rest) > 0 and rest.cast(pl.Float64, strict=False).is_not_null().all()
            )
            if certain and word not in found:
                found.append(word)
    return found


def _infer_type(column: _Column, checks: list[str]) -> None:
    values = column.raw.drop_nulls()
    if values.dtype != pl.String:
        by_dtype = {pl.Boolean: "boolean", pl.Date: "date", pl.Datetime: "datetime"}
        column.type = (
            "integer"
            if values.dtype.is_integer()
            else "number"
            if values.dtype.is_numeric()
            else by_dtype.get(values.dtype.base_type(), "string")
        )
        if values.dtype.is_float() and len(values) and values.is_finite().all() and (values == values.round()).all():
            column.type = "integer"
        _refuse_infinity(column)
        return
    if not len(values):
        return
    distinct = set(values.unique().head(3).to_list())
    for words in BOOLEAN_WORDS:
        if distinct == set(words):
            column.type = "boolean"
            # `true` and `false` are what JSON calls them.
            true, false = (list(dict.fromkeys(pair)) for pair in zip(words, ("true", "false"), strict=True))
            column.extra = {"trueValues": true, "falseValues": false}
            return
    leading_zero = values.str.contains(r"^[+-]?0\d").any()
    if (
        not leading_zero
        and values.str.contains(r"^[+-]?\d+$").all()
        and values.cast(pl.Int64, strict=False).is_not_null().all()
    ):
        column.type = "integer"
        return
    numbers = values.cast(pl.Float64, strict=False)
    if not leading_zero and numbers.is_not_null().all():
        column.type = "number"
        _refuse_infinity(column)
        return
    share = numbers.is_not_null().mean()
    if isinstance(share, float) and share > 0.9 and not leading_zero:
        odd = values.filter(numbers.is_null())
        checks.append(
            f"{column.name}: {len(odd)} of {len(values)} values are no numbers (first: {odd[0]!r}): taken for text"
        )
    for kind, formats in (("date", DATE_FORMATS), ("datetime", DATETIME_FORMATS)):
        fitting = [f for f in formats if _fits(values, kind, f)]
        if fitting:
            column.type = kind
            column.extra = {} if fitting[0] == "default" else {"format": fitting[0]}
            if len(fitting) > 1:
                checks.append(f"{column.name}: dates fit {' and '.join(fitting)}: {fitting[0]} was taken")
            return
    if values.str.contains(DECORATED_NUMBER).all() and not leading_zero:
        checks.append(
            f"{column.name}: looks like numbers ({values[0]!r}), but only 1234.5 is read as one: taken for text"
        )


def _fits(values: pl.Series, kind: str, pattern: str) -> bool:
    if pattern != "default" and kind == "date" and not values.str.len_chars().is_between(8, 10).all():
        return False
    column = Column.model_validate({"name": "x", "type": kind, "role": "ignored", "format": pattern})
    return bool(as_type(values, column).is_not_null().all())


def _refuse_infinity(column: _Column) -> None:
    infinite = column.raw.cast(pl.Float64, strict=False).is_infinite().fill_null(False).arg_true()
    if len(infinite):
        raise UserError(
            f"column {column.name!r}, row {infinite[0] + 1}: {column.raw[int(infinite[0])]} is not finite:"
            " leave the cell empty or drop the row"
        )


def _infer_target(goal: _Column, task: str | None, path: Path, checks: list[str]) -> None:
    empty = goal.raw.is_null().arg_true()
    if len(empty):
        raise UserError(
            f"{path}: target {goal.name!r} is empty in {len(empty)} rows (first: row {empty[0] + 1}): drop those rows"
        )
    distinct = goal.raw.n_unique()
    if distinct == 1:
        raise UserError(f"{path}: target {goal.name!r} is always {goal.raw[0]!r}: there is nothing to learn")
    goal.role = "target"
    numeric = goal.type in ("integer", "number")
    if task == "regression" and not numeric:
        raise UserError(f"{path}: task=regression needs a number as target, {goal.name!r} is a {goal.type}")
    classify = task == "classification" or (
        task is None and (not numeric or (goal.type == "integer" and distinct <= MAX_INTEGER_CLASSES))
    )
    if not classify:
        goal.reason = f"regression: {distinct} different numbers"
        return
    if goal.type in ("date", "datetime") or distinct > MAX_CLASSES:
        raise UserError(
            f"{path}: target {goal.name!r} has {distinct} different values: classification takes at most {MAX_CLASSES}"
        )
    counts = goal.raw.value_counts(sort=True)
    rarest = counts.row(-1)
    if rarest[1] < 2:
        raise UserError(f"{path}: class {rarest[0]!r} of target {goal.name!r} has only one row: add rows or drop it")
    if goal.type == "boolean" and goal.extra and goal.extra["trueValues"][0].lower() != "true":
        goal.type, goal.extra = "string", {}  # predictions then read `yes` and `no` as the data does
    if goal.type == "number":
        goal.type = "string"
    if goal.type != "boolean":
        goal.constraints["enum"] = sorted(goal.typed.unique().to_list())
    kind = "binary" if distinct == 2 else "multiclass"
    goal.reason = f"{kind} classification: {', '.join(f'{label} {count}' for label, count in counts.head(5).rows())}"
    if distinct == 2:
        positive = (goal.constraints.get("enum") or [False, True])[-1]
        checks.append(f"{goal.name}: {positive!r} is the positive class; for the other one, put it last in enum")
    elif goal.type == "integer" and task is None:
        checks.append(
            f"{goal.name}: {distinct} whole numbers were taken for classes; for a quantity pass task=regression"
        )


def _infer_role(column: _Column, goal: _Column, is_id: bool, checks: list[str]) -> None:
    values = column.raw.drop_nulls()
    distinct = values.n_unique()
    if is_id:
        duplicates = column.raw.is_duplicated().arg_true()
        if column.raw.null_count() or len(duplicates):
            at = duplicates[0] if len(duplicates) else column.raw.is_null().arg_true()[0]
            raise UserError(
                f"column {column.name!r}, row {at + 1}: an id stands in each row once, {column.raw[int(at)]!r} does not"
            )
        column.role, column.reason = "id", "named by id="
    elif not len(values):
        _ignore(column, "no values", checks)
    elif distinct == 1:
        _ignore(column, f"constant: always {values[0]!r}", checks)
    elif mirrors(column.raw, goal.raw):
        _ignore(column, f"identical to the target {goal.name!r}: a model would only copy it (leakage)", checks)
    elif distinct == len(column.raw) and column.type in ("integer", "string") and _named_like_an_id(column):
        column.role, column.reason = "id", "unique, and named like an id"
    elif distinct == len(column.raw) and column.type == "string" and _codes(values):
        column.role, column.reason = "id", "unique, and short codes without blanks"
    elif column.type == "integer" and distinct == len(column.raw) and _counts_rows(column.typed):
        _ignore(column, "counts the rows", checks)
    elif column.type == "string" and distinct > min(MAX_CATEGORIES, max(2, len(values) // 2)):
        _ignore(column, f"free text or high cardinality: {distinct} different values in {len(values)} rows", checks)
    else:
        column.reason = f"{column.type if column.type != 'string' else 'category'} with {distinct} different values"


def _named_like_an_id(column: _Column) -> bool:
    return not column.name.strip() or ID_NAME.search(column.name) is not None


def _codes(values: pl.Series) -> bool:
    """Whether all values are short and of one word, as keys are and texts, amounts and addresses are not."""
    return bool(values.str.contains(CODE).all())


def _ignore(column: _Column, reason: str, checks: list[str]) -> None:
    column.role, column.reason = "ignored", reason
    checks.append(f"{column.name}: ignored, {reason}")


def _counts_rows(values: pl.Series) -> bool:
    return bool((values.diff().drop_nulls() == 1).all())


def _keep_one_id(columns: list[_Column], id_column: str | None, checks: list[str]) -> None:
    """The one that was asked for, else the first that is named like an id, else the first."""
    ids = [column for column in columns if column.role == "id"]
    ids.sort(key=lambda column: (column.name != id_column, not _named_like_an_id(column)))
    if ids and id_column is None:
        checks.append(f"{ids[0].name}: taken as the id, {ids[0].reason}; rows are split by it. Another: id=COLUMN")
    for column in ids[1:]:
        _ignore(column, f"a second id beside {ids[0].name}", checks)


def _note_pii(column: _Column, checks: list[str]) -> None:
    named = PII_NAME.search(_words(column.name))
    found = f"the name {column.name!r}" if named else None
    if column.raw.dtype == pl.String:
        sample = column.raw.drop_nulls().head(200)
        for kind, pattern in PII_VALUES.items():
            if len(sample) and sample.str.contains(pattern).mean() > 0.5:  # type: ignore[operator]
                found = kind
    if found and column.role != "target":
        column.pii = "suspected"
        use = "" if column.role == "ignored" else f", used as {column.role}"
        checks.append(f"{column.name}: may be personal data ({found}){use}: set pii to yes or no")


def _note_protected(column: _Column, checks: list[str]) -> None:
    if column.role != "target" and PROTECTED_NAME.search(_words(column.name)):
        checks.append(
            f"{column.name}: seems to tell groups of people apart: consider `protected: true`,"
            " then fairness is measured between them"
        )


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("_", " "))


def _infer_constraints(column: _Column) -> None:
    if column.role == "id":
        column.constraints = {"required": True, "unique": True}
        return
    limits: dict[str, Any] = {"required": column.raw.null_count() == 0}
    if column.type == "string" and "enum" not in column.constraints:
        limits["enum"] = sorted(column.raw.drop_nulls().unique().to_list())
    elif column.type in ("integer", "number") and "enum" not in column.constraints:
        limits |= {"minimum": column.typed.min(), "maximum": column.typed.max()}
    column.constraints = limits | column.constraints


def _descriptor(column: _Column) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": column.name, "type": column.type, "role": column.role}
    if column.reason:
        fields["reason"] = column.reason
    fields |= column.extra
    if column.role != "ignored":
        fields |= {"unit": "", "description": "", "constraints": column.constraints}
    if column.pii != "no":
        fields["pii"] = column.pii
    return fields


def _recorded_path(path: Path, root: Path | None, checks: list[str]) -> str:
    absolute = path.resolve()
    if root is not None and absolute.is_relative_to(root.resolve()):
        return absolute.relative_to(root.resolve()).as_posix()
    checks.append(f"path: {absolute} lies outside of the repository: others must pass data=FILE")
    return absolute.as_posix()
