"""What goes wrong around the service, over real HTTP: each fault has its answer, and the next request is fine."""

import concurrent.futures
import contextlib
import gzip
import http.client
import json
import os
import select
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service import Service, free_port, make_model, running, start, until_ready
from usecase.mlops.serving.manifest import write_manifest

ROW = b"40,pro"
CSV = {"Content-Type": "text/csv"}
# What a data scientist may write instead of the default: it fails, sleeps and answers on demand.
OWN_HANDLERS = """
import time
from usecase.mlops import default_handlers
from usecase.mlops.default_handlers import input_fn, output_fn
from usecase.mlops.model import Predictions


def model_fn(model_dir):
    time.sleep(1.0)
    return default_handlers.model_fn(model_dir)


def predict_fn(rows, model):
    age = float(rows[rows.columns[0]][0])
    if age == 13:
        raise RuntimeError("thirteen")
    if age in (14, 15):
        answers = default_handlers.predict_fn(rows, model)
        return Predictions(answers.values[1:] if age == 14 else answers.values * 2, answers.classes)
    time.sleep(age / 100 if age > 50 else 0)
    return default_handlers.predict_fn(rows, model)
"""


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def service(model_dir: Path) -> Iterator[Service]:
    with running(model_dir, "--metrics", "prometheus") as started:
        yield started
    assert not any("Traceback" in line for line in started.lines), started.lines


