"""Training data from a query: run in Athena within bounds, its result as a CSV file that can be pushed."""

import contextlib
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from usecase.mlops.aws.data import DataPlace
from usecase.mlops.aws.errors import explained
from usecase.mlops.errors import UserError

COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
TEXT = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
POLL_SECONDS = 1.0
GIB = 2**30


@dataclass(frozen=True)
class Bounds:
    """What a query may cost: GiB that Athena reads, and seconds. One beyond either is stopped."""

    scan_gib: float = 100
    seconds: float = 900


@dataclass(frozen=True)
class Result:
    """A finished query: its id in Athena, the hash of its text, GiB read, and the file with its rows."""

    execution: str
    query_sha256: str
    scanned_gib: float
    file: Path

    @property
    def metadata(self) -> dict[str, str]:
        """Where the rows come from, for the objects that hold them."""
        return {"athena-query": self.execution, "athena-query-sha256": self.query_sha256}


def read_query(file: Path) -> str:
    """The one SELECT statement in `file`, without a closing semicolon. Raises UserError."""
    try:
        query = file.read_text(encoding="utf-8").strip().removesuffix(";").rstrip()
    except FileNotFoundError:
        raise UserError(f"{file}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read as UTF-8 text ({error})") from None
    words = COMMENT.sub(" ", TEXT.sub("''", query))
    if ";" in words:
        raise UserError(f"{file}: holds several statements: one SELECT is run")
    if words.split(maxsplit=1)[:1] == [] or words.split()[0].upper() not in ("SELECT", "WITH"):
        raise UserError(f"{file}: must begin with SELECT or WITH: data is read here, never changed")
    return query


def run_query(
    query: str,
    output: Path,
    place: DataPlace,
    athena: Any,
    s3: Any,
    workgroup: str = "primary",
    database: str | None = None,
    bounds: Bounds = Bounds(),
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Run `query` and download its rows to `output` (CSV with a header; a missing value is an empty cell).

    `athena` and `s3` are boto3 clients. Athena keeps its copy of the result, encrypted, in the data folder of `place`,
    so that it is deleted when data is. Raises UserError; a query that is left for any reason is stopped.
    """
    with explained("Athena"):
        execution = str(
            athena.start_query_execution(
                QueryString=query,
                WorkGroup=workgroup,
                QueryExecutionContext={"Database": database} if database else {},
                ResultConfiguration={
                    "OutputLocation": f"s3://{place.bucket}/{place.key('athena')}",
                    "EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": place.kms_key_arn},
                    "ExpectedBucketOwner": place.account,
                },
            )["QueryExecutionId"]
        )
        say(f"query {execution} is running in workgroup {workgroup}")
        try:
            ended = _wait(athena, execution, bounds)
        except BaseException:
            with contextlib.suppress(ClientError, BotoCoreError):  # the reason to leave is the one to tell
                athena.stop_query_execution(QueryExecutionId=execution)
            raise
        status = ended["Status"]
        if status["State"] != "SUCCEEDED":
            reason = " ".join(status.get("StateChangeReason", "no reason given").split())
            raise UserError(f"query {execution} is {status['State']}: {reason}")
        # a workgroup may put results where it wants them
        bucket, _, key = ended["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").partition("/")
        output.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(output))
    return Result(execution, hashlib.sha256(query.encode()).hexdigest(), _scanned(ended), output)


def _wait(athena: Any, execution: str, bounds: Bounds) -> dict[str, Any]:
    """The query's description when it has ended. Raises UserError when it leaves the bounds."""
    end = time.monotonic() + bounds.seconds
    while True:
        found: dict[str, Any] = athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]
        if found["Status"]["State"] not in ("QUEUED", "RUNNING"):
            return found
        if _scanned(found) > bounds.scan_gib:
            raise UserError(
                f"query {execution} read more than {bounds.scan_gib:g} GiB and was stopped:"
                " filter by partition, or raise --max-scan-gib"
            )
        if time.monotonic() > end:
            raise UserError(
                f"query {execution} took more than {bounds.seconds:g} s and was stopped: raise --max-seconds"
            )
        time.sleep(POLL_SECONDS)


def _scanned(execution: dict[str, Any]) -> float:
    return float(execution.get("Statistics", {}).get("DataScannedInBytes", 0)) / GIB
