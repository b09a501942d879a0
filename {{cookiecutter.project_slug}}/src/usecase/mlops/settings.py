"""Settings of one environment: config/<environment>.yaml over organisation.yaml over defaults.yaml."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from usecase.mlops import sections
from usecase.mlops.errors import UserError
from usecase.mlops.sections import Environment, InstanceType, Section
from usecase.mlops.yamlfile import parse, read_yaml

ENVIRONMENTS = ("local", "dev", "qa", "prod")
# The words of GitLab's Code Quality, from harmless to worst.
Severity = Literal["info", "minor", "major", "critical", "blocker"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
ScanName = Literal["secrets", "sast", "dependencies", "licences", "sbom", "iac", "dockerfile", "image"]


class Threshold(Section):
    """Limit of one metric: `minimum` where more is better, `maximum` where less is better."""

    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> "Threshold":
        if (self.minimum is None) == (self.maximum is None):
            raise ValueError("give either minimum or maximum")
        return self


class ChampionGate(Section):
    """How much worse than the champion, on the same test rows, a model may be. A blank metric is the main one.

    `tolerance` is a difference for metrics that end at 1 (auc, r2), a share of the champion's value for errors (rmse).
    """

    metric: str = ""
    tolerance: float = Field(default=0.02, ge=0)


class FairnessGate(Section):
    """Largest gap of a metric between the groups of each protected column. A blank metric: accuracy, or mae.

    `maximum_gap` is a difference for metrics that end at 1, a share of the value over all rows for errors.
    """

    metric: str = ""
    maximum_gap: float = Field(default=0.2, ge=0)


class SplitsGate(Section):
    """What may be alike, and what must be alike, between the training rows and the other parts.

    `maximum_overlap`: share of rows of a part whose features and target stand in the training rows too.
    `maximum_label_shift`: difference of a class's share, or of the target's mean in standard deviations.
    """

    maximum_overlap: float = Field(default=0.2, ge=0, le=1)
    maximum_label_shift: float = Field(default=0.1, ge=0)


class ContractGate(Section):
    """Share of rows with a value that the contract lets through with a warning (out of range, unseen category)."""

    maximum_flagged: float = Field(default=0.1, ge=0, le=1)


class Quality(Section):
    """The gates: thresholds by kind of problem and metric name, and the others. A model that misses one is refused."""

    binary_classification: dict[str, Threshold] = Field(default_factory=dict)
    multiclass_classification: dict[str, Threshold] = Field(default_factory=dict)
    regression: dict[str, Threshold] = Field(default_factory=dict)
    champion: ChampionGate = ChampionGate()
    fairness: FairnessGate = FairnessGate()
    splits: SplitsGate = SplitsGate()
    contract: ContractGate = ContractGate()


class Pipeline(Section):
    """Values for parameters of pipeline.json, by parameter name."""

    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)


class Serving(Section):
    """The prediction service; in AWS as an endpoint (realtime, serverless, async) or as transform jobs (batch)."""

    port: int = Field(default=8080, ge=1, le=65535)
    max_payload_mb: int = Field(default=6, ge=1, le=100)
    mode: Literal["realtime", "serverless", "async", "batch"] = "realtime"
    instance_type: InstanceType = "ml.m5.large"
    instance_count: int = Field(default=1, ge=1, le=100)


class Tracking(Section):
    """Where runs are logged. A blank uri is a database file below .local; a server's credentials stay out of here."""

    uri: str = ""

    @field_validator("uri")
    @classmethod
    def _no_credentials(cls, value: str) -> str:
        if "@" in value:
            raise ValueError("holds a user: leave it to MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
        return value


class ManagedImage(Section):
    """The version of AWS's XGBoost image and the Python in it, for `container: managed`."""

    version: str = "3.2-0"
    python: str = "3.12"


class Retention(Section):
    """Days after which what may hold personal data is deleted from the environment's bucket, older versions too."""

    data_days: int = Field(default=365, ge=1, le=3650)
    capture_days: int = Field(default=90, ge=1, le=3650)
    feedback_days: int = Field(default=365, ge=1, le=3650)


class FeatureStore(Section):
    """A feature group: its name, the column that names a record, and the one with the moment a row was true."""

    group: str = Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,63}$")
    record_id: str
    event_time: str


class Budget(Section):
    """Monthly cost limit of the environment's AWS account, in US dollars."""

    monthly_usd: float = Field(gt=0)


class Scans(Section):
    """What `usecase scan` lets through: by scan the severity that fails (others: any), and licences.

    Licences are SPDX ids (https://spdx.org/licenses/); exceptions with a date stand in config/waivers.yaml.
    """

    fail_at: dict[ScanName, Severity] = Field(default_factory=dict)
    licences: list[str] = Field(default_factory=list)


class AccessReview(Section):
    """When somebody last looked through who has access, in AWS and GitLab; a review is due again after so many days."""

    last: date | None = None
    interval_days: int = Field(default=180, ge=1, le=1096)