@pytest.fixture(scope="module")
def own(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with handlers of its own: it loads for a second, and an answer may take one second."""
    compiled = shutil.ignore_patterns("__pycache__")  # Train packs none
    folder = Path(shutil.copytree(model_dir, tmp_path_factory.mktemp("own") / "model", ignore=compiled))
    (folder / "code/usecase/inference.py").write_text(OWN_HANDLERS)
    write_manifest(folder)
    with running(folder, "--timeout", "1") as started:
        yield started


@pytest.fixture(autouse=True)
def _still_fine(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test the service that it used answers."""
    yield
    for name in {"service", "own"} & set(request.fixturenames):
        client = request.getfixturevalue(name).client
        assert client.post("/invocations", content=ROW, headers=CSV).status_code == httpx.codes.OK


def exchange(port: int, sent: bytes, seconds: float = 10) -> bytes:
    """All that comes back on a connection of its own, until the service closes it or says nothing more."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(sent)
        received = b""
        with contextlib.suppress(TimeoutError):
            while part := connection.recv(65536):
                received += part
        return received


def post(*headers: str, body: bytes = ROW) -> bytes:
    lines = ["POST /invocations HTTP/1.1", "Host: x", "Content-Type: text/csv", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_compressed_bodies(service: Service) -> None:
    plain = service.client.post("/invocations", content=ROW, headers=CSV).json()
    for body, coding, status in (
        (gzip.compress(ROW), "gzip", 200),
        (ROW, "identity", 200),
        (ROW, "gzip", 400),
        (gzip.compress(ROW)[:-4], "gzip", 400),
        (gzip.compress(b"0" * 50_000_000), "gzip", 413),
        (ROW, "br", 415),
    ):
        answer = service.client.post("/invocations", content=body, headers={**CSV, "Content-Encoding": coding})
        assert answer.status_code == status, (coding, answer.text)
        if status == httpx.codes.OK:
            assert answer.json() == plain


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/csv; charset=utf-8; header=absent", ROW, 200),
        ("text/csv; header=present", b"age,plan\n40,pro\n", 200),
        ("text/csv; charset=utf-16", "40,pro".encode("utf-16"), 200),
        ("text/csv", b"\xef\xbb\xbfage,plan\r\n40,pro\r\n", 200),
        ("text/csv; charset=nonsense", ROW, 415),
        ("application/jsonlines", b'{"age": 40, "plan": "pro"}\n[41, "basic"]\n', 400),
        ("application/jsonlines", b'{"age": 40, "plan": "pro"}\n\n{"age": 41, "plan": null}\n', 200),
        ("application/x-npy", b"\x93NUMPY", 400),
        ("image/png", ROW, 415),
        ("", ROW, 400),
        ("application/json", b'{"instances": [{"age": 1, "age": 2, "plan": "pro"}]}', 400),
        ("application/json", b'{"instances": [[' + b"9" * 5000 + b', "pro"]]}', 400),
    ],
)
def test_content_types(service: Service, content_type: str, body: bytes, status: int) -> None:
    answer = service.client.post("/invocations", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("text/csv;q=0.2, application/jsonlines;q=0.9", "application/jsonlines"),
        ("application/json;q=0, text/*", "text/csv"),
        ("image/png, */*;q=0.1", "application/json"),
    ],
)
def test_the_best_accepted_type_is_answered(service: Service, accept: str, media_type: str) -> None:
    answer = service.client.post("/invocations", content=ROW, headers={**CSV, "Accept": accept})
    assert answer.headers["content-type"] == media_type


def test_a_body_that_is_too_large_is_not_read(service: Service) -> None:
    """With its length the answer comes before the body; without, after the limit."""
    assert exchange(service.port, post("Content-Length: 900000000", body=b"1")).startswith(b"HTTP/1.1 413 ")

    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield b"40,pro\n" * 1500

    with contextlib.suppress(httpx.TransportError):  # closed while the client still writes
        assert service.client.post("/invocations", content=endless(), headers=CSV).status_code == 413


def test_slow_and_vanishing_clients(own: Service) -> None:
    """A body may take as long as an answer."""
    with socket.create_connection(("127.0.0.1", own.port), timeout=10) as slow:
        slow.sendall(post("Content-Length: 100", body=b"4"))
        with socket.create_connection(("127.0.0.1", own.port)) as vanishing:
            vanishing.sendall(post("Content-Length: 100", body=b"40,"))
        started = time.monotonic()
        assert own.client.get("/ping").status_code == httpx.codes.OK
        assert time.monotonic() - started < 2
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_requests_may_follow_each_other_before_an_answer(service: Service) -> None:
    request = post("Content-Length: 6")
    assert exchange(service.port, request * 3, 1).count(b"HTTP/1.1 200 OK") == 3


def test_a_request_may_come_in_pieces(service: Service) -> None:
    """Whether it comes whole decides which way it takes, and must not be seen in the answer."""
    request = post("Content-Length: 6", "Connection: close")
    whole = exchange(service.port, request)
    for place in (1, 20, request.index(b"\r\n\r\n") + 2, len(request) - 6, len(request) - 1):
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
            connection.sendall(request[:place])
            time.sleep(0.05)
            connection.sendall(request[place:])
            received = b"".join(iter(lambda link=connection: link.recv(65536), b""))  # type: ignore[misc]
        assert received == whole


def test_answers_come_in_the_order_of_requests(service: Service) -> None:
    """Small ones that are answered at once, among others that take uvicorn's way."""
    ping = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    large = b"40,pro\n" * 6000
    missing = b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n"
    small, wrong = post("Content-Length: 6"), post("Content-Length: 3", body=b"x,y")
    many = post(f"Content-Length: {len(large)}", body=large)
    answers = exchange(service.port, small + ping + many + small + missing + wrong + small, 3)
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [
        *(b"200", b"200", b"200", b"200"),
        *(b"404", b"400", b"200"),
    ]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (post("Content-Length: many"), b"400"),
        (post("Content-Length: 6", "Content-Length: 7"), b"400"),
        (b"GET /ping HTTP/9.9\r\n\r\n", b"400"),
        (b"no http at all\r\n\r\n", b"400"),
        (post("X-Long: " + "x" * 100_000, "Content-Length: 6"), b"431"),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431"),
        (post("Content-Length: 6") + post("X-Long: " + "x" * 100_000), b"200"),
        (post("X-Amzn-SageMaker-Inference-Id: a\r\n b: c", "Content-Length: 6"), b"400"),
    ],
)
def test_what_is_no_http_is_refused(service: Service, sent: bytes, status: bytes) -> None:
    assert exchange(service.port, sent, 1).split(b" ")[1] == status


def test_many_headers_are_ignored_and_two_come_back(service: Service) -> None:
    more = {"X-Amzn-SageMaker-Target-Variant": "b", "X-Amzn-SageMaker-Custom-Attributes": "trace=1"}
    more |= {"X-Amzn-SageMaker-Inference-Id": "known", "X-Odd": "{}"}
    answer = service.client.post("/invocations", content=ROW, headers={**CSV, **more})
    assert answer.headers["x-amzn-sagemaker-custom-attributes"] == "trace=1"
    assert answer.headers["x-amzn-sagemaker-inference-id"] == "known"
    refused = service.client.post("/invocations", content=b"x,y", headers={**CSV, **more})
    assert refused.json()["error"]["id"] == "known"


