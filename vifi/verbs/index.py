"""`vifi index S`: build a search index, and say what it loses and gains beside Flat."""

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
    """Share of the 10 nearest videos that an ivf or hnsw index has to find; its effort is the
    least that does."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code.

    Raises UsageError for a recall that is no share, IncompleteError for a set that is not sealed.
    """
    wanted = parse("index", IndexArguments, arguments)
    if not 0 < wanted.recall <= 1:
        raise UsageError(f"--recall is {wanted.recall}; give a share above 0, at most 1")

    # FAISS and the store take half a second to import: only once the call is known to be right.
    from harness.retrieval.searched_sets import choose_sources
    from vifistore.store import open_store

    store = open_store(wanted.store)
    sources = choose_sources(store, wanted.features, wanted.dataset)
    documents = [_index(features, wanted) for features in sources]
    if wanted.json:
        print_json({"indexes": documents})
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
    from harness.retrieval.indexes import build_index, open_index, save_index
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
