"""Predictions as bytes: JSON, JSON Lines or CSV, a record per row in the order of the rows."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from usecase.mlops.contract import Scalar
from usecase.mlops.serving.request import CSV, JSON, RequestError
from usecase.mlops.serving.validation import Fault

# In CSV the place of a row that could not be answered: quoted, since a blank line is no row.
NO_CELL = '""'


@dataclass(frozen=True)
class Options:
    """What a client may ask for beyond the prediction, by `parameters` of a JSON body or by custom attributes."""

    probabilities: bool = False  # of all classes
    explanation: bool = False  # SHAP values of the inputs, in margin units; JSON only
    flags: bool = False  # whether a value is out of the range or categories that the contract has seen

    @classmethod
    def read(cls, words: Mapping[str, Any]) -> "Options":
        """Options out of `name: true` pairs; other names are somebody else's. Raises RequestError."""
        given = {}
        for name in OPTION_NAMES & set(words):
            value = {"true": True, "false": False}.get(str(words[name]).lower())
            if value is None:
                raise RequestError(f"parameter {name}: must be true or false")
            given[name] = value
        return cls(**given)

    @classmethod
    def of_attributes(cls, text: str) -> "Options":
        """Options out of the header X-Amzn-SageMaker-Custom-Attributes: `probabilities=true;flags=true`."""
        pairs = (part.partition("=") for part in text.replace(",", ";").split(";"))
        return cls.read({name.strip(): value.strip() for name, _, value in pairs})

    def __or__(self, other: "Options") -> "Options":
        return Options(*(getattr(self, name) or getattr(other, name) for name in OPTION_NAMES_IN_ORDER))


OPTION_NAMES_IN_ORDER = tuple(option.name for option in fields(Options))
OPTION_NAMES = set(OPTION_NAMES_IN_ORDER)
PLAIN = Options()


@dataclass
class Answers:
    """What the model says about n rows. `probabilities` (n x classes) only for classifiers.

    `refused` are the rows (from 0) without an answer. `explanations` are per row the contribution of each input, and
    what all rows start from.
    """

    values: list[Scalar]
    classes: list[Scalar]
    version: str
    probabilities: npt.NDArray[np.float32] | None = None
    refused: Mapping[int, Fault] | None = None
    flags: Mapping[int, list[Fault]] | None = None
    explanations: Sequence[Mapping[str, Any]] | None = None

    @classmethod
    def of(cls, output: npt.NDArray[np.float32], classes: list[Scalar], version: str) -> "Answers":
        """The answers in what a predictor gives: numbers, or probabilities as XGBoost has them."""
        if not classes:
            return cls(output.astype(np.float64).tolist(), classes, version)
        probabilities = output if len(classes) > 2 else np.array((1 - output, output)).T
        return cls([classes[i] for i in probabilities.argmax(axis=1).tolist()], classes, version, probabilities)

    @cached_property
    def top(self) -> list[float]:
        """The probability of each predicted class; none for numbers."""
        return [] if self.probabilities is None else self.probabilities.max(axis=1).tolist()

    def write(self, media_type: str, options: Options) -> bytes:
        """The body of the answer. Raises RequestError."""
        if media_type == CSV:
            return self._as_csv(options)
        records = self._records(options)
        if media_type == JSON:
            return orjson.dumps({"predictions": records} | ({"model_version": self.version} if self.version else {}))
        return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)

    def _records(self, options: Options) -> list[dict[str, Any]]:
        records: list[dict[str, Any]]
        if self.probabilities is None:
            records = [{"prediction": value} for value in self.values]
        else:
            records = [{"prediction": v, "probability": p} for v, p in zip(self.values, self.top, strict=True)]
        if options.probabilities and self.probabilities is not None:
            names = [_label(label) for label in self.classes]
            for record, shares in zip(records, self.probabilities.astype(np.float64).tolist(), strict=True):
                record["probabilities"] = dict(zip(names, shares, strict=True))
        if options.flags and self.flags is not None:
            for row, record in enumerate(records):
                faults = self.flags.get(row, [])
                record["out_of_distribution"] = bool(faults)
                record["flags"] = [{"column": f.problem.column, "message": f.problem.message} for f in faults]
        if self.explanations is not None:
            for record, explanation in zip(records, self.explanations, strict=True):
                record["explanation"] = explanation
        for row, fault in (self.refused or {}).items():
            error = {"row": row + 1, "column": fault.problem.column, "message": fault.problem.message}
            records[row] = {"prediction": None, "error": error}
        return records

    def _as_csv(self, options: Options) -> bytes:
        if options.explanation:
            raise RequestError("an explanation is no CSV: accept application/json or application/jsonlines")
        columns: list[list[Any]] = [[_label(value) if self.classes else value for value in self.values]]
        if self.probabilities is not None:
            columns.append(self.top)
            if options.probabilities:
                columns += self.probabilities.T.astype(np.float64).tolist()
        if options.flags and self.flags is not None:
            columns.append([int(row in self.flags) for row in range(len(self.values))])
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(zip(*columns, strict=True))
        if not self.refused:
            return text.getvalue().encode()
        lines = text.getvalue().splitlines()
        for row in self.refused:
            lines[row] = ",".join([NO_CELL] * len(columns))
        return "".join(line + "\n" for line in lines).encode()


def _label(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