def test_more_than_a_prediction_on_request(service: Service) -> None:
    wishes = {"probabilities": True, "explanation": True, "flags": True}
    content = {"instances": [[40, "gold"], [300, "pro"]], "parameters": wishes}
    first, second = service.client.post("/invocations", json=content).json()["predictions"]
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    assert set(first["explanation"]["contributions"]) == {"age", "plan"}
    assert (first["out_of_distribution"], second["out_of_distribution"]) == (True, False)
    assert first["flags"][0]["column"] == "plan"
    header = {**CSV, "Accept": "text/csv", "X-Amzn-SageMaker-Custom-Attributes": "probabilities=true; flags=true"}
    assert len(service.client.post("/invocations", content=ROW, headers=header).text.split(",")) == 5
    header["X-Amzn-SageMaker-Custom-Attributes"] = "explanation=true"
    assert service.client.post("/invocations", content=ROW, headers=header).status_code == httpx.codes.BAD_REQUEST


def test_the_clients_of_aws_find_their_path(service: Service) -> None:
    """boto3 asks for /endpoints/<name>/invocations at its endpoint_url."""
    path = "/endpoints/people/invocations"
    assert service.client.post(path, content=ROW, headers=CSV).status_code == httpx.codes.OK
    assert service.client.post("/endpoints/a/b/invocations", content=ROW).status_code == httpx.codes.NOT_FOUND


def test_the_document_the_page_and_the_numbers(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    assert document["components"]["schemas"]["Record"]["required"] == ["age", "plan"]
    assert "<td>age</td>" in service.client.get("/docs").text
    service.client.post("/invocations", content=b"x,pro", headers=CSV)
    text = service.client.get("/metrics").text
    assert 'usecase_validation_errors_total{column="age"}' in text
    counted = [line for line in text.splitlines() if line.startswith("usecase_request_seconds_count")]
    assert float(counted[0].split()[1]) > 0
    assert "usecase_requests_in_flight 0" in text


BODIES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(str.encode),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    ).map(lambda content: json.dumps({"instances": content}).encode()),
    st.lists(st.lists(st.sampled_from(["40", "pro", "", '"', "NaN", "1e999", "\n", "age"])), max_size=4).map(
        lambda rows: "\n".join(",".join(row) for row in rows).encode()
    ),
)
TYPES = [
    "text/csv",
    "application/json",
    "application/jsonlines",
    "application/x-npy",
    "application/x-npz",
    "text/csv;;=",
]
HEADER_TEXT = st.one_of(st.sampled_from([*TYPES, "*/*;q=x", ""]), st.text("abc/;=,*q. \t\"'", max_size=20))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES, content_type=HEADER_TEXT, accept=HEADER_TEXT, attributes=HEADER_TEXT)
def test_no_input_breaks_it(service: Service, body: bytes, content_type: str, accept: str, attributes: str) -> None:
    headers = {"Content-Type": content_type.strip(), "Accept": accept.strip()}
    headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes.strip()
    answer = service.client.post("/invocations", content=body, headers=headers)
    assert answer.status_code < 500, (answer.text, body, headers)
    assert "Traceback" not in answer.text
    if answer.status_code != httpx.codes.OK:
        assert answer.json()["error"]["code"] == answer.status_code
    elif answer.headers["content-type"] == "application/json":
        json.loads(answer.text, parse_constant=pytest.fail)


def test_an_error_of_own_code_is_told_to_the_log_with_its_line(own: Service) -> None:
    answer = own.client.post("/invocations", content=b"13,pro", headers=CSV)
    assert answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR
    error = answer.json()["error"]
    assert "thirteen" not in answer.text
    assert error["id"] in error["message"]
    line = OWN_HANDLERS.splitlines().index('        raise RuntimeError("thirteen")') + 1
    time.sleep(0.5)
    (logged,) = [record for record in own.logged("failed") if record["request_id"] == error["id"]]
    assert logged["place"].endswith(f"usecase/inference.py:{line} in predict_fn")
    assert logged["error"] == "RuntimeError: thirteen"


@pytest.mark.parametrize(("age", "given"), [(14, 1), (15, 4)])
def test_own_code_has_to_answer_every_row_once(own: Service, age: int, given: int) -> None:
    answer = own.client.post("/invocations", content=f"{age},pro\n40,pro\n", headers=CSV)
    assert answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR
    error = answer.json()["error"]
    assert "predict_fn" not in answer.text
    time.sleep(0.5)
    (logged,) = [record for record in own.logged("failed") if record["request_id"] == error["id"]]
    line = OWN_HANDLERS.splitlines().index("def predict_fn(rows, model):") + 1
    assert logged["place"].endswith(f"usecase/inference.py:{line} in predict_fn")
    assert f"predict_fn gave {given} answers for 2 rows" in logged["error"]


