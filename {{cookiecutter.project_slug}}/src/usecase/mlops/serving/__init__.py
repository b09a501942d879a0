"""The prediction service, as SageMaker calls it and as it runs on a laptop: `python -m usecase.mlops.serving serve`.

On the way of a request stand neither polars nor XGBoost nor scikit-learn, so that it starts and answers fast:
request (bytes, headers) -> rows -> validation (contract) -> matrix -> predictor (ONNX) -> answers.
"""
