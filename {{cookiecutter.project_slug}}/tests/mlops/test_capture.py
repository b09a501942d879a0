"""The service's capture: SageMaker's lines, none of them at the cost of an answer, nothing of a payload in a log."""

import base64
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from usecase.mlops.capture import Capture

CSV, JSON = ("text/csv; charset=utf-8", b"1,secret\n"), ("application/json", b'{"predictions": []}')


def records(folder: Path) -> list[Any]:
    return [json.loads(line) for file in sorted(folder.rglob("*.jsonl")) for line in file.read_text().splitlines()]


def test_a_call_is_a_line_as_sagemaker_writes_it(tmp_path: Path) -> None:
    Capture(tmp_path).write(CSV, JSON, "order-7")
    (record,) = records(tmp_path)
    data = record["captureData"]
    assert data["endpointInput"] == {
        "observedContentType": "text/csv; charset=utf-8",
        "mode": "INPUT",
        "data": "1,secret\n",
        "encoding": "CSV",
    }
    assert (data["endpointOutput"]["mode"], data["endpointOutput"]["encoding"]) == ("OUTPUT", "JSON")
    assert record["eventMetadata"]["inferenceId"] == "order-7"
    assert record["eventMetadata"]["eventId"]
    assert record["eventVersion"] == "0"
    (file,) = tmp_path.rglob("*.jsonl")
    time = record["eventMetadata"]["inferenceTime"]
    assert file.parent.relative_to(tmp_path).parts == (
        "local",
        "AllTraffic",
        time[:4],
        time[5:7],
        time[8:10],
        time[11:13],
    )


@pytest.mark.parametrize("request_", [("application/x-npy", b"abc"), ("text/csv", b"\xff\xfe"), ("", b"1,2")])
def test_what_is_no_text_of_a_known_kind_is_base64(tmp_path: Path, request_: tuple[str, bytes]) -> None:
    Capture(tmp_path).write(request_, JSON)
    part = records(tmp_path)[0]["captureData"]["endpointInput"]
    assert part["encoding"] == "BASE64"
    assert base64.b64decode(part["data"]) == request_[1]


def test_a_large_body_is_dropped_and_the_log_holds_nothing_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    capture = Capture(tmp_path, max_bytes=100)
    with caplog.at_level(logging.DEBUG):
        for _ in range(5):
            capture.write(("text/csv", b"secret," * 20), JSON)
        capture.write(CSV, JSON)
    assert len(records(tmp_path)) == 1
    assert capture.dropped == 5
    assert len(caplog.records) == 3  # the 1st, 2nd and 4th
    assert "secret" not in caplog.text


def test_a_folder_that_cannot_be_written_costs_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    capture = Capture(tmp_path / "file")
    capture.write(CSV, JSON)
    assert capture.dropped == 1
    assert "1 calls were not captured" in caplog.text


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    capture = Capture(tmp_path)

    def send(number: int) -> None:
        for _ in range(20):
            capture.write(("text/csv", b"9" * 5000), JSON, f"id-{number}")

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = records(tmp_path)
    assert len(found) == 160
    assert {record["eventMetadata"]["inferenceId"] for record in found} == {f"id-{number}" for number in range(8)}
