"""`vifi export`: writes a feature set in the format asked for."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vifistore.errors import UsageError
from vifistore.store.exporting.clip_retrieval import write_clip_retrieval
from vifistore.store.exporting.fresh import fresh_path
from vifistore.store.exporting.hdf5 import write_hdf5
from vifistore.store.exporting.npy import write_npy
from vifistore.store.exporting.parquet import write_parquet
from vifistore.store.exporting.store_copy import write_store
from vifistore.store.exporting.stream import FeatureStream
from vifistore.store.feature_record import NUM_VALID
from vifistore.store.features import Features
from vifistore.store.key_value.object_address import object_url
from vifistore.store.store import Store
from vifistore.store.stretch_times import are_parts

logger = logging.getLogger("vifi")

Format = Literal["hdf5", "npy", "clip-retrieval", "parquet", "zarr"]

_WRITE: dict[str, Callable[[FeatureStream, Path], None]] = {
    "hdf5": write_hdf5,
    "npy": write_npy,
    "clip-retrieval": write_clip_retrieval,
    "parquet": write_parquet,
    "zarr": write_store,
}

# What keeps arrays beside the frames.
_COMPLETE = ("hdf5", "zarr")
_FOLDERS = ("npy", "clip-retrieval", "zarr")


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What to export, and as what."""

    dataset: str
    """Dataset of the feature set."""
    features: str = ""
    """Name or id of the feature set. Default: the dataset's only one."""
    format: Format
    """hdf5: one file with every array and the recipe. zarr: a store with this set alone. npy: a
    folder as video_features writes it. clip-retrieval: img_emb and metadata, for its index and for
    autofaiss. parquet: id and embedding, as NeMo Curator reads them, with label, split, path. The
    last two hold the mean over views and frames; they, and npy, leave quarantined videos out."""
    out: Path
    """File (hdf5, parquet) or folder to write; it must not exist."""
    partial: bool = False
    """Export what there is of a set that is not complete."""


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What an export did."""

    id: str
    out: str
    done: int
    """Videos whose embeddings are in the output."""
    quarantined: int
    todo: int


def export_features(store: Store, settings: ExportSettings) -> ExportReport:
    """Export a feature set; the output is whole or not there.

    Raises
    ------
    IncompleteError
        If the set is not sealed, and a partial one was not asked for.
    DamagedError
        If a chunk does not match its checksum.
    UsageError
        If `out` is taken, lies in the store, or the set lacks what the format holds.
    """
    if object_url(settings.out):
        raise UsageError(
            f"{settings.out} is in an object store; give a local --out, then copy it there"
        )
    stream = FeatureStream(
        store.features(settings.dataset, settings.features), partial=settings.partial
    )
    inside = Path(store.path).resolve()
    if inside in (out := settings.out.resolve()).parents or out == inside:
        raise UsageError(f"{settings.out} lies in the store itself; give another --out")
    if settings.format not in _FOLDERS and settings.out.is_dir():
        raise UsageError(f"{settings.out} is a folder; give --out a file name")
    _warn_of_losses(stream.features, settings.format)
    with fresh_path(settings.out) as path:
        _WRITE[settings.format](stream, path)
    counts = stream.features.counts()
    return ExportReport(
        id=stream.features.id,
        out=str(settings.out),
        done=counts["done"],
        quarantined=counts["quarantined"],
        todo=counts["todo"],
    )


def _warn_of_losses(features: Features, format: Format) -> None:
    """Say what of a set the format has no room for."""
    if format in _COMPLETE:
        return
    lost = [name for name in features.declared if name != NUM_VALID]
    if format == "npy" and are_parts(*features.dataset.stretches()).any():
        lost.append("times of parts of videos")
    if lost:
        words = " and no ".join(lost)
        logger.warning("%s files hold no %s; export as hdf5 or zarr to keep all", format, words)
    if format == "npy" and features.has_num_valid:
        logger.warning(
            "vifi import cannot read npy files back whose videos differ in their number of frames; "
            "export as hdf5 or zarr for that"
        )
