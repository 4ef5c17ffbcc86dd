"""Which videos, or which seconds of them, answer a query in words.

    python examples/search_videos.py S.zarr "someone juggling a ball" "a dog in snow" --k 5
    python examples/search_videos.py S.zarr "someone juggling a ball" --moments --out hits.csv

Prints a line per hit, best first, and with --out writes them as CSV.
"""

from pathlib import Path

import pandas as pd
import tyro

from harness.retrieval.search import Searcher
from vifi.searching.query_words import query_encoder
from vifistore.store import open_store


def main(
    store: tyro.conf.Positional[str],
    queries: tyro.conf.Positional[tuple[str, ...]],
    features: str = "",
    dataset: str = "",
    k: int = 10,
    moments: bool = False,
    out: Path | None = None,
) -> None:
    """Search one feature set, by default the store's only one, in every dataset that has it."""
    opened = open_store(store)
    searcher = Searcher(opened, features, dataset=dataset)
    encode = query_encoder(opened, searcher.checkpoint)
    search = searcher.moments if moments else searcher.search
    hits = [
        {"query": query, **hit.as_dict()}
        for query, found in zip(queries, search(encode(queries), k), strict=True)
        for hit in found
    ]
    table = pd.DataFrame(hits)
    print(table.to_string(index=False))
    if out is not None:
        table.to_csv(out, index=False)


if __name__ == "__main__":
    tyro.cli(main)
