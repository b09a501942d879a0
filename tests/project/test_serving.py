"""The prediction service over real HTTP, as SageMaker and clients call it."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from service import free_port, make_model, running, start
from usecase.mlops.files import file_sha256
from usecase.mlops.serving.manifest import FILE_NAME, write_manifest
from usecase.mlops.serving.signature import statement

CSV_ROW = "40,pro"
RECORD = {"age": 40, "plan": "pro"}
INFERENCE = "from usecase.mlops.default_handlers import input_fn, model_fn, output_fn, predict_fn\n"


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def service(model_dir: Path) -> Iterator[httpx.Client]:
    with running(model_dir, "--metrics", "prometheus") as started:
        yield started.client
    assert not any("Traceback" in line for line in started.lines), started.lines


def ask(
    service: httpx.Client, content: str | bytes, content_type: str = "text/csv", accept: str = "*/*"
) -> httpx.Response:
    return service.post("/invocations", content=content, headers={"Content-Type": content_type, "Accept": accept})


def test_ping_is_empty(service: httpx.Client) -> None:
    answer = service.get("/ping")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (CSV_ROW, "text/csv"),
        (CSV_ROW + "\r\n", "text/csv; charset=utf-8"),
        (f"plan,age\n{','.join(reversed(CSV_ROW.split(',')))}\n", "TEXT/CSV"),
        ("age,plan,note,churned\n40,pro,hello,no\n", "text/csv"),
        ('"40","pro"', "text/csv"),
        ("\n40,pro\n\n", "text/csv"),
        ("age,plan\r40,pro\r", "text/csv"),
        (json.dumps({"instances": [RECORD]}), "application/json"),
        (json.dumps([RECORD]), "application/json"),
        (json.dumps(RECORD), "application/json"),
        (json.dumps({"instances": [[40, "pro"]]}), "application/json"),
        (json.dumps({"instances": [{"plan": "pro", "age": 40.0}]}), "application/json"),
    ],
)
def test_all_ways_to_ask_give_one_answer(service: httpx.Client, content: str, content_type: str) -> None:
    answer = ask(service, content, content_type)
    assert answer.status_code == httpx.codes.OK, answer.text
    assert answer.headers["content-type"] == "application/json"
    reference = ask(service, json.dumps({"instances": [RECORD]}), "application/json").json()
    assert answer.json() == reference
    assert set(reference["predictions"][0]) == {"prediction", "probability"}


def test_csv_out_has_a_line_per_row(service: httpx.Client) -> None:
    answer = ask(service, "1,pro\n30,basic\n\n12,\n", accept="text/csv")
    assert answer.headers["content-type"] == "text/csv"
    lines = answer.text.splitlines()
    assert len(lines) == 3
    assert lines[0].split(",")[0] in ("no", "yes")


@pytest.mark.parametrize(
    ("content", "content_type", "status", "says"),
    [
        ("", "text/csv", 400, "the body is empty"),
        ("age,plan\n", "text/csv", 400, "a header but no rows"),
        ("1,2,3", "text/csv", 400, "row 1 has 3 cells, the contract has 2 features"),
        ("40,pro\nforty,pro", "text/csv", 400, "column 'age', row 2: 'forty' is no integer"),
        (",pro", "text/csv", 400, "column 'age', row 1: is empty but a value is required"),
        (
            "40;pro",
            "text/csv",
            400,
            "row 1 has 1 cells, the contract has 2 features: age, plan; cells end with a comma, not ';'",
        ),
        ("40,pro\n1,2,3\n", "text/csv", 400, "row 2 has 3 cells"),
        (b"40,\xff\n", "text/csv", 400, "line 1 is not UTF-8"),
        ("age,colour\n1,red\n", "text/csv", 400, "column 'plan': is missing"),
        ("age,plan,age\n1,pro,2\n", "text/csv", 400, "the header names 'age' twice"),
        ("NaN,pro", "text/csv", 400, "column 'age', row 1: 'NaN' is no integer"),
        ("[{}]", "application/json", 400, "each row must be an object"),
        ('[{"age": 1, "age": 2, "plan": "pro"}]', "application/json", 400, "an object names 'age' twice"),
        ('[{"age": 1, "plan": "\\ud800"}]', "application/json", 400, "not valid JSON"),
        ("{", "application/json", 400, "not valid JSON"),
        ("[" * 100_000, "application/json", 400, "not valid JSON"),
        ("[]", "application/json", 400, "at least one row"),
        ("3", "application/json", 400, "at least one row"),
        ('{"instances": [1]}', "application/json", 400, "each row must be an object"),
        ('{"instances": [[1, "pro"], [1]]}', "application/json", 400, "row 2 has 1 cells, the contract has 2 features"),
        (
            '{"instances": [{"age": [1], "plan": "pro"}]}',
            "application/json",
            400,
            "row 1, column 'age': a cell holds one",
        ),
        ('{"instances": [{"age": NaN, "plan": "pro"}]}', "application/json", 400, "not valid JSON"),
        ('{"instances": [{"age": 1}]}', "application/json", 400, "column 'plan': is missing"),
        (
            '{"instances": [{"age": 1, "plan": "pro", "x": 1}]}',
            "application/json",
            400,
            "column 'x': is not in the contract",
        ),
        (
            '{"instances": [[1, "pro"]], "parameters": [true]}',
            "application/json",
            400,
            '"parameters" must be an object',
        ),
        ("40,pro", "application/xml", 415, "send application/json, text/csv, application/jsonlines, "),
        ("40,pro\n" * 200_000, "text/csv", 413, "over 1 MB"),
    ],
)
def test_bad_requests_get_one_clear_error(
    service: httpx.Client, content: str | bytes, content_type: str, status: int, says: str
) -> None:
    answer = ask(service, content, content_type)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == status
    assert says in error["message"]
    assert "\n" not in error["message"]
    assert ask(service, CSV_ROW).status_code == httpx.codes.OK


def test_row_and_column_are_fields_of_the_error(service: httpx.Client) -> None:
    error = ask(service, "40,pro\nforty,pro").json()["error"]
    assert (error["row"], error["column"]) == (2, "age")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/ping", 405), ("GET", "/invocations", 405), ("GET", "/", 404), ("GET", "/x", 404)],
)
def test_other_routes(service: httpx.Client, method: str, path: str, status: int) -> None:
    answer = service.request(method, path)
    assert answer.status_code == status
    assert ("allow" in answer.headers) == (status == httpx.codes.METHOD_NOT_ALLOWED)


def test_an_answer_that_nobody_accepts(service: httpx.Client) -> None:
    assert ask(service, CSV_ROW, accept="image/png").status_code == httpx.codes.NOT_ACCEPTABLE


def test_unseen_category_and_out_of_range_are_answered(service: httpx.Client) -> None:
    """As the policy says: an unseen category is a missing one, and out of range is let through."""
    assert ask(service, "40,gold").json() == ask(service, "40,").json()
    assert ask(service, "-5,pro").json() == ask(service, "0,pro").json()


def test_a_port_in_use_is_one_line(model_dir: Path, service: httpx.Client) -> None:
    process = start(model_dir, int(service.base_url.port or 0))
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert output.strip().splitlines()[-1].startswith(f"error: port {service.base_url.port}: ")
    assert "Traceback" not in output


def changed(folder: Path, name: str, content: bytes) -> None:
    """A part that Train might have written so: only the ONNX model is gone, which the booster stands in for."""
    (folder / name).write_bytes(content)
    (folder / "model.onnx").unlink()
    write_manifest(folder)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "model.ubj").unlink(), "model.ubj: no such file"),
        (lambda folder: (folder / "model.ubj").write_bytes(b"x" * 99), "model.ubj: is not the file that Train wrote"),
        (
            lambda folder: (folder / "code/usecase/train.py").write_text(""),
            "train.py: is not the file that Train wrote",
        ),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "manifest.json: cannot be read"),
        (lambda folder: changed(folder, "model.ubj", b"x" * 99), "model.ubj: is damaged"),
        (lambda folder: changed(folder, "preprocessor.json", b"{}"), "preprocessor.json: contract_sha256"),
        (lambda folder: changed(folder, "data_contract.yaml", b"a: b: c"), "data_contract.yaml:1: not valid YAML"),
    ],
)
def test_a_damaged_model_is_not_served(
    tmp_path: Path, model_dir: Path, damage: Callable[[Path], object], says: str
) -> None:
    folder = Path(shutil.copytree(model_dir, tmp_path / "model"))
    damage(folder)
    output, _ = (process := start(folder, free_port())).communicate(timeout=30)
    assert process.returncode == 1
    assert says in output
    assert "Traceback" not in output


def test_a_folder_without_a_model_is_one_line(tmp_path: Path) -> None:
    """As the container finds it when nothing, or a folder that is not there, is put at /opt/ml/model."""
    for folder in (tmp_path, tmp_path / "missing"):
        output, _ = (process := start(folder, free_port())).communicate(timeout=30)
        assert process.returncode == 1
        assert output == f"error: {folder}: holds no model: unpack the model.tar.gz of a version there\n"


def test_a_model_that_nobody_signed_is_not_served_where_a_key_is_given(tmp_path: Path, model_dir: Path) -> None:
    """Its code is not run either; signed, it is served."""
    folder = Path(shutil.copytree(model_dir, tmp_path / "model", ignore=shutil.ignore_patterns("__pycache__")))
    (folder / "code/usecase/inference.py").write_text("print('run', flush=True)\n" + INFERENCE)
    write_manifest(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    signature = base64.b64encode(key.sign(statement(file_sha256(folder / FILE_NAME)), ec.ECDSA(SHA256()))).decode()
    with running(folder, MODEL_PUBLIC_KEY=public, MODEL_SIGNATURE=signature) as service:
        assert ask(service.client, CSV_ROW).status_code == httpx.codes.OK
    (folder / "code/usecase/inference.py").write_text("print('run', flush=True)\n")
    process = start(folder, free_port(), MODEL_PUBLIC_KEY=public, MODEL_SIGNATURE=signature)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert output.startswith(f"error: {folder}/code/usecase/inference.py: is not the file that Train wrote")
