"""The command line of the Baseline job, and the order of its work."""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from usecase.inference import model_fn, predict_fn
from usecase.mlops.baseline import drift, explain, model_monitor, request_schema
from usecase.mlops.baseline.card import make_card
from usecase.mlops.baseline.evidence import Evidence, read_evaluation
from usecase.mlops.baseline.page import as_html, as_markdown
from usecase.mlops.baseline.profile import ColumnProfile
from usecase.mlops.baseline.sagemaker_card import FILE_NAME as CARD_JSON
from usecase.mlops.baseline.sagemaker_card import sagemaker_card
from usecase.mlops.baseline.words import Words
from usecase.mlops.check import as_text
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256, write_json
from usecase.mlops.job import run_job
from usecase.mlops.model import ARCHIVE, Model, Predictions, unpack
from usecase.preprocessing import add_features

REPORT = "baseline_report.json"
BATCH_ROWS = 100_000
SEED = 0


@dataclass(frozen=True)
class Profiles:
    """The training rows: of the answers, of the features, and some rows as they are."""

    prediction: ColumnProfile
    probability: ColumnProfile | None
    features: list[ColumnProfile]
    sample: pl.DataFrame

    @property
    def columns(self) -> list[ColumnProfile]:
        """In the order of captured requests: what the service answers comes first, then what it was asked."""
        return [self.prediction, *([self.probability] if self.probability else []), *self.features]


def make_baseline(
    model_dir: Path, train_dir: Path, evaluation_dir: Path, card_dir: Path, output_dir: Path, facts: Mapping[str, str]
) -> None:
    """Describe the model.tar.gz in `model_dir` and its training rows; write the outputs below `output_dir`.

    Those are baseline/, explanation/ and model_card/. facts: lineage by name; `Model package group` titles the card.
    Raises UserError; nothing is written then.
    """
    words = Words.read(card_dir)
    archive = model_dir / ARCHIVE
    with tempfile.TemporaryDirectory() as unpacked:
        unpack(archive, Path(unpacked))
        model = model_fn(unpacked)
    evaluation, quality, report, predictions = read_evaluation(evaluation_dir, model)
    profiles = profile_rows(train_dir, model)
    contributions = explain.contributions(model, add_features(profiles.sample))
    model_sha256 = file_sha256(archive)
    rows = profiles.prediction.rows
    evidence = Evidence(
        title=facts["Model package group"],
        facts={
            **facts,
            "Data (SHA-256)": report.data_sha256,
            "Contract (SHA-256)": model.contract.sha256,
            "Model (SHA-256)": model_sha256,
        },
        model=model,
        evaluation=evaluation,
        quality=quality,
        report=report,
        predictions=predictions,
        importance=contributions.importance,
        explained_rows=profiles.sample.height,
        missing={column.name: column.missing / rows for column in profiles.features},
        words=words,
    )
    card, content = make_card(evidence), sagemaker_card(evidence)

    folder = output_dir / "baseline"
    model_monitor.statistics(profiles.columns).save(folder / model_monitor.STATISTICS)
    limits = model_monitor.constraints(profiles.columns, model.contract.columns)
    limits.save(folder / model_monitor.CONSTRAINTS)
    distributions = {column.name: drift.distribution(column) for column in profiles.features}
    answers = [drift.distribution(answer) for answer in profile_answers(predictions, model)]
    drift.DriftBaseline(
        contract=model.contract,
        rows=rows,
        answered=predictions.height,
        prediction=answers[0],
        probability=answers[1] if len(answers) > 1 else None,
        features=distributions,
        relations=drift.relations(profiles.sample, distributions),
    ).save(folder / drift.FILE_NAME)
    write_json(folder / request_schema.FILE_NAME, request_schema.request_schema(model.contract))
    write_json(folder / REPORT, {"model_sha256": model_sha256, "rows": rows})
    write_json(output_dir / "explanation" / explain.FILE_NAME, explain.analysis(contributions))
    folder = output_dir / "model_card"
    write_json(folder / CARD_JSON, content.model_dump(exclude_none=True))
    (folder / "model_card.html").write_text(as_html(card), encoding="utf-8")
    (folder / "model_card.md").write_text(as_markdown(card), encoding="utf-8")
    for plot in card.plots:
        (folder / f"{plot.name}.svg").write_text(plot.svg, encoding="utf-8")


