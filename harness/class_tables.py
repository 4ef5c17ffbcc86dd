"""Tables of classes: how many videos each has, and which are taken for which, behind one top-1.

    class_frequencies(store.dataset("ucf101"), "base_val", "novel_val", "train1")
    tables = class_tables(scored)       # what Scoring.keep is called with
    tables.per_class, tables.confusion  # pandas.DataFrame, a row per class, a row per mistake
    video_answers(scored).table         # a row per video

The second two begin with the setting of the score, so that tables of many scores can lie in one.
"""

from typing import TYPE_CHECKING

import numpy as np

from harness.measuring import Scored
from harness.metrics import confusion_pairs, is_right, per_class_table
from harness.results import ResultRow
from harness.results.csv_artefacts import ClassTables
from harness.results.video_answers import VideoAnswers
from harness.statistics import bootstrap_shares, clustered_shares
from vifistore.errors import UsageError
from vifistore.store.dataset import Dataset

if TYPE_CHECKING:
    import pandas as pd

SETTING = (
    "protocol",
    "dataset",
    "split",
    "subset",
    "feature_set",
    "classifier",
    "fusion",
    "num_frames",
    "num_views",
    "shots",
    "seed",
)
MAX_PAIRS = 100

ScoreTables = ClassTables | VideoAnswers


def score_tables(scored: Scored) -> tuple[ScoreTables, ...]:
    """All that a results folder keeps of a score beside its rows; of a lever its answers alone."""
    answers = video_answers(scored)
    return (class_tables(scored), answers) if scored.is_plain else (answers,)


def video_answers(scored: Scored) -> VideoAnswers:
    """What every video was taken for."""
    import pandas as pd

    videos, (labels, predicted) = scored.videos, scored.taken_for
    table = pd.DataFrame(
        {
            "id": videos.dataset.column("id")[videos.rows],
            "row": videos.rows,
            "source": np.arange(len(videos.rows)) if videos.files is None else videos.files,
            "label": labels,
            "predicted": predicted,
        }
    )
    return VideoAnswers(name=scored.rows[0].score_name, table=table)


def class_tables(scored: Scored) -> ClassTables:
    """Both tables; the interval of a class is the bootstrap over its own videos, or files."""
    row, names = scored.rows[0], scored.videos.class_names
    per_class = per_class_table(scored.scores, scored.videos.labels, names)
    per_class = per_class.rename(columns={"recall": "value"})
    per_class["ci_low"], per_class["ci_high"] = _intervals(scored, per_class)
    pairs = confusion_pairs(scored.scores, scored.videos.labels, names, MAX_PAIRS)
    return ClassTables(
        name=row.score_name,
        per_class=_with_setting(row, per_class),
        confusion=_with_setting(row, pairs),
    )


def _intervals(scored: Scored, per_class: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval of each class's recall, two float64 [class]."""
    labels, files = scored.videos.labels, scored.videos.files
    if files is not None:
        return clustered_shares(is_right(scored.scores, labels), labels, files, len(per_class))
    recalls, videos = per_class["value"].to_numpy(), per_class["num_videos"].to_numpy()
    return bootstrap_shares(recalls, videos)


def _with_setting(row: ResultRow, table: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    setting = {name: getattr(row, name) for name in SETTING}
    setting["features"] = row.feature_names[0] if row.feature_names else row.feature_set
    shared = pd.DataFrame({name: [value] * len(table) for name, value in setting.items()})
    return pd.concat([shared, table.reset_index(drop=True)], axis=1)


def class_frequencies(
    dataset: Dataset, base_split: str, novel_split: str, train_split: str = ""
) -> "pd.DataFrame":
    """How many training videos each class has, and where base and novel are cut (Figure 2): one row
    per class: dataset, class, count, subset (base or novel).

    Counted are the videos of `train_split`, without one every labelled video of the dataset.
    Raises UsageError for a training split that lacks a class.
    """
    import pandas as pd

    counts = _counts(dataset, train_split)
    parts = {"base": base_split, "novel": novel_split}
    subset_of = {
        name: subset for subset, split in parts.items() for name in dataset.split(split).class_names
    }
    missing = [name for name in subset_of if not counts.get(name)]
    if missing:
        raise UsageError(
            f"{train_split or dataset.name} has no video of {len(missing)} of {len(subset_of)} "
            f"classes (first: {missing[0]!r}); "
            "give a split of all training videos with --train-split"
        )
    columns = {
        "dataset": [dataset.name] * len(subset_of),
        "class": list(subset_of),
        "count": [counts[name] for name in subset_of],
        "subset": list(subset_of.values()),
    }
    return pd.DataFrame(columns)


def _counts(dataset: Dataset, train_split: str) -> dict[str, int]:
    split = dataset.split(train_split)
    labelled = split.labels[split.labels >= 0]
    counts = np.bincount(labelled, minlength=len(split.class_names))
    return dict(zip(split.class_names, counts.tolist(), strict=True))
