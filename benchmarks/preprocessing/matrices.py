"""Write the matrices of all parts that Preprocess made, as Train makes them. Run by the project's Python."""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl  # type: ignore[import-not-found,unused-ignore]
from usecase.mlops.features import Preprocessor  # type: ignore[import-not-found,import-untyped,unused-ignore]
from usecase.preprocessing import add_features  # type: ignore[import-not-found,import-untyped,unused-ignore]


def main() -> None:
    """Read the parts below `folder`, write `folder`/matrices."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    preprocessor = Preprocessor.load(folder / "preprocessor")
    (folder / "matrices").mkdir()
    for part in ("train", "validation", "test"):
        for file in sorted((folder / part).iterdir()):
            rows = add_features(pl.read_parquet(file))
            matrix = pl.DataFrame(preprocessor.transform(rows), schema=preprocessor.feature_names)
            target = pl.Series(preprocessor.target, preprocessor.labels(rows))
            matrix.with_columns(target).write_parquet(folder / "matrices" / f"{part}-{file.name}", compression="snappy")


if __name__ == "__main__":
    main()
