"""The plots of the model card, as SVG text that takes the colour of the page around it."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

mpl.use("svg")  # no window, and none of the libraries that one would need

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Vector = npt.NDArray[np.float64]

INK = "#123456"  # stands for the colour of the page's text, which is light on dark pages
BLUE, ORANGE, GREY = "#2f7ebc", "#d9730d", "#8a8f98"  # told apart with every kind of colour vision, on light and dark
FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
MOST_IMPORTANT = 15
MAX_POINTS = 2000
BINS = 10
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "model card",  # the same picture is the same text
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
}


def draw(paint: Callable[["Axes"], None], width: float = 4.6, height: float = 3.4) -> str:
    """The SVG of one plot; `paint` gets its axes. Sizes in inches."""
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.add_subplot())
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = out.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    return text.replace("'DejaVu Sans', 'Bitstream Vera Sans', 'Computer Modern Sans Serif', ", "").replace(
        "font: 10px", f"font: 10px {FONT}; x: "
    )


def curve(x: Sequence[float], y: Sequence[float], labels: tuple[str, str], chance: bool) -> str:
    """A curve in the unit square; `chance` draws the diagonal of a model that guesses."""

    def paint(axes: "Axes") -> None:
        if chance:
            axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--", label="chance")
            axes.legend(loc="lower right")
        axes.plot(x, y, color=BLUE, linewidth=1.8)
        axes.set(xlabel=labels[0], ylabel=labels[1], xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))

    return draw(paint)


def calibration(confidence: Vector, happened: Vector) -> str:
    """How often it was true, in bins of equal size by how sure the model was; a good model is near the diagonal."""
    order = np.argsort(confidence, kind="stable")
    bins = [part for part in np.array_split(order, min(BINS, max(1, len(order) // 10))) if len(part)]
    said = [float(confidence[part].mean()) for part in bins]
    true = [float(happened[part].mean()) for part in bins]

    def paint(axes: "Axes") -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--", label="perfectly calibrated")
        axes.plot(said, true, color=BLUE, marker="o", markersize=4, linewidth=1.4, label="this model")
        axes.set(
            xlabel="probability that was predicted",
            ylabel="share that was true",
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
        )
        axes.legend(loc="upper left")

    return draw(paint)


def confusion(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Rows of each true class by predicted class, shaded by the share within the true class."""
    labels = list(counts)
    table = np.array([[counts[label][other] for other in labels] for label in labels], dtype=float)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = 2.4 + 0.45 * len(labels)

    def paint(axes: "Axes") -> None:
        for i in range(len(labels)):
            for j in range(len(labels)):
                axes.add_patch(
                    mpl.patches.Rectangle((j - 0.5, i - 0.5), 1, 1, color=BLUE, alpha=0.75 * share[i, j], lw=0)
                )
                axes.text(j, i, f"{int(table[i, j]):,}", ha="center", va="center")
        axes.set_xticks(range(len(labels)), [_short(label) for label in labels], rotation=45 if len(labels) > 4 else 0)
        axes.set_yticks(range(len(labels)), [_short(label) for label in labels])
        axes.set(xlabel="predicted", ylabel="actual", xlim=(-0.5, len(labels) - 0.5), ylim=(len(labels) - 0.5, -0.5))

    return draw(paint, min(size + 0.6, 7), min(size, 6.4))


def actual_and_predicted(actual: Vector, predicted: Vector, name: str) -> str:
    """Each test row as a point; a good model is near the diagonal."""
    step = max(1, len(actual) // MAX_POINTS)

    def paint(axes: "Axes") -> None:
        low, high = float(min(actual.min(), predicted.min())), float(max(actual.max(), predicted.max()))
        axes.plot([low, high], [low, high], color=GREY, linewidth=0.8, linestyle="--")
        axes.scatter(actual[::step], predicted[::step], s=9, color=BLUE, alpha=0.5, linewidths=0)
        axes.set(xlabel=f"actual {_short(name)}", ylabel="predicted")

    return draw(paint)


def residuals(errors: Vector, name: str) -> str:
    """How far predictions are off, in the target's unit."""

    def paint(axes: "Axes") -> None:
        axes.hist(errors, bins=min(40, max(8, len(errors) // 8)), color=BLUE, alpha=0.8)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set(xlabel=f"predicted - actual {_short(name)}", ylabel="test rows")

    return draw(paint)


def bars(values: Mapping[str, float], label: str, colour: str = BLUE) -> str:
    """A bar per name, the first on top."""
    shown = dict(list(values.items())[:MOST_IMPORTANT])

    def paint(axes: "Axes") -> None:
        axes.barh(range(len(shown)), list(shown.values()), color=colour, height=0.66)
        axes.set_yticks(range(len(shown)), [_short(name) for name in shown])
        axes.set(xlabel=label, ylim=(len(shown) - 0.4, -0.6))

    return draw(paint, 5.6, 0.9 + 0.26 * len(shown))


def groups(found: Sequence[Mapping[str, Any]], metric: str) -> str:
    """The metric of each group of a protected column, with the number of its rows."""
    values = {f"{group['group']}  ({group['rows']:,} rows)": group["metrics"][metric] or 0.0 for group in found}
    return bars(values, metric, ORANGE)


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:29] + "…"
