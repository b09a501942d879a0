"""Settings of an environment: merged, strict, and clear about what is wrong where."""

from pathlib import Path

import pytest

from usecase.mlops.errors import UserError
from usecase.mlops.settings import ENVIRONMENTS, Settings, load_settings, merge
from usecase.mlops.yamlfile import read_yaml

ROOT = Path(__file__).parents[2]
DEFAULTS = """\
project: p
owner_email: a@example.org
container: own
aws_region: eu-central-1
quality: {regression: {r2: {minimum: 0.5}, mae: {maximum: 3}}}
"""


def load(folder: Path, own: str, environment: str = "dev") -> Settings:
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "defaults.yaml").write_text(DEFAULTS)
    (folder / "config" / f"{environment}.yaml").write_text(own)
    return load_settings(environment, folder)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_files_of_this_repository_are_valid(environment: str) -> None:
    assert load_settings(environment, ROOT).environment == environment


def test_a_default_is_the_same_in_the_file_and_in_python() -> None:
    """Terraform knows only the file, so a difference would deploy something else than Python expects."""
    stated = read_yaml(ROOT / "config/defaults.yaml")
    required = {name: stated.get(name, "dev") for name, field in Settings.model_fields.items() if field.is_required()}
    defaults = Settings.model_validate(required).model_dump()
    starter = {"pipeline", "quality", "scans", "description"} | required.keys()
    for key in stated.keys() - starter:
        assert merge(defaults, {key: stated[key]})[key] == defaults[key], key


def test_own_values_win_and_the_rest_stays(tmp_path: Path) -> None:
    settings = load(tmp_path, 'aws_account: "012345678901"\nquality: {regression: {r2: {minimum: 0.9}}}\n')
    assert settings.aws_account == "012345678901"
    limits = settings.quality.regression
    assert (limits["r2"].minimum, limits["mae"].maximum) == (0.9, 3)


@pytest.mark.parametrize(
    ("environment", "stated", "group"),
    [
        ("local", "", "p"),
        ("dev", "", "p-dev"),
        ("prod", 'model_package_group: ""\n', "p-prod"),
        ("qa", "model_package_group: tested\n", "tested"),
    ],
)
def test_each_environment_has_a_registry_of_its_own(environment: str, stated: str, group: str, tmp_path: Path) -> None:
    assert load(tmp_path, stated, environment).model_package_group == group


