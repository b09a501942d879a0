"""Checks of what keeps it right: monitoring, security and governance, people and documents."""

from datetime import timedelta

from usecase.mlops.contract import FILE_NAME
from usecase.mlops.errors import UserError
from usecase.mlops.maturity.checks import Area, Finding, as_wanted, first, no, unseen, yes
from usecase.mlops.maturity.development import NO_MACHINE
from usecase.mlops.maturity.evidence import Evidence, Unseen
from usecase.mlops.run import LOCAL, MODEL_CARD
from usecase.mlops.scans.waivers import WAIVERS, refuse_expired

MONITORING, SECURITY = Area("monitoring"), Area("security and governance")
PEOPLE = Area("people and documents")
BASELINE = "drift_baseline.json"
SCANS = ("secrets", "sast", "dependencies", "licences", "sbom")
RULES = ("windows", "violated", "cooldown_hours", "monthly_runs")
LIMITS = ("minimum_rows", "minimum_effect", "false_alarms", "anomaly_band")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
EXAMPLE = "example.com"  # of the answers that nobody gave


@MONITORING.check("basic", 2, "What the model was trained on is kept, to compare traffic with", after="locked")
def baseline(seen: Evidence) -> Finding:
    """The newest version has its drift baseline."""
    if seen.in_ci:
        return unseen(NO_MACHINE)
    if seen.versions and BASELINE in seen.versions[-1].sources:
        return yes(f"{BASELINE} of version {seen.versions[-1].version}")
    return no(f"no version with {BASELINE}", "`make run`")


@MONITORING.check("basic", 1, "Somebody looks every night", outside=True)
def nightly(seen: Evidence) -> Finding:
    """Schedules of the project on GitLab: new vulnerabilities appear without a commit."""
    return as_wanted(seen, "schedule", "schedules are as gitlab.yml says")


@MONITORING.check("automated", 2, "Errors, latency and resources of the service have alarms", arrives=True)
def alarmed(seen: Evidence) -> Finding:
    """Terraform makes them, and one that notifies."""
    if seen.has("terraform/modules/alarms/main.tf"):
        return yes("terraform/modules/alarms")
    return no("terraform/modules/alarms is missing", "`make update`")


@MONITORING.check("automated", 1, "Requests and answers of prod are kept", arrives=True)
def captured(seen: Evidence) -> Finding:
    """What is not kept cannot be looked at."""
    share = seen.settings["prod"].capture.percentage
    if share:
        return yes(f"`capture.percentage: {share}` for prod")
    return no("`capture.percentage: 0` in config/prod.yaml", "`capture.percentage` in config/prod.yaml: above 0")


@MONITORING.check("automated", 2, "An alarm tells people", outside=True, after="deployed")
def notified(seen: Evidence) -> Finding:
    """In the account that is looked at."""
    found, name = seen.asked("alarms"), seen.environment
    if isinstance(found, Unseen):
        return unseen(found)
    return yes(first(found)) if found else no(f"no alarm of {name} notifies", f"`make deploy env={name} root=serving`")


@MONITORING.check("full", 3, "Drift of data and answers is measured in AWS", arrives=True)
def drift(seen: Evidence) -> Finding:
    """A function compares each window of traffic with the training rows."""
    if seen.settings["prod"].monitoring.enabled:
        return yes("`monitoring.enabled` for prod")
    return no("`monitoring.enabled: false` for prod", "`monitoring.enabled: true` in config/prod.yaml")


@MONITORING.check("full", 1, "The team has set how much drift is too much")
def drift_limits(seen: Evidence) -> Finding:
    """Also where it keeps what the template says."""
    if files := seen.stated("monitoring", *LIMITS):
        return yes(f"`monitoring` in {first(files)}")
    return no("the limits are those of the template", "`monitoring.minimum_effect` in config/prod.yaml")


@MONITORING.check("full", 1, "The team has set when drift trains again")
def retraining_rules(seen: Evidence) -> Finding:
    """Also where it keeps what the template says."""
    if files := seen.stated("retraining", *RULES):
        return yes(f"`retraining` in {first(files)}")
    return no("the rules are those of the template", "`retraining.violated` in config/local.yaml")


@MONITORING.check("full", 2, "Traffic was compared with the training rows", after="approved")
def watched(seen: Evidence) -> Finding:
    """By the monitor on this machine."""
    if seen.in_ci:
        return unseen(NO_MACHINE)
    windows = seen.local_json("monitor/history.json").get("windows")
    if isinstance(windows, list) and windows:
        return yes(f"{len(windows)} windows in {LOCAL}/monitor")
    return no(f"no window in {LOCAL}/monitor", "`make monitor data=FOLDER`")


