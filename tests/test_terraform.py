"""terraform/ of the generated repository: format, validation, its own tests, and that these find planted faults."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

import baking
import delivery
import module_tables
from delivery import replace, run, tool

ACCOUNTS = {"aws_account_dev": "012345678901", "aws_account_qa": "222222222222", "aws_account_prod": "333333333333"}
SOURCE = Path(baking.ROOT, baking.PROJECT_FOLDER, "terraform")
FOLDERS = sorted({path.parent.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.tf")})
NOBODY = {"AWS_ACCESS_KEY_ID": "offline", "AWS_SECRET_ACCESS_KEY": "offline"}


def terraform(folder: Path, provider: dict[str, str], *arguments: str) -> CompletedProcess[str]:
    return run(tool("terraform"), *arguments, "-no-color", cwd=folder, env=provider)


def initialised(folder: Path, provider: dict[str, str]) -> Path:
    """The folder as Terraform wants it, with a state of its own where it has one elsewhere."""
    if 'backend "s3"' in "".join(path.read_text() for path in folder.glob("*.tf")):
        (folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    done = terraform(folder, provider, "init")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module", params=["automated", "full"])
def staged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """terraform/ of a repository of each stage that has it. For reading only."""
    return delivery.bake(tmp_path_factory.mktemp(request.param), mlops_stage=request.param, **ACCOUNTS) / "terraform"


@pytest.fixture(scope="module")
def largest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of stage full. For reading only."""
    return delivery.bake(tmp_path_factory.mktemp("largest"), mlops_stage="full", **ACCOUNTS)


@pytest.fixture
def own(largest: Path, tmp_path: Path) -> Path:
    """What Terraform reads of the repository, to plant faults in."""
    for folder in ("terraform", "config"):
        shutil.copytree(largest / folder, tmp_path / folder)
    for file in ("gitlab.yml", "data_contract.yaml"):
        shutil.copy(largest / file, tmp_path / file)
    return tmp_path


def test_the_tables_of_the_modules_are_up_to_date() -> None:
    done = run(sys.executable, "tools/module_tables.py", "--check", cwd=baking.ROOT)
    assert done.returncode == 0, done.stderr


def test_a_table_that_is_out_of_date_is_found(tmp_path: Path) -> None:
    module = tmp_path / "module"
    module.mkdir()
    (module / "README.md").write_text("<!-- inputs -->\n<!-- /inputs -->\n<!-- outputs -->\n<!-- /outputs -->\n")
    (module / "variables.tf").write_text('variable "days" {\n  description = "Days."\n  type        = number\n}\n')
    assert "| `days` | Days. | `number` | needed |" in module_tables.documented(module)


def test_a_basic_repository_has_no_terraform(tmp_path: Path) -> None:
    project = delivery.bake(tmp_path, mlops_stage="basic")
    assert not (project / "terraform").exists()
    assert not (project / ".gitlab/ci/terraform.yml").exists()


def test_it_is_formatted(staged: Path, provider: dict[str, str], tmp_path: Path) -> None:
    done = terraform(staged, provider, "fmt", "-check", "-recursive")
    assert (done.returncode, done.stdout) == (0, "")
    (tmp_path / "planted.tf").write_text("locals {\na=1\n}\n")
    assert terraform(tmp_path, provider, "fmt", "-check").returncode != 0


def test_terraform_reads_every_test_file(staged: Path) -> None:
    tests = [path for path in staged.rglob("*.tftest.hcl") if path.parent.name != "tests"]
    assert not tests, "Terraform looks for tests in tests/ alone"


def test_only_full_has_governance(staged: Path) -> None:
    full = "full" in str(staged)
    assert (staged / "platform/governance.tf").exists() is full
    assert bool(list(staged.rglob("*governance*"))) is full


def test_an_automated_repository_is_valid_without_what_full_has(
    staged: Path, running_provider: dict[str, str], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(staged, tmp_path / "terraform"))
    roots = [path.parent for path in folder.rglob("versions.tf") if 'backend "s3"' in path.read_text()]
    assert folder / "platform" in roots
    for root in roots:
        done = terraform(initialised(root, running_provider), running_provider, "validate")
        assert done.returncode == 0, f"{root}: {done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_it_is_valid_and_its_own_tests_pass(folder: str, own: Path, running_provider: dict[str, str]) -> None:
    path = initialised(own / "terraform" / folder, running_provider)
    done = terraform(path, running_provider, "validate")
    assert (done.returncode, "Warning" in done.stdout) == (0, False), done.stdout + done.stderr
    if list(path.glob("tests/*.tftest.hcl")):
        done = terraform(path, running_provider, "test")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "0 failed" in done.stdout
        assert "Success! 0 passed" not in done.stdout


