"""Every row is in one block, and blocks end where chunks do."""

from hypothesis import given
from hypothesis import strategies as st

from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.zarr_format.block_ranges import (
    block_rows,
    blocks_of,
    blocks_within,
    num_blocks,
    stretches,
)

sizes = st.integers(1, 200)
counts = st.integers(0, 1000)


@given(num_rows=counts, size=sizes)
def test_the_blocks_hold_every_row_once(num_rows, size):
    blocks = range(num_blocks(num_rows, size))
    held = [row for block in blocks for row in block_rows(block, num_rows, size)]
    assert held == list(range(num_rows))


@given(start=counts, length=st.integers(1, 1000), size=sizes)
def test_the_blocks_of_rows_are_those_that_hold_one(start, length, size):
    rows = range(start, start + length)
    assert list(blocks_of(rows.start, rows.stop, size)) == sorted({row // size for row in rows})


@given(start=counts, length=counts, most=st.integers(1, 5))
def test_stretches_follow_one_another_and_end_with_blocks(start, length, most):
    found = list(stretches(start, start + length, most))
    assert [row for low, high in found for row in range(low, high)] == [
        *range(start, start + length)
    ]
    assert all(high % BLOCK_SIZE == 0 for _, high in found[:-1])
    assert all(num_blocks(high - low) <= most for low, high in found)


def test_as_many_whole_blocks_as_fit_and_one_in_any_case():
    assert blocks_within(32 * 2**20, 32 * 512 * 2) == 16
    assert blocks_within(2**20, 10**9) == 1
    assert blocks_within(2**20, 0) > 1