def test_a_key_without_a_value_is_not_given(tmp_path: Path) -> None:
    settings = load(tmp_path, "aws_region:\nquality:\n  regression:\n    # r2: { minimum: 0.9 }\n")
    assert settings.aws_region == "eu-central-1"
    assert settings.quality.regression["r2"].minimum == 0.5


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ("servng: {port: 1}", "servng: unknown key"),
        ("serving: {port: 99999}", "serving.port: Input should be less than or equal to 65535"),
        ("aws_account: 123456789012", "aws_account: put the 12 digits in quotes"),
        ('aws_account: "1234"', "aws_account: String should match pattern"),
        ("\nproject: q\nproject: r", "dev.yaml:3: not valid YAML: key 'project' stands twice"),
        ("quality: {regression: {rmse: {}}}", "quality.regression.rmse: give either minimum or maximum"),
        ("a: [1", "not valid YAML"),
        ("network: {zones: [a]}", "network.zones: List should have at least 2 items"),
        ("network: {zones: [a, a]}", "network.zones: holds one of them twice"),
        ("network: {cidr: 10.20.0.1/16}", "network.cidr: 10.20.0.1/16 has host bits set: give a range such as 10."),
        ("network: {cidr: 10.20.0.0/28}", "network.cidr: 10.20.0.0/28 is no size for a VPC with several subnets"),
        ("network: {peer_cidrs: [ten]}", "network.peer_cidrs: Expected 4 octets in 'ten': give a range such as 10."),
        ("people: {stewards: ['arn:aws:iam::123456789012:role/*']}", "people.stewards.0: String should match pattern"),
        ("instance_types: []", "instance_types: List should have at least 1 item"),
        ("network: {flow_log_days: 366}", "network.flow_log_days: Input should be 5, 7,"),
        ("scaling: {minimum: 3}", "scaling: minimum 3 is above maximum 2"),
        ("scaling: {schedules: {night: {minimum: 0, maximum: 1}}}", "scaling.schedules.night.cron: Field required"),
        ("serving: {mode: edge}", "serving.mode: Input should be 'realtime', 'serverless', 'async' or 'batch'"),
        ("serving: {instance_type: m5.large}", "serving.instance_type: String should match pattern"),
        ("serverless: {memory_mb: 2000}", "serverless.memory_mb: Input should be 1024, 2048"),
        ("async: {max_queue_hours: 7}", "async.max_queue_hours: Input should be less than or equal to 6"),
        ("rollout: {size_percent: 60}", "rollout.size_percent: Input should be less than or equal to 50"),
        ("alarms: {period_seconds: 90}", "alarms.period_seconds: Input should be a multiple of 60"),
        ("aws_access: {auth: runner_role}", "aws_access: auth: runner_role needs runner_role_arn, the ARN of"),
        ("aws_access: {sub_claims: ref, approve_role: true}", "aws_access: approve_role needs sub_claims: tier"),
        ("shadow: {model_package_arn: churn/3}", "shadow.model_package_arn: String should match pattern"),
        ("signing: {in_container: true}", "signing: in_container: true needs enabled: true"),
        ("training_environment: local", "training_environment: Input should be 'dev', 'qa' or 'prod'"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, own: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        load(tmp_path, own)
    assert says in str(error.value)
    assert "dev.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_number_of_gitlab_needs_no_quotes(tmp_path: Path) -> None:
    assert load(tmp_path, "aws_access: {project_id: 4711}").aws_access.project_id == "4711"


def test_unknown_environment(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown environment 'staging': use one of local, dev, qa, prod"):
        load_settings("staging", tmp_path)


ORGANISATION = """
locked: [aws_region, network.nat, tags.cost-centre]
aws_region: eu-north-1
tags: {cost-centre: "42"}
"""


def of_organisation(root: Path, own: str, organisation: str = ORGANISATION) -> Settings:
    (root / "config").mkdir()
    (root / "config/organisation.yaml").write_text(organisation)
    (root / "config/defaults.yaml").write_text(DEFAULTS + "network: {nat: false, zones: [a, b]}\n")
    (root / "config/dev.yaml").write_text(own)
    return load_settings("dev", root)


@pytest.mark.parametrize(
    ("own", "key"),
    [
        ("aws_region: us-east-1", "aws_region"),
        ("network: {nat: true}", "network.nat"),
        ("network: none", "network.nat"),
        ("tags: {cost-centre: '43'}", "tags.cost-centre"),
    ],
)
def test_what_the_organisation_locks_no_environment_changes(own: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"dev.yaml: {key}: organisation.yaml locks it for all environments"):
        of_organisation(tmp_path, own)


def test_beside_a_lock_everything_may_change(tmp_path: Path) -> None:
    settings = of_organisation(tmp_path, "aws_region: eu-north-1\nnetwork: {zones: [b, c]}\ntags: {team: ours}\n")
    assert settings.aws_region == "eu-north-1"
    assert (settings.network.zones, settings.tags) == (["b", "c"], {"cost-centre": "42", "team": "ours"})


@pytest.mark.parametrize(
    ("locked", "problem"),
    [("locked: [network.nats]", "network.nats has no value"), ("locked: network.nat", "give a list of keys")],
)
def test_a_lock_that_would_lock_nothing_is_refused(locked: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"organisation\.yaml: locked: {problem}"):
        of_organisation(tmp_path, "", locked)


def test_no_environment_locks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dev\.yaml over defaults\.yaml: locked: unknown key"):
        of_organisation(tmp_path, "locked: []")
