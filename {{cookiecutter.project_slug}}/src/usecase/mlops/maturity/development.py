"""Checks of how a model comes about: data, features, experiments, pipeline."""

import ast

from usecase.mlops.contract import FILE_NAME, Contract
from usecase.mlops.files import file_sha256
from usecase.mlops.maturity.checks import Area, Finding, first, no, unneeded, unseen, yes
from usecase.mlops.maturity.evidence import STARTER, Evidence, Unseen
from usecase.mlops.run import DEFINITION, LOCAL, LOCK
from usecase.mlops.tracking import DATABASE

DATA, FEATURES = Area("data"), Area("features")
EXPERIMENTS, PIPELINE = Area("experiments"), Area("pipeline")

SAMPLE_SHA256 = "7e115a871fc47b0002ff74842ddb6b61b08baf51b137f171c34af4d053c0b081"  # data/sample.csv of the template
SETUP = "`make setup`"
NO_MACHINE = Unseen("a CI job has no runs and hooks of its own: run it on a machine that people work on")
PREPROCESSING = STARTER / "preprocessing.py"


def _is_sample(seen: Evidence) -> bool:
    file = seen.root / (seen.contract.path or "-")
    return file.is_file() and file_sha256(file) == SAMPLE_SHA256


@DATA.check("basic", 3, "The contract describes your own data")
def own_data(seen: Evidence) -> Finding:
    """The sample shows how things work, and that is all."""
    if _is_sample(seen):
        return no(f"{seen.contract.path} is the template's sample", "`make contract data=FILE target=COLUMN`")
    return yes(f"{FILE_NAME}: {len(seen.contract.features)} features of {seen.contract.path or seen.contract.name}")


@DATA.check("basic", 2, "Each column says what it means")
def described(seen: Evidence) -> Finding:
    """Only people know: no tool can tell what `f_17` is."""
    used = [column for column in seen.contract.table.fields if column.role != "ignored"]
    silent = [column.name for column in used if not column.description.strip()]
    if silent:
        where = f"fill in `description` of {first(silent)} in {FILE_NAME}"
        return no(f"{len(used) - len(silent)} of {len(used)} columns have a description", where)
    return yes(f"{len(used)} columns of {FILE_NAME} have a description")


@DATA.check("basic", 2, "Each feature has limits that requests are checked against")
def limited(seen: Evidence) -> Finding:
    """A number has a minimum and a maximum, a category its values."""
    open_ended = [column.name for column in seen.contract.features if not _is_limited(seen.contract, column.name)]
    if open_ended:
        where = f"fill in `constraints` (minimum and maximum, or enum) of {first(open_ended)} in {FILE_NAME}"
        return no(f"{len(open_ended)} features take any value", where)
    return yes(f"{len(seen.contract.features)} features of {FILE_NAME} have limits")


def _is_limited(contract: Contract, name: str) -> bool:
    column = contract.columns[name]
    if column.type in ("boolean", "date", "datetime"):  # their type is a limit, and time moves on
        return True
    limits = column.constraints
    return bool(limits.enum) or (limits.minimum is not None and limits.maximum is not None)


@DATA.check("basic", 1, "Source and licence of the data are written down")
def documented(seen: Evidence) -> Finding:
    """The sample's are; those of other data only a person can write."""
    name = seen.contract.path.rstrip("/").rpartition("/")[2] or seen.contract.name
    if _is_sample(seen):
        return unneeded("those of the sample are")
    if name in seen.text("data/README.md"):
        return yes(f"data/README.md tells of {name}")
    return no(f"data/README.md does not name {name}", f"write source and licence of {name} into data/README.md")


@DATA.check("basic", 2, "Training stops at data that breaks the contract")
def checked(seen: Evidence) -> Finding:
    """The first step checks each row, and a gate counts what was let through with a warning."""
    found = seen.pipeline.parameters if seen.pipeline else {}
    if "MaximumFlaggedRows" not in found:
        return no(f"{DEFINITION} has no limit of rows that break it", "`make pipeline`")
    limit = seen.settings["local"].quality.contract.maximum_flagged
    return yes(f"{DEFINITION}: at most {limit:.0%} of the rows beyond it")


@DATA.check("automated", 2, "Data goes to AWS under its checksum", arrives=True)
def pushed(seen: Evidence) -> Finding:
    """The same name is always the same data."""
    if seen.has("src/usecase/mlops/aws/data.py"):
        return yes("`usecase data push`, src/usecase/mlops/aws/data.py")
    return no("src/usecase/mlops/aws/data.py is missing", "`make update`")


