"""The calls of GitLab's API that the set-up of a project may make, each with the attributes that its page documents.

The pages stand below https://docs.gitlab.com/api/. The real GitLab ignores an attribute that it does not know; here it
is refused: misspelt, it would otherwise go unseen.
"""

import re
from dataclasses import dataclass
from typing import Any

FREE, PREMIUM = "free", "premium"
PROJECT = "/projects/:id"
PAGINATION = {"page", "per_page", "pagination", "order_by", "sort"}
PROJECT_SETTINGS = (  # projects, "Edit a project": those that a project of the template may want
    "name description visibility default_branch merge_method squash_option only_allow_merge_if_pipeline_succeeds"
    " only_allow_merge_if_all_discussions_are_resolved remove_source_branch_after_merge auto_cancel_pending_pipelines"
    " auto_devops_enabled ci_forward_deployment_enabled ci_forward_deployment_rollback_allowed ci_separated_caches"
    " ci_pipeline_variables_minimum_override_role ci_id_token_sub_claim_components"
)


@dataclass(frozen=True)
class Endpoint:
    """A documented call: its page, and the attributes that it must and may hold."""

    method: str
    path: str
    page: str
    required: frozenset[str]
    optional: frozenset[str]
    tier: str = FREE


def endpoint(call: str, page: str, required: str = "", optional: str = "", tier: str = FREE) -> Endpoint:
    """An endpoint, its attributes as words."""
    method, path = call.split()
    return Endpoint(method, path, page, frozenset(required.split()), frozenset(optional.split()), tier)


ENDPOINTS = [
    endpoint("GET /version", "version"),
    endpoint("GET /user", "users"),
    endpoint("GET /personal_access_tokens/self", "personal_access_tokens"),
    endpoint("GET /groups/:id", "groups", "", "with_projects"),
    endpoint("GET /groups/:id/members/all/:user_id", "members"),
    endpoint("POST /projects", "projects", "name path", "namespace_id description visibility"),
    endpoint(f"GET {PROJECT}", "projects", "", "license statistics"),
    endpoint(f"PUT {PROJECT}", "projects", "", PROJECT_SETTINGS),
    endpoint(f"DELETE {PROJECT}", "projects"),
    endpoint(f"POST {PROJECT}/share", "projects", "group_id group_access", "expires_at"),
    endpoint(f"GET {PROJECT}/repository/commits/:sha", "commits"),
    endpoint(f"GET {PROJECT}/labels", "labels"),
    endpoint(f"POST {PROJECT}/labels", "labels", "name color", "description priority"),
    endpoint(f"PUT {PROJECT}/labels/:item", "labels", "", "new_name color description priority"),
    endpoint(f"GET {PROJECT}/environments", "environments"),
    endpoint(f"POST {PROJECT}/environments", "environments", "name", "external_url tier description"),
    endpoint(f"PUT {PROJECT}/environments/:item", "environments", "", "external_url tier description"),
    endpoint(f"GET {PROJECT}/variables", "project_level_variables"),
    endpoint(
        f"POST {PROJECT}/variables",
        "project_level_variables",
        "key value",
        "description environment_scope masked masked_and_hidden protected raw variable_type",
    ),
    endpoint(
        f"PUT {PROJECT}/variables/:item",
        "project_level_variables",
        "value",
        "description environment_scope filter masked protected raw variable_type",
    ),
    endpoint(f"GET {PROJECT}/protected_branches", "protected_branches"),
    endpoint(
        f"POST {PROJECT}/protected_branches",
        "protected_branches",
        "name",
        "allow_force_push merge_access_level push_access_level unprotect_access_level code_owner_approval_required",
    ),
    endpoint(f"DELETE {PROJECT}/protected_branches/:item", "protected_branches"),
    endpoint(f"GET {PROJECT}/protected_tags", "protected_tags"),
    endpoint(f"POST {PROJECT}/protected_tags", "protected_tags", "name", "create_access_level"),
    endpoint(f"DELETE {PROJECT}/protected_tags/:item", "protected_tags"),
    endpoint(f"GET {PROJECT}/protected_environments", "protected_environments", tier=PREMIUM),
    endpoint(
        f"POST {PROJECT}/protected_environments",
        "protected_environments",
        "name deploy_access_levels",
        "approval_rules",
        PREMIUM,
    ),
    endpoint(f"DELETE {PROJECT}/protected_environments/:item", "protected_environments", tier=PREMIUM),
    endpoint(f"GET {PROJECT}/approval_rules", "merge_request_approvals", tier=PREMIUM),
    endpoint(
        f"POST {PROJECT}/approval_rules", "merge_request_approvals", "name approvals_required", "rule_type", PREMIUM
    ),
    endpoint(f"PUT {PROJECT}/approval_rules/:item", "merge_request_approvals", "name approvals_required", "", PREMIUM),
    endpoint(f"GET {PROJECT}/approvals", "merge_request_approvals", tier=PREMIUM),
    endpoint(
        f"POST {PROJECT}/approvals",
        "merge_request_approvals",
        "",
        "merge_requests_author_approval merge_requests_disable_committers_approval reset_approvals_on_push",
        PREMIUM,
    ),
    endpoint(f"GET {PROJECT}/push_rule", "project_push_rules", tier=PREMIUM),
    endpoint(f"POST {PROJECT}/push_rule", "project_push_rules", "", "deny_delete_tag prevent_secrets", PREMIUM),
    endpoint(f"PUT {PROJECT}/push_rule", "project_push_rules", "", "deny_delete_tag prevent_secrets", PREMIUM),
    endpoint(f"GET {PROJECT}/resource_groups", "resource_groups"),
    endpoint(f"PUT {PROJECT}/resource_groups/:item", "resource_groups", "", "process_mode"),
    endpoint(f"GET {PROJECT}/pipeline_schedules", "pipeline_schedules"),
    endpoint(f"GET {PROJECT}/pipeline_schedules/:item", "pipeline_schedules"),
    endpoint(
        f"POST {PROJECT}/pipeline_schedules",
        "pipeline_schedules",
        "cron description ref",
        "active cron_timezone inputs",
    ),
    endpoint(f"DELETE {PROJECT}/pipeline_schedules/:item", "pipeline_schedules"),
    endpoint(f"GET {PROJECT}/triggers", "pipeline_triggers"),
    endpoint(f"POST {PROJECT}/triggers", "pipeline_triggers", "description"),
    endpoint(f"GET {PROJECT}/ci/lint", "lint", "", "dry_run include_jobs content_ref"),
]


def documented(method: str, path: str) -> Endpoint | None:
    """The endpoint of a call, if there is one."""
    for each in ENDPOINTS:
        if each.method == method and re.fullmatch(re.sub(r":\w+", "[^/]+", each.path), path):
            return each
    return None


def fault(called: Endpoint, given: dict[str, Any]) -> str:
    """What is wrong with the attributes of a call; blank: nothing."""
    missing, unknown = called.required - set(given), set(given) - called.required - called.optional
    if called.method == "GET":
        unknown -= PAGINATION
    return f"missing {sorted(missing)}, not documented {sorted(unknown)}: {called.page}" if missing or unknown else ""
