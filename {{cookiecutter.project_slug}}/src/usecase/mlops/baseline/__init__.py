"""The Baseline job: evidence of a model that passed its gates, and what later data will be compared with."""