MISSED = "Missing expected failure"
TLS = "the bucket must refuse requests without TLS"
ENCRYPTED = "objects must be encrypted with the key"
NOT_OUT = "nothing leads to the internet"
FAULTS = {
    # folder and file: what is wrong, what stands there, the fault, what the tests say of it
    ("modules/settings", "main.tf"): {
        "mappings replaced": ("merge(local.defaults[key], {", "merge({", "inside a mapping too"),
        "environments forgotten": ("in local.own[key] :", "in {} :", "environment>.yaml must win"),
        "nothing is something": ("name => value if value != null }),", "name => value }),", "a key without a value"),
    },
    ("modules/settings", "variables.tf"): {
        "any environment": ("condition     = contains", "condition = true || contains", MISSED),
        "a blank account": ("^[0-9]{12}$", "^[0-9]*$", MISSED),
    },
    ("modules/settings", "outputs.tf"): {
        "tags of anybody": ("Environment = var.environment", "", "these cannot be overwritten"),
    },
    ("modules/key", "main.tf"): {
        "a key for ever": ("rotation     = true", "rotation = false", "the key must rotate"),
        "nobody's key": ('Action    = "kms:*"', 'Action = "kms:Decrypt"', "the account alone decides"),
        "anybody's alarms": ('"aws:SourceAccount" = var.account', "", "for this account alone"),
        "anybody's logs": (":${var.account}:log-group", ":*:log-group", "for this account alone"),
        "events unasked": ("in var.events ?", "in true ?", "by default the account alone decides"),
    },
    ("modules/bucket", "main.tf"): {
        "requests without TLS": ('"Deny"', '"Allow"', TLS),
        "objects without TLS": (
            '"s3:*"\n        Resource  = [local.arn, "${local.arn}/*"]',
            '"s3:*"\n        Resource  = [local.arn]',
            TLS,
        ),
        "reports of anybody": ('"aws:SourceAccount" = delivery.account', "", "that deliver reports"),
        "another key": ("try(var.key.arn, null)", "null", ENCRYPTED),
        "AES256": ('"AES256" : "aws:kms"', '"AES256" : "AES256"', ENCRYPTED),
        "logs under a key": ('? "AES256"', '? "aws:kms"', "reach only a bucket without a KMS key"),
        "logs of anybody": ('{ "aws:SourceAccount" = account }', "{}", "may write the account's access"),
        "no log": ("var.log_bucket == null ? 0 : 1", "0", "Invalid index"),
        "public policy": ("block_public_policy     = true", "block_public_policy = false", "never become public"),
        "no versions": ('"Enabled"\n  }\n}', '"Suspended"\n  }\n}', "must be recoverable"),
        "ACLs": ("BucketOwnerEnforced", "ObjectWriter", "not by ACLs"),
        "nothing expires": ('"Enabled"\n    filter', '"Disabled"\n    filter', "must be in force"),
        "data for ever": ("days = rule.value", "days = 9999", "deleted after the days"),
        "deleted but kept": ("noncurrent_days = 7\n", "noncurrent_days = 700\n", "older versions must"),
        "uploads for ever": ("days_after_initiation = 7", "days_after_initiation = 70", "uploads must"),
    },
    ("modules/bucket", "variables.tf"): {
        "any retention": ("days >= 1 &&", "true || days >= 1 &&", MISSED),
    },
    ("modules/network", "main.tf"): {
        "a way out": ("count = var.settings.nat ? 1 : 0", "count = 1", NOT_OUT),
        "one NAT gateway": (
            "aws_nat_gateway.this[each.key].id",
            "aws_nat_gateway.this[keys(local.zones)[0]].id",
            "its own way out",
        ),
        "zones by order": (
            'index(["a", "b", "c", "d", "e", "f"], letter)',
            "index(sort(var.settings.zones), letter)",
            "a zone has its place",
        ),
        "subnets upon each other": ("48 + each.value", "each.value", "must not overlap"),
        "remote desktop": ("3388", "3389", "nobody logs in from outside"),
        "an open default": (
            '  tags   = { Name = "${var.name}-default-closed" }',
            '  egress {\n    protocol  = "-1"\n    from_port = 0\n    to_port   = 0\n  }',
            "let nothing through",
        ),
        "blocks that overlap": ("local.overlaps) == 0", "local.overlaps) >= 0", MISSED),
    },
    ("modules/network", "security_groups.tf"): {
        "endpoints that lack": ("length(local.lacking) == 0", "true", MISSED),
        "no way to S3": ('contains(local.lacking, "s3") || length', 'contains([], "s3") || length', MISSED),
        "HTTPS to anywhere": (
            "local.new && !var.settings.nat",
            "false",
            "jobs talk to each other and to S3|Invalid index",
        ),
        "endpoints for anybody": (
            "referenced_security_group_id = aws_security_group.jobs.id\n}\n",
            'cidr_ipv4 = "0.0.0.0/0"\n}\n',
            "jobs",
        ),
    },
    ("modules/network", "endpoints.tf"): {
        "buckets of anybody": (
            '{ StringEquals = { "s3:ResourceAccount" = var.account } }',
            "{}",
            "no bucket of another account",
        ),
        "callers of anybody": ('"aws:PrincipalAccount" = var.account', "", "for callers of the account"),
        "endpoints twice": ("local.new ? [] : var.settings.existing_endpoints", "[]", "jobs need a way to S3"),
    },
    ("modules/network", "flow_log.tf"): {
        "half of the traffic": ('"ALL"', '"REJECT"', "all traffic must be logged"),
        "flow logs in the clear": ("kms_key_id        = var.log_kms_key_arn", "", "all traffic must be logged"),
    },
    ("modules/network", "variables.tf"): {
        "one zone": ("length(distinct(var.settings.zones)) >= 2", "true", MISSED),
        "one subnet": ("length(distinct(var.settings.subnet_ids)) >= 2", "true", MISSED),
        "a tiny block": ("(1[6-9]|2[0-2])$", "(1[6-9]|2[0-9])$", MISSED),
    },
    ("modules/monitor", "main.tf"): {
        "two at a time": (
            "reserved_concurrent_executions = 1",
            "reserved_concurrent_executions = 2",
            "judge one window twice",
        ),
        "a time of its own": (
            "<aws.scheduler.scheduled-time>",
            "<aws.scheduler.attempt-number>",
            "a second try looks at the same one",
        ),
        "a plain environment": (
            "kms_key_arn   = var.platform.log_kms_key_arn",
            "",
            "environment, log and queue must be encrypted",
        ),
    },
    ("modules/monitor", "roles.tf"): {
        "all captures": ('["capture"]}/*"', '["capture"]}*"', "no other objects, logs and queues"),
        "the model too": ("/*.json", "/*", "no other objects, logs and queues"),
    },
    ("modules/monitor", "alarms.tf"): {
        "one window is enough": ('" AND "', '" OR "', "drift is told when both hold"),
        "silence is fine": ('"breaching"', '"notBreaching"', "no report is a reason for alarm"),
    },
    ("platform", "monitoring.tf"): {
        "anybody tells": (
            '{ ArnEquals = { "aws:PrincipalArn" = local.forward_roles } }',
            "{}",
            "may tell|Unsupported attribute",
        ),
        "names of objects as a reason": (
            'reason = "data <time>"',
            'reason = "data <key>"',
            "nothing that others have written",
        ),
    },
    ("platform", "registry.tf"): {
        "tags that move": ("IMMUTABLE", "MUTABLE", "must never move"),
        "no image scan": ("scan_on_push = true", "scan_on_push = false", "must be scanned"),
        "images with AWS's key": ('kms_key         = module.key["artifacts"].arn', "", "images must be encrypted"),
        "a needless repository": ('local.config.container == "own" ? 1 : 0', "1", "needs no image repository"),
    },
    ("platform", "governance.tf"): {
        "nobody hears": ("local.config.owner_email", '"nobody@example.com"', "the owner hears"),
        "another budget": ("tostring(local.monthly_usd)", '"1"', "is budget.monthly_usd"),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "fault"),
    [pytest.param(place, fault, id=name) for place, faults in FAULTS.items() for name, fault in faults.items()],
)
def test_its_own_tests_find_a_planted_fault(
    place: tuple[str, str], fault: tuple[str, str, str], own: Path, running_provider: dict[str, str]
) -> None:
    (folder, file), (old, new, complaint) = place, fault
    path = own / "terraform" / folder
    replace(path / file, old, new)
    only = f"tests/{file.removesuffix('.tf')}.tftest.hcl"
    done = terraform(
        initialised(path, running_provider), running_provider, "test", *[f"-filter={only}"] * (path / only).exists()
    )
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert any(word in said for word in complaint.split("|")), said


