"""Rows and the blocks that hold them: block b holds `size` rows from row b * size on.

The blocks of a feature set have BLOCK_SIZE rows; a chunk of any other array is a block of its own
size. The last one may be held in part.
"""

from collections.abc import Iterator

from vifistore.store.schema import BLOCK_SIZE


def num_blocks(num_rows: int, size: int = BLOCK_SIZE) -> int:
    """How many blocks hold so many rows."""
    return -(-num_rows // size)


def block_rows(block: int, num_rows: int, size: int = BLOCK_SIZE) -> range:
    """Rows of a block, where there are `num_rows` in all."""
    return range(block * size, min((block + 1) * size, num_rows))


def blocks_of(start: int, stop: int, size: int = BLOCK_SIZE) -> range:
    """Blocks that hold any of the rows [start, stop)."""
    return range(start // size, num_blocks(stop, size))


def stretches(start: int, stop: int, most_blocks: int = 1) -> Iterator[tuple[int, int]]:
    """The rows [start, stop) in order, as (first, last + 1) of up to so many whole blocks."""
    step = most_blocks * BLOCK_SIZE
    for first in range(start - start % BLOCK_SIZE, stop, step):
        yield max(first, start), min(first + step, stop)


def blocks_within(num_bytes: int, row_bytes: int) -> int:
    """How many blocks with rows of `row_bytes` fit in so many bytes; one in any case."""
    return max(1, num_bytes // (BLOCK_SIZE * max(row_bytes, 1)))
