"""The cosines of a feature set of another store, beside its copy."""

import numpy as np

from vifistore.store.claims.claiming import Claiming, open_claims
from vifistore.store.features import Features
from vifistore.store.similarities import Similarities, similarity_ids
from vifistore.store.similarity_writer import SimilarityWriter
from vifistore.store.texts import has_texts
from vifistore.store.zarr_format.block_ranges import block_rows, num_blocks


def copy_similarities(source: Features, copy: Features) -> None:
    """Write the cosines of `source` beside its copy, for the videos that both have done and the
    text sets that both stores have; videos are found by their ids, and have the same bytes."""
    there, here = source.dataset.backend, copy.dataset.backend
    known = [t for t in similarity_ids(there, source.path) if has_texts(here, t)]
    if not known:
        return
    status = copy.read_status()
    rows = _rows_of(source, copy)
    claims = open_claims(here, copy.dataset.name, copy.id)
    claims.acquire(range(num_blocks(len(status))))
    try:
        for texts in known:
            _copy(Similarities(there, source.path, texts), copy, status, rows, claims)
    finally:
        claims.release()


def _rows_of(source: Features, copy: Features) -> np.ndarray:
    """Row of `source` for each video of its copy, int64 [video]; -1 where it has none, or another
    file under that id, as of a set that was there before."""
    ids = source.dataset.column("id")[: source.num_videos]
    row_of = {name: row for row, name in enumerate(ids)}
    rows = np.array([row_of.get(name, -1) for name in copy.dataset.column("id")], np.int64)
    here = np.flatnonzero(rows[: copy.num_videos] >= 0)
    differs = source.content_digests(rows[here]) != copy.content_digests(here)
    rows[here[differs]] = -1
    return rows


def _copy(
    found: Similarities, copy: Features, status: np.ndarray, rows: np.ndarray, claims: Claiming
) -> None:
    _, views, classes = found.shape
    shape = (len(status), views, classes)
    writer = SimilarityWriter(copy.dataset.backend, copy.path, found.texts, shape, claims)
    missing = writer.missing(status)
    for block in range(num_blocks(len(status))):
        span = block_rows(block, len(status))
        todo = missing[(missing >= span.start) & (missing < span.stop)]
        if len(todo):
            writer.write({block: (todo.tolist(), found.chosen(rows[todo]))})
    writer.seal(status)
