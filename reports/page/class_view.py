"""Every class with its videos, right and wrong under each system."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from harness.results.page_pictures import picture_path, thumbnail_path
from reports.class_answers import AnswerTable

# Of one split, and of all together: as many of each class; of these first those that systems do not
# agree about, then those that all take wrong.
MAX_VIDEOS = 1000
MAX_IN_ALL = 4000


def class_views(folder: Path, tables: Sequence[AnswerTable]) -> list[dict]:
    """A view of each split: its systems, its classes, of each its videos; empty without answers."""
    most = min(MAX_VIDEOS, MAX_IN_ALL // max(1, len(tables)))
    return [_view(folder, table, most) for table in tables]


def _view(folder: Path, table: AnswerTable, most: int) -> dict:
    is_right = table.is_right()
    labels = table.videos["label"].tolist()
    order = _shown(_interest(is_right), labels, most)
    picked = defaultdict(list)
    for place in order:
        record = table.videos.iloc[place].to_dict()
        picked[labels[place]].append(_video(folder, table, record, is_right[place]))
    classes = []
    for name, own in table.videos.groupby("label").indices.items():
        right = [int(count) for count in is_right[own].sum(axis=0)]
        shown = picked[str(name)]
        classes.append({"name": name, "count": len(own), "right": right, "videos": shown})
    classes.sort(key=lambda one: sum(one["right"]) / one["count"])
    return {
        "title": table.title,
        "systems": table.systems,
        "classes": classes,
        "more": len(labels) - len(order),
    }


def _shown(interest: np.ndarray, labels: Sequence[str], most: int) -> list[int]:
    """Places of the videos that are shown: as many of each class, those of most interest first."""
    ranks = np.zeros(len(labels), np.int64)
    for own in pd.Series(labels).groupby(labels).indices.values():
        ranks[own[np.argsort(interest[own], kind="stable")]] = np.arange(len(own))
    return np.lexsort((interest, ranks))[:most].tolist()


def _interest(is_right: np.ndarray) -> np.ndarray:
    """What videos are sorted by, int [video], of bool [video system]: 0 where systems differ, 1
    where all are wrong, 2 where all are right."""
    return np.where(is_right.all(axis=1), 2, np.where(is_right.any(axis=1), 0, 1))


def _video(
    folder: Path, table: AnswerTable, record: Mapping, is_right: np.ndarray
) -> dict[str, object]:
    answers = [record[number] for number in range(len(table.systems))]
    return {
        "id": record["id"],
        "picture": picture_path(folder, thumbnail_path(table.dataset, int(record["row"]))),
        "answers": [
            {"is_right": bool(right), "predicted": answer if isinstance(answer, str) else ""}
            for right, answer in zip(is_right, answers, strict=True)
        ],
    }
