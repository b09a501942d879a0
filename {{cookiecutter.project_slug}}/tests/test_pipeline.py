"""The whole pipeline of pipeline.py as the SageMaker SDK compiles it: deployable, and run here with tiny jobs."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from usecase.mlops.contract import Contract
from usecase.mlops.engine import Engine, Execution
from usecase.mlops.policy import check_security
from usecase.mlops.render import Facts, render_definition
from usecase.mlops.synthetic import synthetic_rows

ROOT = Path(__file__).parents[1]
KEY = "arn:aws:kms:eu-central-1:111122223333:key/one"
ROLE = "arn:aws:iam::111122223333:role/one"
FACTS = Facts(
    processing_role_arn=ROLE,
    training_role_arn=ROLE,
    inference_role_arn=ROLE,
    default_bucket="artifacts",
    model_package_group_name="models",
    volume_kms_key_arn=KEY,
    output_kms_key_arn=KEY,
    subnet_ids=["subnet-1"],
    security_group_ids=["sg-1"],
    tags={"project": "demo", "environment": "dev", "owner": "team"},
)
# What each job writes, in place of the real one. Its arguments are options with their values.
HEAD = """
import json, os, pathlib, shutil, sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
def write(path, content="{}"):
    path = pathlib.Path(options["--output-dir"], path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
"""
JOBS = {
    "preprocessing": """
        for part in ("train", "validation", "test"):
            write(part + "/x")
            shutil.copy(os.environ["ROWS"], pathlib.Path(options["--output-dir"], part, "part-algo-1-00000.parquet"))
        write("preprocessor/preprocessor.json")
        write("report/data_report.json")
    """,
    "train": """
        config = json.loads(pathlib.Path(options["--config-dir"], "hyperparameters.json").read_text())
        pathlib.Path(options["--model-dir"], "model.json").write_text(json.dumps(config))
    """,
    "evaluate": """
        assert pathlib.Path(options["--model-dir"], "model.tar.gz").exists()
        assert pathlib.Path(options["--report-dir"], "data_report.json").exists()
        assert pathlib.Path(options["--champion-dir"]).is_dir()
        assert json.loads(options["--thresholds"]) == {} and float(options["--champion-tolerance"]) == 0.5
        failed = int(options["--champion-version"] == "bad")
        write("evaluation.json")
        write("quality.json", json.dumps({"failed": failed, "reason": "auc 0.5 < 0.7"}))
        write("data_report.json", json.dumps({"data_sha256": "data"}))
    """,
    "mlops/baseline": """
        assert pathlib.Path(options["--evaluation-dir"], "quality.json").exists()
        assert options["--pipeline-execution"].startswith("local/")
        for name in ("statistics", "constraints", "drift_baseline", "input_schema"):
            write(f"baseline/{name}.json")
        write("baseline/baseline_report.json", json.dumps({"model_sha256": "model"}))
        write("explanation/importance.json")
        write("model_card/model_card.md")
    """,
}
# Answers each line of a request, as the serving image does; with DROP it forgets the last one.
SERVE = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body=b""):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    do_GET = answer
    def do_POST(self):
        rows = self.rfile.read(int(self.headers["Content-Length"])).splitlines()
        self.answer(b"1\\n" * (len(rows) - ("DROP" in os.environ)))
http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def definition() -> dict[str, Any]:
    code = "from usecase.mlops.compile import compile_pipeline; print(compile_pipeline(transform_smoke=True))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    compiled = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    content: dict[str, Any] = json.loads(compiled.stdout)
    return content


@pytest.mark.sdk
def test_the_pipeline_with_a_transform_smoke_may_be_deployed(definition: dict[str, Any]) -> None:
    assert check_security(render_definition(definition, FACTS)) == []
    types = {step["Name"]: step["Type"] for step in definition["Steps"]}
    assert types["SmokeModel"] == "Model"
    assert types["SmokeTransform"] == "Transform"
    gate = next(step for step in definition["Steps"] if step["Type"] == "Condition")
    assert "SmokeCheck" in gate["DependsOn"]


def run(definition: dict[str, Any], folder: Path, register: Callable[..., Any], **given: str) -> Execution:
    """Runs the definition with stand-ins for the jobs that pipeline.py names, but for the jobs of the smoke."""
    source = folder / "src"
    shutil.copytree(ROOT / "src" / "usecase", source / "usecase")
    shutil.rmtree(source / "usecase/mlops/baseline", ignore_errors=True)
    for name, text in JOBS.items():
        (source / f"usecase/{name}.py").write_text(HEAD + textwrap.dedent(text))
    (folder / "serve.py").write_text(SERVE)
    (folder / "file").write_text("any")
    synthetic_rows(Contract.load(ROOT)).write_parquet(folder / "rows.parquet")
    uris = {"Data": folder / "file", "Contract": ROOT / "data_contract.yaml", "Card": folder / "file", "Code": source}
    engine = Engine(
        definition,
        folder / ".local",
        {**{f"s3://local/{name}": path for name, path in uris.items()}, "s3://local/Champion": folder / "file"},
        register,
        serve_command=["python3", str(folder / "serve.py")],
    )
    places = {"InputData": "Data", "Contract": "Contract", "ModelCard": "Card", "Code": "Code", "Champion": "Champion"}
    numbers = ("ChampionTolerance", "MaximumFairnessGap", "MaximumOverlap", "MaximumLabelShift", "MaximumFlaggedRows")
    missing = [name for name, parameter in engine.definition.parameters.items() if parameter.default is None]
    return engine.run(
        {
            **dict.fromkeys(missing, "x"),
            **dict.fromkeys(numbers, 0.5),
            **{f"{name}Uri": f"s3://local/{place}" for name, place in places.items()},
            "QualityThresholds": "{}",
            **given,
        }
    )


@pytest.mark.sdk
def test_the_whole_pipeline_runs_here(
    definition: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWS", str(tmp_path / "rows.parquet"))
    registered: dict[str, Any] = {}

    def register(arguments: Mapping[str, Any], resolve: Callable[[str], Path]) -> dict[str, Any]:
        registered.update(arguments)
        metadata = arguments["CustomerMetadataProperties"]
        assert (resolve(metadata["ModelCardUri"]) / "model_card.md").exists()
        for name in ("InputSchemaUri", "QualityReportUri", "DriftBaselineUri"):
            assert resolve(metadata[name]).is_file()
        for sources in (arguments["ModelMetrics"], arguments["DriftCheckBaselines"]):
            assert all(resolve(source["S3Uri"]).is_file() for kind in sources.values() for source in kind.values())
        return {}

    execution = run(definition, tmp_path, register, GitSha="abc")
    assert execution.status == "Succeeded", execution.failure
    assert {event.state for event in execution.steps.values()} == {"Succeeded"}
    assert {"SmokeRows", "SmokeModel", "SmokeTransform", "SmokeCheck", "Baseline"} <= set(execution.steps)
    metadata = registered["CustomerMetadataProperties"]
    assert (metadata["DataHash"], metadata["ModelDataSha256"], metadata["GitSha"]) == ("data", "model", "abc")
    (asked,) = (tmp_path / ".local/s3").rglob("smoke.csv")
    rows = pl.read_csv(asked, has_header=False)
    assert rows.shape == (100, len(Contract.load(ROOT).features))


@pytest.mark.sdk
@pytest.mark.parametrize(
    ("fault", "step", "reason"),
    [
        ("gate", "QualityGateFailed", "The model is not good enough: auc 0.5 < 0.7"),
        ("smoke", "SmokeCheck", "the model answered 99 of 100 rows: see the log of the transform job"),
    ],
)
def test_a_model_that_fails_is_not_registered(
    definition: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, step: str, reason: str
) -> None:
    monkeypatch.setenv("ROWS", str(tmp_path / "rows.parquet"))
    given = {"ChampionVersion": "bad"} if fault == "gate" else {}
    if fault == "smoke":
        monkeypatch.setenv("DROP", "1")

    def refuse(*_: Any) -> None:
        raise AssertionError("registered")

    execution = run(definition, tmp_path, refuse, **given)
    assert execution.failure
    assert (execution.failure.step, execution.failure.reason) == (step, reason)
    assert "RegisterModel" not in execution.steps
