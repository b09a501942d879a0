"""The use case. The modules here are yours; `usecase.mlops` is kept current by the template."""
