"""The definition with an environment's facts: nothing else differs, and no step goes without its security fields."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from usecase.mlops.errors import UserError
from usecase.mlops.policy import JOBS, check_security
from usecase.mlops.render import (
    FACT_PARAMETERS,
    SECURITY_GROUP_IDS,
    SUBNET_IDS,
    TAG_PLACEHOLDER,
    Facts,
    render_definition,
)

PIPELINE = json.loads((Path(__file__).parents[2] / "pipeline.json").read_text(encoding="utf-8"))
ACCOUNTS = {"dev": "111111111111", "qa": "222222222222", "prod": "333333333333"}

RETRY_SERVICE = {"MaxAttempts": 5, "ExceptionType": ["Step.SERVICE_FAULT", "Step.THROTTLING"]}
RETRY_CAPACITY = {"MaxAttempts": 5, "ExceptionType": ["SageMaker.CAPACITY_ERROR"]}
# As the builder makes them for a transform smoke (test_pipeline_definition compiles it).
TRANSFORM_STEPS = [
    {
        "Name": "AModel",
        "Type": "Model",
        "Arguments": {
            "ExecutionRoleArn": {"Get": "Parameters.InferenceRoleArn"},
            "PrimaryContainer": {"Image": {"Get": "Parameters.ImageUri"}, "ModelDataUrl": "s3://bucket/model.tar.gz"},
            "Tags": [TAG_PLACEHOLDER],
            "VpcConfig": {"Subnets": [SUBNET_IDS], "SecurityGroupIds": [SECURITY_GROUP_IDS]},
            "EnableNetworkIsolation": True,
        },
        "RetryPolicies": [RETRY_SERVICE],
    },
    {
        "Name": "ATransform",
        "Type": "Transform",
        "Arguments": {
            "ModelName": {"Get": "Steps.AModel.ModelName"},
            "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/rows"}}},
            "TransformOutput": {"S3OutputPath": "s3://bucket/out", "KmsKeyId": {"Get": "Parameters.OutputKmsKeyArn"}},
            "TransformResources": {"InstanceCount": 1, "VolumeKmsKeyId": {"Get": "Parameters.VolumeKmsKeyArn"}},
            "Tags": [TAG_PLACEHOLDER],
        },
        "RetryPolicies": [RETRY_SERVICE, RETRY_CAPACITY],
        "CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"},
    },
]
DEFINITION = {
    **PIPELINE,
    "Parameters": [*PIPELINE["Parameters"], {"Name": "InferenceRoleArn", "Type": "String"}],
    "Steps": [*PIPELINE["Steps"], *TRANSFORM_STEPS],
}


def facts(environment: str = "dev") -> Facts:
    account = ACCOUNTS[environment]
    return Facts(
        processing_role_arn=f"arn:aws:iam::{account}:role/{environment}-processing",
        training_role_arn=f"arn:aws:iam::{account}:role/{environment}-training",
        inference_role_arn=f"arn:aws:iam::{account}:role/{environment}-inference",
        default_bucket=f"{environment}-artifacts",
        model_package_group_name=f"{environment}-models",
        volume_kms_key_arn=f"arn:aws:kms:eu-central-1:{account}:key/volume",
        output_kms_key_arn=f"arn:aws:kms:eu-central-1:{account}:key/artifacts",
        subnet_ids=[f"subnet-{account}a", f"subnet-{account}b"],
        security_group_ids=[f"sg-{account}"],
        tags={"project": "churn", "environment": environment, "owner": "team@example.com"},
        parameters={
            "ChampionTolerance": {"dev": 0.05, "qa": 0.03, "prod": 0.01}[environment],
            "TrainingInstanceCount": 2,
        },
    )


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{path}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from leaves(value, f"{path}/{number}")
    else:
        yield path, node


def without_facts(definition: dict[str, Any], given: Facts) -> str:
    """`definition` as text with every value of the facts taken out."""
    text = json.dumps(definition)
    values = [getattr(given, name) for name in FACT_PARAMETERS.values()]
    values += [*given.subnet_ids, *given.security_group_ids]
    for value in values:
        assert json.dumps(value) in text, value
        text = text.replace(json.dumps(value), '"fact"')
    tags = json.dumps([{"Key": key, "Value": value} for key, value in given.tags.items()])
    assert tags in text
    text = text.replace(tags, '"tags"')
    tolerance = f'"Name": "ChampionTolerance", "Type": "Float", "DefaultValue": {given.parameters["ChampionTolerance"]}'
    assert tolerance in text
    return text.replace(tolerance, '"tolerance"')


def test_environments_differ_in_their_facts_and_in_nothing_else() -> None:
    rendered = {name: render_definition(DEFINITION, facts(name)) for name in ACCOUNTS}
    assert len({without_facts(rendered[name], facts(name)) for name in ACCOUNTS}) == 1
    assert len({json.dumps(definition) for definition in rendered.values()}) == 3
    for name, definition in rendered.items():
        others = [account for other, account in ACCOUNTS.items() if other != name]
        assert not any(account in json.dumps(definition) for account in others)


def test_a_difference_that_is_no_fact_is_seen() -> None:
    """The comparison above can fail: one changed character of one leaf is seen."""
    rendered = render_definition(DEFINITION, facts())
    same = without_facts(rendered, facts())
    paths = [path for path, value in leaves(rendered) if path.endswith(("MaxRuntimeInSeconds", "ExpireAfter"))]
    assert paths
    for path in paths:
        *parents, last = path.strip("/").split("/")
        changed: Any = copy.deepcopy(rendered)
        target = changed
        for key in parents:
            target = target[int(key) if isinstance(target, list) else key]
        target[last] = "other"
        assert without_facts(changed, facts()) != same


def test_rendering_fills_parameters_in_their_type_and_changes_nothing_else() -> None:
    before = copy.deepcopy(PIPELINE)
    given = replace(
        facts(), parameters={"ChampionTolerance": 1, "TrainingInstanceCount": "8", "ProcessingInstanceCount": 4}
    )
    rendered = render_definition(PIPELINE, given)
    assert before == PIPELINE
    values = {parameter["Name"]: parameter.get("DefaultValue") for parameter in rendered["Parameters"]}
    counts = (values["TrainingInstanceCount"], values["ProcessingInstanceCount"])
    assert (values["ChampionTolerance"], *counts) == (1.0, 8, 4)
    assert values["DefaultBucket"] == "dev-artifacts"
    assert values["ImageUri"] is values["GitSha"] is None  # given at start
    assert values["ModelApprovalStatus"] == "PendingManualApproval"
    assert [parameter["Name"] for parameter in rendered["Parameters"]] == [
        parameter["Name"] for parameter in PIPELINE["Parameters"]
    ]
    changed = {
        path.split("/")[-3 if "Tags" in path else -2]
        for path, value in leaves(rendered["Steps"])
        if (path, value) not in set(leaves(PIPELINE["Steps"]))
    }
    assert changed == {"Subnets", "SecurityGroupIds", "Tags"}


def test_a_pipeline_that_fixes_a_fact_needs_no_parameter_for_it() -> None:
    fixed = [parameter for parameter in PIPELINE["Parameters"] if parameter["Name"] != "VolumeKmsKeyArn"]
    text = json.dumps({**PIPELINE, "Parameters": fixed}).replace('{"Get": "Parameters.VolumeKmsKeyArn"}', '"key"')
    rendered = render_definition(json.loads(text), facts())
    assert "VolumeKmsKeyArn" not in json.dumps(rendered)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training_role_arn": ""}, "training_role_arn is missing"),
        ({"default_bucket": " "}, "default_bucket is missing"),
        ({"subnet_ids": []}, "subnet_ids is missing"),
        ({"security_group_ids": ["sg-1", ""]}, "security_group_ids is missing"),
        ({"tags": {}}, "tags is missing"),
        ({"tags": {"owner": ""}}, "tags is missing"),
        ({"parameters": {"Champion": 5}}, "unknown parameter: Champion; did you mean ChampionUri?"),
        (
            {"parameters": {"TrainingInstanceCount": "two"}},
            "parameter TrainingInstanceCount: 'two' is not a whole number",
        ),
        ({"parameters": {"DefaultBucket": "mine"}}, "parameter DefaultBucket is a fact of the environment"),
    ],
)
def test_a_missing_or_unknown_fact_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        render_definition(PIPELINE, replace(facts(), **change))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("Subnets", ["${Subnets}"], "step AModel: Arguments: VpcConfig: Subnets: no fact replaces ${Subnets}"),
        (
            "Subnets",
            [SUBNET_IDS, SUBNET_IDS],
            "step AModel: Arguments: VpcConfig: Subnets: no fact replaces ${SubnetIds}",
        ),
        ("Subnets", SUBNET_IDS, "step AModel: Arguments: VpcConfig: Subnets: no fact replaces ${SubnetIds}"),
        ("Other", ["a-${Region}-b"], "step AModel: Arguments: VpcConfig: Other: no fact replaces ${Region}"),
    ],
)
def test_a_placeholder_that_stays_is_named(place: str, value: Any, message: str) -> None:
    definition = copy.deepcopy(DEFINITION)
    definition["Steps"][-2]["Arguments"]["VpcConfig"][place] = value
    with pytest.raises(UserError) as error:
        render_definition(definition, facts())
    assert str(error.value).startswith(message)


# ---- security fields -------------------------------------------------------------------------------------------------

# Named here once more, so that a rule that is taken out of the policy is missed.
FIELDS = {
    *("VpcConfig", "Subnets", "SecurityGroupIds", "NetworkConfig"),
    *("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption"),
    *("VolumeKmsKeyId", "KmsKeyId", "VolumeSizeInGB", "RoleArn", "ExecutionRoleArn", "Tags"),
    *("StoppingCondition", "MaxRuntimeInSeconds", "RetryPolicies", "CacheConfig", "Enabled", "ExpireAfter"),
    *("ModelApprovalStatus",),
}
EXPECTED = {
    "Processing": FIELDS - {"ExecutionRoleArn", "ModelApprovalStatus"},
    "Training": FIELDS - {"ExecutionRoleArn", "ModelApprovalStatus", "NetworkConfig"},
    "Transform": {*("VolumeKmsKeyId", "KmsKeyId", "Tags", "RetryPolicies", "CacheConfig", "Enabled", "ExpireAfter")},
    "Model": {
        *("VpcConfig", "Subnets", "SecurityGroupIds", "EnableNetworkIsolation"),
        *("ExecutionRoleArn", "Tags", "RetryPolicies"),
    },
    "RegisterModel": {"RetryPolicies", "ModelApprovalStatus"},
}
RENDERED = render_definition(DEFINITION, facts())


def all_steps(steps: list[Any]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield step
        for branch in ("IfSteps", "ElseSteps"):
            yield from all_steps(step["Arguments"].get(branch, []))


def holders(node: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """(the mapping, its key) of every security field of a step, without those of the steps behind a condition."""
    for key, value in node.items() if isinstance(node, dict) else []:
        if key in FIELDS:
            yield node, key
        if key not in ("IfSteps", "ElseSteps"):
            yield from holders(value)


def weaker(value: Any) -> Iterator[Any]:
    """Values that hold less than `value`."""
    if isinstance(value, bool):
        yield False
        yield "true"
    elif isinstance(value, int):
        yield 0
        yield 10**9
    elif isinstance(value, str):
        yield ""
    elif isinstance(value, list):
        yield []
        if not isinstance(value[0], str):
            yield from ([*value[:number], *value[number + 1 :]] for number in range(len(value)))
    elif set(value) == {"Get"}:
        yield ""
        yield {"Get": "Parameters.GitSha"}
        yield {"Get": "Parameters.None"}
    else:
        yield {}


def mutants() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every security field of every step dropped, and made weaker in each way."""
    count = [len(list(holders(step))) for step in all_steps(RENDERED["Steps"])]
    for number, fields in enumerate(count):
        for place in range(fields):
            original = list(all_steps(RENDERED["Steps"]))[number]
            holder, key = list(holders(original))[place]
            for change in [None, *weaker(holder[key])]:
                mutant = copy.deepcopy(RENDERED)
                target, _ = list(holders(list(all_steps(mutant["Steps"]))[number]))[place]
                if change is None:
                    del target[key]
                else:
                    target[key] = change
                yield f"{original['Name']} {key} {'dropped' if change is None else change}", mutant


