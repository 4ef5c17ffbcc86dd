"""What every video was taken for, behind a score: for one's own analysis of mistakes."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.measuring import Scored
from harness.results.csv_tables import write_table
from harness.results.whole_files import write_bytes
from vifistore.store.importing.arrow import load_parquet

if TYPE_CHECKING:
    import pandas as pd

# Columns that say of which score a line is.
SETTING = ("dataset", "split", "subset", "classifier", "fusion", "shots", "seed")
_BEST = 5


def predictions(scored: Scored, table: "pd.DataFrame") -> "pd.DataFrame":
    """A line per scored video: SETTING, features, id, path, label, predicted, is_right, then the
    classes of the highest scores, best first (top_1 to top_5, fewer where there are fewer classes)
    and these scores (score_1 to score_5, probabilities summed over views).

    `scored` is what `Scoring.keep` is called with, `table` holds the videos of the dataset
    (`Store.videos`).
    """
    import pandas as pd

    row, names = scored.rows[0], np.asarray(scored.videos.class_names, dtype=object)
    videos = table.iloc[scored.videos.rows]
    best = np.argsort(-scored.scores, axis=1, kind="stable")[:, :_BEST]
    values = np.take_along_axis(scored.scores, best, axis=1)
    columns = {name: [getattr(row, name)] * len(best) for name in SETTING}
    columns["features"] = [scored.videos.features.name] * len(best)
    columns |= {name: videos[name].to_numpy() for name in ("id", "path")}
    columns |= {"label": names[scored.videos.labels], "predicted": names[best[:, 0]]}
    columns["is_right"] = scored.videos.labels == best[:, 0]
    columns |= {f"top_{n + 1}": names[best[:, n]] for n in range(best.shape[1])}
    columns |= {f"score_{n + 1}": values[:, n] for n in range(best.shape[1])}
    return pd.DataFrame(columns)


def write_predictions(path: Path, tables: Sequence["pd.DataFrame"]) -> None:
    """Write the lines of all scores as CSV or Parquet, by the ending of `path`.

    Raises UsageError where pyarrow is not installed, and for Parquet alone.
    """
    import pandas as pd

    table = pd.concat(tables, ignore_index=True)
    if path.suffix == ".csv":
        write_table(path, table)
        return
    load_parquet()
    data = io.BytesIO()
    table.to_parquet(data, index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data.getvalue())
