"""The local engine, on small definitions with tiny scripts as jobs."""

import gzip
import json
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from usecase.mlops.engine import Engine, Execution, StepEvent, run, storage
from usecase.mlops.errors import UserError

CODE = "/opt/ml/processing/input/code"
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and process groups are POSIX")


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended but was not waited for counts as ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")


class Repo:
    """A repository in a folder: scripts in src, all that runs make in .local."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source, self.local, self.data = root / "src", root / ".local", root / "data.csv"
        self.source.mkdir()
        self.data.write_text("a,b\n1,2\n")
        self.events: list[StepEvent] = []
        self.registered: list[Mapping[str, Any]] = []
        self.uris: dict[str, Path] = {"s3://local/code": self.source, "s3://local/data": self.data}

    def script(self, name: str, text: str) -> None:
        """A job: `inputs` and `out` are its folders, and `write()` writes its arguments to an output."""
        head = """
            import json, os, pathlib, signal, sys, time
            inputs, out = (pathlib.Path(os.environ["OPT"]) / name for name in ("input", "output"))
            def write(): (out / "result/x.txt").write_text(" ".join(sys.argv[1:]))
        """
        path, content = self.source / f"{name}.py", textwrap.dedent(head) + textwrap.dedent(text)
        if not path.exists() or path.read_text() != content:
            path.write_text(content)

    def processing(
        self,
        name: str,
        script: str,
        *,
        arguments: Sequence[Any] = (),
        inputs: Mapping[str, Any] | None = None,
        outputs: Sequence[str] = ("result",),
        property_files: Mapping[str, str] | None = None,
        cache: Mapping[str, Any] | None = None,
        needs: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        self.script(name, script)
        where = {"code": "s3://local/code", **(inputs or {})}
        return {
            "Name": name,
            "Type": "Processing",
            "DependsOn": list(needs),
            "CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"} if cache is None else cache,
            "PropertyFiles": [
                {"PropertyFileName": key, "OutputName": path.split("/")[0], "FilePath": path.split("/")[1]}
                for key, path in (property_files or {}).items()
            ],
            "Arguments": {
                "AppSpecification": {
                    "ImageUri": "image",
                    "ContainerEntrypoint": ["python3", "-m", name],
                    "ContainerArguments": list(arguments),
                },
                "Environment": {"PYTHONPATH": CODE, "OPT": "/opt/ml/processing", **(environment or {})},
                "RoleArn": "role",
                "ProcessingInputs": [
                    {
                        "InputName": key,
                        "S3Input": {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/input/{key}"},
                    }
                    for key, uri in where.items()
                ],
                "ProcessingOutputConfig": {
                    "Outputs": [
                        {
                            "OutputName": key,
                            "S3Output": {
                                "S3Uri": {
                                    "Std:Join": {
                                        "On": "/",
                                        "Values": [
                                            "s3:/",
                                            "bucket",
                                            {"Get": "Execution.PipelineExecutionId"},
                                            name,
                                            key,
                                        ],
                                    }
                                },
                                "LocalPath": f"/opt/ml/processing/output/{key}",
                            },
                        }
                        for key in outputs
                    ]
                },
            },
        }

    def training(self, name: str, script: str, channels: Mapping[str, Any] | None = None) -> dict[str, Any]:
        self.script(name, script)
        where = {**(channels or {"train": "s3://local/data"}), "code": "s3://local/code"}
        return {
            "Name": name,
            "Type": "Training",
            "CacheConfig": {"Enabled": True},
            "Arguments": {
                "AlgorithmSpecification": {
                    "TrainingImage": "image",
                    "ContainerEntrypoint": ["python3", "-m", name],
                    "ContainerArguments": ["--model-dir", "/opt/ml/model"],
                },
                "Environment": {"PYTHONPATH": "/opt/ml/input/data/code", "OPT": "/opt/ml"},
                "HyperParameters": {"depth": {"Std:Join": {"On": "", "Values": [{"Get": "Parameters.Depth"}]}}},
                "InputDataConfig": [
                    {"ChannelName": key, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}
                    for key, uri in where.items()
                ],
                "OutputDataConfig": {
                    "S3OutputPath": {
                        "Std:Join": {
                            "On": "/",
                            "Values": ["s3://bucket", {"Get": "Execution.PipelineExecutionId"}, name],
                        }
                    }
                },
            },
        }

    def engine(self, steps: Sequence[Any], parameters: Sequence[Any] = (), **options: Any) -> Engine:
        def register(arguments: Mapping[str, Any], resolve: Callable[[str], Path]) -> Mapping[str, Any]:
            self.registered.append(arguments)
            if "ModelData" in arguments:
                assert resolve(arguments["ModelData"]).is_file()
            return {"ModelPackageArn": f"arn/{len(self.registered)}"}

        return Engine(
            {"Version": "2020-12-01", "Parameters": list(parameters), "Steps": list(steps)},
            self.local,
            self.uris,
            register,
            self.events.append,
            **{"workers": 4, **options},
        )

    def run(self, *steps: Any, parameters: Sequence[Any] = (), given: Mapping[str, Any] | None = None) -> Execution:
        return self.engine(steps, parameters).run(given or {})

    def states(self, execution: Execution) -> dict[str, str]:
        return {name: event.state for name, event in execution.steps.items()}

    def files(self, folder: str = "s3") -> list[str]:
        root = self.local / folder
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path)


def parameter(name: str, type_: str = "String", default: Any = None, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Type": type_, **({} if default is None else {"DefaultValue": default}), **more}


def registration(name: str, **arguments: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "RegisterModel", "Arguments": {"ModelPackageGroupName": name, **arguments}}


def condition(
    name: str, conditions: Sequence[Any], if_steps: Sequence[Any] = (), else_steps: Sequence[Any] = ()
) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": "Condition",
        "Arguments": {"Conditions": list(conditions), "IfSteps": list(if_steps), "ElseSteps": list(else_steps)},
    }


def compare(kind: str, left: Any, right: Any) -> dict[str, Any]:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


def output(step: str, name: str = "result") -> dict[str, str]:
    return {"Get": f"Steps.{step}.ProcessingOutputConfig.Outputs['{name}'].S3Output.S3Uri"}


def from_json(step: str, file: str, path: str) -> dict[str, Any]:
    return {"Std:JsonGet": {"PropertyFile": {"Get": f"Steps.{step}.PropertyFiles.{file}"}, "Path": path}}


WRITE = "write()"


# ---- parameters ------------------------------------------------------------------------------------------------------

ALL_TYPES = [
    parameter("Name", "String", "n", EnumValues=["n", "m"]),
    parameter("Count", "Integer", 3),
    parameter("Rate", "Float", 0.5),
    parameter("Flag", "Boolean", False),
    parameter("Needed"),
]


def test_parameters_take_text_as_on_a_command_line(repo: Repo) -> None:
    names = ["Name", "Count", "Rate", "Flag", "Needed"]
    step = registration("R", **{name: {"Get": f"Parameters.{name}"} for name in names})
    repo.run(step, parameters=ALL_TYPES, given={"Needed": "x"})
    repo.run(
        step, parameters=ALL_TYPES, given={"Name": "m", "Count": "4", "Rate": "1e-3", "Flag": "true", "Needed": ""}
    )
    assert [[seen[name] for name in names] for seen in repo.registered] == [
        ["n", 3, 0.5, False, "x"],
        ["m", 4, 0.001, True, ""],
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Neded": "x"}, "unknown parameter: Neded; did you mean Needed?"),
        ({"Other": "x"}, "unknown parameter: Other; there are: Name, Count, Rate, Flag, Needed"),
        ({}, "parameters without a value: Needed (String); give each as name=value"),
        ({"Needed": "x", "Count": "four"}, "parameter Count: 'four' is not a whole number"),
        ({"Needed": "x", "Count": 1.5}, "parameter Count: 1.5 is not a whole number"),
        ({"Needed": "x", "Count": True}, "parameter Count: True is not a whole number"),
        ({"Needed": "x", "Rate": "nan"}, "parameter Rate: 'nan' is not a number"),
        ({"Needed": "x", "Rate": "fast"}, "parameter Rate: 'fast' is not a number"),
        ({"Needed": "x", "Flag": "yes"}, "parameter Flag: 'yes' is not true or false"),
        ({"Needed": 7}, "parameter Needed: 7 is not text"),
        ({"Needed": "x", "Name": "z"}, "parameter Name: 'z' is not one of: n, m"),
    ],
)
def test_a_wrong_parameter_is_named_before_anything_runs(repo: Repo, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        repo.run(registration("R"), parameters=ALL_TYPES, given=given)
    assert str(error.value) == message
    assert not repo.registered
    assert not repo.local.exists()


# ---- expressions and conditions --------------------------------------------------------------------------------------


def test_expressions_reach_parameters_execution_steps_and_files(repo: Repo) -> None:
    report = """(out / 'result/r.json').write_text(json.dumps({"a": {"b c": [1, {"d": "deep"}]}, "f": 0.5}))"""
    first = repo.processing("first", report, property_files={"Report": "result/r.json"})
    uri = {"Std:Join": {"On": "/", "Values": [output("first"), "r.json"]}}
    second = registration(
        "second",
        deep=from_json("first", "Report", "a['b c'][1].d"),
        number=from_json("first", "Report", "f"),
        by_uri={"Std:JsonGet": {"S3Uri": uri, "Path": "a['b c'][0]"}},
        listed=[{"Get": "Steps.first.AppSpecification.ContainerEntrypoint[2]"}],
        joined={"Std:Join": {"On": "-", "Values": ["x", {"Get": "Parameters.P"}, 1, 0.1, True]}},
        id={"Get": "Execution.PipelineExecutionId"},
        plain={"Get": "x", "Other": "not an expression"},
    )
    execution = repo.run(first, second, parameters=[parameter("P", default="p")])
    (seen,) = repo.registered
    assert (seen["deep"], seen["number"], seen["by_uri"], seen["listed"]) == ("deep", 0.5, 1, ["first"])
    assert (seen["joined"], seen["id"]) == ("x-p-1-0.1-true", execution.id)
    assert seen["plain"] == {"Get": "x", "Other": "not an expression"}
    assert execution.property_files["first"]["Report"].is_file()
    assert execution.properties["second"] == {"ModelPackageArn": "arn/1"}


@pytest.mark.parametrize(
    ("path", "message"),
    [("a.x", "has no a.x: no 'x' in: b"), ("a[0]", "has no a[0]: no 0 in: b"), ("a[", "the path 'a[' cannot be read")],
)
def test_a_value_that_is_not_in_a_file_fails_the_step(repo: Repo, path: str, message: str) -> None:
    first = repo.processing(
        "first", "(out/'result/r.json').write_text('{\"a\": {\"b\": 1}}')", property_files={"R": "result/r.json"}
    )
    execution = repo.run(first, registration("second", x=from_json("first", "R", path)))
    assert execution.failure
    assert execution.failure.step == "second"
    assert message in execution.failure.reason


@pytest.mark.parametrize(
    ("holds", "fails"),
    [
        (compare("Equals", 1, 1.0), compare("Equals", "a", "b")),
        (compare("GreaterThan", 2, 1), compare("GreaterThan", 1, 1)),
        (compare("GreaterThanOrEqualTo", 1, 1), compare("GreaterThanOrEqualTo", 0, 1)),
        (compare("LessThan", 1, 2), compare("LessThan", 1, 1)),
        (compare("LessThanOrEqualTo", 1, 1), compare("LessThanOrEqualTo", 2, 1)),
        (
            {"Type": "In", "QueryValue": {"Get": "Parameters.P"}, "Values": ["p", "q"]},
            {"Type": "In", "QueryValue": {"Get": "Parameters.P"}, "Values": ["q"]},
        ),
        (
            {"Type": "Not", "Condition": compare("Equals", 1, 2)},
            {"Type": "Not", "Condition": compare("Equals", 1, 1)},
        ),
        (
            {"Type": "Or", "Conditions": [compare("Equals", 1, 2), compare("Equals", 1, 1)]},
            {"Type": "Or", "Conditions": [compare("Equals", 1, 2), compare("Equals", 1, 3)]},
        ),
    ],
)
def test_each_condition_goes_both_ways(repo: Repo, holds: Any, fails: Any) -> None:
    for conditions in ([holds], [fails], [holds, fails]):
        repo.run(
            condition("Check", conditions, [registration("Yes")], [registration("No")]),
            parameters=[parameter("P", default="p")],
        )
    assert [seen["ModelPackageGroupName"] for seen in repo.registered] == ["Yes", "No", "No"]


def test_sides_that_cannot_be_compared_fail_the_step(repo: Repo) -> None:
    execution = repo.run(condition("Check", [compare("LessThan", "a", 1)]))
    assert execution.failure
    assert execution.failure.reason == "LessThan cannot compare 'a' with 1"


def test_what_needs_a_branch_not_taken_does_not_run(repo: Repo) -> None:
    inner = condition("Inner", [compare("Equals", 1, 1)], [registration("Deep")])
    steps = [
        condition("Outer", [compare("Equals", 1, 2)], [registration("Taken"), inner], [registration("Other")]),
        {**registration("AfterTaken"), "DependsOn": ["Taken"]},
        {**registration("AfterOther"), "DependsOn": ["Other"]},
        {**registration("AfterOuter"), "DependsOn": ["Outer"]},
    ]
    execution = repo.run(*steps)
    assert execution.status == "Succeeded"
    assert set(execution.steps) == {"Outer", "Other", "AfterOther", "AfterOuter"}


def test_a_fail_step_ends_the_execution_with_its_message(repo: Repo) -> None:
    first = repo.processing(
        "first", "(out/'result/r.json').write_text('{\"why\": \"auc 0.5\"}')", property_files={"R": "result/r.json"}
    )
    fail = {
        "Name": "Stop",
        "Type": "Fail",
        "Arguments": {
            "ErrorMessage": {"Std:Join": {"On": "", "Values": ["too bad: ", from_json("first", "R", "why")]}}
        },
    }
    execution = repo.run(first, condition("Check", [compare("Equals", 1, 2)], [registration("R")], [fail]))
    assert execution.status == "Failed"
    assert execution.failure == run.Failure("Stop", "too bad: auc 0.5")
    assert not repo.registered


# ---- definitions that cannot run -------------------------------------------------------------------------------------


def job(name: str = "J", **more: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": "Processing",
        "Arguments": {"AppSpecification": {"ContainerEntrypoint": ["python3"]}, **more},
    }


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            [condition("C", [], [condition("D", [], [], [{"Name": "L", "Type": "Lambda", "Arguments": {}}])])],
            "step L: the local engine cannot run the type Lambda; supported: Processing, Training, Model,",
        ),
        (
            [condition("C", [{"Type": "Or", "Conditions": [{"Type": "Not", "Condition": compare("Like", 1, 2)}]}])],
            "step C: the condition Like is not supported; supported: Equals, GreaterThan,",
        ),
        ([registration("A", x={"Get": "Parameters.Q"})], "step A refers to Parameters.Q, which does not exist"),
        ([registration("A", x={"Get": "Execution.Q"})], "step A refers to Execution.Q, which does not exist"),
        ([registration("A", x={"Get": "Steps.B.C"})], "step A needs the step B, which does not exist"),
        ([registration("A", x={"Get": "Nothing.B"})], "`Get: Nothing.B` is none of"),
        ([{**registration("A"), "DependsOn": ["B"]}], "step A needs the step B, which does not exist"),
        (
            [{**registration("A"), "DependsOn": [{"Step": "B", "Trigger": "Failed"}]}, registration("B")],
            "step A: the local engine cannot run a step after a failed one",
        ),
        (
            [
                {**registration("A"), "DependsOn": ["C"]},
                {**registration("B"), "DependsOn": ["A"]},
                registration("C", x={"Get": "Steps.B.ModelPackageArn"}),
            ],
            "the steps wait for each other: ",
        ),
        ([{**registration("A"), "DependsOn": ["A"]}], "the steps wait for each other: A -> A"),
        ([registration("A"), condition("C", [], [registration("A")])], "two steps are called A"),
        ([job(), registration("A", x=output("J", "o"))], "step A refers to o of step J, which does not exist"),
        ([job(), registration("A", x=from_json("J", "F", "a"))], "step A refers to F of step J, which does not exist"),
        (
            [{**job(), "PropertyFiles": [{"PropertyFileName": "F", "OutputName": "o", "FilePath": "f"}]}],
            "step J: property file F lies in the output o, not declared",
        ),
        ([{"Name": "J", "Type": "Processing", "Arguments": {}}], "step J has no ContainerEntrypoint"),
        ([{"Name": "T", "Type": "Training", "Arguments": {}}], "step T has no ContainerEntrypoint"),
        (
            [job(ProcessingInputs=[{"InputName": "i", "S3Input": {"S3DataType": "ManifestFile"}}])],
            "step J: S3DataType ManifestFile has no local counterpart",
        ),
        ([{**job(), "CacheConfig": {"Enabled": True, "ExpireAfter": "soon"}}], "step J: ExpireAfter 'soon' is not an"),
        ([{"Type": "Fail"}], "not a pipeline definition: KeyError 'Name'"),
    ],
)
def test_what_cannot_run_is_named_before_anything_runs(repo: Repo, steps: list[Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        repo.run(registration("First"), *steps)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert not repo.registered


def test_an_unknown_parameter_type_is_named(repo: Repo) -> None:
    with pytest.raises(UserError, match="parameter P: the type Date is not supported; supported: String, Integer"):
        repo.run(parameters=[parameter("P", "Date")])


# ---- jobs ------------------------------------------------------------------------------------------------------------


def test_a_processing_job_sees_its_container_paths(repo: Repo) -> None:
    script = """
        paths = sys.argv[1:]
        assert os.environ["WHERE"] == paths[0]
        (out / "result/seen.json").write_text(json.dumps({
            "paths": paths, "data": pathlib.Path(paths[0], "data.csv").read_text(), "python": sys.executable,
            "source": __file__}))
    """
    step = repo.processing(
        "job",
        script,
        arguments=[
            "/opt/ml/processing/input/data",
            '{"at": "/opt/ml/processing"}',
            "/opt/mlx",
            "x/opt/ml",
            {"Get": "Parameters.P"},
        ],
        inputs={"data": {"Get": "Parameters.Data"}},
        environment={"WHERE": "/opt/ml/processing/input/data"},
    )
    parameters = [parameter("P", "Float", 0.1), parameter("Data", default="s3://local/data")]
    execution = repo.run(step, parameters=parameters)
    assert execution.status == "Succeeded", execution.failure
    seen = json.loads(next(repo.local.rglob("seen.json")).read_text())
    ml = repo.local / "executions" / execution.id / "job" / "ml"
    assert seen["paths"] == [
        f"{ml}/processing/input/data",
        json.dumps({"at": f"{ml}/processing"}),
        "/opt/mlx",
        "x/opt/ml",
        "0.1",
    ]
    assert seen["data"] == "a,b\n1,2\n"
    assert seen["python"] == sys.executable
    # imported from the user's own folder: its bytecode is used, and a traceback names the file to edit
    assert seen["source"] == str(repo.source / "job.py")
    assert not ml.exists()


@pytest.mark.parametrize("variable", ["PYTHONPATH", "PYTHONHOME"])
def test_a_job_imports_nothing_from_the_callers_path(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(repo.root))
    step = repo.processing("job", f"assert {variable!r} not in os.environ; write()")
    step["Arguments"]["AppSpecification"]["ContainerEntrypoint"] = ["python3", f"{CODE}/job.py"]
    del step["Arguments"]["Environment"]["PYTHONPATH"]
    execution = repo.run(step)
    assert execution.status == "Succeeded", execution.failure


def test_a_training_job_sees_channels_hyperparameters_and_variables(repo: Repo) -> None:
    script = """
        root = pathlib.Path(os.environ["OPT"])
        config = json.loads((root / "input/config/hyperparameters.json").read_text())
        seen = {key: value.replace(str(root), "/opt/ml") for key, value in os.environ.items() if key.startswith("SM_")}
        seen["config"], seen["data"] = config, (root / "input/data/train/data.csv").read_text()
        pathlib.Path(sys.argv[2], "sub").mkdir()
        pathlib.Path(sys.argv[2], "sub/model.txt").write_text("m")
        pathlib.Path(sys.argv[2], "a.txt").write_text("a")
        pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "seen.json").write_text(json.dumps(seen))
    """
    execution = repo.run(repo.training("train", script), parameters=[parameter("Depth", "Integer", 4)])
    assert execution.status == "Succeeded", execution.failure
    folder = next(repo.local.rglob("model.tar.gz")).parent
    with tarfile.open(folder / "output.tar.gz") as tar:
        seen = json.load(tar.extractfile("seen.json"))  # type: ignore[arg-type]
    assert seen["config"] == {"depth": "4"}
    assert seen["data"] == "a,b\n1,2\n"
    expected = {
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_CHANNEL_TRAIN": "/opt/ml/input/data/train",
        "SM_CHANNELS": '["code", "train"]',
        "SM_HP_DEPTH": "4",
        "SM_HPS": '{"depth": "4"}',
        "SM_CURRENT_HOST": "algo-1",
    }
    assert expected.items() <= seen.items()
    with tarfile.open(folder / "model.tar.gz") as tar:
        assert [(m.name, m.mtime, m.uid, m.mode) for m in tar.getmembers()] == [
            ("a.txt", 0, 0, 0o644),
            ("sub/model.txt", 0, 0, 0o644),
        ]
    uri = execution.properties["train"]["ModelArtifacts"]["S3ModelArtifacts"]
    assert repo.local / "s3" / uri.removeprefix("s3://") == folder / "model.tar.gz"


def test_the_same_model_gives_the_same_bytes(repo: Repo) -> None:
    script = "pathlib.Path(sys.argv[2], 'model.txt').write_text('m')"
    step = {**repo.training("train", script), "CacheConfig": {"Enabled": False}}
    for _ in range(2):
        repo.run(step, parameters=[parameter("Depth", "Integer", 4)])
        time.sleep(1.1 - time.time() % 1)  # another second on the clock: a date in the archive would differ
    first, second = (path.read_bytes() for path in repo.local.rglob("model.tar.gz"))
    assert first == second
    assert gzip.decompress(first)


def test_the_archive_of_a_model_is_what_evaluate_and_register_get(repo: Repo) -> None:
    model = {"Get": "Steps.train.ModelArtifacts.S3ModelArtifacts"}
    steps = [
        repo.training("train", "pathlib.Path(sys.argv[2], 'model.txt').write_text('m')"),
        repo.processing(
            "look", "assert os.listdir(inputs / 'model') == ['model.tar.gz']; " + WRITE, inputs={"model": model}
        ),
        registration("register", ModelData=model),
        {"Name": "model", "Type": "Model", "Arguments": {"PrimaryContainer": {"ModelDataUrl": model}}},
        registration("named", model={"Get": "Steps.model.ModelName"}),
    ]
    execution = repo.run(*steps, parameters=[parameter("Depth", "Integer", 4)])
    assert execution.status == "Succeeded", execution.failure
    assert any(seen.get("model") == f"pipelines-{execution.id}-model" for seen in repo.registered)


def test_a_job_cannot_alter_what_the_user_owns(repo: Repo) -> None:
    folder = repo.root / "folder"
    folder.mkdir()
    (folder / "f.txt").write_text("mine")
    repo.uris["s3://local/folder"] = folder
    script = "(inputs/'data/data.csv').write_text('x'); (inputs/'folder/f.txt').unlink(); " + WRITE
    step = repo.processing("job", script, inputs={"data": "s3://local/data", "folder": "s3://local/folder"})
    assert repo.run(step).status == "Succeeded"
    assert repo.data.read_text() == "a,b\n1,2\n"
    assert (folder / "f.txt").read_text() == "mine"


def test_large_files_are_linked_and_links_in_outputs_become_files(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "COPY_LIMIT", 0)
    script = "import shutil; d = inputs / 'data/data.csv'; assert d.is_symlink(); shutil.move(d, out / 'result')"
    execution = repo.run(repo.processing("job", script, inputs={"data": "s3://local/data"}))
    assert execution.status == "Succeeded", execution.failure
    kept = repo.local / "s3/bucket" / execution.id / "job/result/data.csv"
    assert not kept.is_symlink()
    assert kept.read_text() == repo.data.read_text()


@pytest.mark.parametrize("ending", [WRITE, "sys.exit(1)"])
def test_a_job_that_writes_to_a_linked_input_fails(repo: Repo, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setattr(storage, "COPY_LIMIT", 4)
    script = f"(inputs / 'data/data.csv').write_text('x'); {ending}"
    execution = repo.run(repo.processing("job", script, inputs={"data": "s3://local/data"}))
    assert execution.failure
    assert execution.failure.reason == (
        f"the step changed its input data: {repo.data} is no longer what it was when the step began; "
        "restore it, and write to an output of the step instead"
    )
    assert not repo.files()
    assert not repo.files("cache")


def test_a_job_that_writes_to_the_linked_output_of_a_step_fails(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "COPY_LIMIT", 4)
    first = repo.processing("first", WRITE, arguments=["long enough"])
    second = repo.processing("second", "(inputs / 'x/x.txt').write_text('x'); write()", inputs={"x": output("first")})
    execution = repo.run(first, second)
    assert repo.states(execution) == {"first": "Succeeded", "second": "Failed"}
    assert execution.failure
    assert execution.failure.reason.startswith("the step changed its input x: ")
    # what was spoiled is made again
    again = repo.processing("second", WRITE, inputs={"x": output("first")})
    assert repo.states(repo.run(first, again)) == {"first": "Succeeded", "second": "Succeeded"}


def test_the_code_may_be_edited_while_a_step_runs(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "COPY_LIMIT", 0)
    edit = f"pathlib.Path({str(repo.source)!r}, 'new.py').write_text('x = 1'); write()"
    execution = repo.run(repo.processing("job", edit))
    assert execution.steps["job"].message == "not cached: an input changed while the step ran"


@POSIX
def test_what_a_job_leaves_running_is_ended(repo: Repo) -> None:
    script = "import subprocess; p = subprocess.Popen(['sleep', '60']); (out/'result/pid').write_text(str(p.pid))"
    assert repo.run(repo.processing("job", script)).status == "Succeeded"
    pid = int(next(repo.local.rglob("pid")).read_text())
    wait_for(lambda: not is_alive(pid))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": {"data": "s3://local/none"}}, "input data: s3://local/none: no such file or folder"),
        ({"inputs": {"data": "s3://local/empty"}}, "input data: s3://local/empty: holds no files"),
        ({"inputs": {"data": "http://x"}}, "input data: http://x: neither an s3:// URI nor one of: s3://local/code"),
        ({"inputs": {"data": "s3://b/../../x"}}, "input data: s3://b/../../x: leaves its bucket"),
        ({"outputs": ["result", "other"]}, "s3://bucket/{id}/job/other: holds no files"),
        (
            {"property_files": {"R": "result/r.json"}},
            "the job wrote no r.json into its output result (property file R)",
        ),
    ],
)
def test_missing_inputs_and_outputs_fail_the_step(repo: Repo, change: Any, message: str) -> None:
    empty = repo.root / "empty"
    empty.mkdir()
    repo.uris["s3://local/empty"] = empty
    execution = repo.run(repo.processing("job", WRITE, **change))
    assert execution.failure
    assert execution.failure.reason.startswith(message.format(id=execution.id))
    assert not repo.files("cache")


def test_paths_outside_of_the_container_are_refused(repo: Repo) -> None:
    step = repo.processing("job", WRITE)
    step["Arguments"]["ProcessingInputs"][0]["S3Input"]["LocalPath"] = "/opt/ml/../../etc"
    execution = repo.run(step)
    assert execution.failure
    assert execution.failure.reason == "/opt/ml/../../etc: inputs and outputs of a job lie below /opt/ml"


# ---- transforms ------------------------------------------------------------------------------------------------------

# A serving program as an image has one: its answers say what it was asked, in which order and with what around it.
SERVE = """
import http.server, os, pathlib, signal, sys, time
model = pathlib.Path(os.environ["SM_MODEL_DIR"])
if not (model / "model.txt").exists():
    sys.exit("error: no model.txt")
