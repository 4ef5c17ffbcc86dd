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
# What may tell systems of one name apart.
_TELLING = ("protocol", "classifier", "fusion", "num_frames", "num_views", "template")


@dataclass(frozen=True, kw_only=True)
class AnswerTable:
    """One split of one data set."""

    title: str
    dataset: str
    systems: list[str]
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

    Where there are more, those scored with embedding fusion come first. Raises DamagedError.
    """
    groups = defaultdict(list)
    for one in (part for m in measured for part in (m, *m.parts)):
        if one.row.metric == "top1" and not one.row.lever and not is_mean(one.row):
            groups[tuple(getattr(one.row, name) for name in _PLACE)].append(one)
    tables = (_table(folder, members) for members in groups.values())
    return list(itertools.islice(filter(None, tables), MAX_PLACES))


def _table(folder: Path, members: Sequence[Measurement]) -> AnswerTable | None:
    ordered = sorted(members, key=lambda m: m.row.fusion != "embedding")
    found: list[tuple[Measurement, VideoAnswers]] = []
    for one in ordered:
        answers = VideoAnswers.read(folder, one.row) if len(found) < MAX_SYSTEMS else None
        if answers is not None:
            found.append((one, answers))
    if not found:
        return None
    videos = _joined([answers for _, answers in found])
    row = found[0][0].row
    words = [row.dataset, row.split, row.subset if row.subset != "all" else ""]
    words += [f"{row.shots} shots" if row.shots is not None else ""]
    words += [f"seed {row.seed}" if row.seed is not None else ""]
    return AnswerTable(
        title=", ".join(filter(None, words)),
        dataset=row.dataset,
        systems=_names([one for one, _ in found]),
        videos=videos,
    )


def _joined(answers: Sequence[VideoAnswers]) -> pd.DataFrame:
    """Every video once, in the order of the first."""
    lines = [line for one in answers for line in one.table.to_dict("records")]
    first = {str(line["id"]): line for line in reversed(lines)}
    ids = list(dict.fromkeys(str(line["id"]) for line in lines))
    videos = pd.DataFrame(
        {"id": ids, **{name: [first[one][name] for one in ids] for name in ("row", "label")}}
    )
    for number, one in enumerate(answers):
        predicted = dict(zip(one.table["id"], one.table["predicted"], strict=True))
        videos[number] = [predicted.get(video) for video in ids]
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
        names.append(", ".join([one.name, *(str(getattr(one.row, n)) for n in own)]))
    return names
