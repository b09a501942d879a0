"""The plots of the model card, as SVG: real text, and the same bytes for the same data."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Vector = npt.NDArray[np.float64]

# Told apart by every kind of colour vision, and by lightness when printed without colour.
PAPER, INK, SOFT, GRID, BLUE, ORANGE = "#ffffff", "#1d2026", "#5c636e", "#e3e6ea", "#1f6fb2", "#c2570c"
FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "model card",
    "text.parse_math": False,  # a name of a column may hold a dollar sign
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9,
}
WIDTH, HEIGHT = 4.8, 3.5  # inches
LEFT, RIGHT, BOTTOM, TOP = 0.75, 0.15, 0.55, 0.36
NARROW = 0.1  # above a plot without a legend
LETTER = 0.073  # how wide one is in a label, about
MAX_LABEL = 32
MAX_BARS = 20
MAX_CLASSES = 25  # nobody reads the numbers of a larger confusion matrix
MAX_POINTS = 1000
BINS, MIN_BIN_ROWS = 10, 10


@dataclass(frozen=True)
class Plot:
    """A picture: its file name without suffix, title, what to see in it, and the SVG."""

    name: str
    title: str
    note: str
    svg: str


def curve(x: Sequence[float], y: Sequence[float], labels: tuple[str, str], guess: Sequence[float], what: str) -> str:
    """A curve in the unit square beside the line of a model that guesses; `guess` are its y at x = 0 and 1."""

    def paint(axes: "Axes") -> None:
        axes.plot([0, 1], guess, color=SOFT, linewidth=1, linestyle=(0, (4, 3)), label="guessing")
        axes.plot(x, y, color=BLUE, linewidth=2, label=what)
        axes.set(xlabel=labels[0], ylabel=labels[1], xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
        _legend(axes)

    return _draw(paint)


def bins_of(said: Vector, true: Vector) -> list[tuple[float, float, int]]:
    """What was said and what was true on average, and rows: bins of as many rows each, from the lowest said up."""
    order = np.argsort(said, kind="stable")
    count = min(BINS, max(1, len(order) // MIN_BIN_ROWS))
    parts = [part for part in np.array_split(order, count) if len(part)]
    return [(float(said[part].mean()), float(true[part].mean()), len(part)) for part in parts]


def calibration(bins: Sequence[tuple[float, float, int]]) -> str:
    """Probabilities that were said, in bins, and how often they came true; the bars are two standard errors."""
    said, true, rows = (np.array(values) for values in zip(*bins, strict=True))
    error = 2 * np.sqrt(true * (1 - true) / rows)

    def paint(axes: "Axes") -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 3)), label="perfectly calibrated")
        whiskers = [np.minimum(error, true), np.minimum(error, 1 - true)]
        axes.errorbar(said, true, whiskers, color=BLUE, marker="o", markersize=4.5, linewidth=1.5, label="this model")
        axes.set(xlabel="predicted probability", ylabel="observed share", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        _legend(axes)

    return _draw(paint)


def confusion(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Test rows by true class (down) and predicted class (across), shaded by their share of the true class."""
    labels = list(counts)
    table = np.array([[counts[label].get(other, 0) for other in labels] for label in labels], dtype=np.float64)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    names = [_short(label, 18) for label in labels]
    left = 0.5 + LETTER * max(map(len, names))
    turned = len(labels) > 3 and max(map(len, names)) > 4
    bottom = 0.55 + (LETTER * max(map(len, names)) if turned else 0)
    side = min(3.2, max(2.3, 0.42 * len(labels)))

    def paint(axes: "Axes") -> None:
        axes.grid(False)
        for i, row in enumerate(shares):
            for j, share in enumerate(row):
                axes.fill(
                    [j - 0.48, j + 0.48, j + 0.48, j - 0.48],
                    [i - 0.48, i - 0.48, i + 0.48, i + 0.48],
                    facecolor=BLUE,
                    alpha=0.06 + 0.4 * share,
                    linewidth=0,
                )
                axes.text(j, i, f"{int(table[i, j]):,}", ha="center", va="center_baseline")
        axes.set_xticks(range(len(labels)), names, rotation=90 if turned else 0)
        axes.set_yticks(range(len(labels)), names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set(xlabel="predicted", ylabel="actual", xlim=(-0.5, len(labels) - 0.5), ylim=(len(labels) - 0.5, -0.5))

    return _draw(paint, left + side * 1.15 + RIGHT, bottom + side + NARROW, left=left, bottom=bottom, top=NARROW)


def actual_and_predicted(actual: Vector, predicted: Vector, name: str) -> str:
    """Each test row as a point, and the mean of rows with like predictions."""
    step = max(1, len(actual) // MAX_POINTS)
    means = bins_of(predicted, actual)

    def paint(axes: "Axes") -> None:
        low, high = float(min(actual.min(), predicted.min())), float(max(actual.max(), predicted.max()))
        axes.plot([low, high], [low, high], color=SOFT, linewidth=1, linestyle=(0, (4, 3)), label="perfect")
        axes.scatter(predicted[::step], actual[::step], s=14, color=BLUE, alpha=0.55, linewidths=0, label="test row")
        axes.plot(
            [said for said, _, _ in means],
            [true for _, true, _ in means],
            color=ORANGE,
            marker="o",
            markersize=4.5,
            linewidth=1.5,
            label="mean of like predictions",
        )
        axes.set(xlabel=f"predicted {_short(name)}", ylabel=f"actual {_short(name)}")
        _legend(axes)

    return _draw(paint)


def residuals(errors: Vector, unit: str) -> str:
    """How many test rows are off by how much."""

    def paint(axes: "Axes") -> None:
        axes.hist(errors, bins=min(40, max(8, int(np.sqrt(len(errors)) * 1.5))), color=BLUE, alpha=0.75, rwidth=0.94)
        axes.axvline(0, color=INK, linewidth=1)
        axes.set(xlabel=_error(unit), ylabel="test rows")

    return _draw(paint)


def residuals_by_prediction(predicted: Vector, errors: Vector, name: str, unit: str) -> str:
    """Whether errors grow or lean to one side where predictions are high or low."""
    step = max(1, len(errors) // MAX_POINTS)

    def paint(axes: "Axes") -> None:
        axes.axhline(0, color=INK, linewidth=1)
        axes.scatter(predicted[::step], errors[::step], s=14, color=BLUE, alpha=0.55, linewidths=0)
        axes.set(xlabel=f"predicted {_short(name)}", ylabel=_error(unit))

    return _draw(paint)


def bars(values: Mapping[str, float], label: str, colour: str = BLUE, reference: float | None = None) -> str:
    """A bar for each of the first MAX_BARS names, from the top; `reference` is drawn as a line."""
    shown = dict(list(values.items())[:MAX_BARS])
    names = [_short(name) for name in shown]
    left = 0.3 + LETTER * max(map(len, names))

    def paint(axes: "Axes") -> None:
        axes.barh(range(len(shown)), list(shown.values()), color=colour, alpha=0.85, height=0.68)
        if reference is not None:
            axes.axvline(reference, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_yticks(range(len(shown)), names)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set(xlabel=label, ylim=(len(shown) - 0.4, -0.6))

    return _draw(paint, max(WIDTH, left + 3), BOTTOM + NARROW + 0.3 + 0.24 * len(shown), left=left, top=NARROW)


def _legend(axes: "Axes") -> None:
    """Above the plot, where it hides nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, borderaxespad=0.2, columnspacing=1.4)


def _draw(
    paint: Callable[["Axes"], None],
    width: float = WIDTH,
    height: float = HEIGHT,
    left: float = LEFT,
    bottom: float = BOTTOM,
    top: float = TOP,
) -> str:
    """What `paint` does with axes, as SVG. Sizes in inches, of the picture and of its margins."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        span = (1 - (left + RIGHT) / width, 1 - (bottom + top) / height)
        paint(figure.add_axes((left / width, bottom / height, *span)))
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = out.getvalue()
    return re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", FONT, svg[svg.index("<svg") :])


def _error(unit: str) -> str:
    return f"predicted minus actual ({unit})" if unit else "predicted minus actual"


def _short(text: str, length: int = MAX_LABEL) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
