"""terraform/ of the generated repository: format, validation, its own tests, and that these find planted faults."""

import json
import shutil
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import baking
import delivery
from delivery import replace, run, tool

ACCOUNTS = {"aws_account_dev": "012345678901", "aws_account_qa": "222222222222", "aws_account_prod": ""}


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of Terraform: the provider from a folder where the machine has one, else downloaded by init."""
    mirror = next((path for depth in ("*/", "*/*/") for path in Path("/").glob(f"{depth}registry.terraform.io")), None)
    settings = tmp_path_factory.mktemp("terraform") / "terraform.rc"
    block = f'filesystem_mirror {{\n    path = "{mirror.parent}"\n  }}' if mirror else "direct {}"
    settings.write_text(f"provider_installation {{\n  {block}\n}}\n")
    return {"TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}


def terraform(folder: Path, provider: dict[str, str], *arguments: str) -> CompletedProcess[str]:
    return run(tool("terraform"), *arguments, "-no-color", cwd=folder, env=provider)


@pytest.fixture(scope="module", params=["automated", "full"])
def platform(
    request: pytest.FixtureRequest, provider: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The root terraform/platform of a bake, initialised. For reading only."""
    project = delivery.bake(tmp_path_factory.mktemp(request.param), mlops_stage=request.param, **ACCOUNTS)
    return initialised(project / "terraform/platform", provider)


