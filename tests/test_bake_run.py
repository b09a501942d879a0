"""What a data scientist does with a fresh project, on a machine that has git, make and Python but no uv."""

import csv
import http.server
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import boto3
import frictionless
import pytest
import yaml

import baking

DATA_SETS = {
    "binary": ("load_breast_cancer", "diagnosis", "binary classification", "auc"),
    "multiclass": ("load_wine", "cultivar", "multiclass classification", "accuracy"),
    "regression": ("load_diabetes", "progression", "regression", "r2"),
}
LOOK_AT_CODE_OR_CONTAINER = [
    "test_*.py",
    "mlops/test_champion.py",
    "mlops/test_handlers.py",
    "mlops/test_infer.py",
    "mlops/test_pipeline_definition.py",
    "mlops/test_serving_*.py",
    "mlops/aws/test_bundle.py",
    "mlops/aws/test_images.py",
    "mlops/aws/test_start.py",
]
WRITE_CSV = """
import sys, numpy, polars
from sklearn import datasets
loader, target, path = sys.argv[1:]
data = getattr(datasets, loader)()
names = getattr(data, "target_names", None)
labels = data.target if names is None else [str(names[i]) for i in data.target]
columns = dict(zip(data.feature_names, data.data.T, strict=True))
polars.DataFrame({**columns, target: labels}).write_csv(path)
"""


def run(project: Path, *command: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the project as on a machine that has no uv, and check how it ends."""
    own = Path(sys.executable).parent
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    path = os.pathsep.join(str(folder) for folder in folders if folder != own and not (folder / "uv").exists())
    environment = {name: value for name, value in os.environ.items() if name not in ("UV", "VIRTUAL_ENV")}
    finished = subprocess.run(
        command,
        cwd=project,
        env={**environment, "PATH": path, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,  # what hangs shall be named
    )
    assert finished.returncode == code, finished.stdout + finished.stderr
    return finished


def make(project: Path, *words: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    """Run make in the project, with the Python that these tests run on."""
    python = sys._base_executable  # type: ignore[attr-defined]
    return run(project, "make", f"PYTHON={python}", *words, code=code, **more)


@pytest.fixture(scope="session")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `make setup`, in a folder with a blank and letters beyond ASCII."""
    project = baking.bake("cookiecutter", template, tmp_path_factory.mktemp("Übung eins"))
    make(project, "setup")
    return project


@pytest.fixture
def fresh(project: Path) -> Path:
    """The same project, its data contract as it was born and no runs."""
    shutil.rmtree(project / ".local", ignore_errors=True)
    baking.git(project, "checkout", "--quiet", ".")
    return project


def write_data(project: Path, kind: str) -> Path:
    loader, target, _, _ = DATA_SETS[kind]
    file = project.parent / f"{kind} data.csv"
    subprocess.run([project / ".venv/bin/python", "-c", WRITE_CSV, loader, target, file], check=True)
    return file


def ask_with_boto3(port: int, file: Path, target: str) -> dict[str, Any]:
    """What AWS's own client gets from the service for five rows of a file."""
    lines = csv.DictReader(file.read_text().splitlines())
    rows = [{name: float(cell) for name, cell in row.items() if name != target} for row in itertools.islice(lines, 5)]
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="eu-west-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",  # signs a request that nobody checks
    )
    answer: dict[str, Any] = client.invoke_endpoint(
        EndpointName="local", ContentType="application/json", Body=json.dumps(rows), CustomAttributes="trace=1"
    )
    return answer


def test_setup_leaves_a_clean_repository_with_a_lock(project: Path) -> None:
    assert "uv.lock" in baking.git(project, "ls-files")
    assert baking.git(project, "log", "--format=%s") == "Start from the template"
    assert baking.git(project, "status", "--porcelain") == ""
    assert (project / ".git/hooks/pre-commit").exists()


def test_setup_twice_changes_nothing(project: Path) -> None:
    make(project, "setup")
    assert baking.git(project, "log", "--format=%s") == "Start from the template"
    assert baking.git(project, "status", "--porcelain") == ""


def test_the_git_hook_finds_the_uv_that_setup_brought(fresh: Path) -> None:
    notes = fresh / "docs" / "notes.md"
    notes.write_text("<<<<<<< before updating\n")
    run(fresh, "git", "add", "docs/notes.md")
    assert "docs/notes.md:1" in run(fresh, "git", "commit", "--message", "Half an update", code=1).stderr
    run(fresh, "git", "rm", "--quiet", "--force", "docs/notes.md")


