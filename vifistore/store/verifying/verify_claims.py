"""Verify the claims of a feature set: each is on a block, and those chunks are there that it says.

It notices what no condition can refuse: a chunk that was written over behind a committed block.
"""

from collections.abc import Iterator, Mapping, Sequence

from vifistore.errors import DamagedError
from vifistore.store.claims.claims import CLAIMS, COMMITTED, TURN, block_of, read_claim
from vifistore.store.key_value.durable import ahead
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.layout import Grid
from vifistore.store.zarr_format.metadata import metadata_key

_CHECKSUM_BYTES = 4

Found = tuple[str, str, int | None]


def wrong_claims(
    backend: Backend,
    feature_path: str,
    arrays: Mapping[str, Grid],
    checksums: Mapping[str, Sequence[bytes]],
    blocks: int,
) -> Iterator[Found]:
    """Yield (where, what is wrong, block) for the claims of a feature set that has so many blocks;
    the block is that of a chunk that was not committed.

    `checksums` are those of its chunks by array, as they were read.
    """

    def look(name: str) -> list[Found]:
        where = f"{CLAIMS}/{name}"
        block = block_of(metadata_key(where))
        if name != TURN and (block is None or block >= blocks):
            return [(where, "it claims what is no block of the set", None)]
        try:
            claim = read_claim(backend, feature_path, name)
        except DamagedError as error:
            return [(where, str(error).partition("; remove")[0], None)]
        if claim is None or block is None or claim.state != COMMITTED:
            return []
        told = {n: ends[block].hex() for n, ends in checksums.items() if block < len(ends)}
        odd = [n for n, end in told.items() if end and end != claim.checksums.get(n)]
        # It may have been committed anew since it was read.
        now = read_claim(backend, feature_path, name) if odd else claim
        if now != claim:
            return []
        return [
            (grid.key(n, block), "it is not the chunk that was committed", block)
            for n in odd
            if (grid := arrays[n])
            and _tail(backend, grid.key(f"{feature_path}/{n}", block)) != claim.checksums.get(n)
        ]

    names = sorted(backend.place.folders(f"{feature_path}/{CLAIMS}"))
    for found in ahead(look, names, backend.place.threads(0)):
        yield from found


def _tail(backend: Backend, key: str) -> str:
    return backend.tail(key, _CHECKSUM_BYTES).hex()
