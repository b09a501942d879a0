"""Requests and answers as SageMaker captures them: a JSON line per call, in a folder per hour.

Format: "Capture data from real-time endpoint", SageMaker Developer Guide. Off unless a folder is given. What is
captured may hold personal data: none of it goes into a log, and a folder is as private as its owner makes it.
"""

import base64
import json
import logging
import os
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ENDPOINT, VARIANT = "local", "AllTraffic"  # as the folders of an endpoint are named
MAX_BYTES = 1024 * 1024  # of a request or an answer; larger calls are not captured, as SageMaker drops them too
ENCODINGS = {"text/csv": "CSV", "application/json": "JSON", "application/jsonlines": "JSON"}

logger = logging.getLogger("usecase.capture")


class Capture:
    """Writes the calls of one process below `folder`. May be used by several threads.

    A call that cannot be written is dropped with a line in the log: the answer to a client matters more.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self.dropped = 0
        self._name = f"{os.getpid()}-{uuid.uuid4()}.jsonl"
        self._lock = threading.Lock()

    def write(self, request: tuple[str, bytes], answer: tuple[str, bytes], inference_id: str = "") -> None:
        """Add a call: content type and body of the request and of the answer, and the caller's name for it."""
        if max(len(request[1]), len(answer[1])) > self.max_bytes:
            self._drop(f"a body is over {self.max_bytes} bytes")
            return
        at = datetime.now(UTC)
        event = {"eventId": str(uuid.uuid4()), "inferenceTime": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        record = {
            "captureData": {"endpointInput": _part("INPUT", *request), "endpointOutput": _part("OUTPUT", *answer)},
            "eventMetadata": event | ({"inferenceId": inference_id} if inference_id else {}),
            "eventVersion": "0",
        }
        line = json.dumps(record, separators=(",", ":")) + "\n"
        file = self.folder / ENDPOINT / VARIANT / at.strftime("%Y/%m/%d/%H") / self._name
        try:
            with self._lock:
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("a", encoding="utf-8") as stream:
                    stream.write(line)
        except OSError as error:
            self._drop(f"{file.parent}: {error.strerror}")

    def _drop(self, reason: str) -> None:
        self.dropped += 1
        if self.dropped & (self.dropped - 1) == 0:  # the 1st, 2nd, 4th, 8th, ...
            logger.warning("%d calls were not captured: %s", self.dropped, reason)


def _part(mode: str, content_type: str, body: bytes) -> dict[str, Any]:
    encoding = ENCODINGS.get(content_type.split(";")[0].strip().lower(), "BASE64")
    try:
        data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode("utf-8")
    except UnicodeDecodeError:
        encoding, data = "BASE64", base64.b64encode(body).decode()
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}
