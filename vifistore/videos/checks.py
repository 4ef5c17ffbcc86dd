"""What may be wrong with a dataset before anything is extracted or scored.

A problem is refused where a number made from it would be wrong, and warned of where it may be
meant.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from vifistore.errors import UsageError, first_few, short
from vifistore.videos.class_names import plain
from vifistore.videos.evidence import strangers, weigh
from vifistore.videos.records import UNLABELLED, Listing, SplitListing
from vifistore.videos.text_lines import some

_TRAINING = re.compile(r"(?:^|[^a-z])(?:train|few_?shot|fs(?![a-z]))")
_EVALUATION = re.compile(r"(?:^|[^a-z])(?:val|test|eval|dev)")
_TRAINING_AND_VALIDATION = re.compile(r"train_?(?:and_?)?val")
_FOLD = re.compile(r"(?:train|test|val|list|split)_?0*(\d+)")


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """One thing that is wrong, or may be."""

    level: Literal["refuse", "warn"]
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


def check_listing(listing: Listing, stored: Mapping[str, set[str]] | None = None) -> list[Doubt]:
    """Every problem that can be seen without opening a video.

    `stored` holds the ids of the videos of each split that the dataset has already.
    """
    problems = overlaps(members(listing), stored or {}) + twins(listing.class_names)
    for name, split in listing.splits.items():
        problems += missing_classes(name, split) + label_disagreements(listing, name, split)
    return problems


def twins(class_names: Sequence[str]) -> list[Doubt]:
    """Two classes that differ in nothing but case, underscores or Unicode form."""
    first: dict[str, str] = {}
    pairs = [
        (same, name)
        for name in class_names
        if (same := first.setdefault(plain(name), name)) != name
    ]
    if not pairs:
        return []
    shown_pairs = (f"{short(one, 30)!r} and {short(other, 30)!r}" for one, other in pairs)
    shown = first_few(shown_pairs, length=80)
    what = f"{len(pairs):,} classes are spelled like another ({shown})"
    remedy = "merge them unless they differ: most models ignore case, and refuse such texts"
    return [Doubt(level="warn", what=what, remedy=remedy)]


def refuse(problems: Sequence[Doubt]) -> None:
    """Raises UsageError with the first problem that is refused, and the count of others."""
    refused = [problem for problem in problems if problem.level == "refuse"]
    if refused:
        others = f" (and {len(refused) - 1:,} more problems)" if len(refused) > 1 else ""
        raise UsageError(f"{refused[0].what}{others}; {refused[0].remedy}")


def is_training(name: str) -> bool:
    """True where the name of a split says that it is trained on."""
    return bool(_TRAINING.search(name.lower()))


def is_evaluation(name: str) -> bool:
    """True where the name of a split says that it is scored and not trained on."""
    return bool(_EVALUATION.search(name.lower())) and not is_training(name)


def overlaps(listed: Mapping[str, set[str]], stored: Mapping[str, set[str]]) -> list[Doubt]:
    """Videos that a training split shares with an evaluation split, given their ids.

    `listed` are the splits of a source, `stored` those that the dataset has already. Splits of
    different folds (train1, test2) overlap by design and must not be used together; the paper's
    few-shot lists, drawn from fold 1, so overlap its val2 and val3. So do its base_train and what
    is drawn from that, whose names tell no fold: they are of those with which they share nothing.
    """
    known = {**stored, **listed}
    pairs = product(filter(is_training, known), filter(is_evaluation, known))
    return [
        _overlap(train, other, shared, _folds(train, known))
        for train, other in pairs
        if listed.keys() & {train, other} and (shared := known[train] & known[other])
    ]


def members(listing: Listing) -> dict[str, set[str]]:
    """Ids of the videos of every split."""
    return {
        name: {listing.ids[row] for row in split.rows} for name, split in listing.splits.items()
    }


def _overlap(train: str, other: str, shared: set[str], folds: set[int]) -> Doubt:
    what = f"{train} and {other} share {len(shared):,} videos ({some(shared)})"
    if folds and (fold := _fold(other)) is not None and fold not in folds:
        told = " or ".join(map(str, sorted(folds)))
        remedy = f"score a model trained on {train} on fold {told} only"
        return Doubt(level="warn", what=what, remedy=remedy)
    if _TRAINING_AND_VALIDATION.search(train.lower()) and other.lower().startswith("val"):
        return Doubt(level="warn", what=what, remedy=f"score a model trained on {train} elsewhere")
    return Doubt(level="refuse", what=what, remedy="take them out of one of the lists")


def _fold(name: str) -> int | None:
    match = _FOLD.search(name)
    return int(match.group(1)) if match else None


def _folds(train: str, known: Mapping[str, set[str]]) -> set[int]:
    """The fold of a training split; where its name tells none, those it shares nothing with."""
    if (fold := _fold(train)) is not None:
        return {fold}
    named = ((name, _fold(name)) for name in filter(is_evaluation, known))
    tested = {name: fold for name, fold in named if fold is not None}
    shares = {fold for name, fold in tested.items() if known[train] & known[name]}
    return set(tested.values()) - shares


def missing_classes(name: str, split: SplitListing) -> list[Doubt]:
    """Classes that are scored without one video."""
    absent = set(range(len(split.class_names))).difference(split.labels)
    if not absent:
        return []
    classes = some(split.class_names[id] for id in absent)
    what = f"split {name}: {len(absent):,} of {len(split.class_names):,} classes have no video"
    remedy = "complete the videos, or the class file where these classes are not meant"
    return [Doubt(level="warn", what=f"{what} ({classes})", remedy=remedy)]


def label_disagreements(listing: Listing, name: str, split: SplitListing) -> list[Doubt]:
    """Labels that contradict the class in a file's or a folder's name.

    A list read with the class file of another one disagrees nearly everywhere, and is refused.
    Less is warned of: published class files hold such errors (that of the paper's HMDB51 lists has
    kick and kick ball, and sword and sword exercise, in each other's place), and numbers that were
    made with them can only be compared as they are.
    """
    paths = [listing.paths[row] for row in split.rows]
    labels = ["" if id == UNLABELLED else split.class_names[id] for id in split.labels]
    evidence = weigh(paths, labels, split.class_names)
    if not evidence.against:
        return _strange_names(name, split, strangers(paths, labels, split.class_names))
    shown = ", ".join(
        f"{short(paths[row])} as {short(labels[row], 30)!r}" for row in evidence.against[:3]
    )
    count = f"{len(evidence.against):,} of {evidence.num_named:,}"
    what = f"split {name}: {count} labels contradict the names of files or folders ({shown})"
    if 2 * len(evidence.against) > evidence.num_named:
        remedy = "read the list with its own class file (--labels)"
        return [Doubt(level="refuse", what=what, remedy=remedy)]
    remedy = "give a corrected class file (--labels), unless you repeat published numbers"
    return [Doubt(level="warn", what=what, remedy=remedy)]


def _strange_names(name: str, split: SplitListing, pairs: Sequence[tuple[str, str]]) -> list[Doubt]:
    if not pairs or not split.owns_classes:
        return []
    shown = ", ".join(
        f"{short(folder, 30)!r} is {short(label, 30)!r}" for folder, label in pairs[:3]
    )
    what = f"split {name}: labels follow the folders, but none has a folder's name ({shown})"
    return [Doubt(level="warn", what=what, remedy="make sure that the class file is this list's")]
