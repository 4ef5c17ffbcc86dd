"""A store of its own for one feature set, with all that scoring it needs; the parent of a derived
one comes along."""

from pathlib import Path

from vifistore.store.exporting.stream import FeatureStream
from vifistore.store.features import Features
from vifistore.store.importing.store_copy import (
    copy_checkpoint,
    copy_lists,
    open_features,
    parents_first,
)
from vifistore.store.importing.writing import Target, write_source
from vifistore.store.names import read_names, set_name
from vifistore.store.store import Store, create_store
from vifistore.store.tables import write_videos


def write_store(stream: FeatureStream, path: Path) -> None:
    """Write a store with the dataset's videos, splits and captions, the feature set and its names,
    and their checkpoints and texts."""
    features, source_store = stream.features, stream.store
    dataset = features.dataset
    source = open_features(source_store, features)
    store = create_store(path)
    root = str(source_store.root(dataset))
    write_videos(store.backend, dataset, source.videos, list(source.class_names), root)
    copy_lists(source_store, store, dataset, dataset)
    for copied in parents_first(source_store, features):
        _copy_features(source_store, store, copied)


def _copy_features(source_store: Store, store: Store, features: Features) -> None:
    dataset = features.dataset
    names = [name for name in read_names(source_store.backend, dataset) if name.id == features.id]
    for checkpoint in sorted({name.checkpoint for name in names} - {""}):
        copy_checkpoint(source_store, store, checkpoint)
    target = Target(dataset=dataset, name="", checkpoint=features.checkpoint)
    write_source(store, open_features(source_store, features), target)
    for name in names:
        set_name(store.backend, dataset, name.name, name.id, name.checkpoint, force=False)
