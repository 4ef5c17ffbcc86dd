"""Splits of a dataset: which of its videos are scored, and as what."""

import hashlib
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from typing import TYPE_CHECKING

import numpy as np

from vifistore.errors import DamagedError, UnknownNameError, UsageError
from vifistore.store.removing.removal import remove_group
from vifistore.store.schema import SPLIT_COLUMNS, check_name
from vifistore.store.tables import read_columns, table_attributes, write_table
from vifistore.store.zarr_format.attributes import require_fields
from vifistore.store.zarr_format.backend import Backend

if TYPE_CHECKING:
    from vifistore.store.dataset import Dataset

# The split that all labelled videos together form, where no split of the dataset is called so.
ALL_VIDEOS = "all"

_SPLIT = {"rows": int, "class_names": list, "source": str, "digest": str}


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which videos of a dataset are scored, and as what."""

    name: str
    rows: np.ndarray
    """int64 [row]: rows of the dataset's table of videos."""
    labels: np.ndarray
    """int32 [row]: indexes into `class_names`."""
    class_names: list[str]
    source: str
    """The list it was read from."""
    digest: str
    """SHA-256 of that list."""
    owns_classes: bool = True
    """Whether its own list says which classes are scored, and the dataset's list does not."""
    listed: dict[str, int] = field(default_factory=dict)
    """Of a list that names more videos than there were: how many of each class, and under "" of
    those without one. Else empty, and in splits of before this was kept."""

    def __repr__(self) -> str:
        """Its name and size."""
        counts = f"{len(self.rows)} videos, {len(self.class_names)} classes"
        return f"<Split {self.name}: {counts}, from {self.source}>"

    @property
    def num_listed(self) -> int | None:
        """How many videos the list names; None where these are all, as far as is known."""
        return sum(self.listed.values()) if self.listed else None


def write_split(
    dataset: "Dataset", split: Split, *, replace: bool = False, grow: bool = False
) -> None:
    """Write a split. Raises UsageError if one of that name holds other rows or labels, and is not
    to be replaced; nor to `grow`, where all of its rows are there as they were.

    One that has fewer classes and no list of its own is written anew with those of `split`. Of one
    with the same rows only what is told of its list is, if anything or it is to be replaced.
    """
    backend = dataset.backend
    path = f"splits/{dataset.name}/{check_name('split', split.name)}"
    listed = {"listed": split.listed} if split.listed else {}
    change = split_change(dataset, split, replace=replace, grow=grow)
    if change == SAME:
        if listed or replace:
            # What a scan of before did not keep, or kept of another list.
            told = {"source": split.source, "digest": split.digest, **listed}
            known = backend.attributes(path)
            kept = {key: known[key] for key in known if key != "listed"}
            backend.make_group(path, {**kept, **told})
        return
    columns = {"rows": split.rows, "labels": split.labels}
    attributes = {"class_names": split.class_names, "source": split.source, "digest": split.digest}
    attributes |= {"owns_classes": split.owns_classes, **listed}
    if backend.exists(path) and change != WIDER:
        remove_group(backend, path)
    write_table(backend, path, SPLIT_COLUMNS, columns, attributes)


# What writing a split changes.
NEW, SAME, WIDER, GROWN, OTHER = "new", "same", "wider", "grown", "other"


def split_change(
    dataset: "Dataset", split: Split, *, replace: bool = False, grow: bool = False
) -> str:
    """What a split is beside the stored one of its name: new, the same, wider (only classes are
    added, to those of the dataset), grown (rows are added, and maybe classes), or another one;
    raises as `write_split` does."""
    if not _has_split(dataset, split.name):
        return NEW
    stored = read_split(dataset, split.name)
    if _widens(stored, split):
        return WIDER
    if _same_split(stored, split):
        return SAME
    if grow and _grows(stored, split):
        return GROWN
    if not replace:
        raise UsageError(
            f"split {split.name!r} of {dataset.name} exists with other rows; give another --split "
            "NAME, or --replace"
        )
    return OTHER


def count_videos(dataset: "Dataset", split: Split) -> np.ndarray:
    """How many videos each class of a split has, int64 [class]; all parts of one are one."""
    return count_different(dataset.videos_of(split.rows), split.labels, len(split.class_names))


