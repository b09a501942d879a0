"""pipeline.json, as it is committed: what the engine and the deployment rely on, for any pipeline.py."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from usecase.mlops import compile as compiler
from usecase.mlops.engine.definition import Definition

ROOT = Path(__file__).parents[2]
FILE = ROOT / "pipeline.json"
TEXT = FILE.read_text(encoding="utf-8")
CONTENT: Mapping[str, Any] = json.loads(TEXT)
DEFINITION = Definition.parse(CONTENT)

# What `usecase run`, `usecase pipeline deploy` and `start` fill in; pipeline.py may add parameters, with a default.
FILLED_AT_START = [
    *("InputDataUri", "ContractUri", "ModelCardUri", "CodeUri", "ImageUri", "ChampionUri", "ChampionVersion"),
    *("ProcessingRoleArn", "TrainingRoleArn", "DefaultBucket", "ModelPackageGroupName"),
    *("VolumeKmsKeyArn", "OutputKmsKeyArn"),
    *("QualityThresholds", "ChampionMetric", "ChampionTolerance", "FairnessMetric", "MaximumFairnessGap"),
    *("MaximumOverlap", "MaximumLabelShift", "MaximumFlaggedRows"),
    *("GitSha", "ContractHash", "LockHash"),
]
INSTANCES = ["ProcessingInstanceType", "ProcessingInstanceCount", "TrainingInstanceType", "TrainingInstanceCount"]


def raw_steps(steps: Any = CONTENT["Steps"]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield step
        for branch in ("IfSteps", "ElseSteps"):
            yield from raw_steps(step["Arguments"].get(branch, []))


METADATA = {
    *("GitSha", "ContractHash", "LockHash", "DataHash", "ModelDataSha256", "PipelineExecution", "ChampionVersion"),
    *("InputDataUri", "ContractUri", "CodeUri", "InputSchemaUri", "ModelCardUri", "QualityReportUri"),
    *("DriftBaselineUri", "RetrainingReason", "RetrainingTrigger"),
}
STEPS = {step["Name"]: step for step in raw_steps()}
JOBS = [step for step in STEPS.values() if step["Type"] in ("Processing", "Training")]


def test_the_parameters_are_those_that_are_filled_at_start() -> None:
    without_default = [name for name, parameter in DEFINITION.parameters.items() if parameter.default is None]
    assert [name for name in without_default if name != "InferenceRoleArn"] == FILLED_AT_START
    assert set(INSTANCES) <= set(DEFINITION.parameters)
    assert DEFINITION.parameters["ProcessingInstanceCount"].default == 1
    assert DEFINITION.parameters["TrainingInstanceCount"].default == 1
    assert DEFINITION.parameters["ModelApprovalStatus"].default == "PendingManualApproval"
    assert DEFINITION.parameters["ModelApprovalStatus"].choices == ("PendingManualApproval", "Approved", "Rejected")


def test_the_model_is_registered_behind_a_gate() -> None:
    registrations = [step for step in DEFINITION.steps.values() if step.type == "RegisterModel"]
    assert registrations
    for step in registrations:
        assert step.branch
        assert DEFINITION.steps[step.branch.condition].type == "Condition"
        assert set(step.arguments["CustomerMetadataProperties"]) >= METADATA
        assert len(step.arguments["CustomerMetadataProperties"]) <= 50  # what SageMaker takes
        assert step.arguments["ModelApprovalStatus"] == {"Get": "Parameters.ModelApprovalStatus"}
        assert evidence(step.arguments["ModelMetrics"]) == {
            "ModelQuality.Statistics": "evaluation.json",
            "ModelDataQuality.Statistics": "statistics.json",
            "ModelDataQuality.Constraints": "constraints.json",
            "Explainability.Report": "importance.json",
        }
        assert evidence(step.arguments["DriftCheckBaselines"]) == {
            "ModelQuality.Statistics": "evaluation.json",
            "ModelDataQuality.Statistics": "statistics.json",
            "ModelDataQuality.Constraints": "constraints.json",
            "Explainability.Constraints": "importance.json",
        }


def evidence(sources: Mapping[str, Any]) -> dict[str, str]:
    """The file that each metric source points at."""
    return {
        f"{kind}.{name}": source["S3Uri"]["Std:Join"]["Values"][-1]
        for kind, named in sources.items()
        for name, source in named.items()
    }


def test_the_container_of_the_model_finds_its_handlers_in_either_image() -> None:
    for step in STEPS.values():
        if step["Type"] == "RegisterModel":
            (container,) = step["Arguments"]["InferenceSpecification"]["Containers"]
            assert container["Image"] == {"Get": "Parameters.ImageUri"}
            assert container["Environment"] == {
                "SAGEMAKER_PROGRAM": "inference.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            }


def test_the_steps_run_in_an_order_that_fits_their_inputs() -> None:
    order = list(DEFINITION.graph().static_order())
    assert set(order) == set(STEPS)
    for step in DEFINITION.steps.values():
        assert all(order.index(needed) < order.index(step.name) for needed in step.needs)


@pytest.mark.parametrize("step", JOBS, ids=lambda step: step["Name"])
def test_each_job_is_cached_retried_and_bounded_in_time(step: dict[str, Any]) -> None:
    assert step["CacheConfig"] == {"Enabled": True, "ExpireAfter": "P30D"}
    retried = {kind for policy in step["RetryPolicies"] for kind in policy["ExceptionType"]}
    assert retried == {"Step.SERVICE_FAULT", "Step.THROTTLING", "SageMaker.CAPACITY_ERROR"}
    assert step["Arguments"]["StoppingCondition"]["MaxRuntimeInSeconds"] > 0


@pytest.mark.parametrize("step", JOBS, ids=lambda step: step["Name"])
def test_each_job_is_a_module_of_the_code_input(step: dict[str, Any]) -> None:
    arguments = step["Arguments"]
    specification = arguments.get("AppSpecification") or arguments["AlgorithmSpecification"]
    program, option, module = specification["ContainerEntrypoint"]
    assert (program, option) == ("python3", "-m")
    path_of_module = ROOT / "src" / module.replace(".", "/")
    assert path_of_module.with_suffix(".py").is_file() or (path_of_module / "__main__.py").is_file()
    if step["Type"] == "Processing":
        inputs = {item["InputName"]: item["S3Input"] for item in arguments["ProcessingInputs"]}
        location, path = inputs["code"]["S3Uri"], inputs["code"]["LocalPath"]
    else:
        channels = {item["ChannelName"]: item["DataSource"]["S3DataSource"] for item in arguments["InputDataConfig"]}
        location, path = channels["code"]["S3Uri"], "/opt/ml/input/data/code"
    assert location == {"Get": "Parameters.CodeUri"}
    assert arguments["Environment"]["PYTHONPATH"] == path
    assert arguments["RoleArn"] == {"Get": f"Parameters.{step['Type']}RoleArn"}
    words = specification["ContainerArguments"]
    assert all(isinstance(word, str) or set(word) & {"Std:Join", "Get"} for word in words)
    types = {f"Parameters.{name}": parameter.type for name, parameter in DEFINITION.parameters.items()}
    assert {types.get(word["Get"], "String") for word in words if "Get" in word} <= {"String"}  # text, or made text


def test_hyperparameters_are_text_as_the_service_wants() -> None:
    for step in JOBS:
        for value in step["Arguments"].get("HyperParameters", {}).values():
            assert isinstance(value, str) or set(value) == {"Std:Join"}


def test_registration_is_retried_when_the_service_fails() -> None:
    for step in STEPS.values():
        if step["Type"] == "RegisterModel":
            assert step["RetryPolicies"]


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d{12}",  # an account
        r"arn:aws",
        r"amazonaws\.com",
        r"\b(us|eu|ap|sa|ca|me|af|il|mx|cn)-[a-z-]+-\d\b",  # a region
        r"20\d\d-?\d\d-?\d\d",  # a date
        r"s3://[a-z0-9]",  # a bucket
        r"/(home|root|Users|tmp|builds)/",
        r"[A-Z]:\\\\",
        r": null",
    ],
)
def test_there_are_no_facts_of_an_account_or_a_machine(pattern: str) -> None:
    assert not re.search(pattern, TEXT.replace('"2020-12-01"', '""'))


def test_the_text_is_what_json_writes_with_two_blanks() -> None:
    assert json.dumps(CONTENT, indent=2, ensure_ascii=False) + "\n" == TEXT


def test_without_the_sdk_one_line_says_what_to_do(tmp_path: Path) -> None:
    for name in ("boto3", "sagemaker"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('none', name={name!r})")
    finished = compile_in(ROOT, f"{tmp_path}{os.pathsep}{ROOT / 'src'}", "--check")
    assert finished.returncode == 1
    assert finished.stderr == "error: the SageMaker SDK is not installed; run `make pipeline`, which brings it\n"


def compile_in(folder: Path, path: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Compiles the pipeline of `folder` with no socket to be had; `path` is PYTHONPATH."""
    code = f"""
import os, runpy, socket, sys
def refuse(*_, **__):
    os._exit(99)  # an error could be caught on the way
socket.socket.connect = socket.getaddrinfo = refuse
sys.argv[1:] = {list(arguments)!r}
runpy.run_module("{compiler.__name__}", run_name="__main__")
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.sdk
def test_every_build_gives_the_same_bytes_whatever_the_job_code(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    for _ in range(2):
        (tmp_path / "pipeline.json").unlink(missing_ok=True)
        with (tmp_path / "src/usecase/train.py").open("a") as stream:
            stream.write("\n# an edit\n")
        finished = compile_in(tmp_path, str(tmp_path / "src"))
        assert (finished.returncode, finished.stderr) == (0, "")
        assert finished.stdout.splitlines() == [
            "compiling src/usecase/pipeline.py with the SageMaker SDK ...",
            "pipeline.json was written: look at it, then commit it",
        ]
        assert (tmp_path / "pipeline.json").read_text(encoding="utf-8") == TEXT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipeline.json", "src"]


@pytest.mark.sdk
def test_the_check_sees_a_definition_that_is_out_of_date(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    shutil.copy(FILE, tmp_path / "pipeline.json")
    assert compile_in(tmp_path, str(tmp_path / "src"), "--check").returncode == 0
    stale = TEXT.replace('"MaxRuntimeInSeconds": 86400', '"MaxRuntimeInSeconds": 60')
    assert stale != TEXT
    (tmp_path / "pipeline.json").write_text(stale, encoding="utf-8")
    finished = compile_in(tmp_path, str(tmp_path / "src"), "--check")
    assert finished.returncode == 1
    assert '+          "MaxRuntimeInSeconds": 86400' in finished.stderr
    assert finished.stderr.splitlines()[-1].startswith(
        "error: pipeline.json does not match src/usecase/pipeline.py; run"
    )
    assert (tmp_path / "pipeline.json").read_text(encoding="utf-8") == stale


@pytest.mark.sdk
def test_fixed_values_replace_parameters(tmp_path: Path) -> None:
    code = """
