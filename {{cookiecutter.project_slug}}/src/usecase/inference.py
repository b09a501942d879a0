"""The four SageMaker handlers of the prediction service. Yours to change; the defaults serve any tabular contract."""

from pathlib import Path

import polars as pl

from usecase.mlops import payload
from usecase.mlops.model import Model, Predictions, load_model
from usecase.preprocessing import add_features


def model_fn(model_dir: str) -> Model:
    """Load what Train wrote. Called once per worker, before the service says that it is ready."""
    return load_model(Path(model_dir))


def input_fn(body: bytes, content_type: str) -> pl.DataFrame:
    """The rows of a request: text cells, not yet checked. Raises payload.RequestError."""
    return payload.read_rows(body, content_type)


def predict_fn(rows: pl.DataFrame, model: Model) -> Predictions:
    """Predictions for rows checked against the contract. Raises payload.RequestError naming row and column."""
    return model.predict(add_features(payload.typed_features(rows, model.contract)))


def output_fn(predictions: Predictions, accept: str) -> bytes:
    """The body of the answer in the media type that the client accepts."""
    return payload.write_predictions(predictions, accept)
