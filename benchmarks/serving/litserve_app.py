"""LitServe with one worker: `python litserve_app.py PORT`."""

import os
import sys
from typing import Any

import litserve  # type: ignore[import-not-found,unused-ignore]
import numpy as np  # type: ignore[import-not-found,unused-ignore]
import xgboost as xgb  # type: ignore[import-not-found,unused-ignore]


class Model(litserve.LitAPI):  # type: ignore[misc,unused-ignore]
    """The booster behind LitServe's interface."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe names it
        """Load the model."""
        self.booster = xgb.Booster(model_file=os.environ["MODEL_FILE"], params={"nthread": 1})

    def decode_request(self, request: dict[str, Any]) -> Any:
        """Rows out of JSON."""
        return np.array(request["instances"], np.float32)

    def predict(self, rows: Any) -> Any:
        """Probabilities of rows."""
        return self.booster.inplace_predict(rows)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """JSON out of probabilities."""
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Model(api_path="/invocations"), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="error"
    )
