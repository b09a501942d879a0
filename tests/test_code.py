"""Promises about the generated code that hold whatever the answers are."""

import ast
import json
from pathlib import Path

import pytest

import baking

SOURCE = baking.ROOT / baking.PROJECT_FOLDER / "src" / "usecase"
COMPILING = {"pipeline.py", "mlops/steps.py", "mlops/compile.py"}
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
    if path.relative_to(SOURCE).as_posix() not in COMPILING:
        forbidden |= {"sagemaker", "boto3", "botocore"}
    assert not imported(path.read_text(encoding="utf-8")) & forbidden


def test_the_check_of_imports_sees_them() -> None:
    """A forbidden import inside a function, with another name, or from a submodule is seen."""
    planted = "def load():\n    import joblib.numpy_pickle as j\n    from boto3.session import Session\n"
    assert imported(planted) == {"joblib", "boto3"}


def test_the_pipeline_has_these_steps() -> None:
    steps = {step["Name"]: step["Type"] for step in DEFINITION["Steps"]}
    assert list(steps.items()) == [
        ("Preprocess", "Processing"),
        ("Train", "Training"),
        ("Evaluate", "Processing"),
        ("CheckQuality", "Condition"),
    ]
    (check,) = (step for step in DEFINITION["Steps"] if step["Type"] == "Condition")
    assert [step["Name"] for step in check["Arguments"]["IfSteps"]] == ["RegisterModel"]
    assert [step["Name"] for step in check["Arguments"]["ElseSteps"]] == ["QualityGateFailed"]


def test_what_the_pipeline_must_be_given_and_what_it_knows() -> None:
    parameters = {parameter["Name"]: parameter.get("DefaultValue") for parameter in DEFINITION["Parameters"]}
    assert {name for name, default in parameters.items() if default is None} == {
        "InputDataUri",
        "ContractUri",
        "CodeUri",
        "ImageUri",
        "RoleArn",
        "DefaultBucket",
        "ModelPackageGroupName",
        "QualityThresholds",
        "GitSha",
        "ContractHash",
        "LockHash",
    }
    assert {name for name, default in parameters.items() if default is not None} == {
        "ProcessingInstanceType",
        "TrainingInstanceType",
        "ModelApprovalStatus",
        "NumRounds",
        "MaxDepth",
        "LearningRate",
        "Seed",
    }
