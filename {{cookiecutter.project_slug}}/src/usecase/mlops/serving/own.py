"""The four handlers of `usecase.inference`, where the use case has written some of them itself."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from usecase.mlops import default_handlers

HANDLERS = ("model_fn", "input_fn", "predict_fn", "output_fn")


class HandlerError(Exception):
    """A handler that did not do its part; `place` is the line where it begins."""

    def __init__(self, message: str, handler: Callable[..., Any]) -> None:
        super().__init__(message)
        code = getattr(inspect.unwrap(handler), "__code__", None)
        self.place = f"{code.co_filename}:{code.co_firstlineno} in {code.co_name}" if code else repr(handler)


def own_handlers() -> list[str]:
    """The handlers that the use case has written itself."""
    from usecase import inference

    return [name for name in HANDLERS if getattr(inference, name) is not getattr(default_handlers, name)]


class OwnHandlers:
    """What model_fn loaded, and the way of a request through the other three."""

    def __init__(self, model_dir: Path, features: list[str]) -> None:
        """Call model_fn; `features` are the contract's. Raises what model_fn raises."""
        from usecase import inference

        self.handlers, self._features = inference, set(features)
        self._model = inference.model_fn(str(model_dir))

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """The body of the answer and its media type. Raises HandlerError unless there is one answer per row."""
        rows = self.handlers.input_fn(body, content_type)
        predictions = self.handlers.predict_fn(rows, self._model)
        asked, given = self._row_count(rows), _length(getattr(predictions, "values", None) or predictions)
        if asked is not None and given is not None and asked != given:
            said = f"predict_fn gave {given} answers for {asked} rows: there must be one for each, in their order"
            raise HandlerError(said, self.handlers.predict_fn)
        answer: Any = self.handlers.output_fn(predictions, accept)
        written, media_type = answer if isinstance(answer, tuple) else (answer, accept)
        return written.encode() if isinstance(written, str) else bytes(written), media_type

    def _row_count(self, rows: Any) -> int | None:
        """The rows that input_fn gave. A first one that names features is the header of a CSV, as payload reads it."""
        number = _length(rows)
        if not number or "polars" not in sys.modules:
            return number
        import polars as pl

        from usecase.mlops.tables import unnamed

        bare = isinstance(rows, pl.DataFrame) and rows.columns[:1] == [unnamed(0)]
        return number - 1 if bare and self._features.intersection(map(str, rows.row(0))) else number


def _length(rows: Any) -> int | None:
    """The number of rows of a frame, an array or a list; None for what has no rows to count."""
    return None if isinstance(rows, dict | str | bytes) or not hasattr(rows, "__len__") else len(rows)
