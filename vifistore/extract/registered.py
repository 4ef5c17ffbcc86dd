"""The memory that decoded frames lie in, registered with CUDA: a GPU fetches from it by itself."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import torch

from vifistore.frames.processes.arena import Arena

logger = logging.getLogger("vifi")

# cudaHostRegisterPortable: pinned for every GPU, not for the current one alone.
_PORTABLE = 1


@contextlib.contextmanager
def registered(arena: Arena | None, device: torch.device) -> Iterator[None]:
    """Register an arena while uploads to a GPU come from it; on a CPU there is nothing to do.

    Where it cannot be registered, uploads go through other pinned memory.
    """
    if arena is None or device.type != "cuda":
        yield
        return
    # This makes the CUDA context, too, which registering needs.
    torch.cuda.synchronize(device)
    cudart: Any = torch.cuda.cudart()
    address = arena.whole.ctypes.data
    found = cudart.cudaHostRegister(address, arena.num_bytes, _PORTABLE)
    is_registered = found == cudart.cudaError.success
    if not is_registered:
        told = cudart.cudaGetErrorString(found)
        logger.warning("frames are copied once more on their way to the GPU: %s", told)
        # It stays the runtime's last error, which the next kernel would be blamed for.
        with contextlib.suppress(RuntimeError):
            torch.zeros(1, device=device)
    try:
        yield
    finally:
        if is_registered:
            # Nothing may be on its way from it any more.
            torch.cuda.synchronize(device)
            cudart.cudaHostUnregister(address)