@pytest.fixture(scope="module")
def planned(
    largest: Path, running_provider: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Any]]:
    """Of an environment: what Terraform would make of the repository's own settings, values by address."""
    plans: dict[str, dict[str, Any]] = {}
    copy = Path(shutil.copytree(largest, tmp_path_factory.mktemp("planned") / "project"))
    initialised(copy / "terraform/platform", running_provider)

    def plan(environment: str) -> dict[str, Any]:
        if environment not in plans:
            plans[environment] = resources(copy / "terraform/platform", environment, running_provider)
        return plans[environment]

    return plan


def resources(root: Path, environment: str, provider: dict[str, str]) -> dict[str, Any]:
    done = plan(root, environment, provider, "-out=plan")
    assert done.returncode == 0, done.stderr
    shown = json.loads(terraform(root, provider, "show", "-json", "plan").stdout)
    return {change["address"]: change["change"]["after"] for change in shown["resource_changes"]}


def plan(root: Path, environment: str, provider: dict[str, str], *more: str) -> CompletedProcess[str]:
    offline = ("-var", f"environment={environment}", "-var", "offline=true")
    return terraform(root, provider | NOBODY, "plan", *offline, *more)


def retention(plan: dict[str, Any], bucket: str) -> dict[str, int]:
    rules = plan[f'module.bucket["{bucket}"].aws_s3_bucket_lifecycle_configuration.this']["rule"]
    return {
        rule["filter"][0]["prefix"]: days for rule in rules for end in rule["expiration"] if (days := end.get("days"))
    }


