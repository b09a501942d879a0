"""Ask a running service for predictions and lay them out as a table."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import polars as pl

from usecase.mlops.check import as_text
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.tables import read_table

BATCH_ROWS = 1000
SAMPLE_ROWS = 10
TIMEOUT_SECONDS = 60
ROW = "__row__"


def read_rows(data: Path | None, contract: Contract) -> pl.DataFrame:
    """All rows of `data`, or some of the file that the contract names, each with its number. Raises UserError."""
    if data is not None:
        return read_table(data).with_row_index(ROW, offset=1)
    if not contract.path:
        raise UserError("the contract names no data: pass data=FILE")
    rows = read_table(Path(contract.path)).with_row_index(ROW, offset=1)
    return rows.gather_every(max(1, rows.height // SAMPLE_ROWS)).head(SAMPLE_ROWS)


def ask_service(rows: pl.DataFrame, contract: Contract, port: int) -> pl.DataFrame:
    """Predictions for rows of `read_rows`, with the id or row number before them and the known target behind."""
    features = as_text(rows.select(c.name for c in contract.features if c.name in rows.columns), contract)
    answers: list[dict[str, Any]] = []
    for start in range(0, rows.height, BATCH_ROWS):
        answers += _ask(f"http://127.0.0.1:{port}/invocations", features.slice(start, BATCH_ROWS).write_csv().encode())
    table = pl.DataFrame(answers)
    known_id = contract.id is not None and contract.id.name in rows.columns
    table.insert_column(0, rows[contract.id.name] if contract.id and known_id else rows[ROW].alias("row"))
    if contract.target.name in rows.columns:
        table = table.with_columns(rows[contract.target.name].alias(f"actual {contract.target.name}"))
    return table


def _ask(url: str, body: bytes) -> list[dict[str, Any]]:
    request = urllib.request.Request(url, body, {"Content-Type": "text/csv", "Accept": "application/json"})  # noqa: S310 - http, this machine
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({})
    )  # a proxy has no business between us and localhost
    try:
        with direct.open(request, timeout=TIMEOUT_SECONDS) as answer:
            predictions: list[dict[str, Any]] = json.load(answer)["predictions"]
            return predictions
    except urllib.error.HTTPError as error:
        raise UserError(f"the service answered {error.code}: {_reason(error)}") from None
    except (urllib.error.URLError, OSError) as error:
        raise UserError(
            f"no service answers at {url} ({getattr(error, 'reason', error)}): run `make serve` in another terminal"
        ) from None


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)
