"""The first steps in an account: what it has once (state bucket, GitLab's identity), then the roles of this use case.

The account's own root makes the bucket that its state is to lie in. So it begins with a state file in .local, which
is pushed into the bucket as soon as that is there. Every step can be repeated; a stop between two of them loses
nothing. Environments that share an account share that state, so the second finds everything there; a use case that
comes later, into a bucket that exists, has one of its own for the parts that it adds.
"""

import tempfile
from pathlib import Path

from botocore.exceptions import ClientError

from usecase.mlops.aws.errors import explained
from usecase.mlops.errors import UserError
from usecase.mlops.infrastructure.deploy import Consent, Place
from usecase.mlops.infrastructure.roots import DATA, Root, backend, local_copy, state_bucket

ACCOUNT, USECASE = "bootstrap/account", "bootstrap/usecase"
STATE_KEY = "account.tfstate"


def bootstrap(place: Place, consent: Consent) -> None:
    """Make what an account needs before Terraform and GitLab can work in it. Raises UserError."""
    if "create" in place.settings.account.model_dump().values():
        _account(place, consent)
    else:
        place.say(f"{ACCOUNT}: nothing to create, as `account` of config/ says")
    if not _bucket_exists(place):
        place.say(f"{USECASE}: is planned once the bucket of the state is there")
        return
    _apply(Root(USECASE, place.settings, place.say, backend(place.settings, "bootstrap")), place, consent)


def _account(place: Place, consent: Consent) -> None:
    """Build terraform/bootstrap/account, whose state ends up in the bucket."""
    settings = place.settings
    state = (DATA / f"account-{settings.aws_account}.tfstate").absolute()
    key = STATE_KEY if settings.account.state_bucket == "create" else f"{settings.project}/{STATE_KEY}"
    in_bucket = backend(settings, "account", key=key)
    if not state.exists() and _bucket_exists(place):
        _apply(Root(ACCOUNT, settings, place.say, in_bucket), place, consent)
        return
    state.parent.mkdir(parents=True, exist_ok=True)
    with local_copy() as top:
        if not _apply(Root(ACCOUNT, settings, place.say, [f"-backend-config=path={state}"], top), place, consent):
            return
    Root(ACCOUNT, settings, place.say, in_bucket).terraform.run("state", "push", str(state))
    state.rename(state.with_suffix(".pushed"))
    place.say(f"{ACCOUNT}: its state is now s3://{state_bucket(settings)}/{key}")


def _apply(root: Root, place: Place, consent: Consent) -> bool:
    """Whether the root is now as its plan said."""
    with tempfile.TemporaryDirectory(prefix="usecase-plan-") as folder:
        plan = root.plan(Path(folder), {})
        if lost := plan.losses():
            raise UserError(
                f"{root.path} would destroy {', '.join(lost)}: another repository may have made them for this"
                f" account: set `account` in config/{place.settings.environment}.yaml to what exists;"
                " nothing was changed"
            )
        if plan.is_empty:
            return not consent.dry_run
        if not consent.given(f"Apply this to account {place.settings.aws_account}?", place.say):
            return False
        root.apply(plan)
    return True


def _bucket_exists(place: Place) -> bool:
    bucket = state_bucket(place.settings)
    with explained(f"s3://{bucket}"):
        try:
            place.connection.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=place.settings.aws_account)
        except ClientError as error:
            if error.response["Error"]["Code"] == "404":
                return False
            raise
    return True
