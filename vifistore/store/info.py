"""What a store holds, as one document."""

import math
from dataclasses import dataclass

import numpy as np

from vifistore.store.checkpoints import trained_with
from vifistore.store.dataset import STRETCHES, Dataset
from vifistore.store.feature_record import declaration
from vifistore.store.features import Features
from vifistore.store.key_value.durable import parallel
from vifistore.store.run_record import READERS, count_readers
from vifistore.store.schema import SIMILARITIES, STRETCH_COLUMNS
from vifistore.store.similarities import Similarities, similarity_ids
from vifistore.store.splits import Split
from vifistore.store.store import Store
from vifistore.store.stretch_times import are_parts

# Each asks for many chunks at once itself.
_SETS_AT_ONCE = 8
_FACTS = ("digest", "names", "parent", "step")
# What is known of a training, where it is.
_TRAINING = ("tuned_on", "sampling", "templates", "cleaning", "preprocessing", "assumed")


def describe_store(store: Store) -> dict:
    """Return the document that `vifi info --json` prints."""
    return {
        "schema": store.schema,
        "datasets": {
            dataset: _describe_dataset(store.dataset(dataset)) for dataset in store.datasets()
        },
        "checkpoints": [_facts(checkpoint) for checkpoint in store.checkpoints()],
        "texts": describe_texts(store),
    }


def describe_texts(store: Store) -> list[dict]:
    """What is known of each set of text embeddings."""
    return [
        {
            "id": texts["id"],
            "text_digest": texts["text_digest"],
            "classes": len(texts["class_names"]),
            "templates": texts["templates"],
        }
        for texts in store.find_texts()
    ]


@dataclass(frozen=True, kw_only=True)
class FeatureSize:
    """How large a feature set is."""

    views: int
    """Views of a video."""
    frames: int
    """Frames of a view; 0 where they are not kept."""
    dim: int
    """Numbers of an embedding."""
    num_bytes: int
    """Of all arrays, when every video is done."""


def feature_size(features: Features) -> FeatureSize | None:
    """Return how large a set is; None for one that was stopped before it had arrays."""
    arrays = {name: features.array(name) for name in features.specs}
    mean, frames = arrays.get("view_mean"), arrays.get("frames")
    if mean is None:
        return None
    _, views, dim = mean.shape
    # Texts of other lengths are small beside embeddings.
    numbers = [a for a in arrays.values() if a is not None and a.dtype.kind in "fu"]
    return FeatureSize(
        views=views,
        frames=0 if frames is None else frames.shape[2],
        dim=dim,
        num_bytes=sum(math.prod(array.shape) * array.dtype.itemsize for array in numbers),
    )


def made_on(features: Features) -> str:
    """The day (UTC, as 2026-01-31) on which a sealed set's last block was begun, else nothing."""
    started = [run.get("started") for run in features.provenance]
    return max((text[:10] for text in started if isinstance(text, str)), default="")


def lineage(store: Store) -> list[dict]:
    """The checkpoints as a tree, parents before their children: digest, names, parent, step,
    settings, depth, run_step, and what is known of their training.

    A parent is a digest or a name; one that the store does not have leaves its children at depth 0.
    `step` counts from the first ancestor on, `run_step` from the parent.
    """
    checkpoints = store.checkpoints()
    digest_of = {name: c["digest"] for c in checkpoints for name in (*c["names"], c["digest"])}
    steps = {checkpoint["digest"]: checkpoint["step"] for checkpoint in checkpoints}
    children: dict[str, list[dict]] = {}
    for checkpoint in sorted(checkpoints, key=lambda c: (c["step"], c["names"])):
        parent = digest_of.get(checkpoint["parent"], "")
        children.setdefault("" if parent == checkpoint["digest"] else parent, []).append(checkpoint)
    found: list[dict] = []
    # A list and no recursion: each may have been trained from the one before, however many.
    waiting: list[tuple[dict, int]] = []
    while waiting or children:
        if not waiting:
            # Behind the first ones, what is left names one another as parents in a circle.
            first = "" if "" in children else next(iter(children))
            waiting = [(checkpoint, 0) for checkpoint in reversed(children.pop(first))]
        checkpoint, depth = waiting.pop()
        facts = {**_facts(checkpoint), "settings": checkpoint["settings"]}
        run_step = checkpoint["step"] - steps.get(digest_of.get(checkpoint["parent"], ""), 0)
        found.append({**facts, "depth": depth, "run_step": run_step})
        below = children.pop(checkpoint["digest"], [])
        waiting += [(child, depth + 1) for child in reversed(below)]
    return found


