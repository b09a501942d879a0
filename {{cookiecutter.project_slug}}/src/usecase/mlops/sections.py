"""Sections of the settings that only AWS needs: what Terraform builds, and how a version is served there.

Terraform reads the same keys. What one key may be is said here; rules across keys and resources are Terraform's, which
refuses the plan with the file and the key to change.
"""

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Environment = Literal["dev", "qa", "prod"]
Percent = Annotated[int, Field(ge=1, le=100)]
Seconds = Annotated[int, Field(ge=0, le=3600)]
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]
InstanceTypes = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9*]+$")]  # one, or * for any size
USUAL_TYPES = [f"ml.{family}.*" for family in ("t3", "m5", "m6i", "m7i", "c5", "c6i", "c7i", "r5")]
Cron = Annotated[str, Field(pattern=r"^cron\(.+\)$")]
RoleArn = Annotated[str, Field(pattern=r"^(arn:aws[a-z-]*:iam::\d{12}:role/.+)?$")]
PolicyArn = Annotated[str, Field(pattern=r"^(arn:aws[a-z-]*:iam::(\d{12}|aws):policy/.+)?$")]
Principal = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:(role|user)/[^*]+$")]
DomainArn = Annotated[str, Field(pattern=r"^(arn:aws[a-z-]*:es:[a-z0-9-]+:\d{12}:domain/[a-z0-9-]+)?$")]
Existing = Annotated[str, Field(min_length=1)]
# The days that CloudWatch Logs can keep a group, from half a week on.
LogDays = Literal[5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
PACKAGE_ARN = r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:model-package/[A-Za-z0-9-]+/[1-9]\d*"


class Section(BaseModel):
    """A mapping of the settings; an unknown key is an error."""

    # deferred: Settings builds the validators of its sections itself, and every command loads it
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True, defer_build=True)


class State(Section):
    """Terraform's state: bucket, and how a second writer is kept out (a lock file in S3, a DynamoDB table, or both).

    Blank: the bucket `terraform-state-<account>-<region>`, the table `terraform-locks`.
    """

    bucket: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$")
    lock: Literal["s3", "dynamodb", "both"] = "s3"
    table: str = Field(default="", pattern=r"^([a-zA-Z0-9_.-]{3,255})?$")


class Account(Section):
    """What an account has once, whoever uses it: `create`, `none`, or the name or ARN of the one that is there.

    `permissions_boundary` is the ARN of a policy; blank: one is made.
    """

    state_bucket: Existing = "create"
    lock_table: Existing = "create"
    oidc_provider: Existing = "create"
    log_bucket: Existing = "create"
    trail: Existing = "create"
    config_recorder: Existing = "create"
    api_gateway_role: Existing = "create"
    permissions_boundary: PolicyArn = ""


class AwsAccess(Section):
    """How GitLab's jobs reach AWS: by a token of the job (oidc), or as the runner's own role.

    `sub_claims: tier` binds a role to protected refs and the tier of a protected environment, which GitLab has from
    Premium and 18.7 on; `ref`, for GitLab Free, to `main`, and for prod to tags `v*`.
    `project_id` is GitLab's number of the project, pinned where gitlab.com issues the token. `plan_role`: merge
    requests may read the environment, to plan. `approve_role`: jobs of the protected environment `model-approval`
    may decide on versions, which the tier alone can tell from other jobs.
    """

    model_config = ConfigDict(coerce_numbers_to_str=True)

    auth: Literal["oidc", "runner_role"] = "oidc"
    audience: str = ""
    project_id: str = Field(default="", pattern=r"^\d*$")
    sub_claims: Literal["tier", "ref"] = "tier"
    plan_role: bool = False
    approve_role: bool = False
    runner_role_arn: RoleArn = ""

    @model_validator(mode="after")
    def _has_its_role(self) -> "AwsAccess":
        if self.auth == "runner_role" and not self.runner_role_arn:
            raise ValueError("auth: runner_role needs runner_role_arn, the ARN of the runner's role")
        if self.approve_role and self.auth == "oidc" and self.sub_claims != "tier":
            raise ValueError("approve_role needs sub_claims: tier; with ref any job on main could approve a model")
        return self


