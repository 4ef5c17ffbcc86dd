"""How many videos of each class a checkpoint was tuned on, as far as it says.

Class names scored by a checkpoint that was tuned on K videos of each class make a K-shot score; by
one that was not, a zero-shot score, whatever it is called.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.scoring import Videos, checkpoint_of
from vifistore.cleaning import class_key
from vifistore.errors import UsageError, first_few, short
from vifistore.store.dataset import Dataset
from vifistore.store.identity import TunedOn
from vifistore.store.splits import Split, count_different

_REMEDY = "score it by zero-shot, or train a --classifier on a --train-split"


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What is known of the videos that a checkpoint was tuned on."""

    is_of_these: bool | None = None
    """Whether they are of the dataset that is scored; None where that is not known."""
    shots: int | None = None
    """Videos of each class; None where that is not known, or they are not as many of each."""
    words: str = "does not say on what it was tuned"
    """The same as a sentence that begins with the name of the feature set."""


def require_tuned(videos: Videos) -> None:
    """Raise UsageError for a checkpoint that was not tuned on the dataset that is scored."""
    tuning = tuning_of(videos)
    if tuning.is_of_these is False:
        name = videos.features.name
        raise UsageError(f"{name} {tuning.words}: class names give it no such score; {_REMEDY}")


def require_novel(videos: Videos) -> None:
    """Raise UsageError for a checkpoint that was tuned on videos of these classes in this dataset.

    That another dataset has a class of the same name makes none less novel.
    """
    digest = videos.features.checkpoint
    known = {class_key(name): name for name in videos.class_names}
    for entry in videos.features.store.identity(digest).tuned_on if digest else ():
        names = (
            _tuned_classes(videos.dataset, entry) if entry.dataset == videos.dataset.name else []
        )
        if seen := [known[key] for key in map(class_key, names) if key in known]:
            raise UsageError(
                f"{videos.features.name} was tuned on {len(seen)} of the {len(known)} classes of "
                f"{videos.split} ({first_few(seen, 2)}; {short(entry.name)}), which are not novel "
                "to it; score it by zero-shot or supervised, or one tuned on base classes alone"
            )


def _tuned_classes(dataset: Dataset, entry: TunedOn) -> Sequence[str]:
    """Classes that a training had videos of; of a split that is gone those that it was among."""
    if entry.split not in dataset.splits():
        return entry.class_names
    split = dataset.split(entry.split)
    return [split.class_names[label] for label in np.unique(split.labels[split.labels >= 0])]


def require_shots(videos: Videos, shots: Sequence[int], train: Videos | None) -> tuple[int, bool]:
    """Videos per class that a checkpoint was tuned on, and whether it says so itself.

    `shots` are those asked for, `train` holds the videos it is said to be tuned on. Raises
    UsageError for a checkpoint that was tuned on other numbers or on none, and for one that says
    nothing where `train` does not say it either.
    """
    tuning = tuning_of(videos)
    claimed = videos_per_class(train, is_asked=bool(shots)) if train else None
    asked = shots[0] if len(shots) == 1 else claimed or tuning.shots
    if len(shots) > 1 or (asked is None and tuning.is_of_these is None):
        raise UsageError(
            "say how many videos per class the checkpoint was tuned on: give one --shots K, or "
            "--train-split NAME"
        )
    if fault := _fault(tuning, asked, train, claimed):
        raise UsageError(f"{videos.features.name} {fault}")
    assert asked is not None, "one that is tuned on an unknown number is at fault"
    return asked, tuning.shots is not None


