"""Tables of the store: the videos of a dataset, its splits and captions.

A table grows by rows beyond its committed length; the group's attributes, which hold that
length, are written last. A kill before that leaves the old table as it was.
"""

import hashlib
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from typing import TYPE_CHECKING

import numpy as np

from vifistore.errors import DamagedError, UnknownNameError, UsageError, shell
from vifistore.store.backend import Backend
from vifistore.store.chunks import can_hold
from vifistore.store.digests import FIELD, digests, require_digests
from vifistore.store.fields import read_fields
from vifistore.store.removal import remove_group
from vifistore.store.schema import (
    CAPTION_COLUMNS,
    SPLIT_COLUMNS,
    TABLE_CHUNK,
    VIDEO_COLUMNS,
    ArraySpec,
    check_name,
)

# The split that all labelled videos together form, where no split of the dataset is called so.
ALL_VIDEOS = "all"

_TABLE = {"rows": int}
_SPLIT = {**_TABLE, "class_names": list, "source": str, "digest": str}

# pandas takes half a second to import, and half of what reads a store needs no table.
if TYPE_CHECKING:
    import pandas as pd


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
    """Of a list that names more videos than there were: how many of each class. Else empty, and in
    splits of before this was kept."""

    @property
    def num_listed(self) -> int | None:
        """How many videos the list names; None where these are all, as far as is known."""
        return sum(self.listed.values()) if self.listed else None


def write_table(
    backend: Backend,
    path: str,
    specs: dict[str, ArraySpec],
    columns: dict[str, np.ndarray],
    attributes: dict,
    *,
    start: int = 0,
) -> None:
    """Write `columns` at rows [start, start + n) of the table at `path`, its length last."""
    num_rows = start + len(next(iter(columns.values())))
    # Of the dtype it is stored in: what has no rows may have any, and would round times to floats.
    dtypes = {name: object if spec.dtype == "str" else spec.dtype for name, spec in specs.items()}
    written = {name: np.asarray(columns[name], dtypes[name]) for name in specs}
    whole = written
    if start:
        before = read_table(backend, path, specs)
        whole = {name: np.concatenate([before[name][:start], written[name]]) for name in specs}
    shape, chunks = (max(num_rows, 1),), (TABLE_CHUNK,)
    kept = {**attributes, FIELD: digests(whole, specs, attributes)}
    # Held throughout: arrays without a group are what a removal that was stopped has left.
    with backend.place.writing():
        if not start and backend.exists(path):
            # A kill meanwhile leaves old rows or new ones, and no digest of others.
            known = backend.attributes(path)
            backend.make_group(path, {key: known[key] for key in known if key != FIELD})
        arrays = {f"{path}/{name}": (spec, shape, chunks) for name, spec in specs.items()}
        backend.make_arrays(arrays)
        backend.write_rows(start, {f"{path}/{name}": written[name] for name in specs})
        backend.make_group(path, {**kept, "rows": num_rows})


def read_table(backend: Backend, path: str, specs: dict[str, ArraySpec]) -> dict[str, np.ndarray]:
    """Read the committed rows of the table at `path`, a column each.

    Raises DamagedError if they are not what was written.
    """
    attributes = table_attributes(backend, path, specs)
    columns = {name: _column(backend, f"{path}/{name}", attributes["rows"]) for name in specs}
    require_digests(backend, path, columns, specs, attributes)
    return columns


def table_attributes(backend: Backend, path: str, specs: dict[str, ArraySpec]) -> dict:
    """Attributes of the table at `path`; `rows` are those that are committed.

    Raises DamagedError if there cannot be so many: a number is easily written.
    """
    attributes = read_fields(backend, path, _TABLE)
    first = f"{path}/{next(iter(specs))}"
    num_rows, grid = attributes["rows"], backend.layout(first)
    if num_rows > grid.shape[0] or not can_hold(backend, first, grid, num_rows):
        raise DamagedError(
            f"{backend.folder}/{path} says that it has {num_rows} rows, which its files do not "
            f"hold; run: {backend.verify_command}"
        )
    return attributes


def _column(backend: Backend, path: str, num_rows: int) -> np.ndarray:
    values = backend.read(path, 0, num_rows, may_lack=False)
    if len(values) != num_rows:
        raise DamagedError(
            f"{backend.folder}/{path} has {len(values)} rows, not {num_rows}; "
            f"run: {backend.verify_command}"
        )
    return values


def write_videos(
    backend: Backend,
    dataset: str,
    videos: "pd.DataFrame",
    class_names: list[str],
    root: str,
    *,
    anew: bool = False,
) -> None:
    """Write or extend the table of videos; rows already there must come first, and unchanged unless
    all are written `anew`."""
    check_name("dataset", dataset)
    path = f"videos/{dataset}"
    extends = not anew and backend.exists(path)
    start = table_attributes(backend, path, VIDEO_COLUMNS)["rows"] if extends else 0
    # The chunk that holds the old end is rewritten whole, by rename, so old rows are given too.
    columns = {name: videos[name].to_numpy()[start:] for name in VIDEO_COLUMNS}
    attributes = {"class_names": class_names, "root": root}
    write_table(backend, path, VIDEO_COLUMNS, columns, attributes, start=start)


def read_videos(backend: Backend, dataset: str) -> "pd.DataFrame":
    """Read the table of videos, a column each of VIDEO_COLUMNS."""
    import pandas as pd

    check_dataset(backend, dataset)
    return pd.DataFrame(read_table(backend, f"videos/{dataset}", VIDEO_COLUMNS))


