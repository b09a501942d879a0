"""Fills an environment's facts into the compiled definition, so that one reviewed pipeline.json serves them all.

A single value is a pipeline parameter: its DefaultValue is set. A list cannot be a parameter ("Pipeline parameters",
SageMaker Developer Guide): it stands in pipeline.json as a list of one placeholder, which is replaced.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from usecase.mlops.engine.definition import Definition, ParameterValue
from usecase.mlops.errors import UserError, meant

SUBNET_IDS, SECURITY_GROUP_IDS, TAGS = "${SubnetIds}", "${SecurityGroupIds}", "${Tags}"
TAG_PLACEHOLDER = {"Key": TAGS, "Value": TAGS}

_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True)
class Facts:
    """What one environment knows and the definition does not.

    `tags`: of every job and model, by key. `parameters`: values of further pipeline parameters by name (sizes, gates);
    what is left out keeps the default of pipeline.json, or is given when an execution starts. `inference_role_arn` is
    used only where the pipeline makes a model (the transform smoke).
    """

    processing_role_arn: str
    training_role_arn: str
    inference_role_arn: str
    default_bucket: str
    model_package_group_name: str
    volume_kms_key_arn: str
    output_kms_key_arn: str
    subnet_ids: Sequence[str]
    security_group_ids: Sequence[str]
    tags: Mapping[str, str]
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)


# Parameters of pipeline.json that a fact fills: pipeline.py may fix one of them, which takes the parameter away.
FACT_PARAMETERS = {
    "ProcessingRoleArn": "processing_role_arn",
    "TrainingRoleArn": "training_role_arn",
    "InferenceRoleArn": "inference_role_arn",
    "DefaultBucket": "default_bucket",
    "ModelPackageGroupName": "model_package_group_name",
    "VolumeKmsKeyArn": "volume_kms_key_arn",
    "OutputKmsKeyArn": "output_kms_key_arn",
}


def render_definition(definition: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """A copy of `definition` with the facts in it; `definition` is the content of pipeline.json.

    Raises UserError for a fact that is missing, a parameter that the definition does not have or that has another
    type, and a placeholder that no fact replaces.
    """
    declared = Definition.parse(definition).parameters
    values: dict[str, ParameterValue] = {}
    for name, attribute in FACT_PARAMETERS.items():
        if name in facts.parameters:
            raise UserError(f"parameter {name} is a fact of the environment: take it out of pipeline.parameters")
        if name in declared:
            values[name] = _given(attribute, getattr(facts, attribute))
    for name, value in facts.parameters.items():
        if name not in declared:
            raise UserError(f"unknown parameter: {name}; {meant(name, declared)}")
        values[name] = value
    rendered: dict[str, Any] = copy.deepcopy(dict(definition))
    for parameter in rendered.get("Parameters", []):
        if (name := parameter["Name"]) in values:
            parameter["DefaultValue"] = declared[name].convert(values[name])
    lists = {
        SUBNET_IDS: list(_given("subnet_ids", facts.subnet_ids)),
        SECURITY_GROUP_IDS: list(_given("security_group_ids", facts.security_group_ids)),
        TAGS: [{"Key": key, "Value": value} for key, value in _given("tags", facts.tags).items()],
    }
    steps = rendered.get("Steps", [])
    return {**rendered, "Steps": [_replace(step, lists, f"step {step['Name']}") for step in steps]}


def _replace(node: Any, lists: Mapping[str, Sequence[Any]], where: str) -> Any:
    """`node` with every list of one placeholder replaced by what it stands for."""
    if isinstance(node, dict):
        return {key: _replace(value, lists, f"{where}: {key}") for key, value in node.items()}
    if isinstance(node, list):
        name = node[0].get("Key") if len(node) == 1 and isinstance(node[0], dict) else node[0] if len(node) == 1 else ""
        if isinstance(name, str) and name in lists:
            return copy.deepcopy(list(lists[name]))
        return [_replace(item, lists, where) for item in node]
    if isinstance(node, str) and (left := _PLACEHOLDER.search(node)):
        raise UserError(f"{where}: no fact replaces {left[0]}; as the only item of a list: {', '.join(lists)}")
    return node


def _given(name: str, value: Any) -> Any:
    """`value`, unless it or a part of it is blank."""
    parts = (
        [*value.keys(), *value.values()] if isinstance(value, Mapping) else [value] if isinstance(value, str) else value
    )
    if not parts or not all(isinstance(part, str) and part.strip() for part in parts):
        raise UserError(
            f"{name} is missing: the platform's Terraform writes it, config/<environment>.yaml holds the tags"
        )
    return value
