"""Promises about the generated code that hold whatever the answers are."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import baking

SOURCE = baking.ROOT / baking.PROJECT_FOLDER / "src" / "usecase"
COMPILING = {"pipeline.py", "mlops/steps.py", "mlops/sdk.py", "mlops/compile.py"}
AWS = ("mlops/aws/", "mlops/delivery/", "mlops/infrastructure/", "mlops/monitoring/")
DEFINITION = json.loads((baking.ROOT / baking.PROJECT_FOLDER / "pipeline.json").read_text())


def imported(source: str) -> set[str]:
    """Return the top-level names of everything that Python source imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_jobs_and_service_know_no_cloud_and_no_pickle(path: Path) -> None:
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    name = path.relative_to(SOURCE).as_posix()
    if name not in COMPILING:
        forbidden |= {"sagemaker"} if name.startswith(AWS) else {"sagemaker", "boto3", "botocore"}
    assert not imported(path.read_text(encoding="utf-8")) & forbidden


def test_the_check_of_imports_sees_them() -> None:
    """A forbidden import inside a function, with another name, or from a submodule is seen."""
    planted = "def load():\n    import joblib.numpy_pickle as j\n    from boto3.session import Session\n"
    assert imported(planted) == {"joblib", "boto3"}


def steps(content: Any = DEFINITION["Steps"]) -> Iterator[dict[str, Any]]:
    """Return all steps, those behind conditions too."""
    for step in content:
        yield step
        for branch in ("IfSteps", "ElseSteps"):
            yield from steps(step["Arguments"].get(branch, []))


STEPS = {step["Name"]: step for step in steps()}


def test_the_pipeline_has_these_steps() -> None:
    names = {step["Name"]: step["Type"] for step in DEFINITION["Steps"]}
    assert list(names.items()) == [
        ("Preprocess", "Processing"),
        ("Train", "Training"),
        ("Evaluate", "Processing"),
        ("CheckQuality", "Condition"),
    ]
    (check,) = (step for step in DEFINITION["Steps"] if step["Type"] == "Condition")
    assert [step["Name"] for step in check["Arguments"]["IfSteps"]] == ["Baseline", "RegisterModel"]
    assert [step["Name"] for step in check["Arguments"]["ElseSteps"]] == ["QualityGateFailed"]


PROCESSING = "/opt/ml/processing"


@pytest.mark.parametrize(
    ("name", "module", "options", "inputs", "outputs", "property_files"),
    [
        (
            "Preprocess",
            "usecase.preprocessing",
            {
                "--input-dir": f"{PROCESSING}/input/data",
                "--contract-dir": f"{PROCESSING}/input/contract",
                "--output-dir": f"{PROCESSING}/output",
            },
            ["code", "data", "contract"],
            ["train", "validation", "test", "preprocessor", "report"],
            {},
        ),
        (
            "Evaluate",
            "usecase.evaluate",
            {
                "--model-dir": f"{PROCESSING}/input/model",
                "--input-dir": f"{PROCESSING}/input/test",
                "--report-dir": f"{PROCESSING}/input/report",
                "--champion-dir": f"{PROCESSING}/input/champion",
                "--output-dir": f"{PROCESSING}/output/evaluation",
                "--thresholds": "QualityThresholds",
                "--champion-version": "ChampionVersion",
                "--champion-metric": "ChampionMetric",
                "--champion-tolerance": "ChampionTolerance",
                "--fairness-metric": "FairnessMetric",
                "--maximum-fairness-gap": "MaximumFairnessGap",
                "--maximum-overlap": "MaximumOverlap",
                "--maximum-label-shift": "MaximumLabelShift",
                "--maximum-flagged-rows": "MaximumFlaggedRows",
            },
            ["code", "model", "test", "report", "champion"],
            ["evaluation"],
            {
                "EvaluationReport": "evaluation/evaluation.json",
                "QualityReport": "evaluation/quality.json",
                "DataReport": "evaluation/data_report.json",
            },
        ),
        (
            "Baseline",
            "usecase.mlops.baseline",
            {
                "--model-dir": f"{PROCESSING}/input/model",
                "--input-dir": f"{PROCESSING}/input/train",
                "--evaluation-dir": f"{PROCESSING}/input/evaluation",
                "--card-dir": f"{PROCESSING}/input/card",
                "--output-dir": f"{PROCESSING}/output",
                "--model-package-group": "ModelPackageGroupName",
                "--git-sha": "GitSha",
                "--pipeline-execution": "PipelineExecutionArn",
                "--champion-version": "ChampionVersion",
            },
            ["code", "model", "train", "evaluation", "card"],
            ["baseline", "explanation", "model_card"],
            {"BaselineReport": "baseline/baseline_report.json"},
        ),
    ],
)
def test_the_processing_jobs_to_the_letter(
    name: str,
    module: str,
    options: dict[str, str],
    inputs: list[str],
    outputs: list[str],
    property_files: dict[str, str],
) -> None:
    arguments = STEPS[name]["Arguments"]
    assert arguments["AppSpecification"]["ContainerEntrypoint"] == ["python3", "-m", module]
    assert command_line(arguments["AppSpecification"]["ContainerArguments"]) == options
    assert {item["InputName"]: item["S3Input"]["LocalPath"] for item in arguments["ProcessingInputs"]} == {
        item: f"{PROCESSING}/input/{item}" for item in inputs
    }
    assert {
        item["OutputName"]: item["S3Output"]["LocalPath"] for item in arguments["ProcessingOutputConfig"]["Outputs"]
    } == {item: f"{PROCESSING}/output/{item}" for item in outputs}
    assert {
        file["PropertyFileName"]: f"{file['OutputName']}/{file['FilePath']}"
        for file in STEPS[name].get("PropertyFiles", [])
    } == property_files


