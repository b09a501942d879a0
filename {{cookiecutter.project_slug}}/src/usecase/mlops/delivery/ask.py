"""Ask what is in service: some requests after a deployment to dev, many at once before one to prod."""

import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from usecase.mlops.aws.errors import explained
from usecase.mlops.aws.platform import connect
from usecase.mlops.check import as_text
from usecase.mlops.cli import CONTRACT_FILE
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.infrastructure.live import endpoint_name
from usecase.mlops.predict import read_rows
from usecase.mlops.sections import Environment

ASKED_AT_ONCE = ("realtime", "serverless")  # serving.mode whose endpoint answers while one waits
Say = Callable[[str], None]


def ask(environment: Environment, requests: int, workers: int, say: Say) -> None:
    """Send rows of the contract's own data, one a request: each must be answered, 99 of 100 within the alarm's limit.

    Raises UserError.
    """
    connection, settings, _ = connect(environment)
    if settings.serving.mode not in ASKED_AT_ONCE:
        say(f"serving.mode {settings.serving.mode} answers nobody who waits: the deployment has verified what it can")
        return
    name = endpoint_name(settings.project, environment)
    bodies = _bodies()
    with explained(f"endpoint {name}"), ThreadPoolExecutor(workers) as pool:
        runtime = connection.client("sagemaker-runtime")
        taken = list(pool.map(lambda number: _ask(runtime, name, bodies[number % len(bodies)]), range(requests)))
    slowest = statistics.quantiles(taken, n=100)[-1] if len(taken) > 1 else taken[0]
    say(f"endpoint {name}: {requests} requests, median {statistics.median(taken):.0f} ms, p99 {slowest:.0f} ms")
    limit = settings.alarms.latency_p99_ms
    if slowest > limit:
        raise UserError(f"endpoint {name}: p99 is {slowest:.0f} ms, but alarms.latency_p99_ms is {limit:.0f}")


def _bodies() -> list[bytes]:
    contract = Contract.load(CONTRACT_FILE)
    rows = read_rows(None, contract)
    features = as_text(rows.select(column.name for column in contract.features), contract)
    return [features.slice(number, 1).write_csv().encode() for number in range(features.height)]


def _ask(runtime: Any, name: str, body: bytes) -> float:
    """Milliseconds until a valid answer. Raises UserError."""
    begun = time.monotonic()
    answer = runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="text/csv", Accept="application/json")
    text = answer["Body"].read()
    taken = 1000 * (time.monotonic() - begun)
    try:
        predictions = json.loads(text)["predictions"]
    except (ValueError, KeyError, TypeError):
        predictions = None
    if not isinstance(predictions, list) or len(predictions) != 1:
        raise UserError(f"endpoint {name}: one row was sent, the answer is {text[:200]!r}")
    return taken