def profile_rows(train_dir: Path, model: Model) -> Profiles:
    """Count the rows of the Parquet parts in `train_dir`, one part at a time. Raises UserError."""
    files = sorted(train_dir.glob("*.parquet"))
    if not files:
        raise UserError(f"{train_dir}: holds no Parquet file: Preprocess did not end well")
    heights = [_height(file) for file in files]
    total = sum(heights)
    if not total:
        raise UserError(f"{train_dir}: holds no rows: Preprocess did not end well")
    chosen = np.random.default_rng(SEED).choice(total, min(total, explain.sample_size(model)), replace=False)
    chosen.sort()
    contract, names = model.contract, [column.name for column in model.contract.features]
    profiles: list[ColumnProfile] = []
    sample, start = [], 0
    for rows in _batches(files, names):
        columns = [*_answers(predict_fn(rows, model), contract), *rows.iter_columns()]
        if not profiles:
            labels = [bool(model.preprocessor.classes), *([False] * (len(columns) - 1))]
            profiles = [ColumnProfile(c.name, c.dtype, label) for c, label in zip(columns, labels, strict=True)]
        for profile, values in zip(profiles, columns, strict=True):
            profile.add(values, as_text(values.to_frame(), contract).to_series())
        here = chosen[(chosen >= start) & (chosen < start + rows.height)] - start
        sample.append(rows[here])
        start += rows.height
    answers = profiles[: len(profiles) - len(names)]
    return Profiles(answers[0], answers[1] if len(answers) > 1 else None, profiles[len(answers) :], pl.concat(sample))


def profile_answers(predictions: pl.DataFrame, model: Model) -> list[ColumnProfile]:
    """Count what the model answered for the test rows (n), as Evaluate has written it."""
    classes = model.preprocessor.classes
    labels = {str(label): label for label in classes}
    names = [f"probability_{place}" for place in range(len(classes))]
    values = [labels[value] if classes else value for value in predictions["predicted"]]
    answers = Predictions(values, classes, predictions.select(names).to_numpy() if classes else None)
    profiles: list[ColumnProfile] = []
    for column in _answers(answers, model.contract):
        profile = ColumnProfile(column.name, column.dtype, is_label=bool(classes) and not profiles)
        profile.add(column, as_text(column.to_frame(), model.contract).to_series())
        profiles.append(profile)
    return profiles


def _answers(predictions: Predictions, contract: Contract) -> Iterator[pl.Series]:
    """What the service answers for each row (n): the prediction, and for classifiers the probability of its class."""
    yield pl.Series(contract.target.name, predictions.values)
    if predictions.probabilities is not None:
        name = f"{contract.target.name}_probability"
        while name in contract.columns:
            name += "_"
        yield pl.Series(name, predictions.probabilities.max(axis=1).astype(np.float64))


def _batches(files: list[Path], names: list[str]) -> Iterator[pl.DataFrame]:
    for file in files:
        try:
            rows = pl.read_parquet(file, columns=names)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _damaged(file, error) from None
        yield from rows.iter_slices(BATCH_ROWS)


def _height(file: Path) -> int:
    try:
        return int(pl.scan_parquet(file).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(file, error) from None


def _damaged(file: Path, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UserError(f"{file}: cannot be read as training rows ({reason}): run Preprocess again")


def main() -> None:
    """Command line of the processing job; the defaults are SageMaker's paths."""
    inputs = Path("/opt/ml/processing/input")
    parser = argparse.ArgumentParser(prog="python3 -m usecase.mlops.baseline", description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=inputs / "model")
    parser.add_argument("--input-dir", type=Path, default=inputs / "train")
    parser.add_argument("--evaluation-dir", type=Path, default=inputs / "evaluation")
    parser.add_argument("--card-dir", type=Path, default=inputs / "card")
    parser.add_argument("--output-dir", type=Path, default=Path("/opt/ml/processing/output"))
    parser.add_argument("--model-package-group", default="model")
    parser.add_argument("--git-sha", default="none")
    parser.add_argument("--pipeline-execution", default="none")
    parser.add_argument("--champion-version", default="none")
    given = parser.parse_args()
    facts = {
        "Model package group": given.model_package_group,
        "Git commit": given.git_sha,
        "Pipeline execution": given.pipeline_execution,
        "Champion compared with": given.champion_version,
    }
    folders = given.model_dir, given.input_dir, given.evaluation_dir, given.card_dir, given.output_dir
    make_baseline(*folders, facts)


if __name__ == "__main__":
    run_job(main)