MUTANTS = list(mutants())


@pytest.mark.parametrize("environment", ACCOUNTS)
def test_every_step_of_every_environment_carries_its_security_fields(environment: str) -> None:
    assert check_security(render_definition(DEFINITION, facts(environment))) == []
    assert check_security(render_definition(PIPELINE, facts(environment))) == []


def test_every_step_has_the_fields_that_the_mutants_are_made_from() -> None:
    for step in all_steps(RENDERED["Steps"]):
        assert {key for _, key in holders(step)} == EXPECTED.get(step["Type"], set()), step["Name"]
    assert {step["Type"] for step in all_steps(RENDERED["Steps"])} >= {*JOBS, "Model", "RegisterModel", "Condition"}
    assert len(MUTANTS) >= 40


@pytest.mark.parametrize(("name", "mutant"), MUTANTS, ids=[name for name, _ in MUTANTS])
def test_a_field_that_is_dropped_or_weaker_is_caught(name: str, mutant: dict[str, Any]) -> None:
    problems = check_security(mutant)
    assert problems
    assert all(problem.startswith(f"step {name.split()[0]}: ") and "\n" not in problem for problem in problems)


@pytest.mark.parametrize("name", ["ProcessingRoleArn", "TrainingRoleArn", "VolumeKmsKeyArn", "OutputKmsKeyArn"])
def test_a_parameter_without_its_fact_is_caught(name: str) -> None:
    for value in (None, "", "alias/mine"):
        mutant = copy.deepcopy(RENDERED)
        parameter = next(parameter for parameter in mutant["Parameters"] if parameter["Name"] == name)
        parameter["DefaultValue"] = value
        assert check_security(mutant)


