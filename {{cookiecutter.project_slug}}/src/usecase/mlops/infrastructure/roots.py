"""The roots of terraform/ in an environment: where their state lies, and what is planned and applied there."""

import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usecase.mlops.aws.platform import require_account
from usecase.mlops.errors import UserError
from usecase.mlops.infrastructure.controls import examine
from usecase.mlops.infrastructure.terraform import Say, Terraform
from usecase.mlops.settings import Settings, load_settings

TERRAFORM = Path("terraform")
PLANS = Path(".local/plans")
DATA = Path(".local/terraform")
ROOTS = ("bootstrap/account", "bootstrap/usecase", "platform", "serving")
READ = ("terraform", "config", "gitlab.yml", "data_contract.yaml")  # what a root reads of the repository
# Nothing of an account: a call to AWS would fail, and none is made.
NO_ACCOUNT = {
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "offline"),
    **dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull),
    **dict.fromkeys(("AWS_PROFILE", "AWS_SESSION_TOKEN"), ""),
    "AWS_EC2_METADATA_DISABLED": "true",
}
VERBS = {
    ("create",): "create",
    ("update",): "change",
    ("delete",): "destroy",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
}


@dataclass(frozen=True)
class Plan:
    """A saved plan: the file that is applied, and its content as `terraform show -json` tells it."""

    file: Path
    content: Mapping[str, Any]

    @property
    def is_empty(self) -> bool:
        """Whether applying it would do nothing."""
        return not self.content["applyable"]

    @property
    def changes(self) -> list[tuple[str, str]]:
        """What happens (create, change, destroy, replace) and to which resource, by address."""
        changes = self.content.get("resource_changes", [])
        found = [(VERBS.get(tuple(item["change"]["actions"]), ""), item["address"]) for item in changes]
        return [(verb, address) for verb, address in found if verb]

    def losses(self, kind: str = "") -> list[str]:
        """Addresses of resources, of a type or of all, that would be destroyed, for good or for a new one."""
        return [
            item["address"]
            for item in self.content.get("resource_changes", [])
            if "delete" in item["change"]["actions"] and kind in ("", item["type"])
        ]

    def summary(self) -> Iterator[str]:
        """Numbers as Terraform counts them, then each resource that is lost."""
        count = Counter(verb for verb, _ in self.changes)
        added, destroyed = count["create"] + count["replace"], count["destroy"] + count["replace"]
        yield f"{added} to add, {count['change']} to change, {destroyed} to destroy"
        for verb, address in self.changes:
            if verb in ("replace", "destroy"):
                yield f"{verb:<8} {address}"


class Root:
    """One root in one environment, ready for use. `arguments` say to `terraform init` where the state lies.

    `top` is the repository, or a copy of it. Offline, no account is asked for anything.
    """

    def __init__(
        self,
        path: str,
        settings: Settings,
        say: Say,
        arguments: Sequence[str] = (),
        top: Path = Path(),
        offline: bool = False,
    ) -> None:
        self.path, self.name = path, path.replace("/", "-")
        self._environment, self._say, self._offline = settings.environment, say, offline
        data = top / DATA / f"{self.name}-{settings.environment}"
        self.terraform = Terraform(top / TERRAFORM / path, data, NO_ACCOUNT if offline else None)
        self._timed("init", lambda: self.terraform.run("init", "-reconfigure", *arguments))

    def plan(self, folder: Path, variables: Mapping[str, Any], destroy: bool = False) -> Plan:
        """Plan into `folder`, and keep text and JSON of the plan below .local/plans. Raises UserError."""
        given = {"environment": self._environment, **({"offline": True} if self._offline else {}), **variables}
        file, values = folder / f"{self.name}.tfplan", folder / f"{self.name}.tfvars.json"
        write_private(values, json.dumps(given))
        words = ["plan", f"-var-file={values}", f"-out={file}", *(["-destroy"] if destroy else [])]
        text = self._timed("plan", lambda: self.terraform.run(*words))
        content = self.terraform.run("show", "-json", str(file))
        kept = PLANS / f"{self.name}-{self._environment}.json"
        write_private(kept, content)
        write_private(kept.with_suffix(".txt"), text)
        plan = Plan(file, json.loads(content))
        for line in plan.summary():
            self._say(f"  {line}")
        self._say(f"  {kept} and {kept.with_suffix('.txt').name}")
        self._refuse_insecure(plan)
        return plan

    def _refuse_insecure(self, plan: Plan) -> None:
        findings = examine(plan.content, self._environment)
        self._say(f"  {findings.summary}")
        if findings.problems:
            problems = "; ".join(findings.problems)
            raise UserError(f"{self.path}: the plan misses security controls: {problems}; nothing was applied")

    def apply(self, plan: Plan) -> None:
        """Do exactly what the plan says. Raises UserError."""
        self.terraform.run("apply", str(plan.file), say=self._say)

    def outputs(self) -> dict[str, Any]:
        """Values by name, as the state has them. Raises UserError."""
        outputs = self.terraform.read_state().get("outputs", {})
        return {name: output["value"] for name, output in outputs.items()}

    def has_resources(self) -> bool:
        """Whether the state knows a resource. Raises UserError."""
        return any(item["mode"] == "managed" for item in self.terraform.read_state().get("resources", []))

    def _timed(self, word: str, call: Callable[[], str]) -> str:
        self._say(f"{self.path}: {word} ...")
        begun = time.monotonic()
        said = call()
        self._say(f"{self.path}: {word} took {time.monotonic() - begun:.0f} s")
        return said


def environment_settings(environment: str) -> Settings:
    """Settings of an environment that has an account. Raises UserError."""
    settings = load_settings(environment)
    require_account(settings)
    return settings


def backend(settings: Settings, name: str, key: str = "") -> list[str]:
    """Arguments of `terraform init`: the state is one object, by default the root's own of the environment.

    No `encrypt`: without a key it asks for S3's own encryption, in the place of the bucket's.
    """
    values = {
        "bucket": state_bucket(settings),
        "key": key or f"{settings.project}/{settings.environment}/{name}.tfstate",
        "region": settings.aws_region,
    }
    if settings.state.lock in ("s3", "both"):
        values["use_lockfile"] = "true"
    if settings.state.lock in ("dynamodb", "both"):
        values["dynamodb_table"] = existing(settings.account.lock_table) or settings.state.table or "terraform-locks"
    return [f"-backend-config={name}={value}" for name, value in values.items()]


def state_bucket(settings: Settings) -> str:
    """The bucket of Terraform's states in the environment's account."""
    made = f"terraform-state-{settings.aws_account}-{settings.aws_region}"
    return existing(settings.account.state_bucket) or settings.state.bucket or made


def existing(value: str) -> str:
    """The name in a setting of `account` that holds a name or an ARN; blank for `create` and `none`."""
    return "" if value in ("create", "none") else value.rpartition(":")[2].rpartition("/")[2]


@contextmanager
def local_copy() -> Iterator[Path]:
    """A copy of what the roots read, in which the state is a file. The copy goes when the block ends."""
    with tempfile.TemporaryDirectory(prefix="usecase-terraform-") as folder:
        top = Path(folder)
        for name in READ:
            if Path(name).is_dir():
                shutil.copytree(name, top / name, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"))
            elif Path(name).exists():
                shutil.copy(name, top / name)
        for root in ROOTS:
            override = top / TERRAFORM / root / "backend_override.tf"
            if override.parent.is_dir():
                override.write_text('terraform {\n  backend "local" {}\n}\n', encoding="utf-8")
        yield top


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user may read: a plan shows what an environment is made of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
