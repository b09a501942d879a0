"""The local engine: runs a SageMaker pipeline definition as subprocesses, without Docker and without AWS.

It interprets the JSON that the SageMaker SDK compiles and AWS deploys ("SageMaker Pipeline Definition JSON", version
2020-12-01), step by step, under the container contract of SageMaker jobs. It knows nothing about the use case.
"""

from usecase.mlops.engine.run import Engine, Execution, Failure, StepEvent

__all__ = ["Engine", "Execution", "Failure", "StepEvent"]