def test_a_slow_handler_hurts_only_its_own_request(own: Service) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(own.client.post, "/invocations", content=b"180,pro", headers=CSV)
        started = time.monotonic()
        for _ in range(5):
            assert own.client.post("/invocations", content=ROW, headers=CSV).status_code == httpx.codes.OK
            assert own.client.get("/ping").status_code == httpx.codes.OK
        assert time.monotonic() - started < 1
        assert slow.result().status_code == httpx.codes.GATEWAY_TIMEOUT


def test_until_the_model_is_loaded_it_is_not_ready(own: Service) -> None:
    folder = own.model_dir()
    port = free_port()
    process = start(folder, port)
    seen = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        while httpx.codes.OK not in seen and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                seen.append(client.get("/ping").status_code)
                if seen[-1] == httpx.codes.SERVICE_UNAVAILABLE:
                    refused = client.post("/invocations", content=ROW, headers=CSV)
                    assert refused.status_code in (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.OK)
            time.sleep(0.05)
    process.terminate()
    said, _ = process.communicate(timeout=30)
    assert set(seen) == {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.OK}, said


def test_too_many_at_once_are_sent_away_and_ping_answers(own: Service) -> None:
    """Four threads and a hundred that wait; each answer takes 0.6 s."""
    limits = httpx.Limits(max_connections=220)
    with httpx.Client(base_url=own.client.base_url, trust_env=False, timeout=30, limits=limits) as client:
        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            asked = [pool.submit(client.post, "/invocations", content=b"60,pro", headers=CSV) for _ in range(200)]
            time.sleep(0.2)
            started = time.monotonic()
            assert own.client.get("/ping").status_code == httpx.codes.OK
            assert time.monotonic() - started < 2
        answers = [future.result() for future in asked]
    refused = [answer for answer in answers if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE]
    assert refused
    assert all(answer.headers["retry-after"] == "1" for answer in refused)
    assert {answer.status_code for answer in answers} <= {200, 503, 504}


def test_clients_that_come_at_once_wait_for_each_other_alike(service: Service) -> None:
    """A new client waits for one answer of each that was there before, or a few, not for as many as clients wait."""
    (worker,) = service.workers()
    request = post("Content-Length: 6")
    with contextlib.ExitStack() as open_clients:
        os.kill(worker, signal.SIGSTOP)
        try:
            addresses = [("127.0.0.1", service.port)] * 64
            clients = [open_clients.enter_context(socket.create_connection(address, timeout=10)) for address in addresses]
            for client in clients:
                client.sendall(request)
        finally:
            os.kill(worker, signal.SIGCONT)
        answered = dict.fromkeys(clients, 0)
        while min(answered.values()) == 0:
            readable = select.select(clients, [], [], 10)[0]
            assert readable, answered.values()
            for client in readable:
                assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")
                answered[client] += 1
                client.sendall(request)
    assert max(answered.values()) < 16


def test_a_killed_worker_is_replaced(model_dir: Path) -> None:
    with running(model_dir) as service:
        (worker,) = service.workers()
        os.kill(worker, signal.SIGKILL)
        killed = time.monotonic()
        until_ready(service.client)
        assert time.monotonic() - killed < 20
        assert service.client.post("/invocations", content=ROW, headers=CSV).status_code == httpx.codes.OK
        assert service.workers() != [worker]
        assert service.logged("worker died")[0]["pid"] == worker


class Asking(threading.Thread):
    """A client that asks until the service says that this connection ends, or refuses a new one."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port, self.answered, self.lost = port, 0, list[str]()

    def run(self) -> None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            connection.connect()
        except OSError:
            return
        while True:
            try:
                connection.request("POST", "/invocations", ROW, CSV)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                return
            if answer.status != httpx.codes.OK:
                self.lost.append(str(answer.status))
            self.answered += 1
            if answer.getheader("connection") == "close":
                return


@pytest.mark.parametrize("_run", range(2))
def test_the_end_loses_no_request(model_dir: Path, _run: int) -> None:
    with running(model_dir) as service:
        asking = [Asking(service.port) for _ in range(8)]
        for thread in asking:
            thread.start()
        time.sleep(0.5)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        with contextlib.suppress(httpx.ConnectError):  # it may have ended already
            assert service.client.get("/ping").status_code == httpx.codes.SERVICE_UNAVAILABLE
        for thread in asking:
            thread.join(30)
        assert service.process.wait(30) == 0
    assert [lost for thread in asking for lost in thread.lost] == []
    assert all(thread.answered for thread in asking)


def test_good_and_bad_load_leaves_nothing_behind(service: Service) -> None:
    """For a few seconds; `benchmarks/soak.py` of the template does it for ten minutes."""
    (worker,) = service.workers()
    sent = [ROW, b"x", b"40,pro\n" * 9000, b"", b"[" * 5000, ROW * 3, b"4" * 1_100_000]

    def ask(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError), httpx.Client(base_url=service.client.base_url) as client:
                for body in sent:
                    assert client.post("/invocations", content=body, headers=CSV).status_code < 500

    def held() -> tuple[int, int]:
        pages = int(Path(f"/proc/{worker}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path(f"/proc/{worker}/fd").iterdir()))

    ask(1)
    time.sleep(0.2)
    memory, descriptors = held()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(ask, 4) for _ in range(4)]:
            done.result()
    time.sleep(0.2)
    assert held()[1] <= descriptors
    assert held()[0] - memory < 15 * 2**20


READ_ONLY = """
import os, sys