@pytest.mark.slow
def test_each_bucket_lets_go_of_personal_data_as_the_settings_say(planned: Callable[[str], dict[str, Any]]) -> None:
    dev = planned("dev")
    assert retention(dev, "data") == {"churn/data/": 365, "churn/feedback/": 365}
    assert retention(dev, "capture") == {"churn/": 90}
    assert retention(dev, "artifacts") == {}, "models and what describes them stay"


@pytest.mark.slow
def test_only_in_dev_objects_go_with_their_bucket(planned: Callable[[str], dict[str, Any]]) -> None:
    for environment, goes in {"dev": True, "prod": False}.items():
        buckets = [values for address, values in planned(environment).items() if address.endswith("aws_s3_bucket.this")]
        assert len(buckets) >= 4
        assert {bucket["force_destroy"] for bucket in buckets} == {goes}, environment


@pytest.mark.slow
def test_everything_says_whose_it_is(planned: Callable[[str], dict[str, Any]]) -> None:
    tagged = [values["tags_all"] for values in planned("prod").values() if values and values.get("tags_all")]
    assert len(tagged) > 20
    for tags in tagged:
        assert {"Project": "churn", "Environment": "prod", "ManagedBy": "terraform/platform"}.items() <= tags.items()


@pytest.mark.slow
def test_by_default_nothing_in_the_network_costs_while_idle(planned: Callable[[str], dict[str, Any]]) -> None:
    dev = planned("dev")
    assert [address for address in dev if "aws_vpc_endpoint.s3" in address]
    costly = ("aws_nat_gateway", "aws_eip", "aws_vpc_endpoint.interface")
    assert not [address for address in dev if any(kind in address for kind in costly)]


CFN_LINT = "cfn-lint==1.58.0"


