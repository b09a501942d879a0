"""The verdict: what each check found, points and levels by area, and the steps that add most."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from usecase.mlops.errors import UserError, meant
from usecase.mlops.maturity.checks import LEVELS, STAGES, Area, Check, Finding, Level, Stage, no, unneeded
from usecase.mlops.maturity.development import DATA, EXPERIMENTS, FEATURES, PIPELINE
from usecase.mlops.maturity.evidence import Evidence
from usecase.mlops.maturity.operation import MONITORING, PEOPLE, SECURITY
from usecase.mlops.maturity.release import REGISTRY, RELEASE, SERVING

AREAS: tuple[Area, ...] = (
    *(DATA, FEATURES, EXPERIMENTS, PIPELINE, REGISTRY),
    *(RELEASE, SERVING, MONITORING, SECURITY, PEOPLE),
)
CHECKS: dict[str, Check] = {check.name: check for area in AREAS for check in area.checks}
SETTING = "accountability.not_needed"


def growth(stage: Stage) -> str:
    """The command that brings a stage."""
    return f"`uvx copier update --defaults --vcs-ref=:current: -d mlops_stage={stage}`"


@dataclass(frozen=True)
class Result:
    """A check and what it found."""

    check: Check
    finding: Finding

    @property
    def counts(self) -> bool:
        """Whether it is a yes or a no."""
        return self.finding.state in ("yes", "no")

    @property
    def gained(self) -> int:
        """Its points, where it holds."""
        return self.check.points if self.finding.state == "yes" else 0


@dataclass(frozen=True)
class Points:
    """Points that were gained, of those that could be judged."""

    gained: int
    possible: int

    @classmethod
    def of(cls, results: Iterable[Result]) -> "Points":
        """Over results; what was not seen, or is not needed, is not among them."""
        judged = [result for result in results if result.counts]
        return cls(sum(result.gained for result in judged), sum(result.check.points for result in judged))

    @property
    def share(self) -> float:
        """From 0 to 1; 0 where nothing was judged."""
        return self.gained / self.possible if self.possible else 0.0


@dataclass(frozen=True)
class Step:
    """One thing to do: the advice, the points that it adds, the checks that then hold. `grows`: to another stage."""

    advice: str
    stage: Stage
    points: int
    checks: list[Check]
    grows: bool = False


@dataclass(frozen=True)
class Maturity:
    """All results, in the order of areas and checks; `stage` is the repository's, `project` its name."""

    project: str
    stage: Stage
    environment: str
    results: Sequence[Result]

    def of(self, area: Area, stage: Stage | None = None) -> list[Result]:
        """Those of an area, and of one stage."""
        return [
            result for result in self.results if result.check.area == area.title and stage in (None, result.check.stage)
        ]

    def level_of(self, area: Area) -> Level:
        """The highest stage up to which no check of the area says no, as far as it was seen."""
        level: Level = "manual"
        for stage in STAGES:
            if any(result.finding.state == "no" for result in self.of(area, stage)):
                break
            level = stage
        return level

    @property
    def level(self) -> Level:
        """That of the area which is furthest behind."""
        return min((self.level_of(area) for area in AREAS), key=LEVELS.index)

    @property
    def points(self) -> Points:
        """Over everything."""
        return Points.of(self.results)

    @property
    def steps(self) -> list[Step]:
        """What to do next: the lowest stage first, because a level wants all below it; then what adds most.

        What others wait for counts with them. Of the commands that bring a stage only the next one is a step, worth
        the checks that hold by it alone.
        """
        missing: dict[str, list[Check]] = defaultdict(list)
        for result in self.results:
            if result.finding.state == "no":
                missing[result.finding.advice].append(result.check)
        later = STAGES[STAGES.index(self.stage) + 1 :]
        grown = {growth(stage) for stage in later}
        found = []
        for advice, checks in missing.items():
            if advice not in grown:
                stage = min((check.stage for check in checks), key=STAGES.index)
                found.append(Step(advice, stage, sum(check.points for check in checks), checks))
        if later:
            arriving = [check for check in missing.get(growth(later[0]), []) if check.arrives]
            found.append(Step(growth(later[0]), later[0], sum(check.points for check in arriving), arriving, True))
        return sorted(found, key=lambda step: (STAGES.index(step.stage), -_with_waiting(step, found)))


def _with_waiting(step: Step, steps: list[Step]) -> int:
    """The points of a step, and of those that can only be done after it."""
    names = {check.name for check in step.checks}
    waiting = [other for other in steps if other is not step and any(check.after in names for check in other.checks)]
    return step.points + sum(_with_waiting(other, steps) for other in waiting)


def examine(seen: Evidence) -> Maturity:
    """Hold the evidence against all checks. Raises UserError for files that cannot be read."""
    reasons = seen.settings["local"].accountability.not_needed
    for name in reasons:
        if name not in CHECKS:
            raise UserError(f"config/local.yaml: {SETTING}.{name}: no such check: {meant(name, CHECKS)}")
    results = [Result(check, _look(check, seen, reasons.get(check.name, ""))) for check in CHECKS.values()]
    return Maturity(seen.settings["local"].project, seen.stage, seen.environment, results)


def _look(check: Check, seen: Evidence, reason: str) -> Finding:
    if reason:
        return unneeded(reason)
    if not check.outside and STAGES.index(check.stage) > STAGES.index(seen.stage):
        return no(f"comes with stage {check.stage}", growth(check.stage))
    return check.look(seen)