def read_column(backend: Backend, dataset: str, name: str) -> np.ndarray:
    """Read one column of the table of videos, [video]; strings as objects."""
    check_dataset(backend, dataset)
    path = f"videos/{dataset}"
    attributes = table_attributes(backend, path, VIDEO_COLUMNS)
    values = _column(backend, f"{path}/{name}", attributes["rows"])
    require_digests(backend, path, {name: values}, VIDEO_COLUMNS, attributes)
    return values


def check_dataset(backend: Backend, dataset: str) -> None:
    """Raise UnknownNameError if the store has no such dataset."""
    if dataset not in (known := backend.children("videos")):
        remedy = f"Add one with: {shell('vifi', 'scan', backend.folder)} SOURCE --dataset NAME"
        raise UnknownNameError("dataset", dataset, known, remedy)


def write_split(backend: Backend, dataset: str, split: Split, *, replace: bool = False) -> None:
    """Write a split. Raises UsageError if one of that name holds other rows or labels, and is not
    to be replaced.

    One that has fewer classes and no list of its own is written anew with those of `split`. Of one
    with the same rows only what is told of its list is, if anything or it is to be replaced.
    """
    path = f"splits/{check_name('dataset', dataset)}/{check_name('split', split.name)}"
    listed = {"listed": split.listed} if split.listed else {}
    change = split_change(backend, dataset, split, replace=replace)
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
NEW, SAME, WIDER, OTHER = "new", "same", "wider", "other"


def split_change(backend: Backend, dataset: str, split: Split, *, replace: bool = False) -> str:
    """What a split is beside the stored one of its name: new, the same, wider (only classes are
    added, to those of the dataset), or another one; raises as `write_split` does."""
    if split.name not in split_names(backend, dataset):
        return NEW
    stored = read_split(backend, dataset, split.name)
    if _widens(stored, split):
        return WIDER
    if _same_split(stored, split):
        return SAME
    if not replace:
        raise UsageError(
            f"split {split.name!r} of {dataset} exists with other rows; give another --split NAME, "
            "or --replace"
        )
    return OTHER


def split_names(backend: Backend, dataset: str) -> list[str]:
    """Names of the splits of a dataset; one whose writing was cut short does not count."""
    folder = f"splits/{dataset}"
    names = backend.children(folder)
    return [name for name in names if "rows" in backend.attributes(f"{folder}/{name}")]


def _widens(stored: Split, split: Split) -> bool:
    is_more = len(split.class_names) > len(stored.class_names)
    return is_more and not split.owns_classes and _same_split(stored, _narrowed(split, stored))


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


def read_split(backend: Backend, dataset: str, name: str) -> Split:
    """Read a split. Raises UnknownNameError naming those there are."""
    check_dataset(backend, dataset)
    path = f"splits/{dataset}/{name}"
    if name not in (known := split_names(backend, dataset)):
        raise UnknownNameError(f"split of {dataset}", name, known)
    attributes = read_fields(backend, path, _SPLIT)
    columns = read_table(backend, path, SPLIT_COLUMNS)
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
    """Raise DamagedError unless a list names as many videos of each class as a split holds."""
    is_counts = isinstance(listed, dict) and all(type(count) is int for count in listed.values())
    held = np.bincount(labels[labels >= 0], minlength=len(class_names)) if is_counts else ()
    pairs = zip(class_names, held, strict=False)
    if not is_counts or (listed and any(listed.get(name, 0) < count for name, count in pairs)):
        raise DamagedError(
            f"{backend.folder}/{path}/zarr.json does not say how many videos were listed as it "
            f"should; run: {backend.verify_command}"
        )


def labelled_split(videos: "pd.DataFrame", class_names: list[str]) -> Split:
    """Every labelled video of the table, scored against the dataset's own classes.

    Raises UsageError if no video has a label.
    """
    rows = np.flatnonzero(videos["label"].to_numpy() != "")
    if not len(rows):
        raise UsageError(
            "none of these videos has a label; scan them with labels (a folder per class, or a "
            "CSV with a label column) to evaluate"
        )
    index = {name: number for number, name in enumerate(class_names)}
    labels = np.array([index[name] for name in videos["label"].iloc[rows]], dtype=np.int32)
    digest = hashlib.sha256("\n".join(videos["id"] + " " + videos["label"]).encode()).hexdigest()
    return Split(
        name=ALL_VIDEOS,
        rows=rows.astype(np.int64),
        labels=labels,
        class_names=class_names,
        source="labels of the videos",
        digest=digest,
    )


def write_captions(backend: Backend, dataset: str, captions: list[tuple[int, str]]) -> None:
    """Replace the captions of a dataset: (row, text), many per video."""
    rows = np.array([row for row, _ in captions], dtype=np.int64)
    texts = np.array([text for _, text in captions], dtype=object)
    path = f"captions/{check_name('dataset', dataset)}"
    write_table(backend, path, CAPTION_COLUMNS, {"row": rows, "text": texts}, {})


def read_captions(backend: Backend, dataset: str) -> "pd.DataFrame":
    """Read the captions of a dataset: columns `row` and `text`; empty if it has none."""
    import pandas as pd

    path = f"captions/{dataset}"
    if not backend.exists(path):
        return pd.DataFrame({"row": np.empty(0, np.int64), "text": np.empty(0, object)})
    return pd.DataFrame(read_table(backend, path, CAPTION_COLUMNS))
