"""Commands that plan, deploy, verify, roll back and destroy. Libraries are imported inside of them: --help is quick."""

from typing import Annotated, Literal

import typer

from usecase.mlops.errors import UserError

Environment = Annotated[Literal["dev", "qa", "prod"], typer.Option("--env", help="The environment.")]
RootName = Literal["platform", "serving"]
Root = Annotated[RootName | None, typer.Option(help="Only this root of terraform/. Default: platform, then serving.")]
Model = Annotated[str, typer.Option(help="ARN of a version in the environment's own registry.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Plan and check; change nothing.")]

deploy_app = typer.Typer(invoke_without_command=True, help="Deploy a version; `verify` and `rollback` are below.")


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (plan, destroy, bootstrap):
        app.command()(command)
    app.command("test-terraform")(check_terraform)
    app.add_typer(deploy_app, name="deploy")


def plan(
    env: Environment = "dev",
    root: Root = None,
    model: Model = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="Without an account, as if nothing were there yet.")
    ] = False,
) -> None:
    """Show what a deployment would change; the whole plan is kept below .local/plans, as text and as JSON."""
    from usecase.mlops.infrastructure import preview
    from usecase.mlops.infrastructure.deploy import Place

    if offline:
        preview.plan_offline(env, _roots(root), model, typer.echo)
    else:
        preview.plan(Place.open(env, typer.echo), _roots(root), model)


@deploy_app.callback()
def deploy(
    context: typer.Context,
    env: Environment = "dev",
    root: Root = None,
    model: Model = "",
    version: Annotated[str, typer.Option(help="Number of a version in the environment's own registry.")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Bring the platform up to date, then an approved version into service; verify and record it.

    Without --model and --version it is the version that the deployment record names. An environment without a record
    is a cold start: all but the model. Each plan is shown, and done when you agree.
    """
    if context.invoked_subcommand:
        given = (context.get_parameter_source(name) for name in context.params)
        if any(source and source.name == "COMMANDLINE" for source in given):
            raise UserError(f"put the options last: usecase deploy {context.invoked_subcommand} --env ...")
        return
    from usecase.mlops.infrastructure.deploy import Consent, Place, deploy_platform, deploy_serving

    if model and version:
        raise UserError("--model and --version both name a version: give one")
    consent = Consent(yes, dry_run)
    consent.check()
    place = Place.open(env, typer.echo)
    if "platform" in _roots(root):
        deploy_platform(place, consent)
    if "serving" in _roots(root):
        deploy_serving(place, model, version, consent)


@deploy_app.command()
def verify(
    env: Environment = "dev",
    timeout: Annotated[
        int | None, typer.Option(help="Seconds to wait for an endpoint that changes. Default: of the roll-out.", min=0)
    ] = None,
) -> None:
    """Compare what is in service with the deployment record and Terraform's outputs; fail where they differ."""
    from usecase.mlops.infrastructure import deploy
    from usecase.mlops.infrastructure.deploy import Place

    deploy.verify(Place.open(env, typer.echo), timeout)


@deploy_app.command()
def rollback(env: Environment = "dev", dry_run: DryRun = False, yes: Yes = False) -> None:
    """Deploy the version before the present one that is still approved, the same way as any other."""
    from usecase.mlops.infrastructure import deploy
    from usecase.mlops.infrastructure.deploy import Consent, Place

    consent = Consent(yes, dry_run)
    consent.check()
    deploy.rollback(Place.open(env, typer.echo), consent)


def destroy(
    env: Environment = "dev",
    root: Root = None,
    dry_run: DryRun = False,
    yes_destroy_prod: Annotated[bool, typer.Option("--yes-destroy-prod", help="Needed for prod.")] = False,
) -> None:
    """Destroy what Terraform has made for an environment. Asks for the environment's name."""
    from usecase.mlops.infrastructure.deploy import Place
    from usecase.mlops.infrastructure.teardown import destroy as tear_down

    if env == "prod" and not (yes_destroy_prod or dry_run):
        raise UserError(
            "prod is destroyed with --yes-destroy-prod only (uv run usecase destroy --env prod --yes-destroy-prod):"
            " nothing was changed"
        )
    tear_down(Place.open(env, typer.echo), _roots(root), dry_run)


def bootstrap(
    account: Annotated[Literal["dev", "qa", "prod"], typer.Option(help="The environment whose account it is.")] = "dev",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Make what an account needs once: state bucket and lock, GitLab's identity; then the roles of this use case."""
    from usecase.mlops.infrastructure.bootstrap import bootstrap as begin
    from usecase.mlops.infrastructure.deploy import Consent, Place

    consent = Consent(yes, dry_run)
    consent.check()
    begin(Place.open(account, typer.echo), consent)


def check_terraform(
    only: Annotated[str, typer.Option(help="Folder below terraform/, such as modules/network.")] = "",
) -> None:
    """Test every root and module of terraform/: format, validation, own tests. No account is needed."""
    from usecase.mlops.infrastructure.check import check

    check(only, typer.echo)


def _roots(root: RootName | None) -> list[str]:
    return [root] if root else ["platform", "serving"]
