"""The data contract: what every column means. `usecase.mlops.check` holds data against it.

`data_contract.yaml` is a Data Resource with a Table Schema (Data Package standard, version 2.0), so other tools read
it too. Five properties of a field are ours, as the standard allows: `role`, `reason`, `unit`, `pii` and `protected`;
so is `policy` of the resource.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from usecase.mlops.errors import UserError
from usecase.mlops.yamlfile import parse, read_yaml

FILE_NAME = "data_contract.yaml"
PROFILE = "https://datapackage.org/profiles/2.0/dataresource.json"

Task = Literal["binary_classification", "multiclass_classification", "regression"]
Scalar = bool | int | float | str


class _Descriptor(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Constraints(_Descriptor):
    """Limits of a column, in its own type."""

    required: bool = False
    unique: bool = False
    minimum: int | float | str | None = None
    maximum: int | float | str | None = None
    enum: list[Scalar] | None = Field(default=None, min_length=1)


class Column(_Descriptor):
    """One column. A `string` with an `enum` is a category; a target that has one, or is boolean, makes a classifier."""

    name: str
    type: Literal["integer", "number", "boolean", "date", "datetime", "string"]
    role: Literal["feature", "target", "id", "ignored"]
    reason: str = ""
    unit: str = ""
    description: str = ""
    pii: Literal["no", "suspected", "yes"] = "no"
    protected: bool = False  # groups of people are told apart by it: fairness is measured between them
    format: str = "default"
    true_values: list[str] = Field(default=["true", "True", "TRUE", "1"], alias="trueValues")
    false_values: list[str] = Field(default=["false", "False", "FALSE", "0"], alias="falseValues")
    constraints: Constraints = Constraints()

    @field_validator("pii", mode="before")
    @classmethod
    def _yes_and_no_are_words(cls, value: Any) -> Any:
        return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _enum_fits_type(self) -> "Column":
        kinds: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "string": (str,)}
        for value in self.constraints.enum or []:
            if self.type not in kinds:
                raise ValueError(f"column {self.name!r}: a {self.type} takes no enum")
            if isinstance(value, bool) or not isinstance(value, kinds[self.type]):
                # YAML reads a bare `no`, `on` or 2024-01-01 as something else than text.
                raise ValueError(f"column {self.name!r}: enum value {value!r} is no {self.type}: put text in quotes")
        return self

    @model_validator(mode="after")
    def _limits_fit_type(self) -> "Column":
        low, high = self.constraints.minimum, self.constraints.maximum
        for limit in (low, high):
            if limit is None:
                continue
            if self.type in ("string", "boolean"):
                raise ValueError(f"column {self.name!r}: a {self.type} takes no minimum or maximum")
            if isinstance(limit, str) == (self.type in ("integer", "number")):
                wanted = "a number" if isinstance(limit, str) else f"a {self.type} in quotes"
                raise ValueError(f"column {self.name!r}: limit {limit!r} must be {wanted}")
        if (
            low is not None
            and high is not None
            and not isinstance(low, str)
            and not isinstance(high, str)
            and low > high
        ):
            raise ValueError(f"column {self.name!r}: minimum {low} is above maximum {high}")
        return self


class TableSchema(_Descriptor):
    """Table Schema of the file: `fieldsMatch: equal` means exactly these columns, in any order."""

    fields: list[Column] = Field(min_length=2)
    fields_match: Literal["equal"] = Field(default="equal", alias="fieldsMatch")
    missing_values: list[str] = Field(default=[""], alias="missingValues")


class Policy(_Descriptor):
    """What happens to a value that is well-formed but outside of what the contract has seen."""

    unseen_category: Literal["missing", "reject"] = "missing"
    out_of_range: Literal["flag", "reject"] = "flag"


class Contract(_Descriptor):
    """The parsed data_contract.yaml."""

    profile: str = Field(default=PROFILE, alias="$schema")
    name: str = Field(pattern=r"^[a-z0-9._-]+$")
    path: str = ""
    policy: Policy = Policy()
    table: TableSchema = Field(alias="schema")

    @model_validator(mode="after")
    def _roles(self) -> "Contract":
        names = [column.name for column in self.table.fields]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"column {name!r} stands twice")
        targets = [c for c in self.table.fields if c.role == "target"]
        if len(targets) != 1:
            raise ValueError(f"exactly one column needs `role: target`, {len(targets)} have it")
        if not any(c.role == "feature" for c in self.table.fields):
            raise ValueError("no column has `role: feature`")
        if sum(c.role == "id" for c in self.table.fields) > 1:
            raise ValueError("only one column may have `role: id`")
        enum = targets[0].constraints.enum
        if enum is not None and len(enum) < 2:
            raise ValueError(f"target {targets[0].name!r} needs at least two values in its enum")
        if enum is None and targets[0].type not in ("integer", "number", "boolean"):
            raise ValueError(f"target {targets[0].name!r} is a {targets[0].type}: list its classes in constraints.enum")
        return self

    @classmethod
    def load(cls, path: Path) -> "Contract":
        """Read a contract file (or the one in the folder `path`). Raises UserError."""
        file = path / FILE_NAME if path.is_dir() else path
        if not file.exists():
            raise UserError(f"{file}: no such file: make it with `make contract data=FILE target=COLUMN`")
        return parse(cls, read_yaml(file), str(file))

    @cached_property
    def columns(self) -> dict[str, Column]:
        """All columns by name, in contract order."""
        return {column.name: column for column in self.table.fields}

    @cached_property
    def features(self) -> list[Column]:
        """Columns that the model may use, in contract order: the order of requests without a header."""
        return [column for column in self.table.fields if column.role == "feature"]

    @cached_property
    def protected(self) -> list[Column]:
        """Columns between whose groups fairness is measured; one that is no feature goes into the test rows only."""
        return [column for column in self.table.fields if column.protected]

    @cached_property
    def target(self) -> Column:
        """The column to predict."""
        return next(column for column in self.table.fields if column.role == "target")

    @cached_property
    def id(self) -> Column | None:
        """The column that names a row, if there is one."""
        return next((column for column in self.table.fields if column.role == "id"), None)

    @cached_property
    def classes(self) -> list[Scalar]:
        """Class labels of a classifier in model order; the last of two is the positive one. [] for regression."""
        if self.target.type == "boolean":
            return [False, True]
        return list(self.target.constraints.enum or [])

    @property
    def task(self) -> Task:
        """The kind of problem, as SageMaker Model Monitor names it."""
        if not self.classes:
            return "regression"
        return "binary_classification" if len(self.classes) == 2 else "multiclass_classification"

    @property
    def sha256(self) -> str:
        """Hash of everything that decides how data is read: not of names, places, and words for people."""
        words = {"reason", "description", "unit", "pii", "protected"}
        unread: Any = {"profile": True, "name": True, "path": True, "table": {"fields": {"__all__": words}}}
        content = self.model_dump(mode="json", exclude=unread)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
