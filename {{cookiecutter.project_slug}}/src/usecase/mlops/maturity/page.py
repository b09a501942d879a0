"""The verdict for people: a table for the terminal, and a Markdown page with all evidence."""

import textwrap
from collections.abc import Iterator

from usecase.mlops.maturity.checks import STAGES, Stage
from usecase.mlops.maturity.score import AREAS, Maturity, Points, Result, Step

WIDTH = 100
BAR = 8
NEXT = 5
SIGNS = {"yes": "✔", "no": "✘", "not seen": "?", "not needed": "-"}


def table(maturity: Maturity) -> Iterator[str]:
    """Lines for a terminal: levels and points by area, then the next steps."""
    yield f"{maturity.project}: level {maturity.level}, {_score(maturity.points)}"
    yield ""
    width = max(len(area.title) for area in AREAS)
    yield f"{'':<{width}}  {'level':<9}  " + "  ".join(f"{stage:<15}" for stage in STAGES).rstrip()
    for area in AREAS:
        cells = "  ".join(_cell(Points.of(maturity.of(area, stage))) for stage in STAGES)
        yield f"{area.title:<{width}}  {maturity.level_of(area):<9}  {cells}".rstrip()
    cells = "  ".join(_cell(_points(maturity, stage)) for stage in STAGES)
    yield f"{'all':<{width}}  {maturity.level:<9}  {cells}".rstrip()
    unseen = [result for result in maturity.results if result.finding.state == "not seen"]
    if unseen:
        yield ""
        yield from _wrapped(f"{_count(unseen)} not seen, and neither yes nor no:", "")
        for reason in dict.fromkeys(result.finding.evidence for result in unseen):
            count = sum(result.finding.evidence == reason for result in unseen)
            yield from _wrapped(f"{count:>3}  {reason}", "     ")
    if maturity.steps:
        yield ""
        yield "Next, the lowest stage first, then what adds most:"
    for step in _shown(maturity):
        yield from _wrapped(f"{f'+{step.points}':>5}  {step.advice.replace('`', '')}", "       ")


def _shown(maturity: Maturity) -> list[Step]:
    """The next steps, and after them the one that brings the next stage."""
    steps = maturity.steps
    return steps[:NEXT] + [step for step in steps[NEXT:] if step.grows]


def _score(points: Points) -> str:
    return f"{points.gained} of {points.possible} points ({points.share:.0%})"


def _cell(points: Points) -> str:
    filled = round(points.share * BAR)
    return f"{'#' * filled:.<{BAR}} {f'{points.gained}/{points.possible}':<6}" if points.possible else f"{'-':<15}"


def _points(maturity: Maturity, stage: Stage) -> Points:
    return Points.of(result for result in maturity.results if result.check.stage == stage)


def _count(results: list[Result]) -> str:
    return f"{len(results)} check{'' if len(results) == 1 else 's'}"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def page(maturity: Maturity, day: str) -> str:
    """The Markdown page."""
    where = f", with the account of {maturity.environment}" if maturity.environment else ""
    lines = [
        f"# Maturity of {_cell_text(maturity.project)}",
        "",
        f"**Level {maturity.level}**: {_score(maturity.points)}, on {day}{where}."
        f" The repository is of stage {maturity.stage}.",
        "",
        "A level is reached when none of its checks, in any area, says no. How points and levels are counted:",
        "`docs/maturity.md`.",
        "",
        f"| area | level | {' | '.join(STAGES)} |",
        f"| --- | --- |{' --- |' * len(STAGES)}",
    ]
    for area in AREAS:
        cells = " | ".join(_bar(Points.of(maturity.of(area, stage))) for stage in STAGES)
        lines.append(f"| [{area.title}](#{area.title.replace(' ', '-')}) | {maturity.level_of(area)} | {cells} |")
    cells = " | ".join(_bar(_points(maturity, stage)) for stage in STAGES)
    lines += [f"| **all** | **{maturity.level}** | {cells} |", ""]
    lines += _next_steps(maturity)
    for area in AREAS:
        lines += ["", f"## {area.title.capitalize()}", ""]
        lines += ["|  | stage | points | check | evidence | what adds it |", "| --- | --- | --- | --- | --- | --- |"]
        lines += [_row(result) for result in maturity.of(area)]
    legend = ", ".join(f"{sign} {state}" for state, sign in SIGNS.items())
    lines += ["", f"{legend}. The last two count neither as yes nor as no.", ""]
    return "\n".join(lines)


def _next_steps(maturity: Maturity) -> Iterator[str]:
    steps = maturity.steps
    if not steps:
        yield "Nothing that was seen is missing."
        return
    yield f"## Next steps, of {len(steps)}"
    yield ""
    yield "The lowest stage first, because a level wants all below it; then what adds most, with what waits for it."
    yield ""
    for number, step in enumerate(_shown(maturity), 1):
        titles = "; ".join(f"{check.title[0].lower()}{check.title[1:]}" for check in step.checks)
        yield f"{number}. **+{step.points}** {_cell_text(step.advice)}: {titles}"


def _bar(points: Points) -> str:
    if not points.possible:
        return "-"
    filled = round(points.share * BAR)
    return f"`{'█' * filled}{'░' * (BAR - filled)}` {points.gained}/{points.possible}"


def _row(result: Result) -> str:
    check, finding = result.check, result.finding
    title = f"{check.title} (`{check.name}`)"
    cells = (SIGNS[finding.state], check.stage, str(check.points), title, finding.evidence, finding.advice)
    return f"| {' | '.join(_cell_text(cell) for cell in cells)} |"


def _cell_text(text: str) -> str:
    """What people wrote, on one line and as text: no end of a cell, no markup but code."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
