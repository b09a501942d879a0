"""AWS's sagemaker-inference toolkit over multi-model-server (Java), one worker: `python toolkit_app.py`."""

import json
import os
import sys
from typing import Any

import numpy as np  # type: ignore[import-not-found,unused-ignore]
import xgboost as xgb  # type: ignore[import-not-found,unused-ignore]
from sagemaker_inference import model_server  # type: ignore[import-not-found,unused-ignore]
from sagemaker_inference.default_handler_service import DefaultHandlerService  # type: ignore[import-not-found,unused-ignore]
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler  # type: ignore[import-not-found,unused-ignore]
from sagemaker_inference.transformer import Transformer  # type: ignore[import-not-found,unused-ignore]


class Handler(DefaultInferenceHandler):  # type: ignore[misc]
    """The four handlers."""

    def default_model_fn(self, *_: Any) -> Any:
        """Load the model."""
        return xgb.Booster(model_file=os.environ["MODEL_FILE"], params={"nthread": 1})

    def default_input_fn(self, input_data: Any, *_: Any) -> Any:
        """Rows out of JSON."""
        return np.array(json.loads(input_data)["instances"], np.float32)

    def default_predict_fn(self, data: Any, model: Any, *_: Any) -> Any:
        """Probabilities of rows."""
        return model.inplace_predict(data)

    def default_output_fn(self, prediction: Any, *_: Any) -> Any:
        """JSON out of probabilities."""
        return json.dumps({"predictions": prediction.tolist()}), "application/json"


class HandlerService(DefaultHandlerService):  # type: ignore[misc]
    """What multi-model-server loads."""

    def __init__(self) -> None:
        super().__init__(transformer=Transformer(default_inference_handler=Handler()))
        self.initialized = False


_service = HandlerService()


def handle(data: Any, context: Any) -> Any:
    """Answer a request of multi-model-server."""
    if not _service.initialized:
        _service.initialize(context)
        _service.initialized = True
    return None if data is None else _service.handle(data, context)


if __name__ == "__main__":
    sys.exit(model_server.start_model_server(handler_service=f"{__file__}:handle"))
