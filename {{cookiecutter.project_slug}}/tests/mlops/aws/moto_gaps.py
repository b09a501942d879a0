"""What moto 5.2 leaves out of the services, closed here: each gap is a function that says what AWS does.

A gap refuses what AWS refuses, with its code. `closed` closes all of them.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.s3.exceptions import S3ClientError
from moto.s3.models import S3Backend
from moto.sagemaker import models
from moto.sagemaker.exceptions import AWSValidationException
from moto.sagemaker.models import SageMakerModelBackend, sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemaker.utils import get_pipeline_execution_from_arn, load_pipeline_definition_from_s3

METADATA_TEXT = re.compile(r"[\w\s.:/=+\-@]*")  # CustomerMetadataValue in the service's own model


class BadDigest(S3ClientError):  # noqa: N818 (the name of S3's error code)
    code = "BadDigest"


@contextmanager
def closed() -> Iterator[None]:
    """moto does what AWS does, as far as the tests here rest on it."""
    with pytest.MonkeyPatch.context() as patch:
        for gap in (
            model_package_metadata_is_checked,
            model_package_metadata_outlives_an_update,
            model_packages_of_no_group,
            a_wrong_checksum_is_refused,
            a_pipeline_that_is_not_there,
            a_definition_in_s3_stays_text,
            parameters_of_an_execution_are_checked,
            the_newest_execution_comes_first,
            steps_of_an_execution,
        ):
            gap(patch)
        yield


def model_package_metadata_is_checked(patch: pytest.MonkeyPatch) -> None:
    """CustomerMetadataProperties: 50 keys of 128 characters, values of 256, and few kinds of characters."""
    create = SageMakerModelBackend.create_model_package

    def checked(self: SageMakerModelBackend, **arguments: Any) -> str:
        _check_metadata(arguments["customer_metadata_properties"])
        return create(self, **arguments)

    patch.setattr(SageMakerModelBackend, "create_model_package", checked)


def model_package_metadata_outlives_an_update(patch: pytest.MonkeyPatch) -> None:
    """UpdateModelPackage sets the keys that it is given, and takes away those of CustomerMetadataPropertiesToRemove.

    moto forgets the others. An ApprovalDescription has 1024 characters at most; one that is not given stays, as does a
    status.
    """
    update = SageMakerModelBackend.update_model_package

    def merged(self: SageMakerModelBackend, **arguments: Any) -> str:
        package = self.describe_model_package(arguments["model_package_arn"])
        given = arguments["customer_metadata_properties"] or {}
        arguments["customer_metadata_properties"] = {**(package.customer_metadata_properties or {}), **given}
        _check_metadata(arguments["customer_metadata_properties"])
        for kept in ("approval_description", "model_approval_status"):
            if arguments[kept] is None:
                arguments[kept] = getattr(package, kept)
        if len(arguments["approval_description"] or "") > 1024:
            raise AWSValidationException("ApprovalDescription: Member must have length less than or equal to 1024")
        return update(self, **arguments)

    patch.setattr(SageMakerModelBackend, "update_model_package", merged)


def model_packages_of_no_group(patch: pytest.MonkeyPatch) -> None:
    """ListModelPackages of a group that is not there is an error, not an empty list."""
    listed = SageMakerModelBackend.list_model_packages

    def checked(self: SageMakerModelBackend, **arguments: Any) -> Any:
        if group := arguments.get("model_package_group_name"):
            self.describe_model_package_group(group.rpartition("/")[2])
        return listed(self, **arguments)

    patch.setattr(SageMakerModelBackend, "list_model_packages", checked)


def groups_are_shared(patch: pytest.MonkeyPatch) -> None:
    """Who names a version or a group by its ARN reads it in its account, as a policy of the group may let them.

    moto looks into the caller's own account alone, and has no such policies: whoever asks is let.
    """
    described, listed = SageMakerModelBackend.describe_model_package, SageMakerModelBackend.list_model_packages

    def owner(self: SageMakerModelBackend, name: str) -> SageMakerModelBackend:
        return sagemaker_backends[name.split(":")[4]][self.region_name] if ":" in name else self

    def describe(self: SageMakerModelBackend, model_package_name: str) -> Any:
        return described(owner(self, model_package_name), model_package_name)

    def listing(self: SageMakerModelBackend, **arguments: Any) -> Any:
        return listed(owner(self, arguments.get("model_package_group_name") or ""), **arguments)

    patch.setattr(SageMakerModelBackend, "describe_model_package", describe)
    patch.setattr(SageMakerModelBackend, "list_model_packages", listing)


def a_wrong_checksum_is_refused(patch: pytest.MonkeyPatch) -> None:
    """PutObject with x-amz-checksum-sha256 is refused when the bytes have another one."""
    put = S3Backend.put_object

    def checked(self: S3Backend, bucket_name: str, key_name: str, value: bytes, *rest: Any, **arguments: Any) -> Any:
        given = arguments.get("checksum_value")
        if given and len(base64.b64decode(given)) == hashlib.sha256().digest_size:
            found = base64.b64encode(hashlib.sha256(value).digest()).decode()
            if found != given:
                raise BadDigest("The SHA256 you specified did not match the calculated checksum.")
        return put(self, bucket_name, key_name, value, *rest, **arguments)

    patch.setattr(S3Backend, "put_object", checked)


def a_pipeline_that_is_not_there(patch: pytest.MonkeyPatch) -> None:
    """It is ResourceNotFound, by which callers tell it from other errors; moto says ValidationError."""

    def found(pipelines: Mapping[str, Any], pipeline_name: str) -> Any:
        if pipeline_name not in pipelines:
            raise JsonRESTError("ResourceNotFound", f"Pipeline '{pipeline_name}' does not exist.")
        return pipelines[pipeline_name]

    patch.setattr(models, "get_pipeline_from_name", found)


def a_definition_in_s3_stays_text(patch: pytest.MonkeyPatch) -> None:
    """DescribePipeline tells a definition as text, wherever it came from; moto tells one from S3 as an object."""
    load = load_pipeline_definition_from_s3
    patch.setattr(models, "load_pipeline_definition_from_s3", lambda *rest, **named: json.dumps(load(*rest, **named)))


def parameters_of_an_execution_are_checked(patch: pytest.MonkeyPatch) -> None:
    """StartPipelineExecution refuses a parameter that is unknown, missing, or longer than 1024 characters.

    A ClientRequestToken that it has seen is answered with the execution of the first time. moto does neither.
    """
    start = SageMakerModelBackend.start_pipeline_execution

    def checked(self: SageMakerModelBackend, pipeline_name: str, *rest: Any) -> dict[str, str]:
        _, parameters, _, _, token = rest
        pipeline = self.pipelines.get(pipeline_name)
        for arn, execution in pipeline.pipeline_executions.items() if pipeline else ():
            if execution.client_request_token == token:
                return {"PipelineExecutionArn": arn}
        if pipeline:
            declared = json.loads(pipeline.pipeline_definition)["Parameters"]
            _check_parameters(declared, {item["Name"]: item["Value"] for item in parameters or []})
        return start(self, pipeline_name, *rest)

    patch.setattr(SageMakerModelBackend, "start_pipeline_execution", checked)


def the_newest_execution_comes_first(patch: pytest.MonkeyPatch) -> None:
    """ListPipelineExecutions begins with the newest, unless asked otherwise; moto with the oldest."""
    listed = SageMakerModelBackend.list_pipeline_executions

    def newest_first(self: SageMakerModelBackend, pipeline_name: str) -> dict[str, Any]:
        return {"PipelineExecutionSummaries": listed(self, pipeline_name)["PipelineExecutionSummaries"][::-1]}

    patch.setattr(SageMakerModelBackend, "list_pipeline_executions", newest_first)


def steps_of_an_execution(patch: pytest.MonkeyPatch) -> None:
    """ListPipelineExecutionSteps is missing, and no step runs: a test says by `set_steps` what became of them."""

    def listed(self: SageMakerResponse) -> ActionResult:
        arn = self._get_param("PipelineExecutionArn")
        execution = get_pipeline_execution_from_arn(self.sagemaker_backend.pipelines, arn)
        return ActionResult({"PipelineExecutionSteps": getattr(execution, "steps", [])})

    patch.setattr(SageMakerResponse, "list_pipeline_execution_steps", listed, raising=False)


def set_steps(backend: SageMakerModelBackend, arn: str, status: str, steps: list[dict[str, Any]]) -> None:
    """Say what became of an execution, and of its steps as ListPipelineExecutionSteps has them."""
    execution: Any = get_pipeline_execution_from_arn(backend.pipelines, arn)
    execution.pipeline_execution_status, execution.steps = status, steps


def _check_parameters(declared: list[dict[str, Any]], given: Mapping[str, str]) -> None:
    defaults = {parameter["Name"]: parameter.get("DefaultValue") for parameter in declared}
    for name, value in given.items():
        if name not in defaults:
            raise AWSValidationException(f"Unknown parameter: {name}")
        if len(value) > 1024:
            raise AWSValidationException(f"{name}: Member must have length less than or equal to 1024")
    if missing := [name for name, default in defaults.items() if default is None and name not in given]:
        raise AWSValidationException(f"Parameters without a value: {missing}")


def _check_metadata(metadata: Mapping[str, str] | None) -> None:
    for key, value in (metadata or {}).items():
        for text, limit in ((key, 128), (value, 256)):
            if not 1 <= len(text) <= limit or not METADATA_TEXT.fullmatch(text):
                raise AWSValidationException(f"CustomerMetadataProperties: {key}: failed to satisfy constraint")
    if len(metadata or {}) > 50:
        raise AWSValidationException("CustomerMetadataProperties: Map value must have at most 50 entries")
