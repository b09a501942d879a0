"""The training pipeline of this use case. After an edit, `make pipeline` compiles it into pipeline.json.

A job is one Python module with explicit paths. To add one, add a module beside this file and a step below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from usecase.mlops.steps import PROCESSING_ROOT, TRAINING_ROOT, PipelineBuilder

if TYPE_CHECKING:
    from sagemaker.core.workflow.pipeline_context import PipelineSession
    from sagemaker.mlops.workflow.pipeline import Pipeline

INPUT, OUTPUT = f"{PROCESSING_ROOT}/input", f"{PROCESSING_ROOT}/output"


def get_pipeline(
    region: str,
    role: str | None = None,
    default_bucket: str | None = None,
    model_package_group_name: str | None = None,
    pipeline_name: str = "usecase",
    base_job_prefix: str | None = None,
    sagemaker_session: PipelineSession | None = None,
    transform_smoke: bool = False,
) -> Pipeline:
    """Preprocess -> Train -> Evaluate -> CheckQuality -> Baseline -> RegisterModel.

    An argument left at None becomes a parameter of the pipeline (role, default_bucket, model_package_group_name), the
    model package group (base_job_prefix, the first part of each output's S3 key), or a session that never calls AWS.
    With `transform_smoke` the model must answer a few test rows in a batch transform before the gate; the role of that
    transform is one more parameter.
    """
    build = PipelineBuilder(region, role, default_bucket, model_package_group_name, base_job_prefix, sagemaker_session)

    preprocess = build.processing(
        "Preprocess",
        module="usecase.preprocessing",
        arguments={
            "--input-dir": f"{INPUT}/data",
            "--contract-dir": f"{INPUT}/contract",
            "--output-dir": OUTPUT,
        },
        inputs={"data": build.input_data, "contract": build.contract},
        outputs=["train", "validation", "test", "preprocessor", "report"],
        instance_count=build.processing_instance_count,
        sharded=["data"],
    )

    train = build.training(
        "Train",
        module="usecase.train",
        arguments={
            "--input-dir": TRAINING_ROOT,
            "--code-dir": f"{TRAINING_ROOT}/code",
            "--model-dir": "/opt/ml/model",
            "--output-dir": "/opt/ml/output/data",
            "--config-dir": "/opt/ml/input/config",
        },
        channels={name: build.output(preprocess, name) for name in ("train", "validation", "preprocessor")},
        hyperparameters={
            "num_rounds": build.integer("NumRounds", 200),
            "max_depth": build.integer("MaxDepth", 4),
            "learning_rate": build.number("LearningRate", 0.1),
            "seed": build.integer("Seed", 42),
            "tuning_trials": build.integer("TuningTrials", 0),
        },
        instance_count=build.training_instance_count,
        sharded=["train", "validation"],
    )

    evaluate = build.processing(
        "Evaluate",
        module="usecase.evaluate",
        arguments={
            "--model-dir": f"{INPUT}/model",
            "--input-dir": f"{INPUT}/test",
            "--report-dir": f"{INPUT}/report",
            "--champion-dir": f"{INPUT}/champion",
            "--output-dir": f"{OUTPUT}/evaluation",
            **build.gates,
        },
        inputs={
            "model": build.model(train),
            "test": build.output(preprocess, "test"),
            "report": build.output(preprocess, "report"),
            "champion": build.champion,
        },
        outputs=["evaluation"],
        property_files={
            "EvaluationReport": "evaluation/evaluation.json",
            "QualityReport": "evaluation/quality.json",
            "DataReport": "evaluation/data_report.json",
        },
    )

    smoke = (
        build.transform_smoke("Smoke", build.model(train), build.output(preprocess, "test")) if transform_smoke else []
    )

    baseline = build.processing(
        "Baseline",
        module="usecase.mlops.baseline",
        arguments={
            "--model-dir": f"{INPUT}/model",
            "--input-dir": f"{INPUT}/train",
            "--evaluation-dir": f"{INPUT}/evaluation",
            "--card-dir": f"{INPUT}/card",
            "--output-dir": OUTPUT,
            "--model-package-group": build.model_package_group_name,
            "--git-sha": build.git_sha,
            "--pipeline-execution": build.execution,
            "--champion-version": build.champion_version,
        },
        inputs={
            "model": build.model(train),
            "train": build.output(preprocess, "train"),
            "evaluation": build.output(evaluate, "evaluation"),
            "card": build.model_card,
        },
        outputs=["baseline", "explanation", "model_card"],
        property_files={"BaselineReport": "baseline/baseline_report.json"},
    )

    register = build.registration(
        "RegisterModel",
        model=build.model(train),
        evaluation=build.output(evaluate, "evaluation", "evaluation.json"),
        statistics=build.output(baseline, "baseline", "statistics.json"),
        constraints=build.output(baseline, "baseline", "constraints.json"),
        importance=build.output(baseline, "explanation", "importance.json"),
        metadata={
            "DataHash": build.json_value(evaluate, "DataReport", "data_sha256"),
            "ModelDataSha256": build.json_value(baseline, "BaselineReport", "model_sha256"),
            "InputSchemaUri": build.output(baseline, "baseline", "input_schema.json"),
            "ModelCardUri": build.output(baseline, "model_card"),
            "QualityReportUri": build.output(evaluate, "evaluation", "quality.json"),
            "DriftBaselineUri": build.output(baseline, "baseline", "drift_baseline.json"),
        },
    )

    check_quality = build.quality_gate(
        "CheckQuality",
        failed=build.json_value(evaluate, "QualityReport", "failed"),
        reason=build.json_value(evaluate, "QualityReport", "reason"),
        passed_steps=[baseline, register],
        after=smoke,
    )

    return build.pipeline(pipeline_name, [preprocess, train, evaluate, *smoke, check_quality])
