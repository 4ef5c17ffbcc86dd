"""Memory that frames decoded on a GPU lie in: made by the process that encodes them, filled by the
one that decodes, which may die without harm to it.

Of a CPU it is an `Arena`, so that all but the GPU itself can be tried without one.
"""

import mmap
import weakref
from typing import Any

import numpy as np
import torch

from vifistore.frames.gpu.gpu_memory import Bytes, allocate, exported, free, imported
from vifistore.frames.processes.arena import Arena
from vifistore.frames.processes.parts import Parts

# Twenty videos of 32 frames of 1920 x 1080, or five of 3840 x 2160, and no more than a sixteenth of
# a GPU, whose tower needs the rest.
_MOST_BYTES, _SHARE = 4 * 2**30, 16
_CPU_BYTES = 64 * 2**20


class _GpuMemory:
    """Memory of a GPU, given back with the last who holds this."""

    def __init__(self, num_bytes: int, device: torch.device) -> None:
        with torch.cuda.device(device):
            # The driver's calls are of the context that is current, which this makes.
            torch.cuda.synchronize()
            self.address = allocate(num_bytes)
            weakref.finalize(self, _free, self.address, device).atexit = False
            self.handle = exported(self.address)
        self.device = device


def _free(address: int, device: torch.device) -> None:
    with torch.cuda.device(device):
        torch.cuda.synchronize()
        free(address)


class GpuArena:
    """As `Arena`, on a GPU. A part is given back with the last tensor over it: whoever has work of
    the GPU read it must hold it until that is done."""

    def __init__(self, num_bytes: int, device: torch.device) -> None:
        """Raises UsageError if the GPU cannot share so much memory."""
        self._memory: _GpuMemory | None = _GpuMemory(num_bytes, device)
        self._parts = Parts(num_bytes)
        self._lost: list[torch.Tensor] = []

    @property
    def handle(self) -> str:
        """What the process that decodes opens it by."""
        assert self._memory is not None, "it is closed"
        return self._memory.handle

    def take(self, num_bytes: int) -> tuple[int, torch.Tensor] | None:
        """Where a part begins, and uint8 [byte] of it; None if there is no room."""
        memory = self._memory
        if memory is None or (start := self._parts.take(num_bytes)) is None:
            return None
        part = Bytes(memory.address + start, num_bytes, memory)
        weakref.finalize(part, self._parts.give_back, start, num_bytes).atexit = False
        # Without a device releases of torch copy to the CPU, and what is written is lost.
        return start, torch.as_tensor(part, device=memory.device)

    def lose(self, part: torch.Tensor) -> None:
        """Never give a part out again: somebody may still write into it."""
        self._lost.append(part)

    def close(self) -> None:
        """Want no more parts. Those that were given out stay valid."""
        self._memory = None
        self._lost.clear()


def open_gpu_arena(device: torch.device) -> Arena | GpuArena:
    """An arena of a size that suits a device. Raises UsageError, on a CPU OSError."""
    if device.type == "cpu":
        return Arena(_CPU_BYTES)
    total = torch.cuda.get_device_properties(device).total_memory
    return GpuArena(min(_MOST_BYTES, total // _SHARE), device)


def told(arena: Arena | GpuArena) -> dict[str, Any]:
    """What tells the process that decodes of an arena, as plain JSON values."""
    if isinstance(arena, GpuArena):
        return {"handle": arena.handle}
    return {"file": arena.file, "num_bytes": arena.num_bytes}


class OpenedArena:
    """The arena in the process that decodes."""

    def __init__(self, of: dict[str, Any]) -> None:
        """`of` is what `told` gave; of a GPU it must be the current one. Raises UsageError."""
        self._address, self._memory = 0, torch.empty(0, dtype=torch.uint8)
        if "handle" in of:
            self._address = imported(of["handle"])
            return
        memory = mmap.mmap(of["file"], of["num_bytes"])
        self._memory = torch.from_numpy(np.frombuffer(memory, np.uint8))

    def part(self, start: int, num_bytes: int) -> torch.Tensor:
        """uint8 [byte] that begins there."""
        if self._address:
            # Of every thread it is that of the arena.
            current = torch.device("cuda", torch.cuda.current_device())
            return torch.as_tensor(Bytes(self._address + start, num_bytes), device=current)
        return self._memory[start : start + num_bytes]
