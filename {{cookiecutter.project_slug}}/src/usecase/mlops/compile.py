"""Compile src/usecase/pipeline.py into pipeline.json: `python -m usecase.mlops.compile [--check]`.

pipeline.json is committed like a lock file: reviewed in merge requests, run by the local engine and deployed as it is.
It needs the SageMaker SDK (dependency group `sagemaker`) and neither an AWS account nor a network.
"""

import argparse
import difflib
import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from usecase.mlops.errors import UserError

DEFINITION = Path(__file__).parents[3] / "pipeline.json"
REGION = "us-east-1"  # the SDK wants one; nothing in the definition depends on it
DIFF_LINES = 20
SILENT = logging.CRITICAL + 1


def compile_pipeline(**options: Any) -> str:
    """The definition as JSON text, the same bytes on every build; `options` go to get_pipeline. Raises UserError."""
    # All must stand before the SDK is imported: importing it without a region raises, its constructors would call IAM,
    # and credentials would be looked for on the network.
    os.environ.update(
        AWS_DEFAULT_REGION=REGION,
        AWS_EC2_METADATA_DISABLED="true",
        SAGEMAKER_VALIDATE_ROLE="false",
        SAGEMAKER_ADMIN_CONFIG_OVERRIDE=os.devnull,
        SAGEMAKER_USER_CONFIG_OVERRIDE=os.devnull,
    )
    warnings.filterwarnings("ignore")
    logging.disable(SILENT)
    try:
        from usecase.pipeline import get_pipeline
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("sagemaker", "boto3"):
            raise
        raise UserError("the SageMaker SDK is not installed; run `make pipeline`, which brings it") from None
    definition = json.loads(get_pipeline(REGION, **options).definition())
    # the SDK writes what is not set as null
    definition = {key: value for key, value in definition.items() if value is not None}
    return json.dumps(definition, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Write pipeline.json, or with --check compare it and exit 1 when it is not what pipeline.py says."""
    parser = argparse.ArgumentParser(prog="python -m usecase.mlops.compile", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when pipeline.json is out of date")
    check = parser.parse_args(arguments).check
    try:
        print("compiling src/usecase/pipeline.py with the SageMaker SDK ...", flush=True)
        text = compile_pipeline()
        current = DEFINITION.read_text(encoding="utf-8") if DEFINITION.exists() else ""
        if check and current != text:
            lines = difflib.unified_diff(
                current.splitlines(), text.splitlines(), "committed", "compiled", n=1, lineterm=""
            )
            print(*list(lines)[:DIFF_LINES], sep="\n", file=sys.stderr)
            raise UserError("pipeline.json does not match src/usecase/pipeline.py; run `make pipeline` and commit it")
        if current != text:
            temporary = DEFINITION.with_suffix(".json.tmp")
            temporary.write_text(text, encoding="utf-8", newline="\n")
            temporary.replace(DEFINITION)
        print(f"{DEFINITION.name} {'is up to date' if current == text else 'was written: look at it, then commit it'}")
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