def _facts(checkpoint: dict) -> dict:
    # A damaged record is told in one line.
    trained_with(checkpoint)
    kept = (*_FACTS, *(key for key in _TRAINING if key in checkpoint))
    return {key: checkpoint[key] for key in kept}


def derived_lineage(store: Store) -> list[dict]:
    """The derived feature sets: dataset, id, names, parent, its names, whether it is here, head."""
    found = []
    for dataset in map(store.dataset, store.datasets()):
        ids = dataset.feature_ids()
        for features in map(dataset.features, ids):
            if features.parent:
                is_here = features.parent in ids
                parent = dataset.features(features.parent) if is_here else None
                found.append(
                    {
                        "dataset": dataset.name,
                        "id": features.id,
                        "names": features.names,
                        "parent": features.parent,
                        "parent_names": parent.names if parent else [],
                        "parent_is_here": is_here,
                        "head": features.head,
                    }
                )
    return found


def _describe_dataset(dataset: Dataset) -> dict:
    return {
        # Not the table itself, which takes a second to read where there are a million.
        "videos": dataset.num_videos,
        **_describe_stretches(dataset),
        "classes": len(dataset.class_names()),
        "splits": {name: _describe_split(dataset.split(name)) for name in dataset.splits()},
        "features": parallel(
            lambda id: _describe_features(dataset.features(id)),
            dataset.feature_ids(),
            min(_SETS_AT_ONCE, dataset.backend.place.threads(0)),
        ),
    }


def _describe_stretches(dataset: Dataset) -> dict:
    """How many rows are parts of files, and of how many files, where there are any."""
    if STRETCHES not in dataset.backend.attributes(dataset.path):
        return {}
    columns = dataset.columns_at_once("path", *STRETCH_COLUMNS)
    starts, ends = (columns[name] for name in STRETCH_COLUMNS)
    parts = are_parts(starts, ends)
    lengths = (ends - starts)[parts & ~np.isnan(ends)]
    return {
        "stretches": {
            "rows": int(parts.sum()),
            "files": len(set(columns["path"][parts])),
            "median_seconds": float(np.median(lengths)) if len(lengths) else None,
        }
    }


def _describe_split(split: Split) -> dict:
    return {
        "videos": len(split.rows),
        "classes": len(split.class_names),
        "source": split.source,
        "digest": split.digest,
    }


def _describe_features(features: Features) -> dict:
    return {
        **declaration(features.declared),
        "id": features.id,
        "names": features.names,
        "sealed": features.sealed is not None,
        **features.counts(as_sealed=True),
        **_cosines_kept(features),
        **_read_by(features),
        "recipe": features.recipe,
    }


def _read_by(features: Features) -> dict:
    """How many videos each reader read, where that is known."""
    readers = count_readers(features.provenance)
    return {READERS: readers} if readers else {}


def _cosines_kept(features: Features) -> dict:
    """Text sets that cosines are kept with, where there are any, and whether each is complete."""
    backend = features.dataset.backend
    found = {
        texts: Similarities(backend, features.path, texts).sealed is not None
        for texts in similarity_ids(backend, features.path)
    }
    return {SIMILARITIES: found} if found else {}
