"""The training pipeline of this use case. After an edit, `make pipeline` compiles it into pipeline.json.

A job is one Python module with explicit paths. To add one, add a module beside this file and a step below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from usecase.mlops.steps import PipelineBuilder

if TYPE_CHECKING:
    from sagemaker.core.workflow.pipeline_context import PipelineSession
    from sagemaker.mlops.workflow.pipeline import Pipeline


def get_pipeline(
    region: str,
    role: str | None = None,
    default_bucket: str | None = None,
    model_package_group_name: str | None = None,
    pipeline_name: str = "usecase",
    base_job_prefix: str | None = None,
    sagemaker_session: PipelineSession | None = None,
) -> Pipeline:
    """Preprocess -> Train -> Evaluate -> CheckQuality -> RegisterModel.

    An argument left at None becomes a parameter of the pipeline (role, default_bucket, model_package_group_name), the
    model package group (base_job_prefix, the first part of each output's S3 key), or a session that never calls AWS.
    """
    build = PipelineBuilder(region, role, default_bucket, model_package_group_name, base_job_prefix, sagemaker_session)

    preprocess = build.processing(
        "Preprocess",
        module="usecase.preprocessing",
        arguments={
            "--input-dir": "/opt/ml/processing/input/data",
            "--contract-dir": "/opt/ml/processing/input/contract",
            "--output-dir": "/opt/ml/processing/output",
        },
        inputs={"data": build.input_data, "contract": build.contract},
        outputs=["train", "validation", "test", "preprocessor", "report"],
        property_files={"DataReport": "report/data_report.json"},
    )

    train = build.training(
        "Train",
        module="usecase.train",
        arguments={
            "--input-dir": "/opt/ml/input/data",
            "--model-dir": "/opt/ml/model",
            "--output-dir": "/opt/ml/output/data",
            "--hyperparameters": "/opt/ml/input/config/hyperparameters.json",
        },
        channels={name: build.output(preprocess, name) for name in ("train", "validation", "preprocessor")},
        hyperparameters={
            "num_rounds": build.integer("NumRounds", 200),
            "max_depth": build.integer("MaxDepth", 4),
            "learning_rate": build.number("LearningRate", 0.1),
            "seed": build.integer("Seed", 42),
        },
    )

    evaluate = build.processing(
        "Evaluate",
        module="usecase.evaluate",
        arguments={
            "--model-dir": "/opt/ml/processing/input/model",
            "--input-dir": "/opt/ml/processing/input/test",
            "--output-dir": "/opt/ml/processing/output/evaluation",
            "--thresholds": build.thresholds,
        },
        inputs={"model": build.model(train), "test": build.output(preprocess, "test")},
        outputs=["evaluation"],
        property_files={"EvaluationReport": "evaluation/evaluation.json", "QualityReport": "evaluation/quality.json"},
    )

    register = build.registration(
        "RegisterModel",
        model=build.model(train),
        evaluation=build.output(evaluate, "evaluation", "evaluation.json"),
        metadata={"DataHash": build.json_value(preprocess, "DataReport", "data_sha256")},
    )

    check_quality = build.quality_gate(
        "CheckQuality",
        failed=build.json_value(evaluate, "QualityReport", "failed"),
        reason=build.json_value(evaluate, "QualityReport", "reason"),
        passed_steps=[register],
    )

    return build.pipeline(pipeline_name, [preprocess, train, evaluate, check_quality])
