"""The pictures of the documentation, drawn from what they show: boxes on a grid, arrows between them, as SVG.

No program and no script of somebody else is needed to draw or to show them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parent.parent / "{{cookiecutter.project_slug}}"

CELL, BOX = (186, 104), (146, 62)  # pixels, width and height
# Fill and edge; readable on a light and on a dark page, since each picture has its own ground.
COLOURS = {
    "code": ("#e8eefc", "#3b5fb0"),
    "gitlab": ("#fdeee2", "#b8591a"),
    "aws": ("#fff6d6", "#8a6d00"),
    "person": ("#e5f4e8", "#2f7a3d"),
    "end": ("#f9e1e1", "#a33030"),
}


@dataclass(frozen=True)
class Box:
    """A box with its place on the grid (column, row, from 0), its words (a heading, then lines) and its colour."""

    place: tuple[int, int]
    words: str
    colour: str

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle in pixels."""
        column, row = self.place
        return (column + 0.5) * CELL[0], (row + 0.5) * CELL[1]

    def svg(self) -> str:
        """The box and its words."""
        x, y = self.centre
        fill, edge = COLOURS[self.colour]
        lines = self.words.split("\n")
        drawn = [
            f'<rect x="{x - BOX[0] / 2}" y="{y - BOX[1] / 2}" width="{BOX[0]}" height="{BOX[1]}" rx="6"'
            f' fill="{fill}" stroke="{edge}"/>'
        ]
        top = y - (len(lines) - 1) * 7.5 + 4
        for number, line in enumerate(lines):
            style = 'font-weight="600" font-size="13"' if number == 0 else 'font-size="11"'
            drawn.append(f'<text x="{x}" y="{top + number * 15}" {style}>{escape(line)}</text>')
        return "\n".join(drawn)


def arrow(start: Box, end: Box, label: str = "") -> str:
    """An arrow along the grid, first sideways, then up or down; its label stands at the beginning."""
    (x1, y1), (x2, y2) = start.centre, end.centre
    if y1 == y2:
        side = 1 if x2 > x1 else -1
        path = f"M {x1 + side * BOX[0] / 2} {y1} H {x2 - side * (BOX[0] / 2 + 2)}"
        at = ((x1 + x2) / 2, y1 - 6)
    else:
        down = 1 if y2 > y1 else -1
        tip = y2 - down * (BOX[1] / 2 + 2)
        if x1 == x2:
            path, at = f"M {x1} {y1 + down * BOX[1] / 2} V {tip}", (x1 + 6, (y1 + y2) / 2 + 4)
        else:
            side = 1 if x2 > x1 else -1
            path, at = f"M {x1 + side * BOX[0] / 2} {y1} H {x2} V {tip}", (x2 + 6, (y1 + y2) / 2 + 4)
    anchor = "middle" if y1 == y2 else "start"
    text = f'<text x="{at[0]}" y="{at[1]}" font-size="11" style="text-anchor: {anchor}">{escape(label)}</text>'
    return f'<path d="{path}" marker-end="url(#tip)"/>' + (text if label else "")


def picture(title: str, boxes: dict[str, Box], arrows: Iterable[tuple[str, ...]]) -> str:
    """An SVG of boxes and of arrows: start, end and perhaps a label, by the names of the boxes."""
    width = (max(box.place[0] for box in boxes.values()) + 1) * CELL[0]
    height = (max(box.place[1] for box in boxes.values()) + 1) * CELL[1]
    lines = [arrow(boxes[start], boxes[end], *label) for start, end, *label in arrows]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">',
            f"<title>{escape(title)}</title>",
            "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='8' markerHeight='8' orient='auto'>"
            "<path d='M 0 0 L 8 4 L 0 8 z' fill='#444' stroke='none'/></marker></defs>",
            "<style>text { font-family: sans-serif; text-anchor: middle; fill: #222; stroke: none }"
            " path { fill: none; stroke: #444 }</style>",
            f'<rect width="{width}" height="{height}" rx="8" fill="#fff" stroke="#ddd"/>',
            *lines,
            *(box.svg() for box in boxes.values()),
            "</svg>\n",
        ]
    )


