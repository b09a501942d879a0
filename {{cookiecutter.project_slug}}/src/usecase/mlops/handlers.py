"""The handlers of `usecase.inference`, as AWS's inference toolkit (sagemaker-inference 1.5) calls them.

It hands on CSV and JSON as text, and the Accept header as it came; an error is the client's only if it is its own.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from usecase import inference
from usecase.inference import model_fn
from usecase.mlops.model import Model, Predictions
from usecase.mlops.payload import RequestError, choose_media_type

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]


def input_fn(body: bytes | str, content_type: str) -> pl.DataFrame:
    """The rows of a request: text cells, not yet checked."""
    with _mistakes_of_clients():
        return inference.input_fn(body.encode() if isinstance(body, str) else body, content_type)


def predict_fn(rows: pl.DataFrame, model: Model) -> Predictions:
    """Predictions for the rows, once they are checked against the contract."""
    with _mistakes_of_clients():
        return inference.predict_fn(rows, model)


def output_fn(predictions: Predictions, accept: str) -> tuple[bytes, str]:
    """The body of the answer and its media type."""
    with _mistakes_of_clients():
        media_type = choose_media_type(accept)
        return inference.output_fn(predictions, media_type), media_type


@contextmanager
def _mistakes_of_clients() -> Iterator[None]:
    """Give a refused request its status: the toolkit answers 500 to all exceptions that it does not know."""
    try:
        yield
    except RequestError as error:
        errors = importlib.import_module("sagemaker_inference.errors")  # in AWS's image only
        raise errors.BaseInferenceToolkitError(int(error.status), error.message, error.status.phrase) from None
