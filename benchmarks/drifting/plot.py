"""Draw what drift.py has measured, given as JSON on standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found,import-untyped,unused-ignore]

mpl.use("Agg")
from matplotlib import pyplot  # type: ignore[import-not-found,import-untyped,unused-ignore]

NAMES = {
    "ours": "usecase monitor",
    "model_monitor": "Model Monitor's rule",
    "evidently": "Evidently",
    "nannyml": "NannyML",
}
COLOURS = {"ours": "#1f6fb2", "model_monitor": "#8a8f98", "evidently": "#c2570c", "nannyml": "#5b8c3a"}
SIZES = (500, 1000, 5000)
WIDTH = 0.2


def bars(axes: Any, found: list[dict[str, Any]], groups: list[str], value: Any) -> None:
    """A bar for each tool in each group; `value(entry, group)` is None where nothing was measured."""
    for place, (tool, name) in enumerate(NAMES.items()):
        shown = [
            (group + (place - 1.5) * WIDTH, 100 * share)
            for group, label in enumerate(groups)
            for entry in found
            if entry["tool"] == tool and (share := value(entry, label)) is not None
        ]
        drawn = axes.bar(*zip(*shown, strict=True), WIDTH * 0.92, color=COLOURS[tool], label=name)
        axes.bar_label(drawn, fmt="%.0f", fontsize=8, padding=1, color="#1d2026")
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylim(0, 112)
    axes.set_yticks(range(0, 101, 20))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e3e6ea", linewidth=0.6)
    axes.set_axisbelow(True)


def main() -> None:
    """Write the picture that the argument names."""
    found = json.load(sys.stdin)
    sizes = [size for size in SIZES if any(entry["rows"] == size for entry in found)]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4), width_ratios=(1, 1.7), layout="constrained", dpi=110)
    labels = [f"{size:,}" for size in sizes]
    bars(left, found, labels, lambda entry, label: entry["sets"] if f"{entry['rows']:,}" == label else None)
    left.axhline(5, color="#1d2026", linewidth=1, linestyle=(0, (4, 3)), zorder=0.8)
    left.set(title="Windows without drift that are called drift", xlabel="rows of the window", ylabel="% of windows")
    cases = list(found[0]["power"])
    bars(right, found, cases, lambda entry, case: entry["power"][case] if entry["rows"] == sizes[0] else None)
    right.axhline(95, color="#1d2026", linewidth=1, linestyle=(0, (4, 3)), zorder=0.8)
    right.set(title=f"Drift that is found, in {sizes[0]:,} rows", ylabel="% of windows")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(NAMES), frameon=False)
    figure.savefig(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
