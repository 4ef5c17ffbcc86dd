"""`vifi index S`: build a search index of videos or of frames, and say what it loses and gains."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifistore.errors import UsageError

if TYPE_CHECKING:
    from vifistore.store.features import Features

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class IndexArguments(PrintArguments, StoreArguments):
    """Build a search index of a feature set; print its recall@10 against Flat and its latency."""

    dataset: str = ""
    """Dataset to index. Default: every one that has the feature set."""
    features: str = ""
    """Name or id of the feature set. Default: the store's only one."""
    kind: Literal["flat", "ivf", "hnsw"] = "flat"
    """flat: exact, looks at every video; hnsw: a graph, fastest to search, slowest to build; ivf:
    lists of near vectors, in between."""
    recall: float = 0.95
    """Share of the 10 nearest videos that an ivf, hnsw or frame index has to find; its effort is
    the least that does."""
    frames: bool = False
    """Index every frame instead of the vector of each video. An index that is there is added to:
    only videos that are new or were encoded again are read."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code.

    Raises UsageError for a recall that is no share, IncompleteError for a set that is not sealed.
    """
    wanted = parse("index", IndexArguments, arguments)
    if not 0 < wanted.recall <= 1:
        raise UsageError(f"--recall is {wanted.recall}; give a share above 0, at most 1")
    if wanted.frames and wanted.kind != "flat":
        raise UsageError(
            f"--kind {wanted.kind} is of the vectors of videos; leave it out, or leave out --frames"
        )

    # FAISS and the store take half a second to import: only once the call is known to be right.
    from harness.retrieval.searched_sets import choose_sources
    from vifistore.store import open_store

    store = open_store(wanted.store)
    sources = choose_sources(store, wanted.features, wanted.dataset)
    index = _index_frames if wanted.frames else _index
    documents = [index(features, wanted) for features in sources]
    if wanted.json:
        print_json({"indexes": documents})
        return 0
    if wanted.frames:
        _say_frames(documents)
        return 0
    for document in documents:
        say(
            f"{document['dataset']} {document['features']} {document['kind']}: "
            f"{document['videos']} videos, recall@10 {document['recall_at_10']:.3f}, "
            f"{document['milliseconds']:.2f} ms a query, Flat "
            f"{document['flat_milliseconds']:.2f} ms; {document['path']}"
        )
    return 0


def _index(features: "Features", wanted: IndexArguments) -> dict:
    from harness.retrieval.indexing.indexes import build_index, open_index, save_index
    from harness.retrieval.quality import measure, sample_queries, tune

    features.require_sealed()
    cache = features.store.cache_folder
    flat = open_index(cache, features)
    queries = sample_queries(features, flat)
    index = tune(build_index(features, wanted.kind), flat, queries, wanted.recall)
    path = save_index(cache, features, index)
    quality = measure(index, flat, queries)
    if quality.recall < wanted.recall:
        logger.warning(
            "this index finds %.3f of the nearest videos even at its greatest effort, not %.3f; "
            "use --kind flat",
            quality.recall,
            wanted.recall,
        )
    return {
        "dataset": features.dataset.name,
        "features": features.name,
        "kind": index.kind,
        "videos": len(index.rows),
        "effort": index.effort,
        "recall_at_10": quality.recall,
        "milliseconds": quality.milliseconds,
        "flat_milliseconds": quality.flat_milliseconds,
        "path": str(path),
    }


def _index_frames(features: "Features", wanted: IndexArguments) -> dict:
    from harness.retrieval.frame_quality import tune_frames
    from harness.retrieval.indexing.bundle_building import build_frame_index, keep_effort
    from harness.retrieval.indexing.bundle_index import BundledFrames

    features.require_sealed()
    built = build_frame_index(features.store.cache_folder, features)
    kept = built.kept
    document = {
        "dataset": features.dataset.name,
        "features": features.name,
        "kind": BundledFrames.kind,
        "frames": int(kept.places[:, 2].sum()),
        "bundles": len(kept.places),
        "bytes": built.num_bytes,
        "blocks_read": built.num_read,
        "path": str(built.folder),
    }
    if not built.is_new:
        return {**document, "effort": kept.effort}
    index = BundledFrames(features, kept)
    quality = tune_frames(features, index, wanted.recall)
    keep_effort(built, index.effort)
    if quality.recall < wanted.recall:
        logger.warning(
            "this index finds %.3f of the videos with the best frames even at its greatest effort, "
            "not %.3f",
            quality.recall,
            wanted.recall,
        )
    return {**document, "effort": index.effort, **vars(quality)}


def _say_frames(documents: list[dict]) -> None:
    for document in documents:
        quality = "recall as when it was built"
        if "text_recall" in document:
            quality = (
                f"recall@10 {document['frame_recall']:.3f} by frames, "
                f"{document['text_recall']:.3f} by texts, {document['milliseconds']:.2f} ms a query"
            )
        say(
            f"{document['dataset']} {document['features']}: {document['frames']} frames in "
            f"{document['bundles']} bundles, {document['bytes'] / document['frames']:.0f} bytes a "
            f"frame, {document['blocks_read']} blocks read; {quality}; {document['path']}"
        )
