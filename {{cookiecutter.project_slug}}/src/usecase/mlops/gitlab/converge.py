"""Compares the project with what is wanted, step by step, and writes each difference when told to.

Each step may rely on the ones before it, and each reads before it writes: whatever interrupts a run, the next one
finds what is left to do.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import gitlab
from gitlab.utils import EncodedId
from gitlab.v4.objects import Project

from usecase.mlops.errors import UserError
from usecase.mlops.gitlab import kinds
from usecase.mlops.gitlab.connection import Say, read
from usecase.mlops.gitlab.kinds import Content, Kind
from usecase.mlops.gitlab.repository import Repository, without_user
from usecase.mlops.gitlab.wanted import SUB_CLAIMS, Variable, Wanted

MAINTAINER, DEVELOPER = 40, 30
INPUTS_SINCE, TIER_SINCE = (17, 11), (18, 7)
FREE_INSTEAD = {
    "protected environments and approval of deployments": "prod waits for a click on the protected branch",
    "approvals of merge requests and code owners": "CODEOWNERS names who to ask; the pipeline must be green",
    "push rules": "the CI job `secrets` finds secrets after the push",
}


class EventConnection(Protocol):
    """What AWS keeps of the trigger: see usecase.mlops.aws.event_connection."""

    def trigger(self) -> int | None:
        """Number of the trigger whose token the connection holds. Raises UserError when that cannot be told."""

    def hand_over(self, trigger: int, token: str) -> None:
        """Give the token of a trigger to the connection. Raises UserError."""


class Converger:
    """One run over all steps: `differences` are what it found, `notes` what a person should know besides."""

    def __init__(
        self,
        client: gitlab.Gitlab,
        wanted: Wanted,
        repository: Repository,
        say: Say,
        *,
        apply: bool,
        adopt: bool = False,
        first_commit: Callable[[], None] | None = None,
        require_premium: bool = False,
        events: EventConnection | None = None,
    ) -> None:
        self._client, self._wanted, self._repository, self._say = client, wanted, repository, say
        self._apply, self._adopt, self._first_commit = apply, adopt, first_commit
        self._require_premium, self._events = require_premium, events
        self.project: Project | None = None
        self.is_premium = False
        self.differences: list[str] = []
        self.notes: list[str] = []
        self._unset: list[str] = []

    def run(self) -> None:
        """Every step, in order. Raises UserError, GitlabError and what requests raises."""
        wanted = self._wanted
        self.project = find_project(self._client, wanted)
        if self.project is None:
            self._create_project()
        elif not self._adopt:
            self._refuse_foreign(self.project)
        self._settings()
        self._reconcile(kinds.LABELS, kinds.labels(wanted))
        self._origin_and_first_push()
        self._default_branch()
        self._reconcile(kinds.ENVIRONMENTS, kinds.environments(wanted))
        self._reconcile(kinds.VARIABLES, filter(None, map(self._variable, wanted.variables)))
        if self._unset:
            self.notes.append(f"variables whose values are not set here are left alone: {', '.join(self._unset)}")
        self.is_premium = self._find_tier()
        self._reconcile(kinds.BRANCHES, kinds.branches(wanted, self.is_premium))
        self._reconcile(kinds.TAGS, kinds.tags(wanted))
        if self.is_premium:
            self._premium()
        self._reconcile(kinds.RESOURCE_GROUPS, kinds.resource_groups(wanted))
        self._reconcile(kinds.SCHEDULES, kinds.schedules(wanted))
        self._reconcile(kinds.TRIGGERS, kinds.triggers(wanted))
        self._hand_trigger_over()

    def _change(self, change: str, write: Callable[[], Any]) -> None:
        """A difference: only named in a plan; else written, then named."""
        self.differences.append(change)
        if self._apply:
            write()
        self._say(f"{'done' if self._apply else 'plan'}: {change}")

    def _create_project(self) -> None:
        wanted = self._wanted
        group = find_group(self._client, wanted.url, wanted.group)
        require_maintainer(self._client, group.get_id(), wanted.group)

        def create() -> None:
            try:
                made = self._client.projects.create({**wanted.project.model_dump(), "namespace_id": group.get_id()})
            except gitlab.GitlabCreateError as error:
                if error.response_code == 400 and "has already been taken" in str(error.error_message):
                    raise UserError(_taken(wanted, error.error_message)) from None
                raise
            self.project = self._client.projects.get(made.id)

        self._change(f"create project {wanted.path}", create)

    def _refuse_foreign(self, project: Project) -> None:
        if project.empty_repo or is_own(project, self._repository):
            return
        raise UserError(
            f"{self._wanted.address} exists and holds commits that are not of this folder: choose another project.path"
            " in gitlab.yml, or take it over as it is, with --adopt; nothing was changed"
        )

    def _settings(self) -> None:
        wanted = {**self._wanted.project.model_dump(exclude={"path"}), **self._wanted.settings}
        if self.project is None:
            self._say(f"plan: set {', '.join(wanted)}")
            return
        seen = self.project.attributes
        unknown = sorted(set(wanted) - set(seen))
        if unknown:
            raise UserError(
                f"gitlab.yml: settings: projects of this GitLab show no {', '.join(unknown)}: misspelt, newer than this"
                " GitLab, or hidden from a role below Maintainer"
            )
        different = {key: value for key, value in wanted.items() if seen[key] != value}
        if different:
            number = self.project.get_id()
            self._change("; ".join(_told(seen, different)), lambda: self._client.projects.update(number, different))

    def _origin_and_first_push(self) -> None:
        branch = self._wanted.default_branch.name
        missing = self._repository.why_not_pushed(branch)
        if self.project is None or self.project.empty_repo:
            if missing and self._first_commit:
                self._change("make a git repository with a first commit", self._first_commit)
                missing = self._repository.why_not_pushed(branch) if self._apply else None
            if missing and self._apply:
                raise UserError(f"nothing was pushed: {missing}, then apply again")
            if missing:
                self.notes.append(f"before the first push: {missing}")
            if not missing and self._repository.is_dirty():
                self.notes.append("changes that are not committed are not pushed")
        if self.project is None:
            self._say(f"plan: add the remote origin and push {branch}")
            return
        url = without_user(self.project.http_url_to_repo)
        if missing and self._apply:
            self.notes.append(f"no remote was added: {missing}")
        elif self._repository.origin is None:
            self._change(f"add remote origin {url}", lambda: self._repository.add_origin(url))
        elif not is_origin(self.project, self._repository):
            self.notes.append(f"the remote origin is left as it is; the project's address is {url}")
        if self.project.empty_repo:
            token = str(self._client.private_token)
            self._change(f"push {branch}, without a pipeline", lambda: self._repository.push(url, branch, token))
            self.project = self._client.projects.get(self.project.get_id() or "")

    def _default_branch(self) -> None:
        """An empty repository takes the name of the first branch that is pushed; another one has a default already."""
        if self.project is None or self.project.empty_repo:
            return
        name, seen = self._wanted.default_branch.name, self.project.default_branch
        if seen != name:
            number = self.project.get_id()
            self._change(
                f"default branch: {seen} -> {name}",
                lambda: self._client.projects.update(number, {"default_branch": name}),
            )

    def _variable(self, variable: Variable) -> dict[str, Any] | None:
        content = variable.model_dump(exclude={"from_env"})
        if variable.from_env:
            content["value"] = os.environ.get(variable.from_env, "")
            if not content["value"]:
                self._unset.append(variable.from_env)
                return None
            if variable.masked and (len(content["value"]) < 8 or content["value"].split() != [content["value"]]):
                raise UserError(
                    f"gitlab.yml: variables: {variable.key}: GitLab masks only values of 8 characters or more without"
                    f" blanks, and {variable.from_env} is not one"
                )
        return content

    def _find_tier(self) -> bool:
        """Whether the project has Premium: GitLab answers 403 or 404 where it has not."""
        if self.project is None:
            self.notes.append("what needs Premium is looked at when the project exists")
            return False
        try:
            self.project.protected_environments.list(get_all=False)
        except gitlab.GitlabListError as error:
            if error.response_code not in (403, 404):
                raise
        else:
            return True
        if self._require_premium:
            raise UserError(f"{self._wanted.path} has no GitLab Premium, and --require-premium asks for it")
        for what, instead in FREE_INSTEAD.items():
            self.notes.append(f"needs Premium: {what}; instead: {instead}")
        if self._wanted.settings.get("ci_id_token_sub_claim_components") == SUB_CLAIMS["tier"]:
            self.notes.append(
                "without Premium no environment is protected, so no job can take a role that trusts the tier: set"
                " aws_access.sub_claims: ref in config/dev.yaml, qa.yaml and prod.yaml"
            )
        return False

    def _premium(self) -> None:
        wanted = self._wanted
        assert self.project is not None  # noqa: S101 - the tier is only known of a project
        paths = {path for protected in wanted.protected_environments.values() for path in protected.approvers}
        groups = {path: find_group(self._client, wanted.url, path).get_id() for path in sorted(paths)}
        for path, number in groups.items():
            self._share(self.project, path, number)
        self._reconcile(kinds.PROTECTED_ENVIRONMENTS, kinds.protected_environments(wanted, groups))
        self._reconcile(kinds.APPROVAL_RULES, kinds.approval_rules(wanted))
        self._single("approvals", "approvals", wanted.approvals.settings, "post", "post")
        self._single("push rules", "push_rule", wanted.push_rules, "post", "put")

    def _share(self, project: Project, path: str, number: Any) -> None:
        """A group that the project is not shared with is left out of protections without a word."""
        is_above = f"{self._wanted.group}/".startswith(f"{path}/")
        if is_above or number in [group["group_id"] for group in project.shared_with_groups]:
            return
        self._change(f"share the project with group {path}", lambda: project.share(number, DEVELOPER))

    def _single(self, name: str, path: str, wanted: Mapping[str, Any], create: str, update: str) -> None:
        """Something that a project has one of, or none yet."""
        assert self.project is not None  # noqa: S101 - as above
        address = f"/projects/{self.project.get_id()}/{path}"
        seen: Mapping[str, Any] | None = read(self._client, address)  # GitLab says null for none
        attributes = seen or {}
        # what is off may be null
        different = {key: value for key, value in wanted.items() if (attributes.get(key) or False) != value}
        if different:
            write = getattr(self._client, f"http_{update if seen else create}")
            self._change(
                f"{name}: {'; '.join(_told(attributes, different))}", lambda: write(address, post_data=different)
            )

    def _reconcile(self, kind: Kind, wanted: Iterable[Content]) -> None:
        """Bring every wanted thing of a kind about; others of that kind are left alone."""
        wanted = list(wanted)
        manager: Any = getattr(self.project, kind.manager) if self.project else None
        found = {}
        for item in manager.list(iterator=True) if manager and wanted else []:
            found[kind.identity(item.attributes)] = item.attributes
        for request in wanted:
            title = f"{kind.name} {' of '.join(str(part) for part in kind.identity(request))}".removesuffix(" of *")
            seen = found.get(kind.identity(request))
            if seen is None and kind.is_made_elsewhere:
                if self.project:
                    self.notes.append(f"{title} comes with the first pipeline that uses it: apply again then")
            elif seen is None:
                self._change(f"create {title}", partial(self._create, kind, request))
            else:
                self._update(kind, manager, title, seen, request)
        if kind is kinds.PROTECTED_ENVIRONMENTS and self._apply:
            self._require_kept(kind, manager, wanted)

    def _create(self, kind: Kind, request: Content) -> None:
        getattr(self.project, kind.manager).create(request)

    def _update(self, kind: Kind, manager: Any, title: str, seen: Content, request: Content) -> None:
        number = seen[kind.address]
        seen = kind.seen(manager.get(number).attributes if kind.has_details else seen)
        if seen.get("hidden"):
            self.notes.append(f"{title} is hidden: its value cannot be compared and is left alone")
            return
        different = {key: value for key, value in request.items() if seen.get(key) != value}
        if not different:
            return

        def replace() -> None:
            manager.delete(number)
            manager.create(request)

        def update() -> None:
            always = {key: request[key] for key in kind.sends}
            # one key may stand for several scopes
            scope = {"filter[environment_scope]": seen["environment_scope"]} if "environment_scope" in seen else {}
            address = f"{manager.path}/{EncodedId(number)}"
            self._client.http_put(address, query_data=scope, post_data={**always, **different})

        told = ", ".join(different) if kind.is_secret else "; ".join(_told(seen, different))
        self._change(f"{title}: {told}", replace if kind.is_replaced else update)

    def _require_kept(self, kind: Kind, manager: Any, wanted: Iterable[Content]) -> None:
        """GitLab drops groups and people that it does not take, and says nothing."""
        kept = {item.name: kind.seen(item.attributes) for item in manager.list(iterator=True)}
        for request in wanted:
            if any(kept.get(request["name"], {}).get(key) != value for key, value in request.items()):
                raise UserError(
                    f"GitLab took protected environment {request['name']} otherwise than asked: check that the"
                    " approvers in gitlab.yml are groups whose members can see the project"
                )

    def _hand_trigger_over(self) -> None:
        """AWS gets the token of the trigger, unless its connection says that it holds it."""
        if not self._wanted.trigger or self._events is None or self.project is None:
            return
        try:
            held = self._events.trigger()
        except UserError as error:
            self.notes.append(f"the trigger token waits for AWS: {error}; then apply again")
            return
        triggers = [
            item for item in self.project.triggers.list(iterator=True) if item.description == self._wanted.trigger
        ]
        if held in [item.get_id() for item in triggers]:
            return
        self._change("hand the trigger token to AWS", lambda: self._hand_over(triggers))

    def _hand_over(self, triggers: list[Any]) -> None:
        assert self.project is not None and self._events is not None  # noqa: S101, PT018 - the caller looked
        # a token is shown in full to who made it, else only its beginning
        own = next((item for item in triggers if len(item.token) > 8), None)
        own = own or self.project.triggers.create({"description": self._wanted.trigger})
        self._events.hand_over(own.id, own.token)


def find_project(client: gitlab.Gitlab, wanted: Wanted) -> Project | None:
    """The project, if there is one that the token may see. Raises UserError when it is on its way out."""
    try:
        project = client.projects.get(wanted.path)
    except gitlab.GitlabGetError as error:
        if error.response_code != 404:
            raise
        return None
    if project.attributes.get("marked_for_deletion_on"):
        raise UserError(f"{wanted.address} waits for its deletion: restore it there, or choose another project.path")
    if project.attributes.get("archived"):
        raise UserError(f"{wanted.address} is archived: unarchive it there (Settings > General), then repeat")
    return project


def find_group(client: gitlab.Gitlab, url: str, path: str) -> Any:
    """The group. Raises UserError when there is none."""
    try:
        return client.groups.get(path, with_projects=False)
    except gitlab.GitlabGetError as error:
        if error.response_code != 404:
            raise
        raise UserError(
            f"{url}: no group {path} that the token may see: check gitlab.yml and whose token it is"
        ) from None


def require_maintainer(client: gitlab.Gitlab, group: Any, path: str) -> None:
    """Raise UserError unless the token may create projects in a group, and set them up."""
    user = read(client, "/user")
    try:
        level = read(client, f"/groups/{group}/members/all/{user['id']}")["access_level"]
    except gitlab.GitlabHttpError as error:
        if error.response_code != 404:
            raise
        level = MAINTAINER if user.get("is_admin") else 0
    if level < MAINTAINER:
        raise UserError(
            f"{path}: {user['username']}, whose token it is, is no Maintainer of the group: a project needs one"
        )


def is_origin(project: Project, repository: Repository) -> bool:
    """Whether the remote `origin` is the project."""
    origin = repository.origin
    return origin is not None and without_user(origin) in (
        without_user(project.http_url_to_repo),
        without_user(project.attributes.get("ssh_url_to_repo", "")),
    )


def is_own(project: Project, repository: Repository) -> bool:
    """Whether the project's code is that of the local repository."""
    if is_origin(project, repository):
        return True
    if not project.default_branch:
        return False
    return repository.has_commit(str(project.commits.get(project.default_branch).get_id()))


def _told(seen: Content, different: Content) -> list[str]:
    return [f"{key}: {seen.get(key)} -> {value}" for key, value in different.items()]


def _taken(wanted: Wanted, message: Any) -> str:
    taken = "path" if "path" in str(message) else "name"
    return (
        f"{wanted.address}: the {taken} is taken by a project that the token may not see, or that waits for deletion:"
        f" choose another project.{taken} in gitlab.yml, or ask for access"
    )