@DATA.check("automated", 2, "Buckets of data and models keep versions", outside=True)
def versioned(seen: Evidence) -> Finding:
    """What is overwritten by mistake can be brought back."""
    found = seen.asked("versioned")
    if isinstance(found, Unseen):
        return unseen(found)
    if bare := [bucket for bucket, keeps in found.items() if not keeps]:
        return no(f"{first(bare)}: no versions", f"`make deploy env={seen.environment} root=platform`")
    return yes(f"versions of {', '.join(found)}")


@DATA.check("full", 2, "Who reads or writes an object is recorded", arrives=True)
def access_recorded(seen: Evidence) -> Finding:
    """A trail of the buckets' objects, in each environment."""
    silent = [name for name in ("dev", "qa", "prod") if not seen.settings[name].governance.data_events]
    if silent:
        return no(f"not in {', '.join(silent)}", f"`governance.data_events: true` in config/{silent[0]}.yaml")
    return yes("`governance.data_events` in dev, qa and prod")


@FEATURES.check("basic", 2, "What the team knows is in derived features")
def derived(seen: Evidence) -> Finding:
    """`add_features` does more than give its rows back."""
    module = seen.starter.get("preprocessing", ast.Module([], []))
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "add_features"]
    for function in functions:
        work = function.body[1:] if ast.get_docstring(function) else function.body
        if not (len(work) == 1 and isinstance(work[0], ast.Return) and isinstance(work[0].value, ast.Name)):
            return yes(f"{PREPROCESSING}: add_features, for training and service alike")
    advice = f"derive columns in `add_features` of {PREPROCESSING}"
    return no("`add_features` gives the rows back as they are", advice)


@FEATURES.check("basic", 2, "Derived features have tests")
def features_tested(seen: Evidence) -> Finding:
    """A test imports `add_features`."""
    if "usecase.preprocessing.add_features" in seen.tested:
        return yes("tests/ calls add_features")
    return no("no test imports `add_features`", "test `add_features` in tests/test_preprocessing.py")


@FEATURES.check("automated", 2, "A deployed model is asked what the training rows said", arrives=True)
def compared(seen: Evidence) -> Finding:
    """Answers of the endpoint are compared with those of the evaluation: the same features here and there."""
    if "smoke:dev" in seen.text(".gitlab/ci/dev.yml"):
        return yes("job `smoke:dev`, .gitlab/ci/dev.yml")
    return no(".gitlab/ci/dev.yml has no job `smoke:dev`", "`make update`")


@FEATURES.check("full", 3, "Features come from a feature store")
def feature_store(seen: Evidence) -> Finding:
    """Training rows are joined to what was known at their own moment."""
    for name, settings in seen.settings.items():
        if settings.feature_store:
            return yes(f"`feature_store` in config/{name}.yaml: {settings.feature_store.group}")
    return no("no environment names one", "`feature_store: { group, record_id, event_time }` in config/dev.yaml")


@EXPERIMENTS.check("basic", 2, "Runs are logged, and can be compared", after="locked")
def logged(seen: Evidence) -> Finding:
    """In MLflow, here or on a server."""
    if uri := seen.settings["local"].tracking.uri:
        return yes(f"`tracking.uri` in config/local.yaml: {uri}")
    if seen.in_ci:
        return unseen(NO_MACHINE)
    if seen.runs:
        return yes(f"{seen.runs} runs in {LOCAL / DATABASE}")
    return no(f"no run in {LOCAL / DATABASE}", "`make run`")


@EXPERIMENTS.check("basic", 1, "Hyper-parameters were chosen for this data")
def tuned(seen: Evidence) -> Finding:
    """Those of the template were not."""
    for name, content in seen.own.items():
        if chosen := (content.get("pipeline") or {}).get("parameters"):
            return yes(f"config/{name}.yaml: {', '.join(chosen)}")
    return no("those of the template are used", "`pipeline.parameters` in config/local.yaml, such as MaxDepth: 6")


@EXPERIMENTS.check("automated", 2, "Runs of all people are in one place")
def shared(seen: Evidence) -> Finding:
    """An MLflow server; a database on each laptop is not one."""
    training = seen.training
    if training.tracking.uri:
        return yes(f"`tracking.uri` in config/{training.environment}.yaml: {training.tracking.uri}")
    advice = f"`tracking.uri` in config/{training.environment}.yaml: the address of an MLflow server"
    return no("runs of AWS go to no server", advice)


@EXPERIMENTS.check("full", 1, "People explore in AWS, beside the data")
def studio(seen: Evidence) -> Finding:
    """SageMaker Studio in the environment's own network."""
    for name in ("dev", "qa", "prod"):
        if seen.settings[name].studio.enabled:
            return yes(f"`studio.enabled` in config/{name}.yaml")
    return no("no environment has SageMaker Studio", "`studio.enabled: true` in config/dev.yaml")