class Accountability(Section):
    """What people know about the use case and no file, account or project shows; a blank value was not said.

    `data_classification`: how sensitive the data is. `about`: what the answers are about; of people, groups are
    compared. `ownership`: who builds and runs it. `not_needed`: the reason why a check of `usecase maturity`, by its
    name, is of no use here. All environments share it: it is read from config/local.yaml.
    """

    data_classification: Literal["", "public", "internal", "confidential", "restricted"] = ""
    about: Literal["", "people", "things"] = ""
    ownership: Literal["", "in_house", "vendor", "hybrid"] = ""
    access_review: AccessReview = AccessReview()
    not_needed: dict[str, Annotated[str, Field(min_length=10)]] = Field(default_factory=dict)


class Settings(Section):
    """Everything that may differ between environments."""

    environment: Literal["local", "dev", "qa", "prod"]
    project: str
    description: str = ""
    owner_email: str
    container: Literal["own", "managed"]
    aws_region: str
    aws_account: str = Field(default="", pattern=r"^(\d{12})?$")
    model_package_group: str = ""  # blank: <project>-<environment>, on this machine <project>
    pipeline: Pipeline = Pipeline()
    quality: Quality = Quality()
    serving: Serving = Serving()
    tracking: Tracking = Tracking()
    managed_image: ManagedImage = ManagedImage()
    tags: dict[str, str] = Field(default_factory=dict)
    retention: Retention = Retention()
    scans: Scans = Scans()
    accountability: Accountability = Accountability()
    feature_store: FeatureStore | None = None
    budget: Budget | None = None
    training_environment: Environment = "dev"  # trains once; its registry is the registry of record
    state: sections.State = sections.State()
    account: sections.Account = sections.Account()
    aws_access: sections.AwsAccess = sections.AwsAccess()
    signing: sections.Signing = sections.Signing()
    people: sections.People = sections.People()
    instance_types: list[sections.InstanceTypes] = Field(default=sections.USUAL_TYPES, min_length=1)
    network: sections.Network = sections.Network()
    serverless: sections.Serverless = sections.Serverless()
    async_: sections.Async = Field(default=sections.Async(), alias="async")
    batch: sections.Batch = sections.Batch()
    capture: sections.Capture = sections.Capture()
    rollout: sections.Rollout = sections.Rollout()
    shadow: sections.Shadow = sections.Shadow()
    scaling: sections.Scaling = sections.Scaling()
    alarms: sections.Alarms = sections.Alarms()
    events: sections.Events = sections.Events()
    gateway: sections.Gateway = sections.Gateway()
    studio: sections.Studio = sections.Studio()
    monitoring: sections.Monitoring = sections.Monitoring()
    retraining: sections.Retraining = sections.Retraining()
    governance: sections.Governance = sections.Governance()

    @model_validator(mode="before")
    @classmethod
    def _group_has_a_name(cls, given: Any) -> Any:
        # One account may hold the registries of several environments.
        if not isinstance(given, dict) or given.get("model_package_group"):
            return given
        project, environment = given.get("project"), given.get("environment")
        return given | {"model_package_group": project if environment == "local" else f"{project}-{environment}"}

    @model_validator(mode="after")
    def _own_container_checks(self) -> "Settings":
        if self.signing.in_container and self.container != "own":
            raise ValueError("signing.in_container: AWS's image reads no signature: take it out")
        return self

    @field_validator("aws_account", mode="before")
    @classmethod
    def _account_is_text(cls, value: Any) -> Any:
        # YAML reads an unquoted id as a number and drops leading zeros (or takes them for octal).
        if isinstance(value, int):
            raise ValueError('put the 12 digits in quotes: "012345678901"')
        return value


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`; mappings are merged, everything else is replaced. A key without a value is not given."""
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            continue
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = merge(base[key], value)
        else:
            merged[key] = value
    return merged


def _at(content: dict[str, Any], key: str) -> Any:
    """The value of a key such as network.nat, or None."""
    found: Any = content
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _defaults(config: Path) -> tuple[dict[str, Any], list[str]]:
    """The values beneath each environment's, and the keys among them that are locked. Raises UserError."""
    path = config / "organisation.yaml"
    house = read_yaml(path) if path.exists() else {}
    locked = house.pop("locked", None) or []
    if not isinstance(locked, list) or not all(isinstance(key, str) for key in locked):
        raise UserError(f"{path}: locked: give a list of keys, such as [instance_types, network.nat]")
    base = merge(read_yaml(config / "defaults.yaml"), house)
    for key in locked:  # a slip would lock nothing
        if _at(base, key) is None:
            raise UserError(f"{path}: locked: {key} has no value here or in defaults.yaml")
    return base, locked


def load_settings(environment: str = "local", root: Path = Path()) -> Settings:
    """Settings of `environment` in the repository at `root`. Raises UserError naming the file and the key."""
    if environment not in ENVIRONMENTS:
        raise UserError(f"unknown environment {environment!r}: use one of {', '.join(ENVIRONMENTS)}")
    own = root / "config" / f"{environment}.yaml"
    base, locked = _defaults(own.parent)
    content = merge(base, read_yaml(own))
    for key in locked:
        if _at(content, key) != _at(base, key):
            raise UserError(f"{own}: {key}: organisation.yaml locks it for all environments: take it out here")
    return parse(Settings, content | {"environment": environment}, f"{own} over defaults.yaml")