@pytest.mark.slow
def test_cloudformation_takes_the_stack_of_model_monitor(tmp_path: Path) -> None:
    """By the schemas of its resources, which the linter brings along; a property that there is not is found."""
    template = SOURCE / "modules/model_monitor/stack.yaml"
    planted = tmp_path / "planted.yaml"
    planted.write_text(template.read_text().replace("ProblemType: !Ref", "TypeOfProblem: !Ref"))
    words = [tool("uv"), "run", "--no-project", "--python", sys.executable, "--with", CFN_LINT, "cfn-lint", "--regions"]
    done = run(*words, "eu-central-1", "us-east-1", "--", template, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    found = run(*words, "us-east-1", "--", planted, cwd=tmp_path)
    assert "'TypeOfProblem' was unexpected" in found.stdout


REFUSED = {
    "a budget of nothing": ("budget: { monthly_usd: 0 }", "budget.monthly_usd must be a number of US dollars above 0"),
    "a budget without a value": ("budget: { monthly_usd: }", "budget.monthly_usd must be a number of US dollars"),
    "a retention that is no number": (
        "retention: { data_days: never }",
        "data_days, capture_days and feedback_days must be",
    ),
    "one zone": ("network: { zones: [a] }", "network.zones in config/<environment>.yaml must name two"),
    "a block in another": ("network: { peer_cidrs: [10.0.0.0/8] }", "10.20.0.0/16, overlaps 10.0.0.0/8 of"),
    "a VPC that lacks endpoints": (
        "network: { vpc_id: vpc-0123456789abcdef0, subnet_ids: [subnet-0a, subnet-0b],"
        " interface_endpoints: [logs], existing_endpoints: [s3], create_endpoints: false }",
        "the existing VPC vpc-0123456789abcdef0 lacks endpoints for logs",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_setting_is_refused_with_one_message(
    setting: str, message: str, own: Path, running_provider: dict[str, str]
) -> None:
    budget = "" if setting.startswith("budget") else "budget: { monthly_usd: 200 }\n"
    (own / "config/dev.yaml").write_text(f'aws_account: "012345678901"\n{budget}{setting}\n')
    done = plan(initialised(own / "terraform/platform", running_provider), "dev", running_provider)
    assert done.returncode == 1
    assert message in " ".join(done.stderr.split())
    assert done.stderr.count("Error:") == 1, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ("prod", "config/prod.yaml: aws_account must hold the 12 digits"),
        ("staging", "environment must be dev, qa or prod"),
    ],
)
def test_a_plan_is_refused_before_aws_is_asked(
    environment: str, message: str, own: Path, provider: dict[str, str]
) -> None:
    replace(own / "config/prod.yaml", ACCOUNTS["aws_account_prod"], "")
    root = initialised(own / "terraform/platform", provider)
    done = terraform(root, provider, "plan", "-var", f"environment={environment}")
    assert done.returncode == 1
    assert message in " ".join(done.stderr.split())
    assert done.stderr.count("Error:") == 1, done.stderr


MERGED = """
import json, sys
from pathlib import Path
from usecase.mlops.settings import merge
from usecase.mlops.yamlfile import read_yaml
print(json.dumps(merge(read_yaml(Path("defaults.yaml")), read_yaml(Path("dev.yaml")))))
"""


@pytest.mark.parametrize(
    "setting",
    [
        "aws_region: eu-central-1\ncontainer: managed",
        "serving: { port: 9090 }\nbudget: { monthly_usd: 1 }",
        "budget:\nserving:\naws_region:",
        "serving:\n  port:\n  max_payload_mb: 1",
        "budget:\n  monthly_usd:",
        "serving: 1\ndescription: { a: 1 }",
        "pipeline:\n  parameters:",
        "network: { zones: [c], nat: true }\nscaling: { schedules: { night: { minimum: 0 } } }",
    ],
)
def test_terraform_and_python_merge_the_settings_alike(setting: str, own: Path, provider: dict[str, str]) -> None:
    """As deep as Terraform reads; the files of the repository are the ground, so that a new section is met here."""
    config = own / "config"
    (config / "dev.yaml").write_text(f'aws_account: "012345678901"\n{setting}\n')
    module = initialised(own / "terraform/modules/settings", provider)
    console = [tool("terraform"), "console", "-var", "environment=dev", "-var", "root=platform"]
    theirs = run(*console, cwd=module, env=provider, text="jsonencode(local.config)\n")
    assert theirs.returncode == 0, theirs.stderr
    ours = run(sys.executable, "-c", MERGED, cwd=config, env={"PYTHONPATH": str(SOURCE.parent / "src")})
    assert ours.returncode == 0, ours.stderr
    assert json.loads(json.loads(theirs.stdout)) == json.loads(ours.stdout)
