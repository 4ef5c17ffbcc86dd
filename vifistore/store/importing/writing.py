"""Check a source against a store, then write it there as a sealed feature set."""

import platform
import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from vifistore.errors import DamagedError, UsageError
from vifistore.store.committer import BlockCommitter
from vifistore.store.dataset import Dataset, write_videos
from vifistore.store.importing.import_entries import check_values, read_entries
from vifistore.store.importing.import_source import ImportSource
from vifistore.store.names import check_set_name, require_free, set_name
from vifistore.store.recipe import recipe_id, view_shape
from vifistore.store.schema import STRETCH_COLUMNS, TODO, check_name
from vifistore.store.store import Store
from vifistore.store.table_turn import tables_in_turn
from vifistore.store.writer import FeatureWriter

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a source goes."""

    dataset: str
    name: str
    """Of the feature set; empty for none."""
    checkpoint: str = ""
    """Digest of the one whose text tower scores it, or ""."""
    root: str = ""
    """Folder of the videos of a new dataset."""


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What an import did."""

    id: str
    name: str
    videos: int
    """Videos that the set covers."""
    done: int
    quarantined: int
    """Among them, those the file lacks or had quarantined."""
    sealed: bool


def check_source(store: Store | None, source: ImportSource, target: Target) -> None:
    """Check all that could be wrong with an import, and write nothing; None is a store to make.

    Raises
    ------
    UsageError
        If ids, names or shapes do not fit the store, or an embedding is not finite or zero.
    DamagedError
        If what the source says of itself is not so.
    """
    check_name("dataset", target.dataset)
    if target.name:
        check_set_name(target.name)
    _check_recipe(source)
    if store is None or target.dataset not in store.datasets():
        _check_paths(source)
        match_rows(source, source.videos)
    else:
        dataset = store.dataset(target.dataset)
        match_rows(source, dataset.videos())
        feature_id = recipe_id(source.recipe)
        _check_existing(dataset, feature_id, source)
        if target.name:
            require_free(dataset, target.name, feature_id, target.checkpoint)
    check_values(source)


def write_source(store: Store, source: ImportSource, target: Target) -> ImportReport:
    """Write a source that `check_source` has passed; the dataset is made if it is new.

    Rows of a known dataset are found by their ids; those that the source lacks are quarantined.
    """
    dataset = store.new_dataset(target.dataset)
    if not dataset.exists:
        with tables_in_turn(dataset) as own:
            # Another process may have made it meanwhile.
            if not own.exists:
                write_videos(own, source.videos, list(source.class_names), target.root)
    entries = match_rows(source, dataset.videos())
    feature_id = _write_features(dataset, target, source, entries)
    features = dataset.features(feature_id)
    counts = features.counts()
    return ImportReport(
        id=feature_id,
        name=target.name,
        videos=counts["videos"],
        done=counts["done"],
        quarantined=counts["quarantined"],
        sealed=features.sealed is not None,
    )


def match_rows(source: ImportSource, known: "pd.DataFrame") -> np.ndarray:
    """Entry of `source` for each row of the table `known`, int64 [row], -1 where it has none.

    Rows that follow the last entry of an original set are left out: they were appended since.
    Raises UsageError if the source has an id that the table lacks.
    """
    own_ids = source.videos["id"].iloc[: source.shape.video]
    entry_of = {name: entry for entry, name in enumerate(own_ids)}
    entries = np.array([entry_of.get(name, -1) for name in known["id"]], np.int64)
    if unknown := len(entry_of) - int((entries >= 0).sum()):
        ids = set(known["id"])
        first = next(name for name in entry_of if name not in ids)
        raise UsageError(
            f"{source.path} has {unknown} of {len(entry_of)} videos that the dataset lacks, the "
            f"first is {first!r}; give another --dataset, or the ids as vifi scan wrote them"
        )
    if source.is_original:
        _check_stretches(source, known, entries)
    count = len(entry_of)
    in_order = np.array_equal(entries[:count], np.arange(count))
    return entries[:count] if source.is_original and in_order else entries


