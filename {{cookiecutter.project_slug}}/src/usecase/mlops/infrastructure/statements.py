"""Statements of IAM policies, read from their JSON text ("IAM JSON policy elements reference", AWS)."""

import json
from dataclasses import dataclass
from typing import Any

# Actions that know no resource, so that a policy can only say "*" ("Service Authorization Reference", AWS).
# Reading shows settings, not data, and ends at the account.
NO_RESOURCE = (
    "backup-storage:MountCapsule",
    "cloudwatch:GetMetricData",
    "ec2:Describe",
    "ecr:GetAuthorizationToken",
    "elasticfilesystem:CreateFileSystem",
    "events:ListRules",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DeleteResourcePolicy",
    "logs:Describe",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "sagemaker:ListModelPackages",
    "sns:SetSubscriptionAttributes",
    "sns:Unsubscribe",
    "xray:GetSampling",
    "xray:Put",
)
# The calls of MLflow itself, on one server: AWS names some forty, and each version of MLflow has others.
WHOLE = "sagemaker-mlflow:*"
# Reading that shows data or secrets, not settings, by the beginning of its name.
OF_DATA = (
    "dynamodb:GetItem",
    "logs:GetLogEvents",
    "s3:GetObject",
    "secretsmanager:GetSecretValue",
    "sqs:ReceiveMessage",
    "ssm:GetParameter",
)
READING = ("Describe", "Get", "List", "View", "Validate", "GET")


@dataclass(frozen=True)
class Statement:
    """One statement; single values and lists are alike."""

    content: dict[str, Any]

    @property
    def effect(self) -> str:
        """Allow or Deny."""
        return str(self.content.get("Effect"))

    @property
    def actions(self) -> set[str]:
        """Actions, with wildcards as they stand; of NotAction, everything."""
        return {"*"} if "NotAction" in self.content else set(_many(self.content.get("Action")))

    @property
    def resources(self) -> set[str]:
        """Resources, with wildcards as they stand."""
        return set(_many(self.content.get("Resource")))

    def principals(self, kind: str) -> set[str]:
        """Principals of a kind: AWS, Service or Federated."""
        principal = self.content.get("Principal")
        return set(_many(principal.get(kind))) if isinstance(principal, dict) else set()

    @property
    def everyone(self) -> bool:
        """Whether it is for anyone at all."""
        return self.content.get("Principal") == "*" or "*" in self.principals("AWS")

    @property
    def conditions(self) -> dict[str, Any]:
        """Conditions by test; a statement without any holds always."""
        return self.content.get("Condition") or {}

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Test and key of each condition."""
        return [(test, key) for test, asked in self.conditions.items() for key in asked]

    def condition(self, test: str, key: str) -> set[str]:
        """The values that a key is held against by a test; none where it is not asked."""
        return {
            str(value).lower() if isinstance(value, bool) else str(value)
            for value in _many(self.conditions.get(test, {}).get(key))
        }

    def allows(self, action: str) -> bool:
        """Whether the action stands there, by itself or by a wildcard."""
        service = action.partition(":")[0]
        return bool(self.actions & {"*", f"{service}:*", action})


def statements(text: Any) -> list[Statement]:
    """The statements of a policy's JSON text; none of a missing one."""
    if not isinstance(text, str) or not text:
        return []
    found = json.loads(text).get("Statement", [])
    return [Statement(item) for item in (found if isinstance(found, list) else [found])]


def bounded(statement: Statement) -> bool:
    """Whether it allows named actions, not all of a service."""
    actions = statement.actions - ({WHOLE} if "*" not in statement.resources else set())
    return statement.effect != "Allow" or not any(action == "*" or action.endswith(":*") for action in actions)


def knows_no_resource(statement: Statement) -> bool:
    """Whether each action has no resource, or only reads settings."""
    return all(
        action.startswith(NO_RESOURCE)
        or (action.partition(":")[2].startswith(READING) and not action.startswith(OF_DATA))
        for action in statement.actions
    )


def _many(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
