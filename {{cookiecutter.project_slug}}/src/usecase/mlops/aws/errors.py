"""Errors of AWS as one line that a person can act on."""

from collections.abc import Iterator
from contextlib import contextmanager

from boto3.exceptions import Boto3Error
from botocore import exceptions as errors
from botocore.exceptions import BotoCoreError, ClientError

from usecase.mlops.errors import UserError

LOG_IN = "log in (`aws sso login`, AWS_PROFILE) or give the CI job its role"
ADVICE = {
    frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"}): f"the credentials have expired: {LOG_IN}",
    frozenset(
        {
            *("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"),
            *("SignatureDoesNotMatch", "AuthFailure", "InvalidToken"),
        }
    ): f"AWS does not know the credentials: {LOG_IN}",
    frozenset(
        {
            *("ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"),
            *("RequestThrottled", "RequestThrottledException"),
        }
    ): "AWS asks to slow down, after several tries: try again in some minutes",
    frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}): "{operation} is denied to the"
    " role you use: take another one, or ask the platform team to allow it",
    frozenset({"404", "NoSuchBucket", "NoSuchKey"}): "it is not there: check the name, the account and aws_region",
}
_NO_CREDENTIALS = (
    errors.NoCredentialsError,
    errors.PartialCredentialsError,
    errors.CredentialRetrievalError,
    errors.SSOError,
    errors.TokenRetrievalError,
    errors.ProfileNotFound,
)
_UNREACHABLE = (errors.ConnectionError, errors.HTTPClientError)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Any error of AWS, or on the way there, as one line: `what` it is about, what AWS says, and what to do."""
    try:
        yield
    except ClientError as error:
        raise UserError(f"{what}: {_words(error)}") from None
    except _NO_CREDENTIALS as error:
        raise UserError(f"{what}: there are no AWS credentials: {LOG_IN} ({_one_line(error)})") from None
    except _UNREACHABLE as error:
        advice = "check network, proxy and aws_region"
        raise UserError(f"{what}: AWS cannot be reached: {advice} ({_one_line(error)})") from None
    except (BotoCoreError, Boto3Error) as error:
        raise UserError(f"{what}: {_one_line(error)}") from None


def _words(error: ClientError) -> str:
    """Message and code of AWS, and for the usual reasons what to do."""
    code = error.response["Error"].get("Code", "")
    said = f"{_one_line(error.response['Error'].get('Message') or code)} ({code})"
    advice = next((words for codes, words in ADVICE.items() if code in codes), "")
    return f"{said}: {advice.format(operation=error.operation_name)}" if advice else said


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
