"""Work on slices of an array, on as many threads as NumPy's BLAS would take.

Threads of BLAS meet after every product; threads that each have a slab meet once. On two cores with
other work on them, decision fusion of 20,000 x 400 took 0.49 s with two threads of BLAS, 0.33 s
with one, and 0.32 s so.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_info, threadpool_limits


def run_slabs(work: Callable[[slice], None], length: int, step: int) -> None:
    """Call `work` with slices of `step` that together cover `length`, from several threads.

    It must write to places of its own only. OMP_NUM_THREADS and the like bound the threads.
    """
    slabs = [slice(start, start + step) for start in range(0, length, step)]
    # To ask takes milliseconds.
    num_threads = min(len(slabs), blas_threads()) if len(slabs) > 1 else 1
    if num_threads < 2:
        for slab in slabs:
            work(slab)
        return
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(work, slabs))


def blas_threads() -> int:
    """Threads that BLAS takes for one product; 1 where that is not known."""
    libraries = threadpool_info()
    return max((lib["num_threads"] for lib in libraries if lib["user_api"] == "blas"), default=1)
