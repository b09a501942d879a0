"""The four SageMaker handlers of the prediction service. Yours to change; the defaults serve any tabular contract.

Write a function of the same name below, and import the others: the service calls yours from then on. For example

    def predict_fn(rows: pl.DataFrame, model: Model) -> Predictions:
        return model.predict(add_features(payload.typed_features(rows, model.contract)))

is what the default does: check the rows against the contract, derive features, predict. It runs in Evaluate too. Called
one after the other: model_fn(model_dir), once; input_fn(body, content_type), predict_fn(rows, model),
output_fn(predictions, accept). A payload.RequestError becomes an answer 400, any other error 500 and a line in the log.
"""

from usecase.mlops.default_handlers import input_fn, model_fn, output_fn, predict_fn

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]
