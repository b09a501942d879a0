"""The use case: preprocessing, training, evaluation and inference are yours; `mlops` is kept current by the template."""
