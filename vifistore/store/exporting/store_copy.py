"""A store of its own for one feature set, with all that scoring it needs; the parent of a derived
one comes along."""

from pathlib import Path

from vifistore.store.dataset import Dataset
from vifistore.store.exporting.stream import FeatureStream
from vifistore.store.features import Features
from vifistore.store.importing.similarity_copy import copy_similarities
from vifistore.store.importing.store_copy import (
    copy_checkpoint,
    copy_lists,
    open_features,
    parents_first,
)
from vifistore.store.importing.writing import Target, write_source
from vifistore.store.names import set_name
from vifistore.store.store import create_store


def write_store(stream: FeatureStream, path: Path) -> None:
    """Write a store with the dataset's videos, splits and captions, the feature set and its names,
    and their checkpoints and texts."""
    features = stream.features
    dataset = create_store(path).new_dataset(features.dataset.name)
    for copied in parents_first(features):
        _copy_features(copied, dataset)
    copy_lists(features.dataset, dataset)


def _copy_features(features: Features, dataset: Dataset) -> None:
    names = [name for name in features.dataset.names() if name.id == features.id]
    for checkpoint in sorted({name.checkpoint for name in names} - {""}):
        copy_checkpoint(features.store, dataset.store, checkpoint)
    root = str(features.dataset.root())
    target = Target(dataset=dataset.name, name="", checkpoint=features.checkpoint, root=root)
    write_source(dataset.store, open_features(features), target)
    for name in names:
        set_name(dataset, name.name, name.id, name.checkpoint, force=False)
    copy_similarities(features, dataset.features(features.id))
