"""Plots of the drift report, as SVG made of text: no library is loaded for them, and hundreds take no time."""

import html
from collections.abc import Mapping, Sequence

import numpy as np

from usecase.mlops.baseline.plots import BLUE, FONT, GRID, INK, ORANGE, SOFT
from usecase.mlops.drift.tally import NumberTally, WordTally

WIDTH, HEIGHT = 460, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 24, 26
MAX_LEVELS = 12
MAX_LINES = 4
DASHES = ("", "6 3", "2 3", "8 3 2 3")


def distribution(tally: NumberTally | WordTally) -> str:
    """The shares of rows in training and now: of a number as a density over its bins, of categories as bars."""
    return _density(tally) if isinstance(tally, NumberTally) else _bars(tally)


def over_time(lines: Mapping[str, Sequence[float | None]], labels: Sequence[str], limit: float | None) -> str:
    """What was measured by name (None: it was not) in each window, `labels` from old to new, and the limit, if any."""
    shown = dict(list(lines.items())[:MAX_LINES])
    top = max([(limit or 0.05) * 2, *(value for values in shown.values() for value in values if value is not None)])
    top *= 1.05
    left, right, bottom = LEFT, WIDTH * 2 - RIGHT, HEIGHT - BOTTOM
    step = (right - left) / max(1, len(labels) - 1)
    parts = []
    if limit is not None:
        y = bottom - (bottom - TOP) * limit / top
        parts += [_rule(left, right, y, INK, "4 3"), _text(right, y - 4, f"limit {limit:g}", "end", SOFT)]
    for place, (name, values) in enumerate(shown.items()):
        dots = [
            (left + step * i, bottom - (bottom - TOP) * value / top)
            for i, value in enumerate(values)
            if value is not None
        ]
        colour, dash = (BLUE if place % 2 else ORANGE), DASHES[place]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in dots]
        parts.append(_key(left + place * (right - left) / MAX_LINES, _short(name, 24), colour, dash))
    parts.append(_text(left, HEIGHT - 8, labels[0], "start"))
    parts += [_text(right, HEIGHT - 8, labels[-1], "end")] if len(labels) > 1 else []
    return _svg(WIDTH * 2, HEIGHT, [*_axis(left, right, top), *parts])


def _density(tally: NumberTally) -> str:
    known = tally.known
    cuts = np.array(known.cuts) if known.cuts else np.array([known.minimum])
    margin = (cuts[-1] - cuts[0]) * 0.4 or abs(cuts[0]) * 0.5 or 1.0
    # the outer bins are open: they are drawn as far as the rows in training went, within reason
    low = max(min(known.minimum, tally.minimum), float(cuts[0] - margin))
    high = min(max(known.maximum, tally.maximum), float(cuts[-1] + margin))
    edges = np.unique([min(low, float(cuts[0])), *cuts, max(high, float(cuts[-1]))])
    if len(edges) != len(known.shares) + 1:  # an outer bin without width holds one value
        edges = np.linspace(0, len(known.shares), len(known.shares) + 1)
    widths = np.diff(edges)
    then, now = np.array(known.shares) / widths, tally.counts / max(1, tally.present) / widths
    top = float(max(then.max(), now.max())) * 1.08 or 1.0
    left, right, bottom = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM
    x = left + (edges - edges[0]) / (edges[-1] - edges[0]) * (right - left)

    def steps(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> str:
        y = bottom - values / top * (bottom - TOP)
        points = [f"{x[i]:.1f},{y[i]:.1f} {x[i + 1]:.1f},{y[i]:.1f}" for i in range(len(values))]
        return f"{x[0]:.1f},{bottom} {' '.join(points)} {x[-1]:.1f},{bottom}"

    parts = [
        f'<polygon points="{steps(now)}" fill="{ORANGE}" fill-opacity="0.35"/>',
        f'<polyline points="{steps(then)}" fill="none" stroke="{BLUE}" stroke-width="2"/>',
        _text(left, HEIGHT - 8, tally.shown(float(edges[0])), "start"),
        _text(right, HEIGHT - 8, tally.shown(float(edges[-1])), "end"),
        *_keys(),
    ]
    return _svg(WIDTH, HEIGHT, [_rule(left, right, bottom, SOFT), *parts])


def _bars(tally: WordTally) -> str:
    known = dict(list(tally.known.shares.items())[:MAX_LEVELS])
    then = [*known.values(), 1 - sum(known.values())]
    now = [tally.counts[name] / max(1, tally.present) for name in known]
    now.append(1 - sum(now))
    names = [*known, "all others"]
    if max(then[-1], now[-1]) < 1e-9:
        then, now, names = then[:-1], now[:-1], names[:-1]
    return pairs(names, then, now)


def pairs(names: Sequence[str], then: Sequence[float], now: Sequence[float]) -> str:
    """Two bars for each name: the share before, in training, and the one now."""
    top = max([*then, *now]) * 1.08 or 1.0
    row, left, right = 24, 130, WIDTH - 60
    height = TOP + row * len(names) + 8
    parts = list(_keys())
    for place, (name, before, after) in enumerate(zip(names, then, now, strict=True)):
        y = TOP + row * place + 4
        parts += [
            _text(left - 8, y + 12, _short(name, 18), "end", INK),
            f'<rect x="{left}" y="{y}" width="{before / top * (right - left):.1f}" height="8" fill="{BLUE}"/>',
            f'<rect x="{left}" y="{y + 9}" width="{after / top * (right - left):.1f}" height="8" fill="{ORANGE}"/>',
            _text(left + max(before, after) / top * (right - left) + 6, y + 12, f"{after:.1%}", "start"),
        ]
    return _svg(WIDTH, height, parts)


def _axis(left: float, right: float, top: float) -> list[str]:
    bottom = HEIGHT - BOTTOM
    lines = []
    for share in (0, 0.5, 1):
        y = bottom - (bottom - TOP) * share
        lines += [_rule(left, right, y, GRID), _text(left - 6, y + 4, f"{top * share:.2f}", "end")]
    return lines


def _keys() -> tuple[str, str]:
    return _key(LEFT, "training", BLUE), _key(LEFT + 90, "now", ORANGE)


def _key(x: float, name: str, colour: str, dash: str = "") -> str:
    place = f'x1="{x:.1f}" x2="{x + 18:.1f}" y1="10" y2="10"'
    line = f'<line {place} stroke="{colour}" stroke-width="3" stroke-dasharray="{dash}"/>'
    return line + _text(x + 24, 14, name, "start", INK)


def _rule(left: float, right: float, y: float, colour: str, dash: str = "") -> str:
    return f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-dasharray="{dash}"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = SOFT) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{html.escape(text)}</text>'


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'{head} font-family="{FONT}" font-size="11">{"".join(parts)}</svg>'