def command_line(words: list[Any]) -> dict[str, str]:
    """Return options with their values; of a value that is filled in later, the name of what fills it."""
    plain = [
        word if isinstance(word, str) else json.dumps(word).rpartition('"Get": "')[2].split('"')[0] for word in words
    ]
    return {option: value.removeprefix("Parameters.").removeprefix("Execution.") for option, value in pairs(plain)}


def pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    return zip(words[::2], words[1::2], strict=True)


def test_the_training_job_to_the_letter() -> None:
    arguments = STEPS["Train"]["Arguments"]
    assert arguments["AlgorithmSpecification"]["ContainerEntrypoint"] == ["python3", "-m", "usecase.train"]
    assert command_line(arguments["AlgorithmSpecification"]["ContainerArguments"]) == {
        "--input-dir": "/opt/ml/input/data",
        "--code-dir": "/opt/ml/input/data/code",
        "--model-dir": "/opt/ml/model",
        "--output-dir": "/opt/ml/output/data",
        "--config-dir": "/opt/ml/input/config",
    }
    channels = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"] for channel in arguments["InputDataConfig"]
    }
    assert {name: source["S3DataDistributionType"] for name, source in channels.items()} == {
        "train": "ShardedByS3Key",
        "validation": "ShardedByS3Key",
        "preprocessor": "FullyReplicated",
        "code": "FullyReplicated",
    }
    assert set(arguments["HyperParameters"]) == {"num_rounds", "max_depth", "learning_rate", "seed", "tuning_trials"}
    assert arguments["ResourceConfig"]["InstanceCount"] == {"Get": "Parameters.TrainingInstanceCount"}


def test_only_the_data_of_preprocess_is_split_among_its_hosts() -> None:
    sharded = {
        (name, item["InputName"])
        for name, step in STEPS.items()
        for item in step["Arguments"].get("ProcessingInputs", [])
        if item["S3Input"]["S3DataDistributionType"] != "FullyReplicated"
    }
    assert sharded == {("Preprocess", "data")}
    counts = {
        name: step["Arguments"]["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
        for name, step in STEPS.items()
        if step["Type"] == "Processing"
    }
    assert counts == {"Preprocess": {"Get": "Parameters.ProcessingInstanceCount"}, "Evaluate": 1, "Baseline": 1}


def test_what_the_pipeline_must_be_given_and_what_it_knows() -> None:
    parameters = {parameter["Name"]: parameter.get("DefaultValue") for parameter in DEFINITION["Parameters"]}
    assert {name for name, default in parameters.items() if default is None} == {
        *("InputDataUri", "ContractUri", "ModelCardUri", "CodeUri", "ImageUri", "ChampionUri", "ChampionVersion"),
        *("ProcessingRoleArn", "TrainingRoleArn", "DefaultBucket", "ModelPackageGroupName"),
        *("VolumeKmsKeyArn", "OutputKmsKeyArn", "QualityThresholds", "ChampionMetric", "ChampionTolerance"),
        *("FairnessMetric", "MaximumFairnessGap", "MaximumOverlap", "MaximumLabelShift", "MaximumFlaggedRows"),
        *("GitSha", "ContractHash", "LockHash"),
    }
    assert {name for name, default in parameters.items() if default is not None} == {
        *("ProcessingInstanceType", "ProcessingInstanceCount", "TrainingInstanceType", "TrainingInstanceCount"),
        *("ModelApprovalStatus", "NumRounds", "MaxDepth", "LearningRate", "Seed", "TuningTrials"),
        *("RetrainingReason", "RetrainingTrigger"),
    }