@PIPELINE.check("basic", 2, "Steps from data to registry are one definition, with a gate")
def compiled(seen: Evidence) -> Finding:
    """pipeline.json: what runs here is what is deployed."""
    kinds = {step.type for step in seen.pipeline.steps.values()} if seen.pipeline else set()
    missing = sorted({"Processing", "Training", "Condition", "RegisterModel"} - kinds)
    if missing or not seen.pipeline:
        return no(f"{DEFINITION} has no step {first(missing)}", "`make pipeline`")
    return yes(f"{DEFINITION}: {len(seen.pipeline.steps)} steps, of which a condition decides on registration")


@PIPELINE.check("basic", 2, "Every library is locked with its checksum")
def locked(seen: Evidence) -> Finding:
    """The same code with other libraries is another model."""
    packages = seen.text(LOCK).count("[[package]]")
    return yes(f"{LOCK}: {packages} packages") if packages else no(f"{LOCK} is missing or empty", SETUP)


@PIPELINE.check("basic", 1, "The work is under version control")
def committed(seen: Evidence) -> Finding:
    """A commit stands for what trained a model."""
    commit = seen.git("rev-parse", "--short", "HEAD")
    return yes(f"git, at {commit}") if commit else no("no git repository with a commit", SETUP)


@PIPELINE.check("basic", 1, "Mistakes are found before a commit")
def hooked(seen: Evidence) -> Finding:
    """The pre-commit hooks are installed."""
    if seen.in_ci:
        return unseen(NO_MACHINE)
    hook = seen.git("rev-parse", "--git-path", "hooks/pre-commit")
    if hook and (seen.root / hook).is_file():
        return yes("git hook pre-commit")
    return no("no git hook pre-commit", SETUP)


@PIPELINE.check("basic", 2, "Every module of the team has a test")
def tested(seen: Evidence) -> Finding:
    """A test imports it; whether it tests it well, reviewers say. pipeline.py is compiled and compared by CI."""
    modules = [f"usecase.{name}" for name in seen.starter if name != "pipeline"]
    bare = [name for name in modules if name not in seen.tested]
    if bare:
        return no(f"no test imports {first(bare)}", f"test {bare[0]} in tests/test_{bare[0].rpartition('.')[2]}.py")
    return yes(f"tests/ imports {', '.join(modules)}")


@PIPELINE.check("basic", 1, "GitLab takes the CI configuration for valid", outside=True)
def ci_valid(seen: Evidence) -> Finding:
    """It is asked, as if a pipeline began now."""
    if isinstance(seen.project, Unseen):
        return unseen(seen.project)
    if isinstance(seen.project.ci, Unseen):
        return unseen(seen.project.ci)
    return yes("GitLab's check of .gitlab-ci.yml") if seen.project.ci else no("GitLab finds errors", "`make gitlab`")


@PIPELINE.check("automated", 3, "Training runs in AWS, started by a merge", arrives=True)
def in_aws(seen: Evidence) -> Finding:
    """The definition is deployed as it was reviewed."""
    if seen.has(".gitlab/ci/train.yml"):
        return yes("job `train`, .gitlab/ci/train.yml")
    return no(".gitlab/ci/train.yml is missing", "`make update`")


@PIPELINE.check("automated", 2, "The environment that trains has an account")
def training_account(seen: Evidence) -> Finding:
    """Without it nothing is done in AWS."""
    training = seen.training
    where = f"config/{training.environment}.yaml"
    if training.aws_account:
        return yes(f"`aws_account` in {where}")
    return no(f"`aws_account` in {where} is blank", f"`aws_account` in {where}: its 12 digits, in quotes")


@PIPELINE.check("automated", 3, "A training in AWS has succeeded", outside=True, after="training_account")
def executed(seen: Evidence) -> Finding:
    """The newest execution of the pipeline."""
    state, name = seen.asked("execution"), seen.environment
    if isinstance(state, Unseen):
        return unseen(state)
    if state == "Succeeded":
        return yes(f"newest execution in {name}")
    advice = f"`uv run usecase pipeline start --env {name} --data s3://...`"
    return no(f"newest execution: {state}" if state else "no execution yet", advice)


@PIPELINE.check("full", 2, "Training starts by itself")
def retrained(seen: Evidence) -> Finding:
    """By a schedule of GitLab or of AWS; drift and new data come on top."""
    training = seen.training
    where = f"config/{training.environment}.yaml"
    if not training.retraining.enabled:
        return no("`retraining.enabled: false` stops all of them", f"`retraining.enabled: true` in {where}")
    if training.retraining.schedule:
        return yes(f"`retraining.schedule` in {where}: {training.retraining.schedule}")
    schedule = seen.wanted.schedules.get("retrain")
    if schedule and schedule.active:
        return yes(f"schedule `retrain` in gitlab.yml: {schedule.cron}")
    return no("no schedule is active", f"`retraining.schedule` in {where}, such as cron(0 3 1 * ? *)")
