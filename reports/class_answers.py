"""The same videos under several systems: which are right where, and what is taken for what."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from harness.results.video_answers import VideoAnswers
from reports.measurements import Measurement, is_mean

MAX_PLACES = 12
MAX_SYSTEMS = 8
_PLACE = ("dataset", "split", "subset", "shots", "seed")
_COLUMNS = ("id", "row", "label", "predicted")
_ABLATION = "ablation-"
# What may tell systems of one name apart.
_TELLING = ("protocol", "classifier", "fusion", "num_frames", "num_views", "template", "lever")


@dataclass(frozen=True, kw_only=True)
class AnswerTable:
    """One split of one data set."""

    title: str
    dataset: str
    systems: list[str]
    num_plain: int
    """The first so many of them are plain scores, the others of levers."""
    videos: pd.DataFrame
    """id, row, label; then a column a system, by its number: what the video was taken for, missing
    where that is not known."""

    def is_right(self) -> np.ndarray:
        """bool [video system]."""
        labels = self.videos["label"].to_numpy()
        columns = [self.videos[number].to_numpy() == labels for number in range(len(self.systems))]
        return np.stack(columns, axis=1)


def answer_tables(folder: Path, measured: Sequence[Measurement]) -> list[AnswerTable]:
    """Of each split whose answers are kept, at most 12, with at most 8 systems each.

    Where there are more, plain scores come first, and of these those with embedding fusion. Answers
    that are not those of the row are left out. Raises DamagedError.
    """
    groups = defaultdict(list)
    for one in (part for m in measured for part in (m, *m.parts)):
        if one.row.metric == "top1" and not is_mean(one.row):
            groups[tuple(getattr(one.row, name) for name in _PLACE)].append(one)
    # Draws of few shots are many, and each is much like another.
    ordered = sorted(groups.values(), key=lambda members: members[0].row.seed is not None)
    tables = (_table(folder, members) for members in ordered)
    return list(itertools.islice(filter(None, tables), MAX_PLACES))


def _table(folder: Path, members: Sequence[Measurement]) -> AnswerTable | None:
    # An ablation scores again what other protocols have: it is shown where it is all there is.
    asked = [m for m in members if not m.row.protocol.startswith(_ABLATION)] or members
    ordered = sorted(asked, key=lambda m: (bool(m.row.lever), m.row.fusion != "embedding"))
    found: list[tuple[Measurement, VideoAnswers]] = []
    for one in ordered:
        answers = None
        if len(found) < MAX_SYSTEMS:
            answers = VideoAnswers.read(folder, one.row, exact=True)
        if answers is not None:
            found.append((one, answers))
    if not found:
        return None
    videos = _joined([answers for _, answers in found])
    row = found[0][0].row
    words = [row.dataset, row.split, row.subset if row.subset != "all" else ""]
    words += [f"{row.shots} shot{'s' * (row.shots != 1)}" if row.shots is not None else ""]
    words += [f"seed {row.seed}" if row.seed is not None else ""]
    return AnswerTable(
        title=", ".join(filter(None, words)),
        dataset=row.dataset,
        systems=_names([one for one, _ in found]),
        num_plain=sum(not one.row.lever for one, _ in found),
        videos=videos,
    )


def _joined(answers: Sequence[VideoAnswers]) -> pd.DataFrame:
    """Every video once, in the order of the first."""
    rows: dict[str, int] = {}
    labels: dict[str, str] = {}
    # As lists: taken one by one from a table they cost a hundred times as much.
    columns = [[one.table[name].tolist() for name in _COLUMNS] for one in answers]
    for ids, of_dataset, label, _ in columns:
        rows = dict(zip(ids, of_dataset, strict=True)) | rows
        labels = dict(zip(ids, label, strict=True)) | labels
    order = list(dict.fromkeys(video for ids, *_ in columns for video in ids))
    videos = pd.DataFrame(
        {"id": order, "row": map(rows.get, order), "label": map(labels.get, order)}
    )
    for number, (ids, _, _, predicted) in enumerate(columns):
        known = dict(zip(ids, predicted, strict=True))
        videos[number] = [known.get(video) for video in order]
    return videos


def _names(members: Sequence[Measurement]) -> list[str]:
    """A name each, with what tells it from others of the same."""
    telling = [n for n in _TELLING if len({getattr(m.row, n) for m in members}) > 1]
    counts = defaultdict(list)
    for one in members:
        counts[one.name].append(one)
    names = []
    for one in members:
        own = [n for n in telling if len({getattr(m.row, n) for m in counts[one.name]}) > 1]
        words = [one.name, *(str(getattr(one.row, n)) for n in own)]
        names.append(", ".join(filter(None, words)))
    return names
