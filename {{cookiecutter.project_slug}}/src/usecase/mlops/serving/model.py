"""A model folder, loaded to answer requests with nothing but ONNX Runtime and numpy where that is possible."""

import ast
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from usecase.mlops.contract import Contract
from usecase.mlops.encoding import Encoding
from usecase.mlops.errors import UserError
from usecase.mlops.serving.answers import PLAIN, Answers, Options
from usecase.mlops.serving.manifest import check_manifest
from usecase.mlops.serving.matrix import Derive, Matrix, MatrixMaker
from usecase.mlops.serving.predictor import load_booster, load_predictor
from usecase.mlops.serving.request import JSON, ContentType, RequestError
from usecase.mlops.serving.rows import Rows, parse_rows
from usecase.mlops.serving.validation import Fault, Valid, Validator

OBJECTIVES = {
    "binary_classification": "binary:logistic",
    "multiclass_classification": "multi:softprob",
    "regression": "reg:squarederror",
}


class ServedModel:
    """Contract, fitted preprocessing and predictor of one model folder."""

    def __init__(self, folder: Path, version: str = "") -> None:
        """Load what Train wrote. Raises UserError when a part is missing, damaged, changed or foreign."""
        digest = check_manifest(folder)
        self.folder, self.version = folder, version or digest
        self.contract, self.encoding = Contract.load(folder), Encoding.load(folder)
        if self.encoding.contract_sha256 != self.contract.sha256:
            raise UserError(f"{folder}: preprocessor.json and data_contract.yaml do not belong together: train again")
        self.validator = Validator(self.contract)
        self._maker = MatrixMaker(self.encoding, self.contract, derived_features(folder, self.contract))
        objective, width = OBJECTIVES[self.encoding.task], len(self.encoding.feature_names)
        self.predictor = load_predictor(folder, objective, width)
        self.predictor.predict(np.full((1, width), np.nan, np.float32))  # the first answer takes longest
        self._booster: Any = None

    def answer(
        self, body: bytes, content: ContentType, accept: str, options: Options = PLAIN, one_by_one: bool = False
    ) -> tuple[bytes, Answers, Valid]:
        """The body of the answer, and what it was made of. Raises RequestError naming row and column.

        `one_by_one`: a row that breaks the contract gets a place without an answer, and the others are answered.
        """
        if content.media_type == JSON and b"p" in body and b'"parameters"' in body:  # one letter is found much faster
            options |= _parameters(body)
        rows = parse_rows(body, content, self.validator.names, self.validator.only_numbers, keep_blank=one_by_one)
        valid = self.check(rows, one_by_one)
        answers = self.predict(valid, options)
        return answers.write(accept, options), answers, valid

    def check(self, rows: Rows, one_by_one: bool = False) -> Valid:
        """Rows in the contract's types. Raises RequestError."""
        valid = self.validator.check(rows, one_by_one)
        if valid.refused and not one_by_one:
            problem = valid.refused[0].problem
            raise RequestError(str(problem), row=problem.row, column=problem.column)
        return valid

    def predict(self, valid: Valid, options: Options = PLAIN) -> Answers:
        """The answers for checked rows."""
        matrix = self._maker.make(valid)
        answers = Answers.of(self.predictor.predict(matrix), self.encoding.classes, self.version)
        if valid.refused:
            answers = replace(answers, refused=_first_by_row(valid.refused))
        if options.flags:
            answers = replace(answers, flags=_all_by_row(valid.flagged))
        return replace(answers, explanations=self._explain(matrix)) if options.explanation else answers

    def _explain(self, matrix: Matrix) -> list[dict[str, Any]]:
        """Per row what each input adds to the margin (SHAP values), of all classes for more than two."""
        import xgboost as xgb

        if self._booster is None:
            self._booster = load_booster(self.folder)
        contributions = self._booster.predict(xgb.DMatrix(matrix), pred_contribs=True, strict_shape=True)
        starts = np.cumsum([0] + [len(item.feature_names) for item in self.encoding.inputs])
        sums = np.add.reduceat(contributions[:, :, :-1], starts[:-1], axis=2).astype(np.float64)
        names = [item.name for item in self.encoding.inputs]
        classes = self.encoding.classes if len(self.encoding.classes) > 2 else [""]
        explanations = []
        for row, bases in zip(sums.tolist(), contributions[:, :, -1].astype(np.float64).tolist(), strict=True):
            by_class = {
                str(label): {"base": base, "contributions": dict(zip(names, values, strict=True))}
                for label, base, values in zip(classes, bases, row, strict=True)
            }
            explanations.append(by_class.get("", by_class))
        return explanations


def derived_features(folder: Path, contract: Contract) -> Derive | None:
    """What turns checked rows into the matrix when `add_features` derives something; None when it changes nothing.

    Told by its code, so that the service of a use case without derived features does not import polars.
    """
    found = importlib.util.find_spec("usecase.preprocessing")
    if found is None or found.origin is None or returns_its_argument(Path(found.origin).read_text(), "add_features"):
        return None
    try:
        import polars as pl

        from usecase.mlops.check import DTYPES
        from usecase.mlops.features import Preprocessor
        from usecase.preprocessing import add_features
    except ImportError as error:
        raise UserError(f"add_features needs {error.name}, which this image does not have: build it whole") from None
    preprocessor = Preprocessor.load(folder)
    schema = {column.name: DTYPES[column.type] for column in contract.features}

    def derive(columns: dict[str, list[Any]]) -> Matrix:
        typed = pl.DataFrame([pl.Series(name, columns[name], dtype=dtype) for name, dtype in schema.items()])
        return preprocessor.transform(add_features(typed))

    return derive


def returns_its_argument(source: str, function: str) -> bool:
    """Whether all that a function of one argument does is to return it."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            returned = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None
            plain = not node.decorator_list and len(node.args.args) == 1
            return plain and isinstance(returned, ast.Name) and returned.id == node.args.args[0].arg
    return False


def _parameters(body: bytes) -> Options:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return PLAIN  # said when the rows are read
    if not isinstance(content, dict) or not {"instances", "parameters"} <= set(content):
        return PLAIN
    if not isinstance(content["parameters"], dict):
        raise RequestError('"parameters" must be an object of names and true or false')
    return Options.read(content["parameters"])


def _first_by_row(faults: list[Fault]) -> dict[int, Fault]:
    return {row: fault for fault in reversed(faults) for row in fault.rows}


def _all_by_row(faults: list[Fault]) -> dict[int, list[Fault]]:
    by_row: dict[int, list[Fault]] = {}
    for fault in faults:
        for row in fault.rows:
            by_row.setdefault(row, []).append(fault)
    return by_row
