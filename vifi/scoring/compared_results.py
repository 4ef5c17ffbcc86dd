"""What `vifi compare` compares: rows of two results folders, of two systems of one, or of two
feature sets that are scored for it.

A difference is paired by video wherever the answers to the videos are kept; else it is that of
two numbers, and said to be.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.answer_differences import WHOLE, answer_differences
from harness.class_tables import video_answers
from harness.measuring import Scored, Scoring
from harness.protocols.zero_shot import zero_shot
from harness.results import TUNED, ResultRow, read_rows
from harness.results.conditions import rows_where
from harness.results.counterparts import Pair, counterparts, differing, newest_of_settings
from harness.results.row_names import row_name
from harness.results.video_answers import VideoAnswers
from vifi.scoring.scored_rows import choose_texts
from vifistore.errors import UnknownNameError, UsageError, first_few, short
from vifistore.store.features import Features

logger = logging.getLogger("vifi")

# Of a row, what says which of the many comparisons a line is.
_PLACE = (
    *("dataset", "split", "protocol", "subset", "classifier", "fusion", "shots", "seed"),
    *("num_frames", "num_views", "template", "train_split", "ranking", "lever", "metric"),
)
# Of a score its answers give this metric, and by class.
_OF_ANSWERS = "top1"


@dataclass(frozen=True, kw_only=True)
class Side:
    """What stands on one side of a comparison."""

    name: str
    rows: tuple[ResultRow, ...]
    folder: Path | None = None
    """Results folder with the answers of its rows."""
    answers: tuple[VideoAnswers, ...] = ()
    """Of its rows, where it has no folder."""

    def answers_of(self, row: ResultRow) -> VideoAnswers | None:
        """What was answered to the videos of a row's score, where that is kept."""
        if self.folder is not None:
            return VideoAnswers.read(self.folder, row, exact=True)
        return next((one for one in self.answers if one.name == row.score_name), None)


def systems_of(folder: Path) -> dict[str, Side]:
    """The systems of a results folder by the names of their feature sets. Of a name that stood for
    several the newest scores are taken, which is told in the log."""
    found: dict[str, list[ResultRow]] = {}
    for row in read_rows(folder):
        found.setdefault(row_name(row), []).append(row)
    return {name: _side(name, rows, folder) for name, rows in found.items()}


def _side(name: str, rows: Sequence[ResultRow], folder: Path) -> Side:
    newest = newest_of_settings(rows)
    if len(newest) < len(rows):
        told = "%s: %d rows of %s were scored again later from something else of its name, and are "
        logger.warning(told + "left out", short(folder), len(rows) - len(newest), short(name))
    return Side(name=name, rows=tuple(newest), folder=folder)


def one_of(systems: dict[str, Side], name: str, folder: Path) -> Side:
    """Raises UnknownNameError for a system that the folder has not."""
    if name not in systems:
        raise UnknownNameError(f"system of {short(folder)}", name, systems)
    return systems[name]


def pairs_of_folders(first: Path, second: Path) -> list[tuple[Side, Side]]:
    """The systems of equal names, or the only one of each.

    Raises UsageError where names are not shared and there are several.
    """
    ours, theirs = systems_of(first), systems_of(second)
    shared = [(ours[name], theirs[name]) for name in ours if name in theirs]
    if shared:
        return shared
    if len(ours) == len(theirs) == 1:
        return list(zip(ours.values(), theirs.values(), strict=True))
    raise UsageError(
        f"{short(first)} has {first_few(ours, 3, 30) or 'no rows'}, {short(second)} has "
        f"{first_few(theirs, 3, 30) or 'no rows'}: no name in common; compare two systems of one "
        "folder: vifi compare NAME NAME --results DIR"
    )


def scored_system(features: Features, splits: Sequence[str], fusions: Sequence[str]) -> Side:
    """A feature set, scored by the class names of some splits. Raises what `zero_shot` does."""
    kept: list[Scored] = []
    for split in splits:
        texts = choose_texts(features, split, ())
        settings = Scoring(fusions=tuple(fusions), keep=kept.append, texts=texts)
        zero_shot(features, (split,), settings)
    return Side(
        name=features.name,
        rows=tuple(row for scored in kept for row in scored.rows),
        answers=tuple(video_answers(scored) for scored in kept),
    )


def difference_records(
    first: Side, second: Side, correction: str, where: Sequence[str] = ()
) -> list[dict]:
    """Lines of all settings that both were scored in, each followed by its classes: what is
    compared, then as `answer_differences`, and whether it is `paired`.

    Only those of which the conditions `where` hold. Raises what `rows_where` does.
    """
    records = []
    for pair in counterparts(rows_where(first.rows, where), second.rows):
        if not all(math.isfinite(row.value) for row in pair):
            continue
        place = {"first_name": first.name, "second_name": second.name, **_place(pair)}
        records += [place | line for line in _lines(first, second, pair, correction)]
    return records


def _place(pair: Pair) -> dict[str, object]:
    """Which setting a pair is of; tuned, and not zero-shot, where either of them is."""
    protocols = [row.protocol for row in pair]
    told = TUNED if TUNED in protocols else protocols[0]
    place = {name: getattr(pair[0], name) for name in _PLACE}
    return {**place, "protocol": told, "differs": differing(pair)}


def _lines(first: Side, second: Side, pair: Pair, correction: str) -> Iterator[dict]:
    ours = theirs = None
    if pair[0].metric == _OF_ANSWERS:
        ours, theirs = first.answers_of(pair[0]), second.answers_of(pair[1])
    if ours is None or theirs is None:
        yield unpaired_line(*pair)
        return
    table = answer_differences(ours.table, theirs.table, correction=correction)
    for line in table.to_dict("records"):
        yield {**{str(key): value for key, value in line.items()}, "paired": True}


def unpaired_line(first: ResultRow, second: ResultRow) -> dict[str, object]:
    """The difference of two numbers of which the videos are not known.

    Its interval squares and adds what lies between each number and the end of its interval, as if
    they were of different videos (Newcombe 1998, method 10, for proportions; Zou and Donner 2008
    for any interval): of equal videos it is too wide. None where one has no interval.
    """
    difference = first.value - second.value
    line: dict[str, object] = {"class": WHOLE, "num_videos": first.num_videos}
    line |= {"first": first.value, "second": second.value}
    line |= {"difference": difference, "paired": False}
    ends = (first.ci_low, first.ci_high, second.ci_low, second.ci_high)
    if any(end is None or not math.isfinite(end) for end in ends):
        return line
    low, high, other_low, other_high = (float(end) for end in ends if end is not None)
    below = np.hypot(first.value - low, other_high - second.value)
    above = np.hypot(high - first.value, second.value - other_low)
    return line | {"ci_low": difference - float(below), "ci_high": difference + float(above)}


def without(records: Sequence[dict], *, classes: bool) -> list[dict]:
    """The lines of classes, or those of all videos."""
    return [record for record in records if (record["class"] != WHOLE) == classes]