@MONITORING.check("full", 2, "What really happened comes back as labels")
def labelled(seen: Evidence) -> Finding:
    """Quality in service is measured, not assumed."""
    if seen.in_ci:
        return unseen(NO_MACHINE)
    measured = seen.local_json("feedback/quality.json").get("quality")
    if isinstance(measured, list) and measured:
        return yes(f"{LOCAL}/feedback/quality.json: metrics of labelled traffic")
    return no(f"no metric of labelled traffic in {LOCAL}/feedback", "`make feedback data=FOLDER labels=FILE`")


@SECURITY.check("basic", 3, "The data has a class, and every column a verdict on personal data")
def classified(seen: Evidence) -> Finding:
    """What may be personal is settled; what is personal is not public."""
    given = seen.settings["local"].accountability.data_classification
    columns = seen.contract.table.fields
    if open_ended := [column.name for column in columns if column.pii == "suspected"]:
        names = first(open_ended)
        return no(f"{names} may be personal data", f"`pii` of {names} in {FILE_NAME}: yes or no")
    words = "public, internal, confidential or restricted"
    if not given:
        return no("nobody has said it", f"`accountability.data_classification` in config/local.yaml: {words}")
    personal = [column.name for column in columns if column.pii == "yes"]
    if personal and given == "public":
        advice = "`accountability.data_classification` in config/local.yaml: confidential or restricted"
        return no(f"{first(personal)} is personal data, and the class is public", advice)
    return yes(f"`accountability.data_classification: {given}`, {len(personal)} columns with personal data")


@SECURITY.check("basic", 2, "Secrets, code, libraries and licences are scanned")
def scanned(seen: Evidence) -> Finding:
    """Jobs of each merge request; `make scan` here."""
    jobs = seen.text(".gitlab/ci/security.yml").splitlines()
    if missing := [name for name in SCANS if f"{name}:" not in jobs]:
        return no(f".gitlab/ci/security.yml has no job {first(missing)}", "`make update`")
    return yes(f".gitlab/ci/security.yml: {', '.join(SCANS)}")


@SECURITY.check("basic", 1, "No exception from a scan is out of date")
def waived(seen: Evidence) -> Finding:
    """Each has a reason and an end."""
    waivers = seen.waivers
    try:
        refuse_expired(waivers, seen.today, WAIVERS)
    except UserError as error:
        return no(str(error), f"take the entry out of {WAIVERS}, or decide again and set a new `expires`")
    return yes(f"{WAIVERS}: {len(waivers)} exceptions")


@SECURITY.check("automated", 2, "No key of AWS lies anywhere", arrives=True)
def keyless(seen: Evidence) -> Finding:
    """Jobs take roles by tokens, or by that of their runner."""
    if kept := [variable.key for variable in seen.wanted.variables if variable.key in KEYS]:
        return no(f"gitlab.yml gives jobs {first(kept)}", f"take {first(kept)} out of `variables` in gitlab.yml")
    return yes(f"`aws_access.auth: {seen.training.aws_access.auth}`, no key in gitlab.yml")


@SECURITY.check("automated", 2, "Infrastructure is encrypted, private, and checked before it is applied", arrives=True)
def controlled(seen: Evidence) -> Finding:
    """Every plan is held against the controls."""
    if seen.has("terraform/platform/encryption.tf", "src/usecase/mlops/infrastructure/controls.py"):
        return yes("terraform/platform, src/usecase/mlops/infrastructure/controls.py")
    return no("terraform/platform or its controls are missing", "`make update`")


@SECURITY.check("automated", 2, "Somebody has looked lately who has access")
def access_reviewed(seen: Evidence) -> Finding:
    """In AWS and GitLab; people change, rights stay."""
    review = seen.settings["local"].accountability.access_review
    advice = "`accountability.access_review.last` in config/local.yaml: the day of a review, such as 2026-11-30"
    if review.last is None:
        return no("no review is known", advice)
    due = review.last + timedelta(days=review.interval_days)
    if review.last > seen.today:
        return no(f"{review.last} is not yet", advice)
    if due < seen.today:
        return no(f"the last one of {review.last} was due again on {due}", advice)
    return yes(f"on {review.last}; the next by {due}")


@SECURITY.check("full", 2, "AWS records who did what in the account", outside=True)
def recorded(seen: Evidence) -> Finding:
    """A trail of CloudTrail that logs."""
    found, name = seen.asked("trails"), seen.environment
    if isinstance(found, Unseen):
        return unseen(found)
    return yes(f"trail {first(found)}") if found else no("no trail logs", f"`make bootstrap account={name}`")


@SECURITY.check("full", 2, "Rules watch the account, and a budget its costs", arrives=True)
def governed(seen: Evidence) -> Finding:
    """AWS Config and AWS Budgets, in every environment."""
    for name in ("dev", "qa", "prod"):
        settings = seen.settings[name]
        if not settings.governance.config_rules:
            return no(f"no rules in {name}", f"`governance.config_rules: true` in config/{name}.yaml")
        if settings.budget is None:
            return no(f"no budget in {name}", f"`budget.monthly_usd` in config/{name}.yaml: US dollars")
    return yes("`governance.config_rules` and `budget` in dev, qa and prod")


