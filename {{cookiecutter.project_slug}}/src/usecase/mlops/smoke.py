"""The jobs around a transform smoke: rows that the serving image is asked about, and whether it answered them all.

Made with `transform_smoke` of get_pipeline: SmokeRows writes smoke.csv, a batch transform reads it, SmokeCheck counts.
"""

import argparse
from pathlib import Path

import polars as pl

from usecase.mlops.check import as_text
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.files import write_json
from usecase.mlops.job import run_job

ROWS = "smoke.csv"
MAXIMUM_ROWS = 100


def write_rows(rows_dir: Path, contract: Contract, output_dir: Path) -> None:
    """Write smoke.csv: the features of at most 100 rows of the Parquet files in `rows_dir`, without a header.

    A batch transform splits at line ends, so a row that is not one line of text is left out. Raises UserError when no
    row is left.
    """
    features = pl.col([column.name for column in contract.features])
    typed = pl.scan_parquet(rows_dir / "*.parquet").select(features).head(MAXIMUM_ROWS).collect()
    rows = as_text(typed.filter(~pl.all_horizontal(pl.all().is_null())), contract)
    rows = rows.filter(~pl.any_horizontal(pl.all().str.contains(r"[\r\n]").fill_null(False)))
    if rows.is_empty():
        raise UserError(f"{rows_dir}: holds no row to ask the model about")
    output_dir.mkdir(parents=True, exist_ok=True)
    rows.write_csv(output_dir / ROWS, include_header=False)


def check_answers(rows_dir: Path, answers_dir: Path, output_dir: Path) -> None:
    """Write report.json: {"rows": n}. Raises UserError unless each line of smoke.csv has a line of answer."""
    asked = _lines(rows_dir / ROWS)
    answered = _lines(answers_dir / f"{ROWS}.out")
    if len(answered) != len(asked):
        raise UserError(f"the model answered {len(answered)} of {len(asked)} rows: see the log of the transform job")
    blank = [number for number, line in enumerate(answered, start=1) if not line.strip(b'", ')]
    if blank:
        raise UserError(f"the model gave no answer for row {blank[0]}: see the log of the transform job")
    write_json(output_dir / "report.json", {"rows": len(asked)})


def _lines(file: Path) -> list[bytes]:
    if not file.exists():
        raise UserError(f"{file}: no such file: the step before wrote none")
    return file.read_bytes().splitlines()  # of bytes: text has line ends that CSV does not know


def main() -> None:
    """Command line of both jobs: with --answers-dir it checks answers, without it writes rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows-dir", type=Path, required=True, help="Parquet files; with --answers-dir: smoke.csv")
    parser.add_argument("--contract-dir", type=Path, help="data_contract.yaml or its folder")
    parser.add_argument("--answers-dir", type=Path, help="what the batch transform wrote")
    parser.add_argument("--output-dir", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.answers_dir:
        check_answers(arguments.rows_dir, arguments.answers_dir, arguments.output_dir)
    elif arguments.contract_dir:
        write_rows(arguments.rows_dir, Contract.load(arguments.contract_dir), arguments.output_dir)
    else:
        parser.error("give --contract-dir or --answers-dir")


if __name__ == "__main__":
    run_job(main)
