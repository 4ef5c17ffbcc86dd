"""Items made ahead arrive in order; errors arrive, too; closing ends the thread."""

import threading
import time

import pytest

from vifistore.training.prefetch import ahead


def threads() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


def test_in_order_and_no_further_ahead_than_asked():
    made = []

    def items():
        for number in range(10):
            made.append(number)
            yield number

    ready = ahead(items(), 2)
    assert next(ready) == 0
    deadline = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    # One is used, two wait, and one is made and cannot be put.
    assert made == [0, 1, 2, 3]
    assert list(ready) == list(range(1, 10))
    assert threads() == 0


def test_an_error_is_raised_where_the_items_are_used():
    def items():
        yield 1
        raise ValueError("broken")

    ready = ahead(items(), 2)
    assert next(ready) == 1
    with pytest.raises(ValueError, match="broken"):
        next(ready)
    assert threads() == 0


def test_closing_ends_the_thread_and_the_generator():
    closed = []

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    ready = ahead(items(), 1)
    next(ready)
    ready.close()
    assert closed == [True]
    assert threads() == 0
