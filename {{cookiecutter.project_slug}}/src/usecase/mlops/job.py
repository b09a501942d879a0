"""Entry point of a SageMaker job: errors end as one line in the log and in the job's failure reason."""

import sys
from collections.abc import Callable
from pathlib import Path

from usecase.mlops.errors import UserError

# SageMaker shows the first 1024 characters of these files: as FailureReason of a training job ("How Amazon SageMaker
# Provides Training Information"), and as ExitMessage of a processing job ("Build Your Own Processing Container").
FAILURE_FILES = (Path("/opt/ml/output/failure"), Path("/opt/ml/output/message"))


def run_job(main: Callable[[], None]) -> None:
    """Run `main`; on UserError print one line, tell SageMaker, and exit 1."""
    try:
        main()
    except UserError as error:
        line = f"error: {error}"
        for path in FAILURE_FILES:
            if path.parent.is_dir():
                path.write_text(line[:1024])
        sys.exit(line)
