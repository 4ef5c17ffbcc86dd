"""A feature set of another store."""

import numpy as np

from vifistore.errors import DamagedError, UnknownNameError
from vifistore.store.dataset import Dataset, write_captions
from vifistore.store.features import Features
from vifistore.store.importing.import_source import ImportSource
from vifistore.store.logit_bias import scored_by
from vifistore.store.recipe import recipe_id
from vifistore.store.schema import BLOCK_SIZE, TODO
from vifistore.store.splits import write_split
from vifistore.store.store import Store
from vifistore.store.table_turn import tables_in_turn
from vifistore.store.writer import Shape
from vifistore.store.zarr_format.block_ranges import block_rows, stretches


def choose_features(store: Store, dataset: str, name: str) -> Features:
    """The set `name` of `dataset`; where either says nothing, the only one there is, but for the
    parents of others.

    Raises UnknownNameError naming what there is.
    """
    datasets = store.datasets()
    if dataset not in datasets and len(datasets) == 1:
        (dataset,) = datasets
    chosen = store.dataset(dataset)
    if name:
        return chosen.features(name)
    found = [chosen.features(feature_id) for feature_id in chosen.feature_ids()]
    parents = {features.parent for features in found}
    ids = [features.id for features in found if features.id not in parents]
    if len(ids) != 1:
        remedy = "Choose one with --features."
        raise UnknownNameError(f"feature set of {dataset} in {store.path}", name, ids, remedy)
    return chosen.features(ids[0])


def read_covered(
    features: Features, name: str, status: np.ndarray, start: int, stop: int
) -> np.ndarray:
    """Read rows [start, stop) of an array, [video ...], checksums verified, as far as written.

    Blocks that are to do altogether are filled, not read: a kill may have left them torn. Raises
    DamagedError for damage in any other, and for a chunk of it that is lost.
    """
    if features.sealed:
        return features.read(name, start, stop)
    spec, axes = features.specs[name], ()
    if len(spec.axes) > 1:
        axes = features.dataset.backend.layout(features.array_path(name)).shape[1:]
    parts = []
    for low, high in stretches(start, stop):
        block = block_rows(low // BLOCK_SIZE, len(status))
        if (status[block.start : block.stop] == TODO).all():
            kind = object if spec.dtype == "str" else spec.dtype
            parts.append(np.full((high - low, *axes), spec.fill, kind))
        else:
            # Its status came last, so that everything else of the block was written.
            parts.append(features.read(name, low, high, may_lack=False))
    return np.concatenate(parts)


def open_features(features: Features) -> ImportSource:
    """Open a feature set to copy it. Raises DamagedError if its id is not that of its recipe."""
    if recipe_id(features.recipe) != features.id:
        raise DamagedError(
            f"feature set {features.id} of {features.dataset.name} has another's recipe; "
            "extract again"
        )
    frames, mean = features.frames, features.view_mean
    shape = Shape(
        video=features.num_videos,
        view=mean.shape[1],
        frame=0 if frames is None else frames.shape[2],
        dim=mean.shape[2],
    )
    names, further = features.specs, features.further
    status = features.read_status()

    def read(start: int, stop: int) -> dict:
        found = {
            name: read_covered(features, name, status, start, stop)
            for name in names
            if name != "status"
        }
        return {**found, "status": status[start:stop]}

    return ImportSource(
        path=features.store.path,
        recipe=features.recipe,
        is_original=True,
        videos=features.dataset.videos(),
        class_names=features.dataset.class_names(),
        shape=shape,
        arrays=tuple(name for name in names if name not in further),
        further=further,
        read=read,
        names=tuple(sorted(features.names, key=lambda name: name != features.name)),
        checkpoint=features.checkpoint,
        about=features.about,
    )


def parents_first(features: Features) -> list[Features]:
    """A feature set behind the one that it was derived from, where that is in the store."""
    if features.parent not in features.dataset.feature_ids():
        return [features]
    return [features.dataset.features(features.parent), features]


def copy_checkpoint(source: Store, target: Store, digest: str) -> None:
    """Copy the record of a checkpoint, and every text set of its text tower."""
    checkpoint = source.checkpoint(digest)
    first, *further = checkpoint.pop("names")
    fields = {key: value for key, value in checkpoint.items() if key != "digest"}
    for name in (first, *further):
        target.add_checkpoint({**fields, "name": name}, source.identity(digest))
    for texts in source.find_texts(**scored_by(checkpoint)):
        found = source.texts(texts["id"])
        target.add_texts(found.attrs, found.embeddings)


def copy_lists(source: Dataset, target: Dataset) -> None:
    """Copy splits and captions of a dataset to another, whose rows are equal."""
    with tables_in_turn(target) as own:
        for name in source.splits():
            write_split(own, source.split(name))
        captions = source.captions()
        if len(captions):
            rows = list(zip(captions["row"].tolist(), captions["text"], strict=True))
            write_captions(own, rows)
