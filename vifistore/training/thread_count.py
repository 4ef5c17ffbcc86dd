"""How many threads of the processor a run computes on."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def computing_on(num_threads: int) -> Iterator[None]:
    """Compute on so many threads; 0 leaves torch its own number, that of the cores."""
    before = torch.get_num_threads()
    if num_threads:
        torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
