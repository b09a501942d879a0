"""Checks of how a model gets to people: registry and approval, release, serving."""

import ast

from usecase.mlops.contract import FILE_NAME
from usecase.mlops.maturity.checks import Area, Finding, as_wanted, first, no, unneeded, unseen, yes
from usecase.mlops.maturity.development import NO_MACHINE
from usecase.mlops.maturity.evidence import STARTER, Evidence, Unseen
from usecase.mlops.registry import APPROVED, MAIN_METRIC

REGISTRY, RELEASE, SERVING = Area("registry and approval"), Area("release"), Area("serving")
HANDLERS = {"model_fn", "input_fn", "predict_fn", "output_fn"}


@REGISTRY.check("basic", 3, "The team has set how good a model must be")
def thresholds(seen: Evidence) -> Finding:
    """Those of the template let nearly everything through."""
    task = seen.contract.task
    if files := seen.stated("quality", task):
        return yes(f"`quality.{task}` in {', '.join(files)}")
    metric = MAIN_METRIC[f"{task}_metrics"]
    advice = f"`quality.{task}.{metric}.minimum` in config/local.yaml: what the use case needs"
    return no("the limits are those of the template", advice)


@REGISTRY.check("basic", 2, "Groups of people are compared, or there are none")
def groups(seen: Evidence) -> Finding:
    """Answers about people are not fair by themselves; whether they are about people, only people know."""
    about = seen.settings["local"].accountability.about
    protected = [column.name for column in seen.contract.protected]
    if protected:
        return yes(f"`protected` in {FILE_NAME}: {first(protected)}")
    if about == "things":
        return yes("`accountability.about: things` in config/local.yaml")
    if about == "people":
        return no("no column tells groups apart", f"`protected: true` at such a column in {FILE_NAME}")
    return no("nobody has said what answers are about", "`accountability.about` in config/local.yaml: people or things")


@REGISTRY.check("basic", 2, "A model is registered with its evidence", after="locked")
def registered(seen: Evidence) -> Finding:
    """It passed the gates."""
    if seen.in_ci:
        return unseen(NO_MACHINE)
    if seen.versions:
        return yes(f"version {seen.versions[-1].version} in .local/registry")
    return no("no version in .local/registry", "`make run`")


@REGISTRY.check("basic", 3, "A person has approved a version", after="registered")
def approved(seen: Evidence) -> Finding:
    """Nothing else is served."""
    if seen.in_ci:
        return unseen(NO_MACHINE)
    found = [version.version for version in seen.versions if version.status == APPROVED]
    if found:
        return yes(f"version {found[-1]} in .local/registry")
    return no("no approved version in .local/registry", "`make approve version=latest`")


@REGISTRY.check("automated", 2, "A new version waits for a steward, and its decision starts the delivery", arrives=True)
def decided(seen: Evidence) -> Finding:
    """SageMaker's registry, whose events start pipelines."""
    if seen.has(".gitlab/ci/approve.yml"):
        return yes(f"`events.approval_trigger: {seen.training.events.approval_trigger}`, .gitlab/ci/approve.yml")
    return no(".gitlab/ci/approve.yml is missing", "`make update`")


@REGISTRY.check("automated", 3, "The registry in AWS has an approved version", outside=True, after="executed")
def approved_in_aws(seen: Evidence) -> Finding:
    """That of the environment that is looked at."""
    versions, name = seen.asked("versions"), seen.environment
    if isinstance(versions, Unseen):
        return unseen(versions)
    if found := [number for number, status in versions.items() if status == APPROVED]:
        return yes(f"version {found[-1]} of {len(versions)} in {name}")
    return no(f"{len(versions)} versions in {name}, none approved", f"`make approve version=latest env={name}`")


@REGISTRY.check("full", 2, "Only signed versions are deployed")
def signed(seen: Evidence) -> Finding:
    """Who changes a model after its approval is found out."""
    signing = seen.settings["prod"].signing
    if signing.enabled and signing.public_key and seen.has(signing.public_key):
        return yes(f"`signing` in config/prod.yaml, checked with {signing.public_key}")
    advice = "`signing: { enabled: true, key: ARN, public_key: FILE }` in config/prod.yaml: docs/security.md"
    return no("`signing.public_key` is no file here" if signing.enabled else "prod takes unsigned versions", advice)


