"""The handlers as AWS's inference toolkit calls them; a stand-in for its errors is all that is needed of it."""

import sys
from http import HTTPStatus
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import polars as pl
import pytest
import xgboost as xgb

from usecase.mlops import handlers, payload
from usecase.mlops.contract import Contract
from usecase.mlops.features import Preprocessor
from usecase.mlops.model import FILE_NAME, Model, Predictions, add_code, load_model
from usecase.mlops.synthetic import synthetic_rows

CONTRACT = """\
name: people
schema:
  fields:
    - {name: age, type: integer, role: feature, constraints: {minimum: 0, maximum: 100}}
    - {name: paid, type: number, role: target, constraints: {minimum: 0, maximum: 9}}
"""


class BaseInferenceToolkitError(Exception):
    """As sagemaker_inference.errors has it."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        self.status_code, self.message, self.phrase = status_code, message, phrase
        super().__init__(status_code, message, phrase)


def predict(rows: pl.DataFrame, model: Model) -> Predictions:
    return model.predict(payload.typed_features(rows, model.contract))


# Of the use case as it was born: what its team makes of usecase.inference is for their own tests.
INFERENCE = SimpleNamespace(input_fn=payload.read_rows, predict_fn=predict, output_fn=payload.write_predictions)


@pytest.fixture
def model_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    errors = ModuleType("sagemaker_inference.errors")
    vars(errors)["BaseInferenceToolkitError"] = BaseInferenceToolkitError
    monkeypatch.setattr(handlers, "inference", INFERENCE)
    monkeypatch.setitem(sys.modules, "sagemaker_inference", ModuleType("sagemaker_inference"))
    monkeypatch.setitem(sys.modules, "sagemaker_inference.errors", errors)
    (tmp_path / "data_contract.yaml").write_text(CONTRACT)
    contract = Contract.load(tmp_path)
    rows = synthetic_rows(contract)
    preprocessor = Preprocessor.fit(rows, contract)
    preprocessor.save(tmp_path)
    matrix = xgb.DMatrix(preprocessor.transform(rows), label=preprocessor.labels(rows))
    xgb.train({}, matrix, 2).save_model(tmp_path / FILE_NAME)
    return tmp_path


def answer(model_dir: Path, body: bytes | str, content_type: str, accept: str) -> tuple[bytes, str]:
    model = load_model(model_dir)
    return handlers.output_fn(handlers.predict_fn(handlers.input_fn(body, content_type), model), accept)


@pytest.mark.parametrize("body", ["31\n", b"31\n"])
def test_text_and_bytes_are_answered_alike(model_dir: Path, body: bytes | str) -> None:
    expected, _ = answer(model_dir, b"31\n", "text/csv", "text/csv")
    assert answer(model_dir, body, "text/csv", "text/csv") == (expected, "text/csv")
    assert answer(model_dir, '{"instances": [[31]]}', "application/json", "text/csv") == (expected, "text/csv")
    assert np.isfinite(pl.read_csv(expected, has_header=False).to_numpy()).all()


def test_the_accept_header_is_read(model_dir: Path) -> None:
    content, media_type = answer(model_dir, "31\n", "text/csv", "text/csv;q=0.5, application/json")
    assert media_type == "application/json"
    assert content.startswith(b'{"predictions":')


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "says"),
    [
        ("31\n", "image/png", "text/csv", HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json, text/csv, "),
        ("old\n", "text/csv", "text/csv", HTTPStatus.BAD_REQUEST, "column 'age', row 1: 'old' is no integer"),
        ("31\n", "text/csv", "image/png", HTTPStatus.NOT_ACCEPTABLE, "this service answers"),
    ],
)
def test_a_clients_mistake_keeps_its_status(
    model_dir: Path, body: str, content_type: str, accept: str, status: HTTPStatus, says: str
) -> None:
    with pytest.raises(BaseInferenceToolkitError) as caught:
        answer(model_dir, body, content_type, accept)
    assert (caught.value.status_code, caught.value.phrase) == (status, status.phrase)
    assert says in caught.value.message


def test_the_model_folder_holds_the_module_that_the_server_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src" / "usecase").mkdir(parents=True)
    add_code(tmp_path / "src", tmp_path / "model")
    monkeypatch.syspath_prepend(tmp_path / "model" / "code")
    monkeypatch.delitem(sys.modules, "inference", raising=False)
    import inference  # type: ignore[import-not-found]

    assert inference.input_fn is handlers.input_fn
    assert {"model_fn", "input_fn", "predict_fn", "output_fn"} <= set(dir(inference))
