"""Plans of all roots of a fresh repository, made without an account: what its controls and scanners look at."""

import json
from pathlib import Path
from typing import Any

import yaml

import delivery
from delivery import run, tool

Plan = dict[str, Any]  # as `terraform show -json` tells it
Plans = dict[str, Plan]  # by root

ACCOUNTS = {"aws_account_dev": "111111111111", "aws_account_qa": "222222222222", "aws_account_prod": "333333333333"}
ENVIRONMENTS = ["dev", "qa", "prod"]
# Everything that can be switched on together.
SWITCHES = """
state: { lock: both }
aws_access: { project_id: "4711", plan_role: true, approve_role: true }
training_environment: prod
network:
  nat: true
  interface_endpoints: [ecr.api, ecr.dkr, kms, logs, monitoring, sagemaker.api, sagemaker.runtime, sts]
people:
  stewards: ["arn:aws:iam::333333333333:role/stewards"]
  data_scientists: ["arn:aws:iam::333333333333:role/analysts"]
gateway: { enabled: true }
studio: { enabled: true, user_profiles: [ada], mlflow: true }
governance: { backup: true }
monitoring:
  model_monitor:
    data_quality: true
    model_quality: true
    bias: true
    explainability: true
    ground_truth_uri: s3://churn-prod-data-333333333333/churn/labels
    analysis_config_uri: s3://churn-prod-artifacts-333333333333/churn/clarify/config.json
  log_shipping: { opensearch_domain_arn: "arn:aws:es:eu-west-1:333333333333:domain/logs" }
retraining: { on_new_data: true, schedule: "cron(0 3 1 * ? *)" }
"""
PACKAGE = "arn:aws:sagemaker:eu-west-1:{account}:model-package/{project}-{environment}/7"
ROOTS: dict[str, dict[str, Any]] = {
    "bootstrap/account": {},
    "bootstrap/usecase": {},
    "platform": {},
    "serving": {
        "model_package_arn": PACKAGE,
        "baseline_uri": "s3://{project}-{environment}-artifacts-{account}/registry/{project}-{environment}/0a1b2c3d",
        "monitor_package": {
            "bucket": "{project}-{environment}-artifacts-{account}",
            "key": "{project}/monitor/0a1b2c3d/monitor.zip",
        },
    },
}


def repository(folder: Path, **answers: str) -> Path:
    """A repository whose roots can be planned in each environment; in prod with everything switched on."""
    given = ACCOUNTS | {"mlops_stage": "full", "aws_region": "eu-west-1", "gitlab_group": "data"} | answers
    made = delivery.bake(folder, **given)
    with (made / "config/prod.yaml").open("a") as settings:
        settings.write(SWITCHES)
    for name in ("dev", "qa"):
        with (made / f"config/{name}.yaml").open("a") as settings:
            settings.write('aws_access: { project_id: "4711" }\n')
    for root in ROOTS:
        (made / "terraform" / root / "override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    return made


def filled(value: Any, place: dict[str, str]) -> Any:
    """A variable with the names of a place."""
    if isinstance(value, dict):
        return {name: filled(inner, place) for name, inner in value.items()}
    return value.format(**place)


def planned(project: Path, root: str, environment: str, provider: dict[str, str], **more: object) -> Plan:
    """The plan of one root in an environment, with more variables than the root needs."""
    folder = project / "terraform" / root
    account = ACCOUNTS[f"aws_account_{environment}"]
    slug = yaml.safe_load((project / "config/defaults.yaml").read_text(encoding="utf-8"))["project"]
    place = {"account": account, "environment": environment, "project": slug}
    variables = {name: filled(value, place) for name, value in ROOTS[root].items()}
    if root == "serving":
        text = (project / "terraform/tests/facts.json").read_text()
        for old in {part for part in text.replace('"', ":").split(":") if part.isdigit() and len(part) == 12}:
            text = text.replace(old, account).replace("-dev-", f"-{environment}-")
        variables["platform"] = json.loads(text) | {"model_package_group": f"{slug}-{environment}"}
    (folder / "given.auto.tfvars.json").write_text(
        json.dumps({"environment": environment, "offline": True, **variables, **more})
    )
    steps = [["init"], ["plan", "-out=out.tfplan"], ["show", "-json", "out.tfplan"]]
    for step in steps:
        done = run(tool("terraform"), *step, "-no-color", cwd=folder, env=provider)
        assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
