"""The handlers of a use case that has none of its own. `usecase.inference` names them; there one replaces them.

The service answers without calling them when all four are these: the same checks and the same model, without frames.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a service that needs neither polars nor XGBoost does not import them
    import polars as pl

    from usecase.mlops.model import Model, Predictions


def model_fn(model_dir: str) -> "Model":
    """Load what Train wrote. Called once per worker, before the service says that it is ready."""
    from usecase.mlops.model import load_model

    return load_model(Path(model_dir))


def input_fn(body: bytes, content_type: str) -> "pl.DataFrame":
    """The rows of a request: text cells, not yet checked. Raises payload.RequestError."""
    from usecase.mlops import payload

    return payload.read_rows(body, content_type)


def predict_fn(rows: "pl.DataFrame", model: "Model") -> "Predictions":
    """Predictions for rows checked against the contract. Raises payload.RequestError naming row and column."""
    from usecase.mlops import payload
    from usecase.preprocessing import add_features

    return model.predict(add_features(payload.typed_features(rows, model.contract)))


def output_fn(predictions: "Predictions", accept: str) -> bytes:
    """The body of the answer in the media type that the client accepts."""
    from usecase.mlops import payload

    return payload.write_predictions(predictions, accept)