if (model / "code").is_dir():
    import handlers  # found only below the model
asked = 0
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(200 if self.path == "/ping" else 404)
    def do_POST(self):
        global asked
        asked += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/invocations"
        if b"bad" in body:
            return self.answer(400, b'{"error":\\n "row 1: no number"}')
        if b"die" in body:
            print("error: out of memory", flush=True)
            os._exit(3)
        if b"hang" in body:
            time.sleep(60)
        if b"env" in body:
            wanted = [self.headers["Content-Type"], self.headers["Accept"], os.environ["SAGEMAKER_BATCH"],
                      os.environ["SAGEMAKER_BATCH_STRATEGY"], os.environ["SAGEMAKER_MAX_PAYLOAD_IN_MB"]]
            return self.answer(200, " ".join(wanted).encode())
        self.answer(200, b"".join(b"%d:%s\\n" % (asked, line) for line in body.splitlines()))
    def log_message(self, *_):
        pass
def stop(*_):
    (pathlib.Path(sys.argv[1]) / "stopped").touch()
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def transform(
    name: str = "transform", uri: str = "s3://local/rows", *, split: str = "Line", **arguments: Any
) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": "Transform",
        "CacheConfig": {"Enabled": True},
        "Arguments": {
            "ModelName": {"Get": "Steps.model.ModelName"},
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
                "ContentType": "text/csv",
                "SplitType": split,
            },
            "TransformOutput": {
                "S3OutputPath": {
                    "Std:Join": {"On": "/", "Values": ["s3://bucket", {"Get": "Execution.PipelineExecutionId"}]}
                },
                "Accept": "text/csv",
                "AssembleWith": "Line",
            },
            "TransformResources": {"InstanceCount": 1},
            "BatchStrategy": "MultiRecord",
            "MaxPayloadInMB": 1,
            "ModelClientConfig": {"InvocationsTimeoutInSeconds": 1},
            **arguments,
        },
    }