@RELEASE.check("basic", 1, "The project has its place on GitLab")
def grouped(seen: Evidence) -> Finding:
    """Whose group it is."""
    if seen.wanted.group:
        return yes(f"gitlab.yml: {seen.wanted.path}")
    return no("`group` in gitlab.yml is blank", "`group` in gitlab.yml: the full path of your GitLab group")


@RELEASE.check("basic", 2, "Nobody changes the default branch alone", outside=True)
def branch_protected(seen: Evidence) -> Finding:
    """The project on GitLab protects it as gitlab.yml says."""
    return as_wanted(seen, "protected branch", "the default branch is protected as gitlab.yml says")


@RELEASE.check("automated", 3, "One way leads from dev over qa to prod, and back", arrives=True)
def delivered(seen: Evidence) -> Finding:
    """Jobs that deploy exactly the approved version, and one that brings back the version before."""
    files = [f".gitlab/ci/{name}.yml" for name in ("dev", "qa", "prod", "ops")]
    if missing := [file for file in files if not seen.has(file)]:
        return no(f"{first(missing)} missing", "`make update`")
    return yes("jobs deploy:*, verify:prod, rollback:* in .gitlab/ci")


@RELEASE.check("automated", 2, "The environments after training have accounts")
def accounts(seen: Evidence) -> Finding:
    """One account may serve several; accounts of their own are better."""
    others = [name for name in ("dev", "qa", "prod") if name != seen.training.environment]
    blank = [f"config/{name}.yaml" for name in others if not seen.settings[name].aws_account]
    if blank:
        where = " and ".join(blank)
        return no(f"`aws_account` is blank in {where}", f"`aws_account` in {where}: 12 digits, in quotes")
    count = len({seen.settings[name].aws_account for name in ("dev", "qa", "prod")})
    return yes(f"`aws_account` in config/: dev, qa and prod are in {count} accounts")


@RELEASE.check("automated", 1, "A new version takes over in prod step by step", arrives=True)
def gradual(seen: Evidence) -> Finding:
    """Alarms take it back before all requests reach it."""
    prod = seen.settings["prod"]
    if prod.serving.mode in ("batch", "serverless"):
        return unneeded(f"`serving.mode: {prod.serving.mode}` has no instances to replace")
    if prod.rollout.type == "all_at_once":
        return no("`rollout.type: all_at_once`", "`rollout.type: canary` in config/prod.yaml")
    return yes(f"`rollout.type: {prod.rollout.type}` in config/prod.yaml")


@RELEASE.check("automated", 1, "Releases have numbers")
def tagged(seen: Evidence) -> Finding:
    """A version tag becomes a release with notes and bills of materials."""
    tags = seen.git("tag", "--list", "v[0-9]*", "--sort=-version:refname").split()
    return yes(f"git tag {tags[0]}") if tags else no("no version tag", "`git tag v0.1.0`, then push it")


@RELEASE.check("automated", 2, "Only some may deploy to prod", outside=True)
def environments_protected(seen: Evidence) -> Finding:
    """The project on GitLab protects its environments as gitlab.yml says."""
    return as_wanted(seen, "protected environment", "environments are protected as gitlab.yml says", premium=True)


@RELEASE.check("automated", 3, "A version is in service, as recorded", outside=True, after="approved_in_aws")
def deployed(seen: Evidence) -> Finding:
    """The deployment record of the environment that is looked at."""
    arn, name = seen.asked("in_service"), seen.environment
    if isinstance(arn, Unseen):
        return unseen(arn)
    if not arn:
        return no(f"nothing was deployed to {name}", f"`make deploy env={name} version=N`")
    return yes(f"{name}: {arn}")


