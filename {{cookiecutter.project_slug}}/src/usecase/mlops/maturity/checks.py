"""What a check is, what it says, and how an area declares its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from usecase.mlops.maturity.evidence import Evidence, Unseen

Stage = Literal["basic", "automated", "full"]
Level = Literal["manual", "basic", "automated", "full"]
STAGES: tuple[Stage, ...] = ("basic", "automated", "full")
LEVELS: tuple[Level, ...] = ("manual", *STAGES)


@dataclass(frozen=True)
class Finding:
    """What a check found, and for a `no` the one command or setting that makes it a `yes`."""

    state: Literal["yes", "no", "not seen", "not needed"]
    evidence: str
    advice: str = ""


Look = Callable[[Evidence], Finding]


@dataclass(frozen=True)
class Check:
    """A question with a name, worth `points` (1 to 3) at a stage; `look` is a pure function of the evidence.

    `arrives`: what the stage brings by itself, so that it holds in a repository that nobody has touched yet. `outside`:
    AWS or GitLab answers, and nobody else can. `after`: the check whose advice comes before that of this one.
    """

    name: str
    area: str
    stage: Stage
    points: int
    title: str
    look: Look
    arrives: bool = False
    outside: bool = False
    after: str = ""


class Area:
    """One area of work: its title, and its checks in the order of their declaration."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.checks: list[Check] = []

    def check(
        self, stage: Stage, points: int, title: str, *, arrives: bool = False, outside: bool = False, after: str = ""
    ) -> Callable[[Look], Look]:
        """Declare the function as a check, which has the function's name."""

        def declare(look: Look) -> Look:
            self.checks.append(Check(look.__name__, self.title, stage, points, title, look, arrives, outside, after))
            return look

        return declare


def yes(evidence: str) -> Finding:
    """It holds."""
    return Finding("yes", evidence)


def no(evidence: str, advice: str) -> Finding:
    """It does not hold; the advice is one command, setting or edit."""
    return Finding("no", evidence, advice)


def unseen(why: Unseen) -> Finding:
    """Nothing could be looked at: neither yes nor no."""
    return Finding("not seen", why.reason)


def unneeded(reason: str) -> Finding:
    """This use case has no use for it."""
    return Finding("not needed", reason)


def as_wanted(seen: Evidence, kind: str, holds: str, premium: bool = False) -> Finding:
    """Whether a kind of thing on GitLab is as gitlab.yml says; `kind` as the set-up calls it."""
    if isinstance(seen.project, Unseen):
        return unseen(seen.project)
    found = [line for line in seen.project.differences if line.removeprefix("create ").startswith((kind, "project"))]
    if found:
        return no(f"GitLab: {found[0]}", "`make gitlab`")
    if premium and not seen.project.is_premium:
        return unseen(Unseen("needs GitLab Premium"))
    return yes(f"GitLab: {holds}")


def first(names: list[str], most: int = 3) -> str:
    """Some of the names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
