"""Work on slices of an array, on as many threads as NumPy's BLAS would take.

Threads of BLAS meet after every product; threads that each have a slab meet once. On two cores with
other work on them, decision fusion of 20,000 x 400 took 0.49 s with two threads of BLAS, 0.33 s
with one, and 0.32 s so.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from threadpoolctl import ThreadpoolController


def run_slabs(work: Callable[[slice], None], length: int, step: int) -> None:
    """Call `work` with slices of `step` that together cover `length`, from several threads.

    It must write to places of its own only. OMP_NUM_THREADS and the like bound the threads.
    """
    slabs = [slice(start, start + step) for start in range(0, length, step)]
    num_threads = min(len(slabs), blas_threads()) if len(slabs) > 1 else 1
    if num_threads < 2:
        for slab in slabs:
            work(slab)
        return
    with _libraries().limit(limits=1, user_api="blas"), ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(work, slabs))


def blas_threads() -> int:
    """Threads that BLAS takes for one product; 1 where that is not known."""
    found = _libraries().select(user_api="blas").lib_controllers
    return max((library.num_threads or 1 for library in found), default=1)


@cache
def _libraries() -> ThreadpoolController:
    """The libraries with threads of their own, NumPy's among them: to look takes milliseconds."""
    return ThreadpoolController()