class Transforms:
    """A model, rows to ask it about, and the serving program."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        (repo.root / "serve.py").write_text(SERVE)
        self.command = ["python3", str(repo.root / "serve.py"), str(repo.root)]
        self.rows = repo.root / "rows"
        self.rows.mkdir()
        repo.uris["s3://local/rows"] = self.rows
        self.model = "pathlib.Path(sys.argv[2], 'model.txt').write_text('m')"

    def run(self, *steps: Any) -> Execution:
        archive = {"Get": "Steps.train.ModelArtifacts.S3ModelArtifacts"}
        container = {
            "Image": "image",
            "ModelDataUrl": archive,
            "Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
        }
        made = {"Name": "model", "Type": "Model", "Arguments": {"PrimaryContainer": container}}
        everything = [self.repo.training("train", self.model), made, *steps]
        parameters = [parameter("Depth", "Integer", 4), parameter("Megabytes", "Integer", 3)]
        return self.repo.engine(everything, parameters, serve_command=self.command).run({})

    def answers(self, name: str) -> str:
        return next(self.repo.local.rglob(f"s3/bucket/*/{name}.out")).read_text()


@pytest.fixture
def transforms(repo: Repo) -> Transforms:
    return Transforms(repo)


def test_a_transform_answers_each_file_in_order_and_stops_the_program(transforms: Transforms, repo: Repo) -> None:
    (transforms.rows / "a.csv").write_text("1,2\n3,4\n5,6")
    (transforms.rows / "deep").mkdir()
    (transforms.rows / "deep/b.csv").write_text("7,8\n")
    execution = transforms.run(transform())
    assert execution.status == "Succeeded", execution.failure
    assert transforms.answers("a.csv") == "1:1,2\n1:3,4\n1:5,6\n"
    assert transforms.answers("deep/b.csv") == "2:7,8\n"
    assert (repo.root / "stopped").exists()
    assert repo.states(transforms.run(transform()))["transform"] == "Cached"
    assert repo.states(transforms.run(transform(BatchStrategy="SingleRecord")))["transform"] == "Succeeded"


def test_a_transform_keeps_to_its_strategy_and_payload(transforms: Transforms) -> None:
    (transforms.rows / "a.csv").write_text("".join(letter * 400_000 + "\n" for letter in "abc"))
    transforms.run(transform())
    assert [line[:3] for line in transforms.answers("a.csv").splitlines()] == ["1:a", "1:b", "2:c"]
    (transforms.rows / "a.csv").write_text("1\n2\n3\n")
    transforms.run(transform(BatchStrategy="SingleRecord"))
    found = {path.read_text() for path in transforms.repo.local.rglob("a.csv.out")}
    assert "1:1\n2:2\n3:3\n" in found
    transforms.run(transform(split="None"))
    found = {path.read_text() for path in transforms.repo.local.rglob("a.csv.out")}
    assert "1:1\n1:2\n1:3\n" in found


def test_the_serving_program_finds_the_code_of_the_model_and_its_limits(transforms: Transforms) -> None:
    transforms.model += "; d = pathlib.Path(sys.argv[2], 'code'); d.mkdir(); (d / 'handlers.py').touch()"
    (transforms.rows / "a.csv").write_text("env\n")
    execution = transforms.run(transform(MaxPayloadInMB={"Get": "Parameters.Megabytes"}))
    assert execution.status == "Succeeded", execution.failure
    assert transforms.answers("a.csv") == "text/csv text/csv true MULTI_RECORD 3\n"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("1\n2\nbad\n", 'a.csv, lines 1 to 3: the model answered 400: {"error": "row 1: no number"}'),
        ("1\ndie\n", "out of memory"),
        ("1\nhang\n", "a.csv, lines 1 to 2: no answer (timed out)"),
        ("1\n" + "x" * 2**20 + "\n", "a.csv, line 2: over the 1 MB of MaxPayloadInMB"),
    ],
)
def test_a_bad_answer_fails_the_transform(transforms: Transforms, rows: str, reason: str) -> None:
    (transforms.rows / "a.csv").write_text(rows)
    execution = transforms.run(transform())
    assert execution.failure
    assert execution.failure.step == "transform"
    assert execution.failure.reason.startswith(reason)
    assert not list((transforms.repo.local / "s3").rglob("*.out"))


def test_the_error_of_a_serving_program_that_does_not_start_is_the_reason(transforms: Transforms) -> None:
    transforms.model = "pathlib.Path(sys.argv[2], 'other.txt').write_text('m')"
    (transforms.rows / "a.csv").write_text("1\n")
    failure = transforms.run(transform()).failure
    assert failure
    assert failure.reason == "no model.txt"


@POSIX
def test_a_failure_elsewhere_ends_the_serving_program(transforms: Transforms, repo: Repo) -> None:
    (transforms.rows / "a.csv").write_text("1\n")
    pid_file = repo.root / "pid"
    hang = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    transforms.command = ["python3", "-c", hang]
    bad = f"""
        while not pathlib.Path({str(pid_file)!r}).exists(): time.sleep(0.01)
        sys.exit("error: bad data")
    """
    execution = transforms.run(transform(), repo.processing("bad", bad))
    assert repo.states(execution)["transform"] == "Stopped"
    assert execution.failure
    assert execution.failure.reason == "bad data"
    assert not is_alive(int(pid_file.read_text()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "RecordIO"}, "SplitType 'RecordIO' has no local counterpart; use None or Line"),
        ({"BatchStrategy": "Other"}, "BatchStrategy 'Other' has no local counterpart; use SingleRecord or MultiRecord"),
        (
            {"DataProcessing": {"JoinSource": "Input"}},
            "DataProcessing has no local counterpart; filter and join the rows in a step of their own",
        ),
    ],
)
def test_a_transform_that_cannot_run_here_is_named(repo: Repo, change: dict[str, Any], message: str) -> None:
    made = {"Name": "model", "Type": "Model", "Arguments": {}}
    with pytest.raises(UserError) as error:
        repo.engine([made, transform(**change)], serve_command=["python3"])
    assert str(error.value).startswith(f"step transform: {message}")


def test_a_transform_needs_a_serving_program_and_a_model_of_this_pipeline(repo: Repo, transforms: Transforms) -> None:
    with pytest.raises(UserError, match="step transform: a Transform step needs a program that serves the model"):
        repo.engine([{"Name": "model", "Type": "Model", "Arguments": {}}, transform()])
    execution = transforms.run(transform(ModelName="other"))
    assert execution.failure
    assert execution.failure.reason == "the model other is not made by a step of this pipeline"


# ---- several hosts ---------------------------------------------------------------------------------------------------


def test_a_processing_job_finds_its_hosts(repo: Repo) -> None:
    script = "(out / 'result/x.txt').write_text(pathlib.Path(sys.argv[1]).read_text())"
    repo.run(repo.processing("job", script, arguments=["/opt/ml/config/resourceconfig.json"]))
    (path,) = repo.local.rglob("x.txt")
    assert json.loads(path.read_text()) == {"current_host": "algo-1", "hosts": ["algo-1"]}


def test_several_instances_run_as_one_host_and_it_is_said_once(repo: Repo) -> None:
    steps = []
    for number, name in enumerate(["first", "second"]):
        step = repo.processing(name, WRITE, needs=["first"] if number else [])
        step["Arguments"]["ProcessingResources"] = {"ClusterConfig": {"InstanceCount": {"Get": "Parameters.Count"}}}
        steps.append(step)
    hosts = parameter("Count", "Integer", 1)
    messages = [event.message for event in repo.run(*steps, parameters=[hosts]).steps.values()]
    assert messages == ["", ""]
    execution = repo.run(*steps, parameters=[hosts], given={"Count": 4})
    assert [(event.state, event.message) for event in execution.steps.values()] == [
        ("Cached", "one host here, 4 in AWS"),
        ("Cached", ""),
    ]


# ---- cache -----------------------------------------------------------------------------------------------------------


def run_two(repo: Repo, p: str = "p") -> dict[str, str]:
    """The states of `first`, which reads the data, and `second`, which copies what `first` wrote."""
    copy = "(out / 'result/y.txt').write_text((inputs / 'x/x.txt').read_text())"
    steps = [
        repo.processing("first", WRITE, arguments=[{"Get": "Parameters.P"}], inputs={"data": "s3://local/data"}),
        repo.processing("second", copy, inputs={"x": output("first")}),
    ]
    execution = repo.run(*steps, parameters=[parameter("P", default=p)])
    assert execution.status == "Succeeded", execution.failure
    return repo.states(execution)


RAN = {"first": "Succeeded", "second": "Succeeded"}
CACHED = {"first": "Cached", "second": "Cached"}


def test_an_unchanged_step_is_not_run_again(repo: Repo) -> None:
    assert run_two(repo) == RAN
    made = repo.files()
    assert run_two(repo) == CACHED
    assert repo.files() == made
    assert run_two(repo, "q") == RAN
    assert run_two(repo) == CACHED


def test_equal_outputs_keep_the_steps_after_them_cached(repo: Repo) -> None:
    run_two(repo)
    repo.data.write_text("other\n")
    assert run_two(repo) == {"first": "Succeeded", "second": "Cached"}


def test_an_edit_of_the_code_runs_every_step_again(repo: Repo) -> None:
    run_two(repo)
    (repo.source / "helper.py").write_text("x = 1\n")
    assert run_two(repo) == RAN
    (repo.source / "__pycache__").mkdir(exist_ok=True)
    (repo.source / "__pycache__/helper.pyc").write_bytes(b"bytecode")
    assert run_two(repo) == CACHED
    (repo.source / "helper.py").rename(repo.source / "helper2.py")
    assert run_two(repo) == RAN


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (("AppSpecification", "ImageUri"), "other", "Succeeded"),
        (("AppSpecification", "ContainerArguments"), ["q"], "Succeeded"),
        (("Environment", "NEW"), "1", "Succeeded"),
        (("RoleArn",), "other", "Cached"),
        (("Tags",), [{"Key": "a", "Value": "b"}], "Cached"),
        (("NetworkConfig",), {"EnableNetworkIsolation": True}, "Cached"),
        (("ProcessingOutputConfig", "KmsKeyId"), "key", "Cached"),
    ],
)
def test_only_what_a_job_can_see_is_part_of_the_key(repo: Repo, place: Any, value: Any, expected: str) -> None:
    step = repo.processing("job", WRITE)
    repo.run(step)
    target = step["Arguments"]
    for name in place[:-1]:
        target = target[name]
    target[place[-1]] = value
    assert repo.states(repo.run(step)) == {"job": expected}


def test_a_cached_output_that_was_changed_or_lost_is_made_again(repo: Repo) -> None:
    run_two(repo)
    (path,) = repo.local.rglob("x.txt")
    path.write_text("corrupt")
    assert run_two(repo) == {"first": "Succeeded", "second": "Cached"}
    for path in repo.local.rglob("y.txt"):
        path.unlink()
    assert run_two(repo) == {"first": "Cached", "second": "Succeeded"}
    for path in (repo.local / "cache").glob("step-*"):
        path.write_text('{"created": 1')
    assert run_two(repo) == RAN
    assert run_two(repo) == CACHED


def age_cache(repo: Repo, seconds: float) -> None:
    for path in (repo.local / "cache").glob("step-*"):
        entry = json.loads(path.read_text())
        path.write_text(json.dumps({**entry, "created": entry["created"] - seconds}))


def test_an_entry_expires_and_a_step_can_go_without(repo: Repo) -> None:
    steps = [
        repo.processing("day", WRITE, cache={"Enabled": True, "ExpireAfter": "P1DT1H"}),
        repo.processing("never", WRITE, cache={"Enabled": False}),
        repo.processing("always", WRITE, cache={"Enabled": True}),
    ]
    repo.run(*steps)
    age_cache(repo, 25 * 3600 - 60)
    assert repo.states(repo.run(*steps)) == {"day": "Cached", "never": "Succeeded", "always": "Cached"}
    age_cache(repo, 120)
    assert repo.states(repo.run(*steps)) == {"day": "Succeeded", "never": "Succeeded", "always": "Cached"}


def test_an_input_that_changes_while_the_step_runs_is_not_cached(repo: Repo) -> None:
    script = f"pathlib.Path({str(repo.data)!r}).write_text('changed'); " + WRITE
    execution = repo.run(repo.processing("job", script, inputs={"data": "s3://local/data"}))
    assert execution.steps["job"].message == "not cached: an input changed while the step ran"
    assert not repo.files("cache")


def test_the_name_of_the_execution_does_not_run_a_step_again(repo: Repo) -> None:
    arn = {"Get": "Execution.PipelineExecutionArn"}
    first = repo.run(repo.processing("job", WRITE, arguments=[arn]))
    assert repo.states(repo.run(repo.processing("job", WRITE, arguments=[arn]))) == {"job": "Cached"}
    (path,) = repo.local.rglob("x.txt")
    assert path.read_text() == f"local/{first.id}"


def test_registration_resolves_files_folders_and_prefixes(repo: Repo) -> None:
    found: list[Path] = []

    def register(arguments: Mapping[str, Any], resolve: Callable[[str], Path]) -> Mapping[str, Any]:
        found.extend(resolve(uri) for uri in arguments["Uris"])
        return {}

    job = repo.processing("job", "(out / 'result/sub').mkdir(); (out / 'result/sub/x.txt').write_text('x')")
    inside = [{"Std:Join": {"On": "/", "Values": [output("job"), path]}} for path in ("sub", "sub/", "sub/x.txt")]
    engine = repo.engine([job, registration("register", Uris=[output("job"), *inside])])
    engine.register = register
    execution = engine.run({})
    assert execution.status == "Succeeded", execution.failure
    folder = repo.local / "s3/bucket" / execution.id / "job/result"
    assert found == [folder, folder / "sub", folder / "sub", folder / "sub/x.txt"]


@pytest.fixture
def remember_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hashes of small and fresh files are remembered too."""
    monkeypatch.setattr(storage, "MEMO_MINIMUM", 0)
    monkeypatch.setattr(storage, "MEMO_QUIET_SECONDS", -1)