import os
os.environ.update(AWS_DEFAULT_REGION="eu-west-1", SAGEMAKER_VALIDATE_ROLE="false")
from usecase.pipeline import get_pipeline
role = "arn:aws:iam::111122223333:role/training"
print(get_pipeline("eu-west-1", role, "bucket", "group", "name", "prefix").definition())
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    shown = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, check=True
    )
    definition = json.loads(shown.stdout.splitlines()[-1])
    names = [parameter["Name"] for parameter in definition["Parameters"]]
    fixed = {"ProcessingRoleArn", "TrainingRoleArn", "InferenceRoleArn", "DefaultBucket", "ModelPackageGroupName"}
    assert not fixed & set(names)
    jobs = [step for step in raw_steps(definition["Steps"]) if step["Type"] in ("Processing", "Training")]
    assert {step["Arguments"]["RoleArn"] for step in jobs} == {"arn:aws:iam::111122223333:role/training"}
    train = next(step for step in jobs if step["Type"] == "Training")
    assert train["Arguments"]["OutputDataConfig"]["S3OutputPath"]["Std:Join"]["Values"][:3] == [
        "s3:/",
        "bucket",
        "prefix",
    ]


@pytest.mark.sdk
def test_training_on_spare_capacity_says_how_long_it_may_wait() -> None:
    code = """
import os
os.environ.update(AWS_DEFAULT_REGION="eu-west-1", SAGEMAKER_VALIDATE_ROLE="false")
from usecase.mlops.steps import PipelineBuilder
build = PipelineBuilder("eu-west-1")
step = {"module": "usecase.train", "arguments": {}, "channels": {}, "hyperparameters": {}}
steps = [build.training("Usual", **step), build.training("Spot", **step, spot=True)]
print(build.pipeline("name", steps).definition())
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    shown = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, check=True
    )
    usual, spot = (step["Arguments"] for step in json.loads(shown.stdout.splitlines()[-1])["Steps"])
    assert "EnableManagedSpotTraining" not in usual
    assert spot.pop("EnableManagedSpotTraining") is True
    longest = spot["StoppingCondition"].pop("MaxWaitTimeInSeconds")
    assert longest > spot["StoppingCondition"]["MaxRuntimeInSeconds"]
    assert json.dumps(usual).replace("Usual", "Spot") == json.dumps(spot)
