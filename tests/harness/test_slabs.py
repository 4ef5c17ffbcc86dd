import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from harness import slabs


@pytest.mark.parametrize("num_threads", [1, 3])
def test_every_place_once(monkeypatch, num_threads):
    monkeypatch.setattr(slabs, "blas_threads", lambda: num_threads)
    counts, seen = np.zeros(23, int), set()

    def work(slab):
        counts[slab] += 1
        seen.add(threading.current_thread())

    slabs.run_slabs(work, 23, 5)
    assert counts.tolist() == [1] * 23
    assert (threading.main_thread() in seen) == (num_threads == 1)


def test_blas_has_its_threads_back_and_errors_come_through(monkeypatch):
    monkeypatch.setattr(slabs, "blas_threads", lambda: 2)

    def work(slab):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        slabs.run_slabs(work, 10, 5)
    monkeypatch.undo()
    with threadpool_limits(1, user_api="blas"):
        assert slabs.blas_threads() == 1