@pytest.mark.usefixtures("remember_all")
def test_remembered_hashes_notice_a_change_of_equal_size_and_date(repo: Repo) -> None:
    run_two(repo)
    assert run_two(repo) == CACHED
    assert str(repo.data) in json.loads((repo.local / "cache/digests.json").read_text())
    before = repo.data.stat()
    repo.data.write_text("a,b\n9,9\n")
    os.utime(repo.data, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run_two(repo)["first"] == "Succeeded"


@pytest.mark.usefixtures("remember_all")
def test_remembered_hashes_save_reading(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    run_two(repo)
    run_two(repo)

    def refuse(*_: Any) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("hashlib.file_digest", refuse)
    assert run_two(repo) == CACHED


def test_a_file_changed_just_now_is_not_remembered(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "MEMO_MINIMUM", 0)
    repo.data.write_text("new")
    run_two(repo)
    assert not (repo.local / "cache/digests.json").exists()


# ---- failures --------------------------------------------------------------------------------------------------------


def test_the_error_of_the_script_is_the_reason(repo: Repo) -> None:
    script = """
        print("reading")
        print(f"error: {inputs / 'data/data.csv'}: column c is missing; add it", file=sys.stderr)
        print("a last word")
        sys.exit(1)
    """
    bad = repo.processing("bad", script, inputs={"data": "s3://local/data"})
    execution = repo.run(bad, repo.processing("after", WRITE, inputs={"x": output("bad")}))
    failure = execution.failure
    assert failure
    assert (execution.status, failure.step) == ("Failed", "bad")
    assert failure.reason == f"{repo.data}: column c is missing; add it"
    assert failure.tail == ()
    assert failure.log
    assert failure.log.read_text().startswith("reading\nerror: ")
    assert repo.states(execution) == {"bad": "Failed"}
    assert not repo.files()
    assert not repo.files("cache")


def test_a_traceback_comes_with_its_last_lines(repo: Repo) -> None:
    execution = repo.run(repo.processing("bad", "for i in range(99): print(i)\nraise ValueError('no such column')"))
    assert execution.failure
    assert execution.failure.reason == "ValueError: no such column"
    assert str(repo.source / "bad.py") in "\n".join(execution.failure.tail)
    assert "0" not in execution.failure.tail


def test_an_error_line_after_a_traceback_is_the_reason(repo: Repo) -> None:
    script = """
        import traceback
        try:
            1 / 0
        except ZeroDivisionError:
            traceback.print_exc()
        sys.exit("error: no rows are left")
    """
    failure = repo.run(repo.processing("bad", script)).failure
    assert failure
    assert (failure.reason, failure.tail) == ("no rows are left", ())


def test_an_exit_without_a_word_is_told(repo: Repo) -> None:
    execution = repo.run(repo.processing("bad", "sys.exit(3)"))
    assert execution.failure
    assert execution.failure.reason == "exit status 3 without a word"


def test_a_command_that_does_not_exist_fails_the_step(repo: Repo) -> None:
    step = repo.processing("bad", "")
    step["Arguments"]["AppSpecification"]["ContainerEntrypoint"] = ["no-such-command"]
    execution = repo.run(step)
    assert execution.failure
    assert execution.failure.reason == "no-such-command: No such file or directory"


@POSIX
def test_a_killed_job_fails_the_step_and_leaves_nothing(repo: Repo) -> None:
    marker = repo.root / "killed"
    script = f"""
        write()
        if not pathlib.Path({str(marker)!r}).exists():
            pathlib.Path({str(marker)!r}).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    step = repo.processing("bad", script)
    execution = repo.run(step)
    assert execution.failure
    assert execution.failure.reason.startswith("killed by signal 9 (Killed)")
    assert not repo.files()
    assert not repo.files("cache")
    assert repo.states(repo.run(step)) == {"bad": "Succeeded"}


def test_independent_steps_run_at_the_same_time(repo: Repo) -> None:
    script = f"""
        mine, other = (pathlib.Path({str(repo.root)!r}, name) for name in sys.argv[1:])
        mine.touch()
        until = time.time() + 15
        while not other.exists():
            assert time.time() < until, "the other step never started"
            time.sleep(0.01)
        write()
    """
    steps = [repo.processing("a", script, arguments=["1", "2"]), repo.processing("b", script, arguments=["2", "1"])]
    assert repo.run(*steps).status == "Succeeded"


def test_no_more_steps_run_at_once_than_workers(repo: Repo) -> None:
    script = f"""
        lock = pathlib.Path({str(repo.root)!r}, "lock")
        lock.mkdir()
        time.sleep(0.05)
        lock.rmdir()
        (out / "result/x").touch()
    """
    execution = repo.engine([repo.processing(name, script) for name in "abc"], workers=1).run({})
    assert execution.status == "Succeeded", execution.failure
    assert [event.state for event in repo.events] == ["Executing", "Succeeded"] * 3


@POSIX
def test_a_failure_stops_the_other_steps(repo: Repo) -> None:
    pid_file = repo.root / "pid"
    slow = f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(60)"
    bad = f"""
        while not pathlib.Path({str(pid_file)!r}).exists(): time.sleep(0.01)
        sys.exit("error: bad data")
    """
    begun = time.monotonic()
    execution = repo.run(
        repo.processing("slow", slow), repo.processing("bad", bad), registration("later", x=output("slow"))
    )
    assert time.monotonic() - begun < 20
    assert repo.states(execution) == {"slow": "Stopped", "bad": "Failed"}
    assert execution.failure
    assert execution.failure.reason == "bad data"
    assert not is_alive(int(pid_file.read_text()))
    assert not repo.registered


@POSIX
def test_a_job_that_does_not_want_to_end_is_killed(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "GRACE_SECONDS", 0.2)
    pid_file = repo.root / "pid"
    stubborn = f"""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))
        time.sleep(60)
    """
    bad = f"""
        while not pathlib.Path({str(pid_file)!r}).exists(): time.sleep(0.01)
        sys.exit(1)
    """
    begun = time.monotonic()
    execution = repo.run(repo.processing("stubborn", stubborn), repo.processing("bad", bad))
    assert time.monotonic() - begun < 20
    assert repo.states(execution) == {"stubborn": "Stopped", "bad": "Failed"}
    assert not is_alive(int(pid_file.read_text()))


def test_an_error_in_the_callers_own_code_is_not_hidden(repo: Repo) -> None:
    def explode(event: StepEvent) -> None:
        if event.state == "Succeeded":
            raise ZeroDivisionError

    slow = repo.processing("slow", "time.sleep(60)")
    engine = repo.engine([repo.processing("job", WRITE), slow])
    engine.on_event = explode
    begun = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        engine.run({})
    assert time.monotonic() - begun < 20


def test_a_failing_registration_fails_the_step(repo: Repo) -> None:
    execution = repo.run(registration("R", ModelData="s3://bucket/none"))
    assert execution.failure
    assert execution.failure.reason.startswith("s3://bucket/none: no such file or folder")


# ---- real processes --------------------------------------------------------------------------------------------------

MAIN = """
import json, sys
from pathlib import Path
from usecase.mlops.engine import Engine, run
run.GRACE_SECONDS = 60
definition, root = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
mounts = {"s3://local/code": root / "src", "s3://local/data": root / "data.csv"}
def register(arguments, resolve):
    (root / "registered").touch()
    return {}
