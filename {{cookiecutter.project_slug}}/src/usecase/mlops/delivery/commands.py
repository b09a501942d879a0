"""Commands for GitLab's jobs, in .gitlab/ci. Libraries are imported inside of them: --help is quick."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Environment = Annotated[Literal["dev", "qa", "prod"], typer.Option("--env", help="The environment.")]
Model = Annotated[str, typer.Option(help="ARN of a version in the registry of record.")]
Output = Annotated[Path, typer.Option(help="Where to write.")]

ci_app = typer.Typer(no_args_is_help=True, help="What GitLab's jobs do; docs/delivery.md says which does what.")


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(ci_app, name="ci")


@ci_app.command()
def image(commit: Annotated[str, typer.Option(help="Hash of the commit whose image was published.")]) -> None:
    """Copy the image of a commit from GitLab's registry to the one that SageMaker reads."""
    from usecase.mlops.delivery.deliver import push_image

    push_image(commit, typer.echo)


@ci_app.command()
def link(execution: Annotated[str, typer.Argument(help="ARN of a pipeline execution.")], output: Output) -> None:
    """Write GitLab's report of links for a training that was started."""
    from usecase.mlops.aws.status import studio_link
    from usecase.mlops.delivery.version import write_links

    write_links(output, "Training", {execution.rpartition("/")[2]: studio_link(execution)})


@ci_app.command()
def report(model: Model, output: Output) -> None:
    """Gather the evidence of a version that waits for a decision, and tell people."""
    from usecase.mlops.delivery.report import report as gather

    gather(model, output, typer.echo)


@ci_app.command()
def decide(
    model: Model,
    approve: Annotated[bool, typer.Option("--approve/--reject", help="The decision.")],
) -> None:
    """Write a decision to the registry, with who and why."""
    from usecase.mlops.delivery.decide import decide as write

    write(model, approve, typer.echo)


@ci_app.command()
def live(env: Environment, model: Model, output: Output) -> None:
    """Write whether a version, or its copy, is in service in an environment."""
    from usecase.mlops.delivery.decide import live as look

    look(env, model, output, typer.echo)


@ci_app.command()
def rejected(model: Model) -> None:
    """Open an issue about a rejected version, once."""
    from usecase.mlops.delivery.decide import rejected as tell

    tell(model, Path(), typer.echo)


@ci_app.command()
def deliver(
    env: Environment,
    model: Model,
    again: Annotated[bool, typer.Option("--again", help="Even when it was in service before.")] = False,
) -> None:
    """Copy an approved version into an environment and deploy it there."""
    from usecase.mlops.delivery.deliver import deliver as bring

    bring(env, model, again, typer.echo)


@ci_app.command()
def ask(
    env: Environment,
    requests: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
    workers: Annotated[int, typer.Option(help="How many at once.", min=1, max=64)] = 1,
) -> None:
    """Ask what is in service for predictions, and measure."""
    from usecase.mlops.delivery.ask import ask as send

    send(env, requests, workers, typer.echo)


@ci_app.command()
def poll() -> None:
    """Start the pipelines of decisions that have none yet."""
    from usecase.mlops.delivery.poll import poll as look

    look(typer.echo)


@ci_app.command()
def release(output: Output) -> None:
    """Make the release of a version tag."""
    from usecase.mlops.delivery.release import release as publish

    publish(output, typer.echo)
