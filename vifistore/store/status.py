"""The status of videos, where part of it may be damaged."""

import numpy as np

from vifistore.errors import DamagedError
from vifistore.store.backend import Backend
from vifistore.store.block_ranges import stretches
from vifistore.store.schema import TODO


def read_status_leniently(backend: Backend, path: str, start: int, stop: int) -> np.ndarray:
    """Read the status of rows [start, stop), uint8 [video], block by block where part of it cannot
    be read; that part is to do."""
    try:
        return backend.read(f"{path}/status", start, stop)
    except DamagedError:
        status = np.full(stop - start, TODO, dtype=np.uint8)
    for low, high in stretches(start, stop):
        try:
            status[low - start : high - start] = backend.read(f"{path}/status", low, high)
        except DamagedError:
            continue
    return status