def refuse(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        if not os.path.abspath(arguments[0]).startswith((os.environ["TMPDIR"] + os.sep, "/dev/")):
            raise OSError(30, "Read-only file system", arguments[0])
    elif event == "os.mkdir" and not os.path.abspath(arguments[0]).startswith(os.environ["TMPDIR"]):
        raise OSError(30, "Read-only file system", arguments[0])

sys.addaudithook(refuse)
"""


def test_nothing_is_written_but_into_the_folder_for_that(model_dir: Path, tmp_path: Path) -> None:
    """As with a read-only root file system. A library of C that writes into HOME would be seen afterwards."""
    folder = Path(shutil.copytree(model_dir, tmp_path / "model", ignore=shutil.ignore_patterns("code")))
    write_manifest(folder)
    for name in ("hook", "home", "writable"):
        (tmp_path / name).mkdir()
    (tmp_path / "hook/sitecustomize.py").write_text(READ_ONLY)
    before = sorted(folder.rglob("*"))
    path = os.pathsep.join([str(tmp_path / "hook"), str(Path("src").absolute())])
    environment = {"PYTHONPATH": path, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "writable")}
    with running(folder, **environment) as service:
        wishes = {"instances": [[40, "pro"]], "parameters": {"explanation": True}}
        assert service.client.post("/invocations", json=wishes).status_code == httpx.codes.OK
        assert service.client.post("/invocations", content=ROW, headers=CSV).status_code == httpx.codes.OK
    assert sorted(folder.rglob("*")) == before
    assert not any((tmp_path / "home").rglob("*"))


def test_batch_keeps_a_place_for_a_row_without_answer(model_dir: Path) -> None:
    with running(model_dir, SAGEMAKER_BATCH="true") as service:
        parameters = service.client.get("/execution-parameters").json()
        assert (parameters["BatchStrategy"], parameters["MaxPayloadInMB"]) == ("MULTI_RECORD", 1)
        body = b"40,pro\nforty,pro\n\n41,basic,3\n42,basic\n"
        as_csv = service.client.post("/invocations", content=body, headers={**CSV, "Accept": "text/csv"})
        lines = as_csv.text.splitlines()
        assert [line == '"",""' for line in lines] == [False, True, True, True, False]
        records = service.client.post("/invocations", content=body, headers=CSV).json()["predictions"]
        assert [record["prediction"] is None for record in records] == [False, True, True, True, False]
        assert records[1]["error"]["column"] == "age"
        one = service.client.post("/invocations", content=b"x,pro\n", headers={**CSV, "Accept": "text/csv"})
        assert one.text == '"",""\n'


def test_the_log_has_a_line_per_request_and_nothing_of_its_rows(model_dir: Path) -> None:
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONHASHSEED": "random"}
    with running(model_dir, **environment) as service:
        sent = [b"4711,pro", "5,Düsseldorf".encode(), b"secret,pro"]
        for number, body in enumerate(sent):
            named = {**CSV, "X-Amzn-SageMaker-Inference-Id": f"id-{number}"}
            service.client.post("/invocations", content=body, headers=named)
    logged = service.logged("request")
    assert [(record["request_id"], record["status"]) for record in logged] == [
        ("id-0", 200),
        ("id-1", 200),
        ("id-2", 400),
    ]
    assert all(record["ms"] > 0 for record in logged)
    text = "".join(service.lines)
    assert not any(word in text for word in ("4711", "sseldorf", "secret"))
    told: list[dict[str, Any]] = [json.loads(line) for line in service.lines if line.startswith('{"_aws"')]
    names = {metric["Name"] for line in told for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert {"Requests", "RequestSeconds", "Rows", "ValidationErrors"} <= names
