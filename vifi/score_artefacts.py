"""What `vifi evaluate` leaves in a results folder beside its rows (read by reports.artefacts)."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.class_tables import ClassTables
from harness.results.csv_cells import to_safe_csv
from harness.results.files import write_bytes, write_text
from reports.artefacts import CLASS_FREQUENCIES, CONFUSION, FOLDER, PER_CLASS, QUARANTINE
from vifi.artefacts import quarantined_videos
from vifistore.store.features import Features
from vifistore.store.importing.arrow import load_parquet

if TYPE_CHECKING:
    import pandas as pd


def write_class_tables(results: Path, tables: ClassTables) -> None:
    """One file of classes and one of mistakes, named by the setting of the score."""
    _write_csv(results, PER_CLASS, tables.name, tables.per_class)
    _write_csv(results, CONFUSION, tables.name, tables.confusion)


def write_frequencies(results: Path, dataset: str, table: "pd.DataFrame") -> None:
    """The classes of a dataset by their training videos (the paper's Figure 2)."""
    _write_csv(results, CLASS_FREQUENCIES, dataset, table)


def write_quarantine(results: Path, sets: Sequence[Features]) -> None:
    """The quarantined videos of feature sets, one file each; none for a set that has none now."""
    dataset = sets[0].dataset
    found = quarantined_videos([dataset])
    for feature_id in dict.fromkeys(features.id for features in sets):
        entries = [entry for entry in found if entry["features"] == feature_id]
        path = _folder(results, QUARANTINE) / f"{dataset.name}-{feature_id}.json"
        if entries:
            write_text(path, json.dumps(entries, indent=1, allow_nan=False))
        else:
            # What was quarantined before may have been tried again since.
            path.unlink(missing_ok=True)


def write_predictions(path: Path, tables: Sequence["pd.DataFrame"]) -> None:
    """Write the lines of all scores (harness.predictions) as CSV or Parquet, by the ending.

    Raises UsageError where pyarrow is not installed, and for Parquet alone.
    """
    import pandas as pd

    table = pd.concat(tables, ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        write_text(path, to_safe_csv(table))
        return
    load_parquet()
    data = io.BytesIO()
    table.to_parquet(data, index=False)
    write_bytes(path, data.getvalue())


def _write_csv(results: Path, folder: str, name: str, table: "pd.DataFrame") -> None:
    write_text(_folder(results, folder) / f"{name}.csv", to_safe_csv(table))


def _folder(results: Path, name: str) -> Path:
    folder = results / FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
