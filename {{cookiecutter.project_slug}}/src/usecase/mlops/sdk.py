"""The SageMaker Python SDK v3, where it must be completed or kept from calling AWS while a definition is compiled."""

from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.steps import TrainingStep

from usecase.mlops.errors import UserError

Value = Any  # a plain value or an SDK pipeline variable (Parameter, Properties, Join, JsonGet); the SDK has no types

# For the SDK's own checks: it looks a bare role name up in IAM, and takes no pipeline parameter where it splits the
# text. The role that the definition holds is set by the builder.
UNUSED_ROLE = "arn:aws:iam::000000000000:role/replaced-by-the-builder"


class OfflineSession(PipelineSession):  # type: ignore[misc]  # the SDK has no types
    """A session that never calls AWS, so that the definition can be compiled without an account or a network."""

    def __init__(self, region: str) -> None:
        super().__init__(
            boto_session=boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name=region),  # noqa: S106
            # an empty configuration of its own: a developer's ~/.config/sagemaker must not change the definition
            sagemaker_config={
                "SchemaVersion": "1.0",
                "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
            },
        )

    def default_bucket(self) -> str:
        """Asked for, but not used; the SDK's own answer would look the bucket up."""
        return "none"

    def upload_data(self, path: str, *_: Any, **__: Any) -> str:
        """Refuses to upload a file or folder."""
        raise UserError(
            f"src/usecase/pipeline.py: {path} would be uploaded while compiling; pass it to the job as an input"
        )

    def upload_string_as_file_body(self, _body: str, bucket: str, key: str, *_: Any, **__: Any) -> str:
        """Refuses to upload a text."""
        raise UserError(
            f"src/usecase/pipeline.py: s3://{bucket}/{key} would be written while compiling; pass it as an input"
        )


class ModuleTrainingStep(TrainingStep):  # type: ignore[misc]  # the SDK has no types
    """A training step that starts `python3 -m <module>` itself.

    ModelTrainer sets an entry point only together with SourceCode, which uploads the code and a set of driver scripts
    under a time stamp: the definition would differ on every build and the step cache would never hit. Nor does it
    take a pipeline parameter as role. Both are set here, in the request that it makes.
    """

    def __init__(self, *, entrypoint: Sequence[str], container_arguments: Sequence[Value], role: Value, **kwargs: Any):
        super().__init__(**kwargs)
        self._entrypoint, self._container_arguments, self._role = list(entrypoint), list(container_arguments), role

    @property
    def arguments(self) -> dict[str, Any]:
        """The request that the pipeline sends, completed."""
        request: dict[str, Any] = super().arguments
        request["AlgorithmSpecification"]["ContainerEntrypoint"] = self._entrypoint
        request["AlgorithmSpecification"]["ContainerArguments"] = self._container_arguments
        request["RoleArn"] = self._role
        return request


class RegistrationStep(ModelStep):  # type: ignore[misc]  # the SDK has no types
    """A registration step whose container has `environment`, and nothing else.

    ModelBuilder would add empty SAGEMAKER_PROGRAM and SAGEMAKER_SUBMIT_DIRECTORY, and the region that the definition
    was compiled in: they would override what the serving image and the endpoint know better.
    """

    def __init__(self, *, environment: Mapping[str, str], **kwargs: Any):
        super().__init__(**kwargs)
        self._environment = dict(environment)

    @property
    def arguments(self) -> dict[str, Any]:
        """The request that the pipeline sends, with that environment."""
        request: dict[str, Any] = super().arguments
        for container in request["InferenceSpecification"]["Containers"]:
            container["Environment"] = self._environment
        return request