def _check_stretches(source: ImportSource, known: "pd.DataFrame", entries: np.ndarray) -> None:
    """Raise UsageError if a video of the source is another stretch in the table `known`."""
    rows = np.flatnonzero(entries >= 0)
    for name, spec in STRETCH_COLUMNS.items():
        own, there = (
            table[name].to_numpy() if name in table else np.full(len(table), spec.fill)
            for table in (source.videos, known)
        )
        own, there = own[entries[rows]], there[rows]
        if (differ := (own != there) & ~(np.isnan(own) & np.isnan(there))).any():
            row = rows[int(differ.argmax())]
            raise UsageError(
                f"{source.path}: {name} of {known['id'].iloc[row]!r} is another than in the "
                "dataset; import into another --dataset"
            )


def _check_recipe(source: ImportSource) -> None:
    shape, recipe = source.shape, source.recipe
    if "frames" not in recipe and isinstance(recipe.get("parent"), str):
        if recipe_id(source.about.get("parent_recipe", {})) != recipe["parent"]:
            raise DamagedError(
                f"{source.path} does not say what its parent {recipe['parent']} is; export it again"
            )
        return
    if view_shape(recipe) != (shape.view, shape.frame):
        raise DamagedError(
            f"{source.path} has {shape.view} views of {shape.frame} frames, but its recipe says "
            "otherwise; export it again"
        )


def _check_paths(source: ImportSource) -> None:
    for path in source.videos["path"]:
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts or "\0" in path:
            raise UsageError(
                f"{source.path}: the path {path!r} leaves the folder of the videos; scan the "
                "videos first, then import into that dataset"
            )


def _check_existing(dataset: Dataset, feature_id: str, source: ImportSource) -> None:
    """Raise UsageError if a set of that id is there, but with other axes."""
    if feature_id not in dataset.feature_ids():
        return
    shape, there = source.shape, dataset.features(feature_id)
    frames = (shape.view, shape.frame, shape.dim) if "frames" in source.arrays else None
    found = None if there.frames is None else there.frames.shape[1:]
    if (found, there.view_mean.shape[1:]) != (frames, (shape.view, shape.dim)):
        raise UsageError(
            f"{source.path}: feature set {feature_id} is in the store with other axes; import into "
            "another --dataset"
        )


def _write_features(
    dataset: Dataset, target: Target, source: ImportSource, entries: np.ndarray
) -> str:
    # The set may be there and cover more videos already; it must not be cut.
    feature_id, planned = recipe_id(source.recipe), 0
    if feature_id in dataset.feature_ids():
        planned = dataset.features(feature_id).status.shape[0]
    shape = replace(source.shape, video=max(len(entries), planned))
    writer = FeatureWriter(
        dataset,
        source.recipe,
        shape,
        _provenance(source),
        arrays=source.arrays,
        further=source.further,
        about=(about := _about(source, entries)),
    )
    try:
        _write_blocks(writer, source, entries)
        if not writer.todo_blocks() and writer.needs_seal:
            writer.seal(about)
        # Named while it is locked: what has neither a name nor a lock may be removed.
        if target.name:
            set_name(dataset, target.name, feature_id, target.checkpoint, force=False)
    finally:
        writer.release()
    return feature_id


def _write_blocks(writer: FeatureWriter, source: ImportSource, entries: np.ndarray) -> None:
    """Write what is to do, as far as the source has it."""
    writer.claim(blocks := writer.todo_blocks())
    with BlockCommitter(writer) as committer:
        for block in blocks:
            rows = [row for row in writer.todo_rows(block) if row < len(entries)]
            data = read_entries(source, entries[rows])
            kept = np.flatnonzero(data["status"] != TODO)
            if len(kept):
                values = {name: array[kept] for name, array in data.items()}
                committer.add(block, [rows[i] for i in kept], values)


def _about(source: ImportSource, entries: np.ndarray) -> dict:
    """What a derived set keeps of what it says of itself."""
    if np.array_equal(entries, np.arange(len(entries))):
        return source.about
    # In another order the chunks of its parent are others too.
    return {key: value for key, value in source.about.items() if key != "parent_sealed"}


def _provenance(source: ImportSource) -> dict:
    return {
        "host": socket.gethostname(),
        "device": f"cpu ({platform.machine()})",
        "versions": {"python": platform.python_version()},
        "command": f"imported from {source.path}",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
