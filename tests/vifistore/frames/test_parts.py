"""Parts of a memory: none overlap, and what is given back is found again."""

import mmap

from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.frames.processes.parts import Parts

PAGE = mmap.ALLOCATIONGRANULARITY
NUM_PAGES = 8
# How many bytes to take, or, below 0, which of the parts to give back.
STEPS = st.lists(st.integers(-NUM_PAGES, 4 * PAGE), max_size=60)


@settings(deadline=None, max_examples=150)
@given(STEPS)
def test_no_two_parts_overlap_and_all_comes_back(steps: list[int]) -> None:
    parts, taken = Parts(NUM_PAGES * PAGE), []
    for step in steps:
        if step < 0 and taken:
            parts.give_back(*taken.pop(step % len(taken)))
        elif step >= 0 and (start := parts.take(step)) is not None:
            assert start % PAGE == 0
            assert start + step <= NUM_PAGES * PAGE
            for other, size in taken:
                assert start + max(step, 1) <= other or other + max(size, 1) <= start
            taken.append((start, step))
    for part in taken:
        parts.give_back(*part)
    assert parts.take(NUM_PAGES * PAGE) == 0


def test_a_part_fills_the_first_gap_that_is_large_enough() -> None:
    parts = Parts(6 * PAGE)
    starts = [parts.take(size * PAGE) for size in (1, 2, 1, 2)]
    assert starts == [0, PAGE, 3 * PAGE, 4 * PAGE]
    assert parts.take(1) is None
    parts.give_back(0, PAGE)
    parts.give_back(PAGE, 2 * PAGE)
    assert parts.take(3 * PAGE) == 0