@RELEASE.check("full", 1, "Others than the authors approve deployments to prod")
def approvers(seen: Evidence) -> Finding:
    """A group of its own, which GitLab Premium asks."""
    prod = seen.wanted.protected_environments.get("prod")
    if prod and prod.approvals and prod.approvers:
        return yes(f"gitlab.yml: {prod.approvals} of {', '.join(prod.approvers)}")
    return no("any maintainer can", "`protected_environments.prod.approvers` in gitlab.yml: [path/of/group]")


@SERVING.check("basic", 2, "The service answers by the contract of SageMaker")
def handlers(seen: Evidence) -> Finding:
    """Its four handlers are the team's own or the template's."""
    module = seen.starter.get("inference", ast.Module([], []))
    names = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    names |= {alias.asname or alias.name for n in module.body if isinstance(n, ast.ImportFrom) for alias in n.names}
    if missing := sorted(HANDLERS - names):
        advice = f"`from usecase.mlops.default_handlers import {', '.join(missing)}` in {STARTER}/inference.py"
        return no(f"{STARTER}/inference.py has no {first(missing)}", advice)
    return yes(f"{STARTER}/inference.py: {', '.join(sorted(HANDLERS))}")


@SERVING.check("automated", 2, "The service is code that is planned, checked and applied", arrives=True)
def defined(seen: Evidence) -> Finding:
    """Terraform makes endpoint or batch jobs."""
    if seen.has("terraform/serving/main.tf"):
        return yes(f"`serving.mode: {seen.settings['prod'].serving.mode}`, terraform/serving")
    return no("terraform/serving is missing", "`make update`")


@SERVING.check("automated", 1, "The loss of a zone does not stop prod", arrives=True)
def redundant(seen: Evidence) -> Finding:
    """Two instances are in two zones."""
    prod = seen.settings["prod"]
    if prod.serving.mode in ("batch", "serverless", "async"):
        return unneeded(f"`serving.mode: {prod.serving.mode}` needs no instance that always runs")
    if min(prod.serving.instance_count, prod.scaling.minimum) < 2:
        advice = "`scaling.minimum` and `serving.instance_count` in config/prod.yaml: 2"
        return no("prod may run on one instance", advice)
    return yes(f"config/prod.yaml: {prod.scaling.minimum} instances or more")


@SERVING.check("automated", 2, "The team has set how fast and how right answers must be")
def service_level(seen: Evidence) -> Finding:
    """Alarms go off by these limits; those of the template fit nobody."""
    if seen.settings["prod"].serving.mode == "batch":
        return unneeded("nobody waits for `serving.mode: batch`")
    stated = (seen.own["prod"].get("alarms") or {}).keys() & {"errors_percent", "latency_p90_ms", "latency_p99_ms"}
    if stated:
        return yes(f"`alarms` in config/prod.yaml: {', '.join(sorted(stated))}")
    return no("the limits are those of the template", "`alarms.latency_p99_ms` in config/prod.yaml, in milliseconds")


@SERVING.check("automated", 3, "The service runs in AWS", outside=True, after="approved_in_aws")
def in_service(seen: Evidence) -> Finding:
    """That of the environment that is looked at."""
    state, name = seen.asked("serving"), seen.environment
    if isinstance(state, Unseen):
        return unseen(state)
    if state == "InService":
        return yes(f"endpoint of {name}")
    if seen.settings[name].serving.mode == "batch":
        return unneeded("`serving.mode: batch` has no endpoint")
    return no(f"endpoint of {name}: {state or 'none'}", f"`make deploy env={name} version=N`")


@SERVING.check("full", 2, "Callers go through an API with a firewall")
def gateway(seen: Evidence) -> Finding:
    """Quotas, limits of rates, and rules of WAF in front of the endpoint."""
    prod = seen.settings["prod"]
    if prod.gateway.enabled:
        return yes(f"`gateway` in config/prod.yaml, auth: {prod.gateway.auth}")
    if prod.serving.mode in ("batch", "async"):
        return unneeded(f"`serving.mode: {prod.serving.mode}` has no callers who wait")
    return no("callers reach the endpoint itself", "`gateway.enabled: true` in config/prod.yaml")