@pytest.fixture(scope="module")
def largest(provider: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = delivery.bake(tmp_path_factory.mktemp("mutants"), mlops_stage="full", **ACCOUNTS)
    return initialised(project / "terraform/platform", provider)


def initialised(folder: Path, provider: dict[str, str]) -> Path:
    done = terraform(folder, provider, "init", "-backend=false")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def broken(largest: Path, tmp_path: Path) -> Path:
    """A copy to plant faults in, with the settings where it looks for them."""
    shutil.copytree(largest.parent.parent / "config", tmp_path / "config")
    return Path(shutil.copytree(largest, tmp_path / "terraform/platform", symlinks=True))


def test_a_basic_repository_has_no_terraform(tmp_path: Path) -> None:
    project = delivery.bake(tmp_path, mlops_stage="basic")
    assert not (project / "terraform").exists()
    assert not (project / ".gitlab/ci/terraform.yml").exists()


def test_it_is_formatted(platform: Path, provider: dict[str, str], tmp_path: Path) -> None:
    done = terraform(platform.parent, provider, "fmt", "-check", "-recursive")
    assert (done.returncode, done.stdout) == (0, "")
    (tmp_path / "planted.tf").write_text("locals {\na=1\n}\n")
    assert terraform(tmp_path, provider, "fmt", "-check").returncode != 0


def test_terraform_reads_every_test_file(platform: Path) -> None:
    tests = platform / "tests"
    assert {path.name for path in tests.rglob("*.hcl") if path.parent == tests} == {
        path.name for path in tests.glob("*.tftest.hcl")
    }


def test_only_full_has_governance(platform: Path) -> None:
    full = "full" in str(platform)
    assert (platform / "governance.tf").exists() is full
    assert bool(list(platform.rglob("*governance*"))) is full


@pytest.mark.slow
def test_it_is_valid_and_its_own_tests_pass(platform: Path, provider: dict[str, str]) -> None:
    done = terraform(platform, provider, "validate")
    assert done.returncode == 0, done.stderr
    done = terraform(platform, provider, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout


MISSED = "Missing expected failure"
TLS = "the bucket must refuse requests without TLS"
ENCRYPTED = "objects must be encrypted with the use case's key"
FAULTS = {
    "requests without TLS": ("storage.tf", '"Deny"', '"Allow"', TLS),
    "objects without TLS": ("storage.tf", ', "${aws_s3_bucket.artifacts.arn}/*"', "", TLS),
    "another key": ("storage.tf", "kms_master_key_id = aws_kms_key.this.arn", "", ENCRYPTED),
    "AES256": ("storage.tf", '"aws:kms"', '"AES256"', ENCRYPTED),
    "public policy": (
        "storage.tf",
        "block_public_policy     = true",
        "block_public_policy = false",
        "never become public",
    ),
    "no versions": ("storage.tf", 'status = "Enabled"\n  }\n}', 'status = "Suspended"\n  }\n}', "must be recoverable"),
    "ACLs": ("storage.tf", "BucketOwnerEnforced", "ObjectWriter", "not by ACLs"),
    "nothing expires": ("storage.tf", '"Enabled"\n    filter', '"Disabled"\n    filter', "must go away"),
    "data for ever": ("storage.tf", "days = rule.value", "days = 9999", "must be deleted after the days"),
    "captured requests for ever": (
        "storage.tf",
        '["data", "capture", "feedback"]',
        '["data", "feedback"]',
        "must be deleted",
    ),
    "deleted but kept": ("storage.tf", "noncurrent_days = 7\n", "noncurrent_days = 700\n", "must follow soon"),
    "any retention": ("storage.tf", "days >= 1 &&", "true || days >= 1 &&", MISSED),
    "a key for ever": ("encryption.tf", "rotation     = true", "rotation = false", "the key must rotate"),
    "another account's key": ("encryption.tf", "${local.config.aws_account}", "1", "keeps its leading zero"),
    "tags that move": ("registry.tf", "IMMUTABLE", "MUTABLE", "must never move"),
    "no image scan": ("registry.tf", "scan_on_push = true", "scan_on_push = false", "images must be scanned"),
    "images with AWS's key": ("registry.tf", "kms_key         = aws_kms_key.this.arn", "", "images must be encrypted"),
    "a needless repository": (
        "registry.tf",
        'local.config.container == "own" ? 1 : 0',
        "1",
        "needs no image repository",
    ),
    "any environment": ("variables.tf", "    condition     = contains", "    condition     = true || contains", MISSED),
    "a blank account": ("variables.tf", "^[0-9]{12}$", "^[0-9]*$", MISSED),
    "mappings replaced": ("config.tf", "merge(local.defaults[key], {", "merge({", "inside a mapping too"),
    "environments forgotten": ("config.tf", "in local.own[key] :", "in {} :", "<environment>.yaml must win"),
    "nobody hears": ("governance.tf", "local.config.owner_email", '"nobody@example.com"', "the owner hears"),
    "another budget": ("governance.tf", "tostring(local.monthly_usd)", '"1"', "the limit is budget.monthly_usd"),
    "a budget of nothing": ("governance.tf", "local.monthly_usd > 0", "local.monthly_usd >= 0", MISSED),
}


@pytest.mark.slow
@pytest.mark.parametrize(("file", "old", "new", "complaint"), FAULTS.values(), ids=FAULTS.keys())
def test_its_own_tests_find_a_planted_fault(
    file: str, old: str, new: str, complaint: str, broken: Path, provider: dict[str, str]
) -> None:
    replace(broken / file, old, new)
    suite = "governance" if file == "governance.tf" else "platform"
    done = terraform(broken, provider, "test", f"-filter=tests/{suite}.tftest.hcl")
    assert done.returncode != 0
    assert complaint in " ".join((done.stdout + done.stderr).split())


@pytest.mark.slow
def test_a_budget_without_a_value_is_refused_in_words(broken: Path, provider: dict[str, str]) -> None:
    replace(broken / "tests/config/governance/dev.yaml", "monthly_usd: 0", "monthly_usd:")
    done = terraform(broken, provider, "test", "-filter=tests/governance.tftest.hcl")
    assert done.returncode == 0, done.stdout + done.stderr  # the suite expects the precondition, not an error of it


@pytest.mark.slow
def test_it_reads_the_settings_of_the_repository(broken: Path, provider: dict[str, str]) -> None:
    for path in (broken / "tests").glob("*.tftest.hcl"):
        path.unlink()
    (broken / "tests/repository.tftest.hcl").write_text("""
mock_provider "aws" {
  source = "./tests/mocks"
}

run "dev" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = output.artifact_bucket == "churn-dev-artifacts-012345678901"
    error_message = "project and account stand in config/"
  }
}
""")
    done = terraform(broken, provider, "test")
    assert done.returncode == 0, done.stdout + done.stderr


MERGED = """
import json, sys
from pathlib import Path
from usecase.mlops.settings import merge
from usecase.mlops.yamlfile import read_yaml
print(json.dumps(merge(read_yaml(Path("defaults.yaml")), read_yaml(Path("dev.yaml")))))
"""


@pytest.mark.parametrize(
    "own",
    [
        "aws_region: eu-central-1\ncontainer: managed",
        "serving: { port: 9090 }\nbudget: { monthly_usd: 1 }",
        "budget:\nserving:\naws_region:",
        "serving:\n  port:\n  max_payload_mb: 1",
        "budget:\n  monthly_usd:",
        "serving: 1\ndescription: { a: 1 }",
        "pipeline:\n  parameters:",
    ],
)
def test_terraform_and_python_merge_the_settings_alike(own: str, broken: Path, provider: dict[str, str]) -> None:
    """As deep as Terraform reads; the files of the repository are the ground, so that a new section is met here."""
    config = broken.parent.parent / "config"
    (config / "dev.yaml").write_text(f'aws_account: "012345678901"\n{own}\n')
    (broken / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    assert terraform(broken, provider, "init", "-reconfigure").returncode == 0
    console = [tool("terraform"), "console", "-var", "environment=dev"]
    theirs = run(*console, cwd=broken, env=provider, text="nonsensitive(jsonencode(local.config))\n")
    assert theirs.returncode == 0, theirs.stderr
    source = Path(baking.ROOT, baking.PROJECT_FOLDER, "src")
    ours = run(sys.executable, "-c", MERGED, cwd=config, env={"PYTHONPATH": str(source)})
    assert ours.returncode == 0, ours.stderr
    assert json.loads(json.loads(theirs.stdout)) == json.loads(ours.stdout)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ("prod", "config/prod.yaml: aws_account must hold the 12 digits"),
        ("staging", "environment must be dev, qa or prod"),
    ],
)
def test_a_plan_is_refused_before_aws_is_asked(
    environment: str, message: str, broken: Path, provider: dict[str, str]
) -> None:
    (broken / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    assert terraform(broken, provider, "init", "-reconfigure").returncode == 0
    done = terraform(broken, provider, "plan", "-var", f"environment={environment}")
    assert done.returncode == 1
    assert message in " ".join(done.stderr.split())
    assert done.stderr.count("Error:") == 1
