"""Errors of AWS as one line that a person can act on."""

from collections.abc import Iterator
from contextlib import contextmanager

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from usecase.mlops.errors import UserError


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Any error of AWS, or on the way there, as one line about `what`."""
    try:
        yield
    except ClientError as error:
        detail = error.response["Error"]
        raise UserError(f"{what}: {detail.get('Message') or detail['Code']} ({detail['Code']})") from None
    except (BotoCoreError, Boto3Error) as error:
        raise UserError(f"{what}: {' '.join(str(error).split())}") from None