def test_the_definition_as_it_is_committed_may_not_be_deployed() -> None:
    problems = "\n".join(check_security(PIPELINE))
    for words in ("VpcConfig.Subnets", "SecurityGroupIds", "Tags", "RoleArn is missing", "KmsKeyId is missing"):
        assert words in problems


def test_an_empty_set_never_passes() -> None:
    message = "the definition holds no job: nothing to check"
    assert check_security({}) == [message]
    assert check_security({"Steps": []}) == [message]
    empty = {"Name": "C", "Type": "Condition", "Arguments": {"Conditions": [], "IfSteps": [], "ElseSteps": []}}
    assert check_security({"Steps": [empty]}) == [message]


def test_a_step_without_rules_is_caught_at_any_depth() -> None:
    mutant = copy.deepcopy(RENDERED)
    check = next(step for step in mutant["Steps"] if step["Type"] == "Condition")
    inner = {"Name": "Inner", "Type": "Condition", "Arguments": {"Conditions": [], "IfSteps": [], "ElseSteps": []}}
    inner["Arguments"]["ElseSteps"] = [{"Name": "Free", "Type": "Lambda", "Arguments": {}}]  # type: ignore[index]
    check["Arguments"]["ElseSteps"].append(inner)
    assert check_security(mutant) == ["step Free: no rule is known for the type Lambda"]


def test_a_door_into_a_training_job_is_caught() -> None:
    mutant = copy.deepcopy(RENDERED)
    train = next(step for step in mutant["Steps"] if step["Type"] == "Training")
    train["Arguments"]["RemoteDebugConfig"] = {"EnableRemoteDebug": True}
    (problem,) = check_security(mutant)
    assert problem.startswith(f"step {train['Name']}: RemoteDebugConfig.EnableRemoteDebug is True")


def test_a_registration_without_a_gate_is_caught() -> None:
    mutant = copy.deepcopy(RENDERED)
    registration = next(step for step in all_steps(mutant["Steps"]) if step["Type"] == "RegisterModel")
    mutant["Steps"].append({**registration, "Name": "Free"})
    (problem,) = check_security(mutant)
    assert problem.startswith("step Free: must stand behind a condition")
