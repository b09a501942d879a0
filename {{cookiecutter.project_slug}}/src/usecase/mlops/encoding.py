"""What was fitted in Preprocess and is written as preprocessor.json: the inputs of the model, and its classes.

`usecase.mlops.features` fits it and applies it to frames, `usecase.mlops.serving` to the rows of a request.
"""

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from usecase.mlops.contract import Scalar, Task
from usecase.mlops.errors import UserError
from usecase.mlops.yamlfile import parse

FILE_NAME = "preprocessor.json"
# Each category becomes a column of the matrix: with more, the model would need more memory than rows do.
MAX_CATEGORIES = 5000

Kind = Literal["number", "category", "date"]


class Input(BaseModel):
    """One column that goes into the model. `categories` are the values seen in training, for kind category."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Kind
    categories: list[str] = []

    @property
    def usable(self) -> bool:
        """Whether it becomes at least one matrix column."""
        return self.kind != "category" or bool(self.categories)

    @property
    def feature_names(self) -> list[str]:
        """Names of the matrix columns that this input becomes."""
        if self.kind == "category":
            return [f"{self.name}={category}" for category in self.categories]
        if self.kind == "date":
            return [self.name, f"{self.name}.month", f"{self.name}.weekday"]
        return [self.name]


class Encoding(BaseModel):
    """Everything that turns typed rows into model input and model output into labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    contract_sha256: str
    task: Task
    target: str
    classes: list[Scalar]
    inputs: list[Input]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read preprocessor.json in `folder`, or merge the preprocessor-<host>.json of several hosts.

        Raises UserError.
        """
        files = [folder / FILE_NAME]
        if not files[0].exists():
            files = sorted(folder.glob("preprocessor-*.json")) or files
        merged = cls._read(files[0])
        for file in files[1:]:
            merged = merged._merge(cls._read(file), f"{file.name} and {files[0].name}")
        return merged.model_copy(update={"inputs": [item for item in merged.inputs if item.usable]})

    def save(self, folder: Path, name: str = FILE_NAME) -> None:
        """Write preprocessor.json into `folder`, or preprocessor-<host>.json when it has seen one host's rows only."""
        (folder / name).write_text(json.dumps(self.model_dump(), indent=1) + "\n", encoding="utf-8")

    @property
    def feature_names(self) -> list[str]:
        """Names of the matrix columns, in order."""
        return [name for item in self.inputs for name in item.feature_names]

    @classmethod
    def _read(cls, file: Path) -> Self:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{file}: cannot be read ({error})") from None
        return parse(cls, content, str(file))

    def _merge(self, other: Self, source: str) -> Self:
        """With the categories of both. Raises UserError naming `source` when they are of different columns."""
        alike = {"contract_sha256", "task", "target", "classes"}
        mine, theirs = self.model_dump(include=alike), other.model_dump(include=alike)
        if mine != theirs or [i.name for i in self.inputs] != [i.name for i in other.inputs]:
            raise UserError(f"{source}: were fitted with other contracts or other features")
        inputs = [joined(a, b) for a, b in zip(self.inputs, other.inputs, strict=True)]
        return self.model_copy(update={"inputs": inputs})


def joined(old: Input, new: Input) -> Input:
    """An input with the categories of both. Raises UserError."""
    if old.kind != new.kind:
        raise UserError(f"feature {old.name!r} is a {old.kind} in some rows and a {new.kind} in others: make it one")
    if set(new.categories) <= set(old.categories):
        return old
    return limited(old.model_copy(update={"categories": sorted({*old.categories, *new.categories})}))


def limited(item: Input) -> Input:
    """The input, unless it has too many categories. Raises UserError."""
    if len(item.categories) > MAX_CATEGORIES:
        raise UserError(
            f"feature {item.name!r} has more than {MAX_CATEGORIES} different texts, each a column of the model:"
            " set `role: ignored`, or derive fewer in add_features"
        )
    return item