def show(event):
    print(event.step, event.state, flush=True)
print(Engine(definition, root / ".local", mounts, register, show, workers=4).run({}).status)
"""


def start_engine(repo: Repo, *steps: Any) -> "subprocess.Popen[str]":
    definition = repo.root / "definition.json"
    definition.write_text(json.dumps({"Steps": list(steps)}))
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, str(definition), str(repo.root)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(storage.__file__).parents[3])},
        start_new_session=True,
    )


def slow_then_register(repo: Repo, seconds: float = 60) -> list[Any]:
    slow = f"write(); (pathlib.Path({str(repo.root)!r}) / ('pid-' + str(os.getpid()))).touch(); time.sleep({seconds})"
    steps = [repo.processing(name, slow, arguments=[name]) for name in ("one", "two")]
    return [*steps, registration("register", a=output("one"), b=output("two"))]


def pids(repo: Repo) -> list[int]:
    return [int(path.name.removeprefix("pid-")) for path in repo.root.glob("pid-*")]


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_execution_and_leaves_nothing(repo: Repo, number: signal.Signals) -> None:
    process = start_engine(repo, *slow_then_register(repo))
    wait_for(lambda: len(pids(repo)) == 2)
    process.send_signal(number)
    shown, _ = process.communicate(timeout=20)
    assert shown.splitlines()[-1] == "Stopped"
    assert {"one Stopped", "two Stopped"} <= set(shown.splitlines())
    assert not any(is_alive(pid) for pid in pids(repo))
    assert not repo.files()
    assert not repo.files("cache")
    assert not (repo.root / "registered").exists()
    assert {Path(name).name for name in repo.files("executions")} == {"log.txt"}


@POSIX
def test_a_second_signal_does_not_wait_for_the_jobs(repo: Repo) -> None:
    stubborn = f"""
        signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(repo.root)!r}) / "asked").touch())
        (pathlib.Path({str(repo.root)!r}) / ("pid-" + str(os.getpid()))).touch()
        while True: time.sleep(1)
    """
    process = start_engine(repo, repo.processing("stubborn", stubborn))
    wait_for(lambda: len(pids(repo)) == 1)
    process.send_signal(signal.SIGINT)
    wait_for((repo.root / "asked").exists)
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=20)
    assert shown.splitlines()[-1] == "Stopped"
    assert not is_alive(pids(repo)[0])


@POSIX
def test_a_killed_engine_leaves_nothing_that_the_next_one_believes(repo: Repo) -> None:
    steps = slow_then_register(repo)
    process = start_engine(repo, *steps)
    wait_for(lambda: len(pids(repo)) == 2)
    process.kill()
    process.communicate()
    for pid in pids(repo):
        os.kill(pid, signal.SIGKILL)
    assert not repo.files()
    assert not repo.files("cache")
    execution = repo.run(*slow_then_register(repo, seconds=0))
    assert repo.states(execution) == {"one": "Succeeded", "two": "Succeeded", "register": "Succeeded"}


def test_two_engines_at_once_do_not_disturb_each_other(repo: Repo) -> None:
    steps = slow_then_register(repo, seconds=0.2)
    processes = [start_engine(repo, *steps) for _ in range(2)]
    for process in processes:
        shown, _ = process.communicate(timeout=30)
        assert shown.splitlines()[-1] == "Succeeded"
    assert repo.states(repo.run(*steps)) == {"one": "Cached", "two": "Cached", "register": "Succeeded"}


def test_the_engine_runs_in_a_thread_too(repo: Repo) -> None:
    done: list[Execution] = []
    thread = threading.Thread(target=lambda: done.append(repo.run(repo.processing("job", WRITE))))
    thread.start()
    thread.join(timeout=20)
    assert done[0].status == "Succeeded"


def test_importing_the_engine_is_cheap() -> None:
    code = "import sys, usecase.mlops.engine; print(' '.join(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(Path(storage.__file__).parents[3])}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    heavy = {"pydantic", "numpy", "polars", "yaml", "typer", "boto3", "sagemaker", "xgboost", "sklearn", "asyncio"}
    assert heavy.isdisjoint(shown.stdout.split())


# ---- keeping the disk clean ------------------------------------------------------------------------------------------


def test_old_executions_go_and_cached_outputs_stay(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "KEPT_EXECUTIONS", 2)
    kept = repo.processing("kept", WRITE)
    never = repo.processing("never", WRITE, cache={"Enabled": False})
    executions = []
    for _ in range(4):
        executions.append(repo.run(kept, never))
    folders = sorted(path.name for path in (repo.local / "executions").iterdir())
    assert folders == [execution.id for execution in executions[-2:]]
    first, *_, third, fourth = (execution.id for execution in executions)
    assert repo.files() == sorted(
        [
            f"bucket/{first}/kept/result/x.txt",
            f"bucket/{third}/never/result/x.txt",
            f"bucket/{fourth}/never/result/x.txt",
        ]
    )
    assert repo.states(repo.run(kept)) == {"kept": "Cached"}


def test_outputs_of_entries_that_expired_or_were_replaced_go(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "KEPT_EXECUTIONS", 1)
    day = repo.processing("day", WRITE, cache={"Enabled": True, "ExpireAfter": "P1D"})
    gone = repo.processing("gone", WRITE, cache={"Enabled": True, "ExpireAfter": "P1D"})
    copy = repo.processing("copy", WRITE, cache={"Enabled": True})
    first = repo.run(day, gone, copy)
    second = repo.run(day)  # the execution that made them is forgotten, the entries hold their outputs
    held = [f"bucket/{first.id}/{name}/result/x.txt" for name in ("copy", "day", "gone")]
    assert repo.files() == held
    for path in (repo.local / "cache").glob("step-*"):
        entry = json.loads(path.read_text())
        if entry["expires"]:
            path.write_text(json.dumps({**entry, "created": entry["created"] - 2e5, "expires": entry["expires"] - 2e5}))
    third = repo.run(day)  # made again: its entry is replaced; that of `gone` has expired
    assert second.steps["day"].state == "Cached"
    assert third.steps["day"].state == "Succeeded"
    assert repo.files() == sorted([held[0], f"bucket/{third.id}/day/result/x.txt"])
    assert repo.states(repo.run(copy)) == {"copy": "Cached"}


def test_outputs_of_the_last_executions_stay_when_their_entries_go(repo: Repo) -> None:
    day = repo.processing("day", WRITE, cache={"Enabled": True, "ExpireAfter": "P1D"})
    first = repo.run(day)
    age_cache(repo, 2e5)
    second = repo.run(day)
    assert repo.files() == sorted(f"bucket/{execution.id}/day/result/x.txt" for execution in (first, second))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('error: a retried warning')\nraise ValueError('bad label')", "ValueError: bad label"),
        ("raise RuntimeError('first\\n[bt] (8) somewhere')", "RuntimeError: first"),
        ("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e", "KeyError: 'x'"),
    ],
)
def test_an_exception_is_the_reason_whatever_was_printed_before(repo: Repo, code: str, reason: str) -> None:
    failure = repo.run(repo.processing("job", code)).failure
    assert failure is not None
    assert failure.reason == reason
    assert any(line.startswith("Traceback") for line in failure.tail)