def pipeline() -> str:
    """The steps of pipeline.json in their order: what passes a condition goes on beside it, what misses it below."""
    steps = json.loads((TREE / "pipeline.json").read_text(encoding="utf-8"))["Steps"]
    boxes: dict[str, Box] = {}
    arrows: list[tuple[str, ...]] = []

    def place(step: dict[str, Any], where: tuple[int, int], *before: str) -> None:
        colours = {"Condition": "person", "Fail": "end", "RegisterModel": "aws"}
        boxes[step["Name"]] = Box(where, f"{step['Name']}\n{step['Type']}", colours.get(step["Type"], "code"))
        if before:
            arrows.append((before[0], step["Name"], *before[1:]))

    def chain(chained: list[dict[str, Any]], where: tuple[int, int], towards: tuple[int, int], *before: str) -> None:
        for number, step in enumerate(chained):
            at = where[0] + number * towards[0], where[1] + number * towards[1]
            place(step, at, *before)
            before = (step["Name"],)
            if step["Type"] == "Condition":
                chain(step["Arguments"]["IfSteps"], (at[0] + 1, at[1]), (0, 1), step["Name"], "passed")
                chain(step["Arguments"]["ElseSteps"], (at[0], at[1] + 1), (0, 1), step["Name"], "missed")

    chain(steps, (0, 0), (1, 0))
    return picture("The steps of the pipeline", boxes, arrows)


def life_cycle() -> str:
    """From a commit to production and back."""
    boxes = {
        "laptop": Box((0, 0), "Laptop\nmake run: train, gate\nno AWS, no Docker", "code"),
        "merge": Box((1, 0), "Merge request\nlint, tests, scans\npipeline compared", "gitlab"),
        "train": Box((2, 0), "SageMaker pipeline\npreprocess, train,\nevaluate, gates", "aws"),
        "registry": Box((3, 0), "Model Registry\npending, with\nits evidence", "aws"),
        "steward": Box((3, 1), "Model steward\napproves or rejects", "person"),
        "dev": Box((2, 1), "dev\ndeploy, smoke test", "gitlab"),
        "qa": Box((1, 1), "qa\ndeploy, integration", "gitlab"),
        "prod": Box((0, 1), "prod\na person starts it,\nthen verified", "gitlab"),
        "rejected": Box((3, 2), "Rejected\nan issue for the team", "end"),
        "monitor": Box((0, 2), "Monitoring\ncaptured traffic,\nlater labels", "code"),
        "retrain": Box((1, 2), "Retraining\nby rules, or\na person", "person"),
    }
    arrows = [
        ("laptop", "merge"),
        ("merge", "train"),
        ("train", "registry"),
        ("registry", "steward", "event"),
        ("steward", "dev"),
        ("dev", "qa"),
        ("qa", "prod"),
        ("steward", "rejected"),
        ("prod", "monitor"),
        ("monitor", "retrain", "drift"),
    ]
    return picture("From a commit to production and back", boxes, arrows)


def trust() -> str:
    """Who reaches what in an account, and by which right."""
    boxes = {
        "job": Box((0, 0), "Job of GitLab\none token per job,\nno key", "gitlab"),
        "provider": Box((1, 0), "Identity provider\nproject, ref,\nenvironment, tier", "aws"),
        "role": Box((2, 0), "Role of the job\nwithin a boundary", "aws"),
        "terraform": Box((3, 0), "Terraform\nplan held against\nthe controls", "gitlab"),
        "steward": Box((0, 1), "Model steward\nrole of its own", "person"),
        "registry": Box((1, 1), "Model Registry\nonly stewards decide", "aws"),
        "jobs": Box((2, 1), "Jobs, endpoints\nprivate subnets,\nisolated", "aws"),
        "buckets": Box((3, 1), "Buckets\nown key, TLS only,\nversions", "aws"),
        "caller": Box((0, 2), "Caller\nIAM or API key", "person"),
        "gateway": Box((1, 2), "API gateway\nfirewall, schema\n(stage full)", "aws"),
        "endpoint": Box((2, 2), "Endpoint\nchecks each row\nby the contract", "aws"),
        "trail": Box((3, 2), "Trail, AWS Config\nwho did what\n(stage full)", "aws"),
    }
    arrows = [
        ("job", "provider"),
        ("provider", "role"),
        ("role", "terraform"),
        ("steward", "registry"),
        ("jobs", "buckets", "S3"),
        ("caller", "gateway"),
        ("gateway", "endpoint"),
    ]
    return picture("Who reaches what, and by which right", boxes, arrows)