def _fault(tuning: Tuning, asked: int | None, train: Videos | None, claimed: int | None) -> str:
    """Why a score by class names is no K-shot one, and what to do; empty where it is."""
    if tuning.is_of_these is not None and tuning.shots is None:
        label = f"{asked}-shot" if asked else "few-shot"
        return f"{tuning.words}: class names give it no {label} score; {_REMEDY}"
    if tuning.shots is None and train is None:
        return (
            f"{tuning.words}; name that split with --train-split, or if it was on none, {_REMEDY}"
        )
    if train and claimed != asked:
        unlike = f"was not tuned on {asked} videos of each class if it was on {train.split}, which"
        return f"{unlike} has {claimed}; give --shots {claimed}"
    if tuning.shots not in (None, asked):
        return f"{tuning.words} and not on {asked}; give --shots {tuning.shots}, or {_REMEDY}"
    return ""


def tuning_of(videos: Videos) -> Tuning:
    """What the checkpoint of a feature set says of the videos that it was tuned on."""
    checkpoint = checkpoint_of(videos.features)
    settings = checkpoint["settings"] or {}
    parts = _parts(checkpoint, settings)
    here = [part["split"] for part in parts if part["dataset"] == videos.dataset.name]
    if parts and not here:
        elsewhere = first_few([f"{part['dataset']}/{part['split']}" for part in parts], 2)
        words = f"was tuned on {elsewhere} and not on {videos.dataset.name}"
        return Tuning(is_of_these=False, words=words)
    existing = videos.dataset.splits()
    known = [videos.dataset.split(name) for name in here if name in existing]
    for split in known:
        if lacking := set(videos.class_names) - set(split.class_names):
            words = f"was tuned on {split.name}, without {len(lacking)} of these classes"
            return Tuning(is_of_these=True, words=words)
    shots = settings.get("shots")
    if known and len(known) == len(here):
        return _of_splits(videos.dataset, known, shots)
    # The last training's setting, which says nothing of the videos of one before it.
    if len(here) < 2 and isinstance(shots, int) and shots > 0:
        return Tuning(is_of_these=True, shots=shots, words=_tuned_on(shots, shots))
    if not (parts or settings or checkpoint["weights_path"]):
        return Tuning(is_of_these=False, words="was tuned on no video")
    return Tuning()


def _parts(checkpoint: Mapping, settings: Mapping) -> list[dict[str, str]]:
    """Dataset and split of every training that a checkpoint names."""
    entries = checkpoint.get("tuned_on") or [settings.get("trained_on")]
    parts = [part for part in entries if isinstance(part, Mapping) and part.get("dataset")]
    return [{name: str(part.get(name) or "") for name in ("dataset", "split")} for part in parts]


def _of_splits(dataset: Dataset, splits: Sequence[Split], claimed: object) -> Tuning:
    """Different videos of each class, all parts of one counted once; a class of which there were
    too few has all it had."""
    seen: dict[str, set[int]] = {name: set() for split in splits for name in split.class_names}
    for split in splits:
        videos = dataset.videos_of(split.rows).tolist()
        for video, label in zip(videos, split.labels.tolist(), strict=True):
            if label >= 0:
                seen[split.class_names[label]].add(video)
    counts = sorted(map(len, seen.values()))
    is_even = counts[0] == counts[-1] or (counts[0] > 0 and counts[-1] == claimed)
    shots = counts[-1] if is_even else None
    return Tuning(is_of_these=True, shots=shots, words=_tuned_on(counts[0], counts[-1]))


def videos_per_class(train: Videos, *, is_asked: bool = False) -> int:
    """Most videos that a training split has of a class, all parts of one counted once; where no
    number is asked for, that of all.

    Raises UsageError for one that has not as many of each.
    """
    videos = train.dataset.videos_of(train.rows)
    counts = count_different(videos, train.labels, len(train.class_names))
    # A quarantined training video leaves its class with fewer; the list still has K of each.
    if not is_asked and not train.num_quarantined and counts.min() < counts.max():
        raise UsageError(
            f"{train.split} has {counts.min()} to {counts.max()} videos per class; give --shots K "
            "to draw K of each"
        )
    return int(counts.max())


def _tuned_on(fewest: int, most: int) -> str:
    count = str(most) if fewest == most else f"{fewest} to {most}"
    return f"was tuned on {count} video{'s' * (count != '1')} of each class"
