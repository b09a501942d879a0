"""The tools with their defaults: which columns of a window does each call drifted, and does it say so of the whole?"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np  # type: ignore[import-not-found,import-untyped,unused-ignore]
from rows import Columns
from shifts import LEVELS

# Some tools tell their makers that they are used.
os.environ |= {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}


LEARNED: dict[str, Any] = {}  # what `ours` knows of the newest training rows


class Flagged(NamedTuple):
    """Columns that are called drifted, and whether the tool says that the data set is."""

    columns: set[str]
    dataset: bool


def ours(trained: Columns, now: Columns) -> Flagged:
    """`usecase monitor`, without files: baseline, counts, verdict."""
    import polars as pl  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from usecase.mlops.contract import Contract  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from usecase.mlops.drift.judge import judge  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from usecase.mlops.drift.reader import Found  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from usecase.mlops.drift.tally import WindowTally  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from usecase.mlops.sections import Monitoring  # type: ignore[import-not-found,import-untyped,unused-ignore]

    if LEARNED.get("rows") is not trained:  # the same rows come once for each case
        fields = [{"name": n, "type": "string" if n[0] == "c" else "number", "role": "feature"} for n in trained]
        fields.append({"name": "target", "type": "boolean", "role": "target"})
        contract = Contract.model_validate({"name": "rows", "schema": {"fields": fields}})
        LEARNED.update(rows=trained, contract=contract, baseline=baseline(pl.DataFrame(trained)))
    window = WindowTally(LEARNED["baseline"], LEARNED["contract"])
    window.add(pl.DataFrame(now))
    found = judge(window, Found(calls=window.rows), Monitoring())
    return Flagged({finding.column or "all rows" for finding in found.alarms}, found.verdict != "ok")


def baseline(rows: Any) -> Any:
    """The drift baseline of training rows: a DataFrame of polars."""
    import polars as pl  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from usecase.mlops.baseline import drift  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from usecase.mlops.baseline.profile import ColumnProfile  # type: ignore[import-not-found,import-untyped,unused-ignore]

    profiles = [ColumnProfile(column.name, column.dtype) for column in rows.iter_columns()]
    for profile in profiles:
        profile.add(rows[profile.name], rows[profile.name].cast(pl.String))
    features = {profile.name: drift.distribution(profile) for profile in profiles}
    return drift.DriftBaseline(
        rows=rows.height,
        answered=0,
        prediction=drift.Empty(missing=1),
        features=features,
        relations=drift.relations(rows, features),
    )


def model_monitor(trained: Columns, now: Columns) -> Flagged:
    """Model Monitor's rule as published: L-infinity, less a correction for the rows, over 0.1.

    Its analyzer is a closed image; the distance is that of Deequ (github.com/awslabs/deequ, `Distance.scala`), which
    the image is built on, and threshold and method are those that its constraints.json is written with.
    """
    columns = set()
    for name in trained:
        before, after = trained[name], now[name]
        if name[0] == "c":
            gap = max(abs(float((before == level).mean()) - float((after == level).mean())) for level in LEVELS)
        else:
            places = np.union1d(before, after)
            shares = [np.searchsorted(np.sort(side), places, side="right") / len(side) for side in (before, after)]
            gap = float(np.abs(shares[0] - shares[1]).max())
        n, m = len(after), len(before)
        if gap - 1.8 * np.sqrt((n + m) / (n * m)) > 0.1:
            columns.add(name)
    return Flagged(columns, bool(columns))


def evidently(trained: Columns, now: Columns) -> Flagged:
    """Evidently's default test of each column, and drift of the data set from half of the columns.

    Its functions are asked, not its report, which decides the same (`evidently_report`; run.py compares them) in fifty
    times the time.
    """
    import pandas as pd  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from evidently.legacy.calculations.stattests import get_stattest  # type: ignore[import-not-found,import-untyped,unused-ignore]

    columns = set()
    for name in trained:
        sides = pd.Series(trained[name]), pd.Series(now[name])
        kind = "cat" if name[0] == "c" else "num"
        if get_stattest(*sides, kind, None)(*sides, kind, None).drifted:
            columns.add(name)
    return Flagged(columns, len(columns) >= len(trained) / 2)


def evidently_report(trained: Columns, now: Columns) -> Flagged:
    """DataDriftPreset of Evidently, with its defaults."""
    import pandas as pd  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from evidently import Report  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from evidently.presets import DataDriftPreset  # type: ignore[import-not-found,import-untyped,unused-ignore]

    found = Report([DataDriftPreset()]).run(pd.DataFrame(now), pd.DataFrame(trained)).dict()["metrics"]
    columns = set()
    for metric in found:
        about: dict[str, Any] = metric["config"]
        if "column" in about:
            value, limit = float(metric["value"]), float(about["threshold"])
            drifted = value < limit if "p_value" in about["method"] else value >= limit
            columns |= {about["column"]} if drifted else set()
    return Flagged(columns, len(columns) >= len(trained) / 2)


def nannyml(trained: Columns, now: Columns) -> Flagged:
    """UnivariateDriftCalculator of NannyML: limits from chunks of the training rows, as large as the window."""
    import pandas as pd  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from nannyml import UnivariateDriftCalculator  # type: ignore[import-not-found,import-untyped,unused-ignore]

    calculator = UnivariateDriftCalculator(column_names=list(trained), chunk_size=len(next(iter(now.values()))))
    calculator.fit(pd.DataFrame(trained))
    found = calculator.calculate(pd.DataFrame(now)).filter(period="analysis").to_df()
    columns = {key[0] for key in found.columns if key[-1] == "alert" and found[key].any()}
    return Flagged(columns, bool(columns))


TOOLS: dict[str, Callable[[Columns, Columns], Flagged]] = {
    "ours": ours,
    "model_monitor": model_monitor,
    "evidently": evidently,
    "evidently_report": evidently_report,
    "nannyml": nannyml,
}
