"""The EventBridge connection that calls GitLab: which pipeline trigger it holds, and a new token for it.

Terraform makes the connection with a value that opens nothing, and ignores it from then on: the token is in no file and
no state. AWS never shows a secret part again, so the number of the trigger is kept beside the token, as a header that
GitLab does not read. It tells whether the right token is there.
"""

from dataclasses import dataclass
from typing import Any

import boto3

from usecase.mlops.aws.errors import explained
from usecase.mlops.aws.platform import session
from usecase.mlops.errors import UserError
from usecase.mlops.settings import Settings, load_settings

HEADER = "X-GitLab-Trigger"


def find() -> "EventConnection | None":
    """The connection of the training environment; None when GitLab asks for decisions instead (`poll`)."""
    settings = load_settings(load_settings("dev").training_environment)
    return EventConnection(settings) if settings.events.approval_trigger == "event" else None


@dataclass(frozen=True)
class EventConnection:
    """The connection in the account of `settings`."""

    settings: Settings

    @property
    def name(self) -> str:
        """Its name in AWS."""
        return f"{self.settings.project}-{self.settings.environment}-gitlab"

    def trigger(self) -> int | None:
        """Number of the trigger whose token it holds, None for none. Raises UserError when that cannot be told."""
        events = self._client()
        with explained(f"connection {self.name}"):
            try:
                answer = events.describe_connection(Name=self.name)
            except events.exceptions.ResourceNotFoundException:
                raise UserError(
                    f"{self.name} is not in account {self.settings.aws_account} yet: put the project's number under"
                    f" aws_access.project_id in config/{self.settings.environment}.yaml, then"
                    f" `make deploy env={self.settings.environment} root=platform`"
                ) from None
        headers = answer["AuthParameters"].get("InvocationHttpParameters", {}).get("HeaderParameters", [])
        numbers = [header["Value"] for header in headers if header["Key"] == HEADER]
        return int(numbers[0]) if numbers else None

    def hand_over(self, trigger: int, token: str) -> None:
        """Put in the token of a trigger. Raises UserError."""
        events = self._client()
        with explained(f"connection {self.name}"):
            events.update_connection(
                Name=self.name,
                AuthorizationType="API_KEY",
                AuthParameters={
                    "ApiKeyAuthParameters": {"ApiKeyName": "X-Sender", "ApiKeyValue": "EventBridge"},
                    "InvocationHttpParameters": {
                        "HeaderParameters": [{"Key": HEADER, "Value": str(trigger), "IsValueSecret": False}],
                        "BodyParameters": [{"Key": "token", "Value": token, "IsValueSecret": True}],
                    },
                },
            )

    def _client(self) -> Any:
        if not self.settings.aws_account:
            raise UserError(f"aws_account in config/{self.settings.environment}.yaml is blank")
        with explained(self.name):
            has_credentials = boto3.Session().get_credentials() is not None
        if not has_credentials:
            raise UserError("there are no AWS credentials here")
        return session(self.settings).client("events")