@SECURITY.check("full", 2, "The data of prod has backups")
def backed_up(seen: Evidence) -> Finding:
    """Copies that a mistake in the bucket does not reach."""
    if seen.settings["prod"].governance.backup:
        return yes("`governance.backup` in config/prod.yaml, beside the buckets' versions")
    return no("versions of the bucket alone", "`governance.backup: true` in config/prod.yaml")


@SECURITY.check("full", 2, "There is a backup to restore", outside=True)
def restorable(seen: Evidence) -> Finding:
    """In the vault of the environment that is looked at."""
    found, name = seen.asked("backups"), seen.environment
    if isinstance(found, Unseen):
        return unseen(found)
    if not seen.settings[name].governance.backup:
        advice = f"`governance.backup: true` in config/{name}.yaml, then `make deploy env={name} root=platform`"
        return no(f"no backup in {name}", advice)
    return yes(f"{found} copies in {name}") if found else no("no copy yet", "wait a day: AWS Backup copies every night")


@PEOPLE.check("basic", 1, "Somebody answers for it")
def owned(seen: Evidence) -> Finding:
    """A team's address outlives a person's."""
    owner = seen.settings["local"].owner_email
    if owner.endswith(EXAMPLE):
        advice = "`uvx copier update --defaults --vcs-ref=:current: -d owner_email=ADDRESS`"
        return no(f"{owner} is nobody's address", advice)
    return yes(f"`owner_email`: {owner}")


@PEOPLE.check("basic", 1, "It is clear who builds and runs it")
def ownership(seen: Evidence) -> Finding:
    """The team, a vendor, or both; CODEOWNERS says who owns which part."""
    if given := seen.settings["local"].accountability.ownership:
        return yes(f"`accountability.ownership: {given}`")
    return no("nobody has said it", "`accountability.ownership` in config/local.yaml: in_house, vendor or hybrid")


@PEOPLE.check("basic", 2, "Parts of the repository have owners of their own")
def code_owners(seen: Evidence) -> Finding:
    """Not one address for all: a change of infrastructure needs other eyes than a feature."""
    lines = [line for line in seen.text(".gitlab/CODEOWNERS").splitlines() if not line.startswith("#")]
    owners = {word for line in lines for word in line.split() if "@" in word}
    named = sorted(owner for owner in owners if not owner.endswith(EXAMPLE))
    if len(named) > 1:
        return yes(f".gitlab/CODEOWNERS: {first(named)}")
    return no(
        f"{' '.join(owners) or 'nobody'} owns everything",
        "put your groups, such as @company/platform, in place of the address in .gitlab/CODEOWNERS",
    )


@PEOPLE.check("basic", 3, "The model card says what the model is for, and what not")
def model_card(seen: Evidence) -> Finding:
    """The hints of the template are no text."""
    if missing := seen.card.unfilled:
        return no(f"{len(missing)} sections have no text", f"write {first(missing, 5)} in {MODEL_CARD}")
    return yes(f"{MODEL_CARD}: {len(seen.card.sections)} sections")


@PEOPLE.check("basic", 1, "The risk of the model is rated")
def risk_rated(seen: Evidence) -> Finding:
    """As the organisation rates risks."""
    if seen.card.risk_rating != "Unknown":
        return yes(f"{MODEL_CARD}: {seen.card.risk_rating}")
    return no("`Risk rating: Unknown`", f"`Risk rating:` in {MODEL_CARD}: Low, Medium or High")


@PEOPLE.check("basic", 1, "Improvements of the template arrive by themselves")
def updated(seen: Evidence) -> Finding:
    """A job opens a merge request for each."""
    schedule = seen.wanted.schedules.get("template_update")
    if schedule and schedule.active:
        return yes(f"schedule `template_update` in gitlab.yml: {schedule.cron}")
    if seen.has("renovate.json"):
        return yes("renovate.json")
    return no("nobody is told of one", "`schedules.template_update.active: true` in gitlab.yml: docs/updates.md")


@PEOPLE.check("automated", 2, "Stewards who decide on models are named")
def stewards(seen: Evidence) -> Finding:
    """They alone may, in the registry of record."""
    training = seen.training
    where = f"config/{training.environment}.yaml"
    if training.people.stewards:
        return yes(f"`people.stewards` in {where}: {len(training.people.stewards)}")
    return no("nobody may take the role", f"`people.stewards` in {where}: ARNs of their roles")


@PEOPLE.check("full", 1, "Data scientists have a role of their own in AWS")
def data_scientists(seen: Evidence) -> Finding:
    """Which may look and try, and not deploy."""
    for name in ("dev", "qa", "prod"):
        if found := seen.settings[name].people.data_scientists:
            return yes(f"`people.data_scientists` in config/{name}.yaml: {len(found)}")
    return no("nobody may take the role", "`people.data_scientists` in config/dev.yaml: ARNs of their roles")
