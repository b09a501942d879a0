"""Builders for the steps of a training pipeline, over the SageMaker Python SDK v3.

They keep what every step of this template has in common in one place: the container contract, the code channel, the
output locations, network, encryption and tags, the step cache and the retries. The definition they make holds no
account facts and no code: roles, keys, bucket, image and code are pipeline parameters, lists of subnets, security
groups and tags are placeholders (usecase.mlops.render).

The own and the managed container (AWS's XGBoost image) run the same definition; only the values of ImageUri and CodeUri
differ. Every job names its own program, so that no image's default starts, and reads all code from an input.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sagemaker.core.network import NetworkConfig
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import (
    DriftCheckBaselines,
    DriftCheckExplainability,
    DriftCheckModelDataQuality,
    DriftCheckModelQuality,
    Explainability,
    MetricsSource,
    ModelDataQuality,
    ModelMetrics,
    ModelQuality,
    OutputDataConfig,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
    S3DataSource,
    StoppingCondition,
    Tag,
)
from sagemaker.core.training.configs import Compute, InputData, Networking
from sagemaker.core.transformer import Transformer
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
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep, TransformStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train import ModelTrainer

from usecase.mlops.render import SECURITY_GROUP_IDS, SUBNET_IDS, TAG_PLACEHOLDER
from usecase.mlops.sdk import UNUSED_ROLE, ModuleTrainingStep, OfflineSession, RegistrationStep, Value

PROCESSING_ROOT = "/opt/ml/processing"
TRAINING_ROOT = "/opt/ml/input/data"
MAX_RUNTIME_SECONDS = 86400
# A spot job may wait for capacity as long as it may run. It keeps no checkpoints: an interrupted one starts again.
SPOT_MAX_WAIT_SECONDS = 2 * MAX_RUNTIME_SECONDS
VOLUME_SIZE_GB = 30
TRANSFORM_TIMEOUT_SECONDS = 60
CSV, JSON = "text/csv", "application/json"
# For AWS's own serving program, which the managed container has: the handlers that Train packs with the model. Without
# both variables it would look for a script to download. The own container reads neither: it looks below /opt/ml/model.
SERVING_ENVIRONMENT = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
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


class PipelineBuilder:
    """Builds steps that share one set of pipeline parameters.

    Each of `role`, `default_bucket` and `model_package_group_name` may be given as a fixed value; None makes it a
    parameter (of `role`: one for processing, one for training) that is filled in when the pipeline is deployed. Outputs
    are written to s3://<default_bucket>/<base_job_prefix>/<execution id>/<step>/<output>; the prefix is the model
    package group unless it is given.
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
        self._fixed_role = role
        self.input_data = self.string("InputDataUri")
        self.contract = self.string("ContractUri")
        self.model_card = self.string("ModelCardUri")
        self.code = self.string("CodeUri")
        self.image = self.string("ImageUri")
        self.champion = self.string("ChampionUri")
        self.champion_version = self.string("ChampionVersion")
        self.processing_role = self._role("ProcessingRoleArn")
        self.training_role = self._role("TrainingRoleArn")
        self.default_bucket = default_bucket or self.string("DefaultBucket")
        self.model_package_group_name = model_package_group_name or self.string("ModelPackageGroupName")
        self.volume_key = self.string("VolumeKmsKeyArn")
        self.output_key = self.string("OutputKmsKeyArn")
        self.gates = {
            "--thresholds": self.string("QualityThresholds"),
            "--champion-version": self.champion_version,
            "--champion-metric": self.string("ChampionMetric"),
            "--champion-tolerance": self.number("ChampionTolerance"),
            "--fairness-metric": self.string("FairnessMetric"),
            "--maximum-fairness-gap": self.number("MaximumFairnessGap"),
            "--maximum-overlap": self.number("MaximumOverlap"),
            "--maximum-label-shift": self.number("MaximumLabelShift"),
            "--maximum-flagged-rows": self.number("MaximumFlaggedRows"),
        }
        self.git_sha = self.string("GitSha")
        self.lineage = {
            "GitSha": self.git_sha,
            "ContractHash": self.string("ContractHash"),
            "LockHash": self.string("LockHash"),
            "PipelineExecution": ExecutionVariables.PIPELINE_EXECUTION_ARN,
            "ChampionVersion": self.champion_version,
            "InputDataUri": self.input_data,
            "ContractUri": self.contract,
            "CodeUri": self.code,
            "RetrainingReason": self.string("RetrainingReason", "none"),
            "RetrainingTrigger": self.string("RetrainingTrigger", "none"),
        }
        self.execution = ExecutionVariables.PIPELINE_EXECUTION_ARN
        self.processing_instance_type = self.string("ProcessingInstanceType", "ml.m5.large")
        self.processing_instance_count = self.integer("ProcessingInstanceCount", 1)
        self.training_instance_type = self.string("TrainingInstanceType", "ml.m5.xlarge")
        self.training_instance_count = self.integer("TrainingInstanceCount", 1)
        self.approval_status = self.string(
            "ModelApprovalStatus", "PendingManualApproval", ["PendingManualApproval", "Approved", "Rejected"]
        )
        self._prefix = base_job_prefix or self.model_package_group_name

    def string(self, name: str, default: str | None = None, choices: Sequence[str] | None = None) -> Value:
        """A text parameter; without a default it must be given at deploy time or when an execution starts."""
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
        instance_count: Value = 1,
        sharded: Sequence[str] = (),
    ) -> ProcessingStep:
        """A step that runs `python3 -m <module>` with `arguments`, which map each option to its value.

        `inputs` are S3 locations, found by the job under /opt/ml/processing/input/<name>; beside them lies `code`, the
        use case's packages. What the job writes under /opt/ml/processing/output/<output> is uploaded when it ends.
        `property_files` maps a name to "<output>/<path>" of a JSON file that later steps read with `json_value`. Of
        several instances each finds its own share of the files of the inputs in `sharded`, and all of the others.
        """
        processor = Processor(
            role=self.processing_role,
            image_uri=self.image,
            instance_count=instance_count,
            instance_type=self.processing_instance_type,
            entrypoint=["python3", "-m", module],
            volume_size_in_gb=VOLUME_SIZE_GB,
            volume_kms_key=self.volume_key,
            output_kms_key=self.output_key,
            max_runtime_in_seconds=MAX_RUNTIME_SECONDS,
            base_job_name=name,
            sagemaker_session=self._session,
            env={"PYTHONPATH": f"{PROCESSING_ROOT}/input/code"},
            tags=[TAG_PLACEHOLDER],
            network_config=NetworkConfig(
                enable_network_isolation=True,
                encrypt_inter_container_traffic=True,
                subnets=[SUBNET_IDS],
                security_group_ids=[SECURITY_GROUP_IDS],
            ),
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
                            s3_data_distribution_type=_distribution(key, sharded),
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
        instance_count: Value = 1,
        sharded: Sequence[str] = (),
        spot: bool = False,
    ) -> ModuleTrainingStep:
        """A step that runs `python3 -m <module>` with `arguments` and packs /opt/ml/model into model.tar.gz.

        `channels` are S3 locations, found by the job under /opt/ml/input/data/<channel>; beside them lies `code`. Of
        several instances each finds its own share of the files of the channels in `sharded`. The job reads
        `hyperparameters`, all as text, from /opt/ml/input/config/hyperparameters.json. `spot` takes spare capacity,
        which costs less; a job that loses it waits for more and starts again from the beginning.
        """
        trainer = ModelTrainer(
            sagemaker_session=self._session,
            role=UNUSED_ROLE,
            base_job_name=name,
            training_image=self.image,
            compute=Compute(
                instance_type=self.training_instance_type,
                instance_count=instance_count,
                volume_size_in_gb=VOLUME_SIZE_GB,
                volume_kms_key_id=self.volume_key,
                enable_managed_spot_training=spot or None,
            ),
            networking=Networking(
                subnets=[SUBNET_IDS],
                security_group_ids=[SECURITY_GROUP_IDS],
                enable_network_isolation=True,
                enable_inter_container_traffic_encryption=True,
            ),
            stopping_condition=StoppingCondition(
                max_runtime_in_seconds=MAX_RUNTIME_SECONDS,
                **({"max_wait_time_in_seconds": SPOT_MAX_WAIT_SECONDS} if spot else {}),
            ),
            output_data_config=OutputDataConfig(s3_output_path=self._location(name), kms_key_id=self.output_key),
            tags=[Tag(key=TAG_PLACEHOLDER["Key"], value=TAG_PLACEHOLDER["Value"])],
            environment={"PYTHONPATH": f"{TRAINING_ROOT}/code"},
            hyperparameters={key: _text(value) for key, value in hyperparameters.items()},
        )
        return ModuleTrainingStep(
            name=name,
            entrypoint=["python3", "-m", module],
            container_arguments=_command_line(arguments),
            role=self.training_role,
            step_args=trainer.train(
                input_data_config=[
                    InputData(
                        channel_name=key,
                        data_source=S3DataSource(
                            s3_data_type="S3Prefix",
                            s3_uri=uri,
                            s3_data_distribution_type=_distribution(key, sharded),
                        ),
                    )
                    for key, uri in {**channels, "code": self.code}.items()
                ]
            ),
            cache_config=CACHE,
            retry_policies=[RETRY_SERVICE, RETRY_CAPACITY],
        )

    def transform_smoke(self, name: str, model: Value, rows: Value) -> list[Any]:
        """Steps that answer some of `rows` with the serving image, as a batch transform of `model` would.

        `rows` is the S3 location of typed rows. The steps fail when there is not one answer for each row.
        """
        role = self._role("InferenceRoleArn")
        root = PROCESSING_ROOT
        sample = self.processing(
            f"{name}Rows",
            module="usecase.mlops.smoke",
            arguments={
                "--rows-dir": f"{root}/input/rows",
                "--contract-dir": f"{root}/input/contract",
                "--output-dir": f"{root}/output/smoke",
            },
            inputs={"rows": rows, "contract": self.contract},
            outputs=["smoke"],
        )
        made = self._model(f"{name}Model", model, role)
        transform = self._transform(f"{name}Transform", made, self.output(sample, "smoke"))
        check = self.processing(
            f"{name}Check",
            module="usecase.mlops.smoke",
            arguments={
                "--rows-dir": f"{root}/input/rows",
                "--answers-dir": f"{root}/input/answers",
                "--output-dir": f"{root}/output/report",
            },
            inputs={
                "rows": self.output(sample, "smoke"),
                "answers": transform.properties.TransformOutput.S3OutputPath,
            },
            outputs=["report"],
        )
        return [sample, made, transform, check]

    def registration(
        self,
        name: str,
        model: Value,
        evaluation: Value,
        statistics: Value,
        constraints: Value,
        importance: Value,
        metadata: Mapping[str, Value],
    ) -> RegistrationStep:
        """A step that registers `model` (an S3 location of model.tar.gz) with its evidence.

        `evaluation` (of evaluation.json), `statistics`, `constraints` (of SageMaker Model Monitor) and `importance` are
        the metrics of the model and the baselines that drift is measured from. `metadata` goes with the model package,
        together with the execution that made it and with what that was given: data, contract, code, commit, champion.
        """
        builder = ModelBuilder(
            s3_model_data_url=model, image_uri=self.image, role_arn=UNUSED_ROLE, sagemaker_session=self._session
        )
        quality, feature_statistics, feature_constraints, explanation = (
            MetricsSource(content_type=JSON, s3_uri=uri) for uri in (evaluation, statistics, constraints, importance)
        )
        return RegistrationStep(
            name=name,
            environment=SERVING_ENVIRONMENT,
            step_args=builder.register(
                model_package_group_name=self.model_package_group_name,
                content_types=[CSV, JSON],
                response_types=[JSON, CSV],
                approval_status=self.approval_status,
                model_metrics=ModelMetrics(
                    model_quality=ModelQuality(statistics=quality),
                    model_data_quality=ModelDataQuality(statistics=feature_statistics, constraints=feature_constraints),
                    explainability=Explainability(report=explanation),
                ),
                drift_check_baselines=DriftCheckBaselines(
                    model_quality=DriftCheckModelQuality(statistics=quality),
                    model_data_quality=DriftCheckModelDataQuality(
                        statistics=feature_statistics, constraints=feature_constraints
                    ),
                    explainability=DriftCheckExplainability(constraints=explanation),
                ),
                customer_metadata_properties={**self.lineage, **metadata},
            ),
            retry_policies=[RETRY_SERVICE],
        )

    def quality_gate(
        self, name: str, failed: Value, reason: Value, passed_steps: Sequence[Any], after: Sequence[Any] = ()
    ) -> ConditionStep:
        """Goes on with `passed_steps` when `failed`, the number of failed checks, is 0; else fails with `reason`.

        It waits for the steps of `after`, beside those that its values come from.
        """
        failure = FailStep(
            name="QualityGateFailed", error_message=Join(on="", values=["The model is not good enough: ", reason])
        )
        return ConditionStep(
            name=name,
            conditions=[ConditionLessThanOrEqualTo(left=failed, right=0)],
            if_steps=list(passed_steps),
            else_steps=[failure],
            depends_on=list(after) or None,
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

    def _model(self, name: str, model: Value, role: Value) -> ModelStep:
        """A step that makes a SageMaker model, by the call that all of the SDK's classes end in.

        ModelBuilder.build() takes no pipeline parameter as role and no tags.
        """
        builder = ModelBuilder(
            s3_model_data_url=model, image_uri=self.image, role_arn=UNUSED_ROLE, sagemaker_session=self._session
        )
        self._session.init_model_step_arguments(builder)
        self._session.create_model(
            name=None,
            role=UNUSED_ROLE,
            container_defs={"Image": self.image, "ModelDataUrl": model, "Environment": SERVING_ENVIRONMENT},
            vpc_config={"Subnets": [SUBNET_IDS], "SecurityGroupIds": [SECURITY_GROUP_IDS]},
            enable_network_isolation=True,
            tags=[TAG_PLACEHOLDER],
        )
        arguments, self._session.context = self._session.context, None
        arguments.create_model_request["ExecutionRoleArn"] = role
        return ModelStep(name=name, step_args=arguments, retry_policies=[RETRY_SERVICE])

    def _transform(self, name: str, model: ModelStep, rows: Value) -> TransformStep:
        """A step that asks the serving image of `model` about the CSV lines at `rows`, and writes a line for each."""
        transformer = Transformer(
            model_name=model.properties.ModelName,
            instance_count=1,
            instance_type=self.processing_instance_type,
            strategy="MultiRecord",
            assemble_with="Line",
            accept=CSV,
            max_payload=6,
            output_path=self._location(name),
            output_kms_key=self.output_key,
            volume_kms_key=self.volume_key,
            tags=[TAG_PLACEHOLDER],
            sagemaker_session=self._session,
        )
        return TransformStep(
            name=name,
            step_args=transformer.transform(
                data=rows,
                content_type=CSV,
                split_type="Line",
                model_client_config={
                    "InvocationsTimeoutInSeconds": TRANSFORM_TIMEOUT_SECONDS,
                    "InvocationsMaxRetries": 1,
                },
            ),
            cache_config=CACHE,
            retry_policies=[RETRY_SERVICE, RETRY_CAPACITY],
        )

    def _role(self, name: str) -> Value:
        return self._fixed_role or self.string(name)

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
    return [_text(word) for option_and_value in arguments.items() for word in option_and_value]


def _text(value: Value) -> Value:
    """`value` where the service takes text only: a number parameter must be turned into text by the pipeline itself."""
    return value.to_string() if isinstance(value, Parameter) else value


def _distribution(name: str, sharded: Sequence[str]) -> str:
    return "ShardedByS3Key" if name in sharded else "FullyReplicated"