def count_different(videos: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """How many different videos, int64 [row], each class has, int64 [class]; below 0 is none."""
    pairs = np.unique(np.stack([labels.astype(np.int64), videos]), axis=1)
    return np.bincount(pairs[0][pairs[0] >= 0], minlength=num_classes)


def split_names(dataset: "Dataset") -> list[str]:
    """Names of the splits of a dataset; one whose writing was cut short does not count."""
    names = dataset.backend.children(f"splits/{dataset.name}")
    return [name for name in names if _is_whole(dataset, name)]


def _has_split(dataset: "Dataset", name: str) -> bool:
    is_there = dataset.backend.has_child(f"splits/{dataset.name}", name)
    return is_there and _is_whole(dataset, name)


def _is_whole(dataset: "Dataset", name: str) -> bool:
    return "rows" in dataset.backend.attributes(f"splits/{dataset.name}/{name}")


def _widens(stored: Split, split: Split) -> bool:
    is_more = len(split.class_names) > len(stored.class_names)
    return is_more and not split.owns_classes and _same_split(stored, _narrowed(split, stored))


def _grows(stored: Split, split: Split) -> bool:
    """Whether a split has all rows of the stored one under their labels, and others."""
    if split.owns_classes and split.class_names != stored.class_names:
        return False
    is_more = len(split.rows) > len(stored.rows)
    if not (is_more and set(stored.class_names) <= set(split.class_names)):
        return False
    narrowed = _narrowed(split, stored)
    label_of = dict(zip(narrowed.rows.tolist(), narrowed.labels.tolist(), strict=True))
    pairs = zip(stored.rows.tolist(), stored.labels.tolist(), strict=True)
    return all(label_of.get(row) == label for row, label in pairs)


def _narrowed(split: Split, stored: Split) -> Split:
    """A split by the classes of another, as far as that has them."""
    new_id = {name: id for id, name in enumerate(stored.class_names)}
    ids = np.array([new_id.get(name, -2) for name in [*split.class_names, ""]], dtype=np.int32)
    ids[-1] = -1
    labels = ids[split.labels]
    return replaced(split, labels=labels, class_names=stored.class_names)


def _same_split(first: Split, second: Split) -> bool:
    return (
        first.class_names == second.class_names
        and np.array_equal(first.rows, second.rows)
        and np.array_equal(first.labels, second.labels)
    )


def read_split(dataset: "Dataset", name: str) -> Split:
    """Read a split. Raises UnknownNameError naming those there are."""
    path, backend = f"splits/{dataset.name}/{name}", dataset.backend
    if not _has_split(dataset, name):
        raise UnknownNameError(f"split of {dataset.name}", name, split_names(dataset))
    attributes = table_attributes(backend, path, SPLIT_COLUMNS)
    require_fields(backend, path, attributes, _SPLIT)
    columns = read_columns(backend, path, SPLIT_COLUMNS, SPLIT_COLUMNS, attributes)
    listed = attributes.get("listed", {})
    require_listed(backend, path, listed, columns["labels"], attributes["class_names"])
    return Split(
        name=name,
        rows=columns["rows"],
        labels=columns["labels"],
        class_names=list(attributes["class_names"]),
        source=attributes["source"],
        digest=attributes["digest"],
        # Where a scan of before did not say so, its list stays as it is.
        owns_classes=attributes.get("owns_classes") is not False,
        listed=listed,
    )


def require_listed(
    backend: Backend, path: str, listed: object, labels: np.ndarray, class_names: list[str]
) -> None:
    """Raise DamagedError unless a list names as many videos of each class as a split with these
    `labels` [row] holds."""
    if not _can_be_listed(listed, labels, class_names):
        raise DamagedError(
            f"{backend.folder}/{path}/zarr.json does not say how many videos were listed as it "
            f"should; run: {backend.verify_command}"
        )


def _can_be_listed(listed: object, labels: np.ndarray, class_names: list[str]) -> bool:
    if not isinstance(listed, dict) or any(type(count) is not int for count in listed.values()):
        return False
    held = np.bincount(labels[labels >= 0], minlength=len(class_names))
    pairs = zip(class_names, held, strict=False)
    # Splits of before did not count what has no label.
    is_enough = listed.get("", len(labels)) >= int((labels < 0).sum())
    return not listed or (is_enough and all(listed.get(name, 0) >= n for name, n in pairs))


def labelled_split(dataset: "Dataset") -> Split:
    """Every labelled video of a dataset, scored against its own classes.

    Raises UsageError if no video has a label.
    """
    columns, class_names = dataset.columns_and_classes("id", "label")
    ids, names = columns["id"], columns["label"]
    rows = np.flatnonzero(names != "")
    if not len(rows):
        raise UsageError(
            "none of these videos has a label; scan them with labels (a folder per class, or a "
            "CSV with a label column) to evaluate"
        )
    index = {name: number for number, name in enumerate(class_names)}
    labels = np.array([index[name] for name in names[rows]], dtype=np.int32)
    digest = hashlib.sha256("\n".join(ids + " " + names).encode()).hexdigest()
    return Split(
        name=ALL_VIDEOS,
        rows=rows.astype(np.int64),
        labels=labels,
        class_names=class_names,
        source="labels of the videos",
        digest=digest,
    )