class Signing(Section):
    """Signatures of versions: with `enabled`, only a version whose signature `public_key` confirms is deployed.

    `key` signs: the ARN of a KMS key (ECC_NIST_P256, SIGN_VERIFY), or a PEM file. `public_key` is a PEM file. With
    `in_container` the prediction service compares the files once more where they are, before it loads any of them.
    """

    enabled: bool = False
    key: str = ""
    public_key: str = ""
    in_container: bool = False

    @model_validator(mode="after")
    def _can_be_checked(self) -> "Signing":
        if self.enabled and not self.public_key:
            raise ValueError("enabled: true needs public_key, a PEM file such as config/signing.pub")
        if self.in_container and not self.enabled:
            raise ValueError("in_container: true needs enabled: true")
        return self


class Network(Section):
    """Where jobs and endpoints run: a new VPC, or that of `vpc_id` with its private `subnet_ids`.

    `zones` are the letters of availability zones. `interface_endpoints` and `existing_endpoints` are names of AWS
    services such as sagemaker.api; `peer_cidrs` are networks that the new VPC will be joined to.
    """

    vpc_id: str = Field(default="", pattern=r"^(vpc-[0-9a-f]{8,17})?$")
    cidr: str = "10.20.0.0/16"
    peer_cidrs: list[str] = []
    zones: list[Annotated[str, Field(pattern=r"^[a-f]$")]] = Field(default=["a", "b"], min_length=2, max_length=6)
    nat: bool = False
    subnet_ids: list[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")]] = []
    route_table_ids: list[Annotated[str, Field(pattern=r"^rtb-[0-9a-f]{8,17}$")]] = []
    interface_endpoints: list[Existing] = []
    existing_endpoints: list[Existing] = []
    create_endpoints: bool = True
    flow_log_days: LogDays = 365

    @field_validator("cidr")
    @classmethod
    def _has_room(cls, value: str) -> str:
        if not 16 <= _network(value).prefixlen <= 22:
            raise ValueError(f"{value} is no size for a VPC with several subnets: from /16 to /22")
        return value

    @field_validator("peer_cidrs")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        for cidr in value:
            _network(cidr)
        return value

    @field_validator("zones", "subnet_ids")
    @classmethod
    def _differ(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError("holds one of them twice")
        return value


def _network(cidr: str) -> IPv4Network:
    try:
        return IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(f"{error}: give a range such as 10.20.0.0/16") from None


class People(Section):
    """ARNs of the IAM roles or users that may take the role of a steward, or of a data scientist; none: no role."""

    stewards: list[Principal] = []
    data_scientists: list[Principal] = []


class Serverless(Section):
    """An endpoint that scales to zero by itself: memory in MB, and requests at a time."""

    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144] = 2048
    max_concurrency: int = Field(default=5, ge=1, le=200)


class Async(Section):
    """An endpoint with a queue: requests at a time and instance; hours in the queue after which an alarm goes off."""

    max_concurrent_invocations: int = Field(default=4, ge=1, le=1000)
    max_queue_hours: int = Field(default=1, ge=1, le=6)


class Batch(Section):
    """Transform jobs, on a schedule of EventBridge Scheduler or (blank) when a person starts one."""

    schedule: Cron | Literal[""] = ""
    instance_type: InstanceType = "ml.m5.large"
    instance_count: int = Field(default=1, ge=1, le=100)
    max_concurrent_transforms: int = Field(default=1, ge=1, le=100)
    timeout_minutes: int = Field(default=120, ge=1, le=7 * 24 * 60)


class Capture(Section):
    """Share of requests and answers that an endpoint keeps, in percent; 0: none."""

    percentage: int = Field(default=100, ge=0, le=100)


class Rollout(Section):
    """How a new version takes over.

    `size_percent`: of the instances, per step. `wait_seconds`: alarms are watched that long after each step.
    `timeout_seconds`: a take-over that lasts longer is rolled back.
    """

    type: Literal["all_at_once", "canary", "linear", "rolling"] = "all_at_once"
    size_percent: int = Field(default=10, ge=5, le=50)
    wait_seconds: Seconds = 600
    termination_wait_seconds: Seconds = 300
    timeout_seconds: int = Field(default=3600, ge=600, le=3600)


class Shadow(Section):
    """A version that gets copies of requests and whose answers nobody sees. A blank ARN: none.

    A blank instance type: that of `serving`. `sampling_percentage`: of the requests.
    """

    model_package_arn: str = Field(default="", pattern=f"^({PACKAGE_ARN})?$")
    sampling_percentage: Percent = 100
    instance_type: InstanceType | Literal[""] = ""
    instance_count: int = Field(default=1, ge=1, le=100)


class _Capacity(Section):
    minimum: int = Field(ge=0, le=100)
    maximum: int = Field(ge=1, le=100)

    @model_validator(mode="after")
    def _in_order(self) -> "_Capacity":
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        return self


class Schedule(_Capacity):
    """Bounds that apply from a moment on, given as cron(minutes hours day month weekday year) in UTC."""

    cron: Cron


class Scaling(_Capacity):
    """Number of instances, by requests per instance and minute. Equal bounds: no scaling. Cooldowns in seconds."""

    minimum: int = Field(default=1, ge=0, le=100)
    maximum: int = Field(default=2, ge=1, le=100)
    invocations_per_instance: int = Field(default=500, ge=1)
    scale_in_cooldown_seconds: Seconds = 300
    scale_out_cooldown_seconds: Seconds = 60
    schedules: dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")], Schedule] = {}


class Alarms(Section):
    """What is too much: share of requests, milliseconds, share of a resource. `no_invocations_hours: 0`: no such alarm.

    An alarm goes off after `evaluation_periods` periods of `period_seconds` in a row.
    """

    errors_percent: float = Field(default=5, gt=0, le=100)
    latency_p90_ms: float = Field(default=500, gt=0)
    latency_p99_ms: float = Field(default=2000, gt=0)
    cpu_percent: float = Field(default=90, gt=0)  # of one core: several cores have several hundred
    memory_percent: float = Field(default=90, gt=0, le=100)
    disk_percent: float = Field(default=85, gt=0, le=100)
    no_invocations_hours: int = Field(default=0, ge=0, le=24)
    period_seconds: int = Field(default=60, ge=60, le=3600, multiple_of=60)
    evaluation_periods: int = Field(default=3, ge=1, le=24)


class Events(Section):
    """How GitLab hears of an approval: AWS calls its trigger on `gitlab_ref`, or a scheduled job reads the registry."""

    approval_trigger: Literal["event", "poll"] = "event"
    gitlab_ref: str = Field(default="main", min_length=1)


class Gateway(Section):
    """An API in front of the endpoint, with a firewall. `daily_quota: 0`: none. `maximum_body_kb`: WAF reads no more.

    `rate_limit_per_5_minutes`: requests of one address.
    """

    enabled: bool = False
    auth: Literal["iam", "key"] = "iam"
    requests_per_second: int = Field(default=50, ge=1, le=10_000)
    burst: int = Field(default=100, ge=1, le=5_000)
    daily_quota: int = Field(default=0, ge=0)
    rate_limit_per_5_minutes: int = Field(default=2000, ge=10, le=2_000_000_000)
    maximum_body_kb: int = Field(default=64, ge=1, le=64)
    log_days: LogDays = 365


class Studio(Section):
    """SageMaker Studio: a domain in the environment's network, its users, and a managed MLflow server."""

    enabled: bool = False
    user_profiles: list[Annotated[str, Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$")]] = []
    mlflow: bool = False


class ModelMonitor(Section):
    """SageMaker Model Monitor: which of its monitors run, on what, and when. Each run is a job on an instance.

    Its schedules begin at full hours: every hour, at one hour of the day, or from one hour on every few.
    `ground_truth_uri` is where labels arrive, which model quality and bias compare with; `analysis_config_uri` is the
    configuration of SageMaker Clarify, which bias and explainability need ("Configure the analysis", Developer Guide).
    """

    data_quality: bool = False
    model_quality: bool = False
    bias: bool = False
    explainability: bool = False
    schedule: str = Field(default="cron(0 * ? * * *)", pattern=r"^cron\(0 (\*|\d\d?(/\d\d?)?) \? \* \* \*\)$")
    instance_type: InstanceType = "ml.m5.large"
    problem_type: Literal["BinaryClassification", "MulticlassClassification", "Regression"] = "BinaryClassification"
    ground_truth_uri: str = Field(default="", pattern=r"^(s3://[a-z0-9.-]+/.+)?$")
    analysis_config_uri: str = Field(default="", pattern=r"^(s3://[a-z0-9.-]+/.+)?$")

    @model_validator(mode="after")
    def _has_its_inputs(self) -> "ModelMonitor":
        if (self.model_quality or self.bias) and not self.ground_truth_uri:
            raise ValueError("model_quality and bias need ground_truth_uri, the s3:// folder where labels arrive")
        if (self.bias or self.explainability) and not self.analysis_config_uri:
            raise ValueError("bias and explainability need analysis_config_uri, the configuration of SageMaker Clarify")
        return self


class LogShipping(Section):
    """Where logs of endpoint and monitor go beside CloudWatch: a domain of OpenSearch Service; blank: nowhere."""

    opensearch_domain_arn: DomainArn = ""


class Monitoring(Section):
    """When a window of traffic drifts: rows it needs, share of rows that must have moved, and how often by chance.

    `false_alarms` is the share of windows without drift that may be called drift, over all columns together. The
    others are of the function that looks in AWS: once per window, some minutes after its end. `anomaly_band`:
    standard deviations that predictions may leave their usual course before an alarm; 0: no such alarms.
    """

    minimum_rows: int = Field(default=500, ge=100)
    minimum_effect: float = Field(default=0.05, gt=0, lt=1)
    false_alarms: float = Field(default=0.05, gt=0, le=0.5)
    enabled: bool = True
    schedule: Cron = "cron(10 * * * ? *)"
    window_minutes: int = Field(default=60, ge=60, le=1440, multiple_of=60)
    capture_grace_minutes: int = Field(default=10, ge=0, le=60)
    memory_mb: int = Field(default=2048, ge=512, le=10240)
    timeout_seconds: int = Field(default=900, ge=60, le=900)
    anomaly_band: float = Field(default=3, ge=0, le=10)
    model_monitor: ModelMonitor = Field(default_factory=ModelMonitor)
    log_shipping: LogShipping = Field(default_factory=LogShipping)


class Retraining(Section):
    """When drift trains again: `violated` of the newest `windows`; hours between two trainings; how many in 30 days.

    `enabled: false` stops all of them, whatever asks for one. In AWS drift, new data and a `schedule` can ask.
    """

    enabled: bool = True
    windows: int = Field(default=3, ge=1, le=50)
    violated: int = Field(default=2, ge=1, le=50)
    cooldown_hours: int = Field(default=72, ge=0, le=8760)
    monthly_runs: int = Field(default=4, ge=1, le=1000)
    on_drift: bool = True
    on_new_data: bool = False
    schedule: Cron | Literal[""] = ""

    @model_validator(mode="after")
    def _can_fire(self) -> "Retraining":
        if self.violated > self.windows:
            raise ValueError(f"violated ({self.violated}) is more than windows ({self.windows})")
        return self


class Governance(Section):
    """Who did what with the buckets' objects, rules of AWS Config, and backups of the data."""

    data_events: bool = True
    config_rules: bool = True
    backup: bool = False
