"""The things of which a project has several: how GitLab tells them apart, and its answers in the words of a request."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from usecase.mlops.gitlab.wanted import ACCESS_LEVELS, Wanted

Content = Mapping[str, Any]


def _as_it_is(answer: Content) -> Content:
    return answer


@dataclass(frozen=True)
class Kind:
    """A kind of thing.

    `manager` is the attribute of python-gitlab's Project that lists and writes them, `key` what tells one from another,
    `address` what stands in the URL of one. `is_replaced`: a change deletes it and makes a new one, because the API
    cannot change it, or only in Premium. `has_details`: the list leaves something out that one alone shows. `sends`:
    what every update must hold. `is_secret`: values are not shown.
    """

    name: str
    manager: str
    key: tuple[str, ...] = ("name",)
    address: str = "id"
    is_replaced: bool = False
    has_details: bool = False
    is_made_elsewhere: bool = False
    is_secret: bool = False
    sends: tuple[str, ...] = ()
    seen: Callable[[Content], Content] = _as_it_is

    def identity(self, content: Content) -> tuple[Any, ...]:
        """What tells it from others of its kind."""
        return tuple(content.get(name) for name in self.key)


def _level(levels: list[Content]) -> Any:
    """The one role that may; anything else (more roles, people, groups, deploy keys) is never what is wanted."""
    named = [level for level in levels if any(level.get(key) for key in ("user_id", "group_id", "deploy_key_id"))]
    return levels[0]["access_level"] if len(levels) == 1 and not named else levels


def _branch_seen(answer: Content) -> Content:
    return {
        **answer,
        "push_access_level": _level(answer["push_access_levels"]),
        "merge_access_level": _level(answer["merge_access_levels"]),
    }


def _tag_seen(answer: Content) -> Content:
    return {**answer, "create_access_level": _level(answer["create_access_levels"])}


def _schedule_seen(answer: Content) -> Content:
    inputs = [{"name": item["name"], "value": item["value"]} for item in answer.get("inputs") or []]
    ref = answer["ref"].removeprefix("refs/heads/")
    return {**answer, "ref": ref, "inputs": sorted(inputs, key=lambda item: str(item["name"]))}


def _environment_rules_seen(answer: Content) -> Content:
    """Levels and rules without what GitLab adds to them: who is meant is a group, a person or a role, in this order."""

    def who(level: Content) -> dict[str, Any]:
        return {key: level[key] for key in ("group_id", "user_id", "access_level") if level.get(key)}

    def named(level: Content) -> dict[str, Any]:
        key, value = next(iter(who(level).items()), ("", None))
        return {key: value}

    rules = [
        {**named(rule), "required_approvals": rule["required_approvals"]} for rule in answer.get("approval_rules") or []
    ]
    return {
        **answer,
        "deploy_access_levels": [named(level) for level in answer["deploy_access_levels"]],
        "approval_rules": sorted(rules, key=str),
    }


LABELS = Kind("label", "labels")
ENVIRONMENTS = Kind("environment", "environments")
VARIABLES = Kind("variable", "variables", ("key", "environment_scope"), address="key", is_secret=True, sends=("value",))
BRANCHES = Kind("protected branch", "protectedbranches", address="name", is_replaced=True, seen=_branch_seen)
TAGS = Kind("protected tag", "protectedtags", address="name", is_replaced=True, seen=_tag_seen)
PROTECTED_ENVIRONMENTS = Kind(
    "protected environment", "protected_environments", address="name", is_replaced=True, seen=_environment_rules_seen
)
APPROVAL_RULES = Kind("approval rule", "approvalrules", ("rule_type",), sends=("name", "approvals_required"))
RESOURCE_GROUPS = Kind("resource group", "resource_groups", ("key",), address="key", is_made_elsewhere=True)
# only its owner may change a schedule, and every Maintainer may delete it
SCHEDULES = Kind(
    "schedule", "pipelineschedules", ("description",), is_replaced=True, has_details=True, seen=_schedule_seen
)
TRIGGERS = Kind("pipeline trigger", "triggers", ("description",))


def labels(wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Requests for the labels."""
    for name, label in wanted.labels.items():
        yield {"name": name, **label.model_dump()}


def environments(wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Requests for the environments."""
    for name, environment in wanted.environments.items():
        yield {"name": name, **environment.model_dump(exclude_none=True)}


def branches(wanted: Wanted, is_premium: bool) -> Iterator[dict[str, Any]]:
    """Requests for the protected branches."""
    branch = wanted.default_branch
    yield {
        "name": branch.name,
        "push_access_level": ACCESS_LEVELS[branch.push],
        "merge_access_level": ACCESS_LEVELS[branch.merge],
        "allow_force_push": False,
        **({"code_owner_approval_required": wanted.code_owners_approve} if is_premium else {}),
    }


def tags(wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Requests for the protected tags."""
    for name, tag in wanted.protected_tags.items():
        yield {"name": name, "create_access_level": ACCESS_LEVELS[tag.create]}


def protected_environments(wanted: Wanted, groups: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Requests for the protected environments; `groups` are the numbers of the approvers' groups."""
    for name, protected in wanted.protected_environments.items():
        approvers = [{"group_id": groups[path]} for path in protected.approvers] or [
            {"access_level": ACCESS_LEVELS["maintainers"]}
        ]
        rules = [{**approver, "required_approvals": protected.approvals} for approver in approvers]
        yield {
            "name": name,
            "deploy_access_levels": [{"access_level": ACCESS_LEVELS[protected.deploy]}],
            "approval_rules": sorted(rules, key=str) if protected.approvals else [],
        }


def approval_rules(wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Request for the rule that counts anyone's approval."""
    yield {"name": "All Members", "rule_type": "any_approver", "approvals_required": wanted.approvals.required}


def resource_groups(wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Requests for the resource groups."""
    for key, mode in wanted.resource_groups.items():
        yield {"key": key, "process_mode": mode}


def schedules(wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Requests for the schedules."""
    for schedule in wanted.schedules.values():
        yield {
            "description": schedule.description,
            "ref": wanted.default_branch.name,
            "cron": schedule.cron,
            "cron_timezone": "UTC",
            "active": schedule.active,
            "inputs": [{"name": name, "value": value} for name, value in sorted(schedule.inputs.items())],
        }


def triggers(wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Request for the pipeline trigger."""
    if wanted.trigger:
        yield {"description": wanted.trigger}