class Index(http.server.BaseHTTPRequestHandler):
    """A package index that has nothing and remembers what it was asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer 404."""
        self.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.mark.parametrize(
    ("setting", "machine_has_uv", "asked_for"),
    [
        ("PIP_INDEX_URL", False, "/simple/uv/"),
        ("PIP_INDEX_URL", True, "/simple/polars/"),
        ("UV_DEFAULT_INDEX", True, "/simple/polars/"),
    ],
)
def test_setup_asks_the_private_index(
    template: Path, tmp_path: Path, setting: str, machine_has_uv: bool, asked_for: str
) -> None:
    """One that has nothing: setup fails, names it, and has asked nobody else."""
    project = baking.bake("copier", template, tmp_path)
    Index.asked.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = {setting: f"http://127.0.0.1:{server.server_port}/simple", "PIP_CONFIG_FILE": os.devnull}
    settings |= {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_NO_CONFIG": "1", "PIP_EXTRA_INDEX_URL": ""}
    if machine_has_uv:
        settings["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    make(project, "setup", code=2, **settings)
    server.shutdown()
    server.server_close()
    assert asked_for in Index.asked
    assert not (project / "uv.lock").exists()


def test_make_alone_prints_every_verb(project: Path) -> None:
    printed = make(project).stdout
    verbs = re.search(r"^VERBS := (.*)$", (project / "Makefile").read_text().replace("\\\n", " "), re.MULTILINE)
    assert verbs
    for verb in ("help", "setup", *verbs[1].split()):
        assert re.search(rf"^  {verb} +\S", printed, re.MULTILINE), verb


def test_doctor_finds_nothing_wrong(fresh: Path) -> None:
    assert "fail" not in make(fresh, "doctor").stdout


@pytest.mark.parametrize("kind", DATA_SETS)
def test_from_a_csv_that_nobody_prepared_to_predictions(fresh: Path, kind: str) -> None:
    _, target, task, metric = DATA_SETS[kind]
    file = write_data(fresh, kind)
    assert f"{task} of {target!r}" in make(fresh, "contract", f"data={file}", f"target={target}").stdout
    ran = make(fresh, "run").stdout
    assert f"{metric} " in ran
    assert "Registered version 1, PendingManualApproval" in ran
    for gate in ("threshold", "overlap", "label_shift", "contract"):
        assert re.search(rf"^Gate +{gate} +passed ", ran, re.MULTILINE), ran
    assert re.search(r"^Gate +champion +- +not compared: ", ran, re.MULTILINE), ran
    (version,) = (fresh / ".local/registry").glob("*/1")
    evidence = {"statistics.json", "constraints.json", "importance.json", "drift_baseline.json", "quality.json"}
    assert evidence <= {file.name for file in version.iterdir()}
    assert "<svg" in (version / "model_card/model_card.html").read_text()
    assert make(fresh, "run").stdout.count("Cached") == 4
    make(fresh, "approve", "version=latest")
    worse = make(fresh, "run", "params=NumRounds=1 MaxDepth=1 LearningRate=0.0001", code=2)
    assert re.search(r"^Gate +champion +FAILED ", worse.stdout, re.MULTILINE), worse.stdout
    assert re.search(rf"champion: {metric} \S+ is below \S+ of version 1 by ", worse.stderr), worse.stderr
    assert make(fresh, "registry").stdout.split()[:3] == ["1", "Approved", metric]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = subprocess.Popen(
        [fresh / ".venv/bin/usecase", "serve", "--port", str(port)], cwd=fresh, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
            time.sleep(0.2)
        table = make(fresh, "predict", f"port={port}", f"data={file}").stdout
        asked_by_aws = ask_with_boto3(port, file, target)
    finally:
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
    assert f"actual {target}" in table
    assert "prediction" in table
    assert asked_by_aws["CustomAttributes"] == "trace=1"
    assert len(json.loads(asked_by_aws["Body"].read())["predictions"]) == 5
    make(fresh, "batch", f"input={file.parent}", f"output={file.parent / 'answers'}")
    assert (
        len((file.parent / "answers" / f"{file.name}.out").read_text().splitlines())
        == len(file.read_text().splitlines()) - 1
    )


def test_two_runs_from_nothing_give_the_same_model(fresh: Path) -> None:
    checksums = []
    for _ in range(2):
        shutil.rmtree(fresh / ".local", ignore_errors=True)
        make(fresh, "run")
        (package,) = (fresh / ".local/registry").glob("*/1/package.json")
        checksums.append(json.loads(package.read_text())["CustomerMetadataProperties"]["ModelDataSha256"])
    assert checksums[0] == checksums[1]


def test_the_contract_is_read_by_other_tools(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data Package standard: the frictionless framework finds the sample data valid, and a broken row invalid."""
    monkeypatch.chdir(fresh)
    descriptor = yaml.safe_load((fresh / "data_contract.yaml").read_text())
    assert frictionless.Resource.from_descriptor(descriptor).validate().valid
    lines = (fresh / "data/sample.csv").read_text().splitlines()
    (fresh / "broken.csv").write_text("\n".join([lines[0], lines[1].replace("malignant", "perhaps")]))
    report = frictionless.Resource.from_descriptor(descriptor | {"path": "broken.csv"}).validate()
    (fresh / "broken.csv").unlink()
    assert [error.type for error in report.tasks[0].errors] == ["constraint-error"]


def test_the_starter_code_on_data_of_its_own(fresh: Path) -> None:
    """Service and command line with the code as it was born: a project cannot hold these tests, its code changes."""
    tests = baking.ROOT / "tests" / "project"
    alone = [
        "-c",
        "pyproject.toml",
        "--rootdir",
        ".",
        "--confcutdir",
        str(tests),
    ]  # not with the template's conftest.py
    finished = run(fresh, ".venv/bin/python", "-m", "pytest", *alone, str(tests))
    assert " passed" in finished.stdout


def test_lint_and_tests_are_green(fresh: Path) -> None:
    make(fresh, "lint")
    assert " passed" in make(fresh, "test").stdout


@pytest.mark.slow
def test_lint_and_tests_are_green_at_stage_full(template: Path, tmp_path: Path) -> None:
    answers = {"mlops_stage": "full", "container": "own", "project_name": 'Åse\'s "Bikes"'}
    project = baking.bake("copier", template, tmp_path, answers)
    make(project, "setup")
    make(project, "lint")
    make(project, "test")


@pytest.mark.slow
def test_lint_and_tests_are_green_at_stage_automated_with_features_of_the_team(template: Path, tmp_path: Path) -> None:
    """What a data scientist writes first must not break what the template tests.

    Of the tests, those that look at the team's code or at the container: the others are files that stage full has too,
    and all of them run there.
    """
    project = baking.bake("copier", template, tmp_path, {"mlops_stage": "automated", "container": "managed"})
    make(project, "setup")
    code = project / "src/usecase/preprocessing.py"
    derived = 'return rows.with_columns(ratio=pl.col("mean radius") / pl.col("mean area"))'
    code.write_text(code.read_text().replace("    return rows\n", f"    {derived}\n"))
    assert derived in code.read_text()
    make(project, "lint")
    tests = [str(file) for pattern in LOOK_AT_CODE_OR_CONTAINER for file in sorted(project.glob(f"tests/{pattern}"))]
    assert len(tests) > len(LOOK_AT_CODE_OR_CONTAINER)
    uv = str(project / ".uv/bin/uv")  # as `uv run` hands it on
    assert " passed" in run(project, ".venv/bin/python", "-m", "pytest", *tests, UV=uv).stdout


@pytest.mark.slow
def test_the_sdk_compiles_the_committed_pipeline(fresh: Path) -> None:
    """`make pipeline` gives the same bytes, also after job code changed; another step in pipeline.py is noticed.

    The SDK's own classes read what Baseline writes.
    """
    sdk_tests = [str(fresh / ".uv/bin/uv"), "run", "--group", "sagemaker", "pytest", "-m", "sdk"]
    assert " passed" in run(fresh, *sdk_tests).stdout
    committed = (fresh / "pipeline.json").read_bytes()
    train = fresh / "src/usecase/train.py"
    train.write_text(train.read_text() + "\n# an edit of job code\n")
    make(fresh, "pipeline")
    assert (fresh / "pipeline.json").read_bytes() == committed
    code = fresh / "src/usecase/pipeline.py"
    code.write_text(code.read_text().replace('"CheckQuality"', '"CheckMore"'))
    command = [str(fresh / ".uv/bin/uv"), "run", "--group", "sagemaker", "usecase", "pipeline", "--check"]
    checked = subprocess.run(command, cwd=fresh, capture_output=True, text=True, check=False)
    assert checked.returncode == 1
    assert "error: pipeline.json" in checked.stderr
    assert (fresh / "pipeline.json").read_bytes() == committed


def test_bad_input_ends_with_one_line_from_make_too(fresh: Path) -> None:
    """make adds its own `*** Error`; ours is the one line before it."""
    finished = make(fresh, "run", "data=no such.csv", code=2)
    ours, makes = finished.stderr.strip().splitlines()
    assert ours == "error: no such.csv: no such file"
    assert makes.startswith("make: ***")
