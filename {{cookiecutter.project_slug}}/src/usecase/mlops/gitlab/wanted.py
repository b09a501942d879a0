"""The wanted state: gitlab.yml over what the template manages in .gitlab/, and what follows from config/ for AWS."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator

from usecase.mlops.errors import UserError
from usecase.mlops.sections import Section
from usecase.mlops.settings import ENVIRONMENTS, Settings, load_settings, merge
from usecase.mlops.yamlfile import parse, read_yaml

FILE = "gitlab.yml"
MANAGED = (".gitlab/project.yaml", ".gitlab/project-aws.yaml")  # the second from stage automated on
ACCESS_LEVELS = {"no_one": 0, "developers": 30, "maintainers": 40}
Role = Literal["no_one", "developers", "maintainers"]
Deployer = Literal["developers", "maintainers"]
ProcessMode = Literal["unordered", "oldest_first", "newest_first", "newest_ready_first"]
Name = Annotated[str, Field(min_length=1)]
# Claims of a job's token that make its `sub`, in the order in which terraform/bootstrap/usecase/trust.tf expects them.
SUB_CLAIMS = {
    "ref": ["project_path", "ref_type", "ref"],
    "tier": ["project_path", "ref_type", "ref", "ref_protected", "environment_protected", "deployment_tier"],
}


class Project(Section):
    """The project itself."""

    path: Name
    name: Name
    description: str
    visibility: Literal["private", "internal", "public"]


class DefaultBranch(Section):
    """The branch that is released from, and who may push and merge to it."""

    name: Name
    push: Role
    merge: Role


class Label(Section):
    """A label of issues and merge requests."""

    color: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]  # as GitLab writes it
    description: str = ""


class ProtectedTag(Section):
    """Who may create tags that match a pattern."""

    create: Role


class Environment(Section):
    """An environment: its tier, and the address that GitLab links to."""

    tier: Literal["production", "staging", "testing", "development", "other"]
    external_url: str | None = None


class ProtectedEnvironment(Section):
    """Who may deploy, and how many of whom must approve a deployment. `approvers` are full paths of groups."""

    deploy: Deployer
    approvals: int = Field(default=0, ge=0, le=10)
    approvers: list[Name] = Field(default_factory=list)


class Variable(Section):
    """A CI/CD variable. A secret stands in no file: `from_env` names the environment variable that holds it."""

    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,255}$")]
    value: str = ""
    from_env: str = ""
    environment_scope: Name = "*"
    protected: bool = True
    masked: bool = False

    @model_validator(mode="after")
    def _has_one_source(self) -> "Variable":
        if bool(self.value) == bool(self.from_env):
            raise ValueError("give either value, or from_env with the name of an environment variable")
        if self.masked and self.value:
            raise ValueError("a masked value does not belong into a file: use from_env")
        return self


class Schedule(Section):
    """A pipeline at fixed times (cron, UTC), with inputs of .gitlab-ci.yml."""

    description: Name
    cron: Annotated[str, Field(pattern=r"^\S+( \S+){4}$")]
    active: bool
    inputs: dict[str, str] = Field(default_factory=dict)


class Approvals(Section):
    """How many people approve a merge request; `settings` are attributes of the merge request approvals API."""

    required: int = Field(default=1, ge=0, le=10)
    settings: dict[str, bool] = Field(default_factory=dict)


class Wanted(Section):
    """Everything that the set-up compares. Names of mappings are names in GitLab, except of schedules."""

    url: str
    group: str
    project: Project
    settings: dict[str, Any]
    default_branch: DefaultBranch
    labels: dict[str, Label] = Field(default_factory=dict)
    protected_tags: dict[str, ProtectedTag] = Field(default_factory=dict)
    environments: dict[str, Environment] = Field(default_factory=dict)
    variables: list[Variable] = Field(default_factory=list)
    schedules: dict[str, Schedule] = Field(default_factory=dict)
    trigger: str = ""
    code_owners_approve: bool = False
    push_rules: dict[str, bool | str | int] = Field(default_factory=dict)
    approvals: Approvals = Approvals()
    protected_environments: dict[str, ProtectedEnvironment] = Field(default_factory=dict)
    resource_groups: dict[str, ProcessMode] = Field(default_factory=dict)

    @property
    def path(self) -> str:
        """Full path of the project."""
        return f"{self.group}/{self.project.path}"

    @property
    def address(self) -> str:
        """The project's page."""
        return f"{self.url}/{self.path}"

    @field_validator("group", mode="before")
    @classmethod
    def _group_is_given(cls, value: Any) -> str:
        group = str(value or "").strip("/ ")
        if not group:
            raise ValueError("is blank: give the group's full path, for example data-science/models")
        return group

    @field_validator("url")
    @classmethod
    def _url_is_safe(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("must look like https://gitlab.com")
        if parts.username or parts.password:
            raise ValueError("must not hold a user or token: those come from the environment")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1"):
            raise ValueError("must start with https://, else the token would travel in clear text")
        return urlunsplit(parts).rstrip("/")


def read_wanted(root: Path) -> Wanted:
    """The wanted state of the repository at `root`. Raises UserError naming the key that is wrong."""
    layers = [read_yaml(root / name) for name in MANAGED if (root / name).exists()] + [read_yaml(root / FILE)]
    content: dict[str, Any] = {"group": ""}
    for layer in layers:
        content = merge(content, layer)
    # a list: merging would replace those of the template
    content["variables"] = [variable for layer in layers for variable in layer.get("variables") or []]
    wanted = parse(Wanted, content, FILE)
    environments = {name: load_settings(name, root) for name in wanted.environments if name in ENVIRONMENTS}
    if not environments:  # stage basic: nothing of AWS
        return wanted
    claims = SUB_CLAIMS[_one(environments, "sub_claims")]
    return wanted.model_copy(
        update={
            "settings": {"ci_id_token_sub_claim_components": claims, **wanted.settings},
            "variables": [*_aws_variables(environments, wanted.url), *wanted.variables],
        }
    )


def _one(environments: Mapping[str, Settings], name: str) -> str:
    """The value of a setting of aws_access that a project can have only one of, whatever the environment."""
    values = {str(getattr(settings.aws_access, name)) for settings in environments.values()}
    if len(values) > 1:
        files = ", ".join(f"config/{name}.yaml" for name in environments)
        raise UserError(f"aws_access.{name} differs between {files}: the project on GitLab has one for all")
    return values.pop()


def _aws_variables(environments: Mapping[str, Settings], url: str) -> Iterator[Variable]:
    """What .gitlab/ci/aws.yml asks for: settings, and the ARNs of roles, none of which is a secret.

    A role of an account that is not known yet has none. What merge requests need is not protected: they run on
    branches that are not.
    """
    trains = environments[next(iter(environments.values())).training_environment]
    yield Variable(key="TRAINING_ENVIRONMENT", value=trains.environment)
    yield Variable(key="AWS_AUTH", value=_one(environments, "auth"), protected=False)
    yield Variable(key="AWS_AUDIENCE", value=_one(environments, "audience") or url, protected=False)
    yield Variable(key="AWS_SUB_CLAIMS", value=_one(environments, "sub_claims"), protected=False)
    for name, settings in environments.items():
        if settings.aws_account:
            yield Variable(key="AWS_ROLE_ARN", value=role_arn(settings, "deploy"), environment_scope=name)
    if trains.aws_account:
        yield Variable(key="AWS_TRAIN_ROLE_ARN", value=role_arn(trains, "train"))
        yield Variable(key="AWS_PROMOTE_ROLE_ARN", value=role_arn(trains, "promote"))
        if trains.aws_access.approve_role:
            yield Variable(key="AWS_APPROVE_ROLE_ARN", value=role_arn(trains, "approve"))
    dev = environments.get("dev")
    if dev and dev.aws_account and dev.aws_access.plan_role:
        yield Variable(key="AWS_PLAN_ROLE_ARN", value=role_arn(dev, "plan"), protected=False)


def role_arn(settings: Settings, role: str) -> str:
    """ARN of the role `role` that terraform/bootstrap/usecase makes for GitLab's jobs in an environment."""
    partition = {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(re.split(r"-[a-z]+-\d", settings.aws_region)[0], "aws")
    name = f"{settings.project}-{settings.environment}"
    return f"arn:{partition}:iam::{settings.aws_account}:role/{settings.project}/{name}-{role}"
