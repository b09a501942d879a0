"""Builders for the steps of a training pipeline, over the SageMaker Python SDK v3.

They keep what every step of this template has in common in one place: the container contract, the code channel, the
output locations, the step cache and the retries. The definition they make holds no account facts and no code: role,
bucket, image and code are pipeline parameters, filled in when an execution starts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import (
    MetricsSource,
    ModelMetrics,
    ModelQuality,
    OutputDataConfig,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
    StoppingCondition,
)
from sagemaker.core.training.configs import Compute, InputData
from sagemaker.core.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import Parameter, ParameterFloat, ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer

from usecase.mlops.errors import UserError

Value = Any  # a plain value or an SDK pipeline variable (Parameter, Properties, Join, JsonGet); the SDK has no types

PROCESSING_ROOT = "/opt/ml/processing"
MAX_RUNTIME_SECONDS = 86400
VOLUME_SIZE_GB = 30
CACHE = CacheConfig(enable_caching=True, expire_after="P30D")
RETRY_SERVICE = StepRetryPolicy(
    exception_types=[StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING],
    interval_seconds=10,
    max_attempts=5,
)
# A job that finds no free instance is worth waiting for; any other failure of a job is the script's and is not retried.
RETRY_CAPACITY = SageMakerJobStepRetryPolicy(
    exception_types=[SageMakerJobExceptionTypeEnum.CAPACITY_ERROR], interval_seconds=60, max_attempts=5
)


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
    """A registration step without the container environment that ModelBuilder adds.

    It holds empty SAGEMAKER_PROGRAM and SAGEMAKER_SUBMIT_DIRECTORY, and the region that the definition was compiled
    in. All of them would override what the serving image and the endpoint know better.
    """

    @property
    def arguments(self) -> dict[str, Any]:
        """The request that the pipeline sends, trimmed."""
        request: dict[str, Any] = super().arguments
        for container in request["InferenceSpecification"]["Containers"]:
            container.pop("Environment", None)
        return request


class PipelineBuilder:
    """Builds steps that share one set of pipeline parameters.

    Each of `role`, `default_bucket` and `model_package_group_name` may be given as a fixed value; None makes it a
    parameter that is filled in when an execution starts. Outputs are written to
    s3://<default_bucket>/<base_job_prefix>/<execution id>/<step>/<output>; the prefix is the model package group unless
    it is given.
    """

    def __init__(
        self,
        region: str,
        role: str | None = None,
        default_bucket: str | None = None,
        model_package_group_name: str | None = None,
        base_job_prefix: str | None = None,
        sagemaker_session: PipelineSession | None = None,
    ) -> None:
        self._session = sagemaker_session or OfflineSession(region)
        self._parameters: list[Parameter] = []
        self.input_data = self.string("InputDataUri")
        self.contract = self.string("ContractUri")
        self.code = self.string("CodeUri")
        self.image = self.string("ImageUri")
        self.role = role or self.string("RoleArn")
        self.default_bucket = default_bucket or self.string("DefaultBucket")
        self.model_package_group_name = model_package_group_name or self.string("ModelPackageGroupName")
        self.thresholds = self.string("QualityThresholds")
        self.lineage = {name: self.string(name) for name in ("GitSha", "ContractHash", "LockHash")}
        self.processing_instance_type = self.string("ProcessingInstanceType", "ml.m5.large")
        self.training_instance_type = self.string("TrainingInstanceType", "ml.m5.xlarge")
        self.approval_status = self.string(
            "ModelApprovalStatus", "PendingManualApproval", ["PendingManualApproval", "Approved", "Rejected"]
        )
        self._prefix = base_job_prefix or self.model_package_group_name

    def string(self, name: str, default: str | None = None, choices: Sequence[str] | None = None) -> Value:
        """A text parameter; without a default it must be given when an execution starts."""
        return self._declare(ParameterString(name, default, list(choices) if choices else None))

    def integer(self, name: str, default: int | None = None) -> Value:
        """A whole-number parameter."""
        return self._declare(ParameterInteger(name, default))

    def number(self, name: str, default: float | None = None) -> Value:
        """A floating-point parameter."""
        return self._declare(ParameterFloat(name, default))

    def processing(
        self,
        name: str,
        module: str,
        arguments: Mapping[str, Value],
        inputs: Mapping[str, Value],
        outputs: Sequence[str],
        property_files: Mapping[str, str] | None = None,
    ) -> ProcessingStep:
        """A step that runs `python3 -m <module>` with `arguments`, which map each option to its value.

        `inputs` are S3 locations, found by the job under /opt/ml/processing/input/<name>; beside them lies `code`, the
        use case's packages. What the job writes under /opt/ml/processing/output/<output> is uploaded when it ends.
        `property_files` maps a name to "<output>/<path>" of a JSON file that later steps read with `json_value`.
        """
        processor = Processor(
            role=self.role,
            image_uri=self.image,
            instance_count=1,
            instance_type=self.processing_instance_type,
            entrypoint=["python3", "-m", module],
            volume_size_in_gb=VOLUME_SIZE_GB,
            max_runtime_in_seconds=MAX_RUNTIME_SECONDS,
            base_job_name=name,
            sagemaker_session=self._session,
            env={"PYTHONPATH": f"{PROCESSING_ROOT}/input/code"},
        )
        return ProcessingStep(
            name=name,
            step_args=processor.run(
                arguments=_command_line(arguments),
                inputs=[
                    ProcessingInput(
                        input_name=key,
                        s3_input=ProcessingS3Input(
                            s3_uri=uri,
                            local_path=f"{PROCESSING_ROOT}/input/{key}",
                            s3_data_type="S3Prefix",
                            s3_input_mode="File",
                        ),
                    )
                    for key, uri in {"code": self.code, **inputs}.items()
                ],
                outputs=[
                    ProcessingOutput(
                        output_name=key,
                        s3_output=ProcessingS3Output(
                            s3_uri=self._location(name, key),
                            local_path=f"{PROCESSING_ROOT}/output/{key}",
                            s3_upload_mode="EndOfJob",
                        ),
                    )
                    for key in outputs
                ],
            ),
            property_files=[
                PropertyFile(name=key, output_name=path.split("/", 1)[0], path=path.split("/", 1)[1])
                for key, path in (property_files or {}).items()
            ],
            cache_config=CACHE,
            retry_policies=[RETRY_SERVICE, RETRY_CAPACITY],
        )

    def training(
        self,
        name: str,
        module: str,
        arguments: Mapping[str, Value],
        channels: Mapping[str, Value],
        hyperparameters: Mapping[str, Value],
    ) -> ModuleTrainingStep:
        """A step that runs `python3 -m <module>` with `arguments` and packs /opt/ml/model into model.tar.gz.

        `channels` are S3 locations, found by the job under /opt/ml/input/data/<channel>; beside them lies `code`.
        The job reads `hyperparameters`, all as text, from /opt/ml/input/config/hyperparameters.json.
        """
        trainer = ModelTrainer(
            sagemaker_session=self._session,
            role="arn:aws:iam::000000000000:role/replaced-by-the-step",  # a bare name would be looked up in IAM
            base_job_name=name,
            training_image=self.image,
            compute=Compute(
                instance_type=self.training_instance_type, instance_count=1, volume_size_in_gb=VOLUME_SIZE_GB
            ),
            stopping_condition=StoppingCondition(max_runtime_in_seconds=MAX_RUNTIME_SECONDS),
            output_data_config=OutputDataConfig(s3_output_path=self._location(name)),
            environment={"PYTHONPATH": "/opt/ml/input/data/code"},
            # the service takes text only: a number parameter must be turned into text by the pipeline itself
            hyperparameters={
                key: value.to_string() if isinstance(value, Parameter) else value
                for key, value in hyperparameters.items()
            },
        )
        return ModuleTrainingStep(
            name=name,
            entrypoint=["python3", "-m", module],
            container_arguments=_command_line(arguments),
            role=self.role,
            step_args=trainer.train(
                input_data_config=[
                    InputData(channel_name=key, data_source=uri) for key, uri in {**channels, "code": self.code}.items()
                ]
            ),
            cache_config=CACHE,
            retry_policies=[RETRY_SERVICE, RETRY_CAPACITY],
        )

    def registration(
        self, name: str, model: Value, evaluation: Value, metadata: Mapping[str, Value]
    ) -> RegistrationStep:
        """A step that registers `model` (an S3 location of model.tar.gz) with `evaluation` (of evaluation.json).

        `metadata` goes with the model package, together with the git commit, the hashes of contract and lock file, and
        the execution that made it.
        """
        builder = ModelBuilder(
            s3_model_data_url=model, image_uri=self.image, role_arn=self.role, sagemaker_session=self._session
        )
        return RegistrationStep(
            name=name,
            step_args=builder.register(
                model_package_group_name=self.model_package_group_name,
                content_types=["text/csv", "application/json"],
                response_types=["application/json", "text/csv"],
                approval_status=self.approval_status,
                model_metrics=ModelMetrics(
                    model_quality=ModelQuality(
                        statistics=MetricsSource(content_type="application/json", s3_uri=evaluation)
                    )
                ),
                customer_metadata_properties={
                    **self.lineage,
                    **metadata,
                    "PipelineExecution": ExecutionVariables.PIPELINE_EXECUTION_ARN,
                },
            ),
            retry_policies=[RETRY_SERVICE],
        )

    def quality_gate(self, name: str, failed: Value, reason: Value, passed_steps: Sequence[Any]) -> ConditionStep:
        """Goes on with `passed_steps` when `failed`, the number of failed checks, is 0; else fails with `reason`."""
        failure = FailStep(
            name="QualityGateFailed", error_message=Join(on="", values=["The model is not good enough: ", reason])
        )
        return ConditionStep(
            name=name,
            conditions=[ConditionLessThanOrEqualTo(left=failed, right=0)],
            if_steps=list(passed_steps),
            else_steps=[failure],
        )

    def output(self, step: ProcessingStep, name: str, *path: str) -> Value:
        """The S3 location of an output of a processing step, or of a file below it."""
        uri = step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri
        return Join(on="/", values=[uri, *path]) if path else uri

    def model(self, step: TrainingStep) -> Value:
        """The S3 location of the model.tar.gz of a training step."""
        return step.properties.ModelArtifacts.S3ModelArtifacts

    def json_value(self, step: ProcessingStep, property_file: str, path: str) -> Value:
        """The value at `path` in a property file of a processing step."""
        return JsonGet(step_name=step.name, property_file=property_file, json_path=path)

    def pipeline(self, name: str, steps: Sequence[Any]) -> Pipeline:
        """The pipeline of `steps`. Steps behind a gate belong to the gate, not to this list."""
        return Pipeline(
            name=name,
            parameters=self._parameters,
            # runs are tracked in MLflow; the SDK's default would add an experiment in some regions and not in others
            pipeline_experiment_config=None,
            steps=list(steps),
            sagemaker_session=self._session,
        )

    def _declare(self, parameter: Parameter) -> Parameter:
        self._parameters.append(parameter)
        return parameter

    def _location(self, step: str, *path: str) -> Value:
        return Join(
            on="/",
            values=[
                "s3:/",
                self.default_bucket,
                self._prefix,
                ExecutionVariables.PIPELINE_EXECUTION_ID,
                step,
                *path,
            ],
        )


def _command_line(arguments: Mapping[str, Value]) -> list[Value]:
    return [word for option_and_value in arguments.items() for word in option_and_value]
