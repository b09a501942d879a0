"""The resources of a plan of Terraform, as they will be once it is applied (`terraform show -json`, format 1.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from usecase.mlops.infrastructure.statements import Statement, statements


class _Unknown:
    """A value that Terraform knows after apply."""

    def __repr__(self) -> str:
        return "known after apply"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Resource:
    """A resource as it will be: its address and type, the environment of the plan, and all others of the plan."""

    address: str
    type: str
    environment: str
    after: Mapping[str, Any]
    unknown: Any
    plan: "Resources"

    def get(self, path: str) -> Any:
        """The value at a path such as `rule.0.status`; None where there is none, UNKNOWN where only apply tells."""
        value, unknown = self.after, self.unknown
        for part in path.split("."):
            key: Any = int(part) if part.isdigit() else part
            unknown = unknown if unknown is True else item_of(unknown, key)
            value = item_of(value, key)
            if unknown is True:
                return UNKNOWN
        return value

    def beside(self, kind: str) -> list["Resource"]:
        """Resources of a type in the same module: those that complete this one."""
        module = self.address.rpartition(f"{self.type}.")[0]
        return [other for other in self.plan.of(kind) if other.address.rpartition(f"{kind}.")[0] == module]

    @cached_property
    def policy(self) -> list[Statement] | None:
        """The statements of the policy; None when only apply tells."""
        text = (
            self.get("policy")
            if "policy" in self.after or self.get("policy") is UNKNOWN
            else self.get("resource_policy")
        )
        return None if text is UNKNOWN else statements(text)


class Resources:
    """The resources that are there once a plan is applied (`terraform show -json`, format 1.2)."""

    def __init__(self, plan: Mapping[str, Any], environment: str) -> None:
        self._by_type: dict[str, list[Resource]] = {}
        for item in plan.get("resource_changes", []):
            change = item["change"]
            if item["mode"] == "managed" and change["after"] is not None:
                found = Resource(
                    item["address"], item["type"], environment, change["after"], change.get("after_unknown", {}), self
                )
                self._by_type.setdefault(item["type"], []).append(found)

    def of(self, kind: str) -> list[Resource]:
        """All of a type."""
        return self._by_type.get(kind, [])


def item_of(value: Any, key: Any) -> Any:
    """The value of a key or position; None where there is none."""
    if isinstance(value, Mapping):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return None
