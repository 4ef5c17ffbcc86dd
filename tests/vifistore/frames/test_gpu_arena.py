"""Memory of a GPU that two processes use, with a stand-in for the driver: what it is asked for, and
when what it gave goes back."""

import contextlib
import gc
import mmap
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vifistore.errors import UsageError
from vifistore.frames.gpu import gpu_memory
from vifistore.frames.gpu.gpu_arena import GpuArena, OpenedArena, open_gpu_arena, told
from vifistore.frames.processes.arena import Arena

PAGE = mmap.ALLOCATIONGRANULARITY
ADDRESS = 0x7F00_0000_0000
GPU = torch.device("cuda", 1)


class Driver:
    """Stands in for libcuda: remembers what it gave out."""

    def __init__(self) -> None:
        self.memory: dict[int, int] = {}
        self.status = 0

    def cuMemAlloc_v2(self, address, size):
        address._obj.value = ADDRESS
        self.memory[ADDRESS] = size.value
        return self.status

    def cuMemFree_v2(self, address):
        del self.memory[address.value]
        return 0

    def cuIpcGetMemHandle(self, handle, address):
        handle._obj.reserved[:11] = b"\x01\x00\x02" + address.value.to_bytes(8, "little")
        return 0

    def cuIpcOpenMemHandle_v2(self, address, handle, flags):
        assert flags.value == 1
        head = bytes(handle)
        assert len(head) == 64
        address._obj.value = int.from_bytes(head[3:11], "little") + 1
        return 0

    def cuGetErrorString(self, status, words):
        words._obj.value = b"out of memory"
        return 0


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    monkeypatch.setattr(gpu_memory, "driver", lambda: driver)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: GPU.index)

    def as_tensor(part: object, *, device: torch.device) -> SimpleNamespace:
        """As torch does it: what it gives holds what it was given, on a device that is named."""
        assert device == GPU
        return SimpleNamespace(part=part)

    monkeypatch.setattr(torch, "as_tensor", as_tensor)
    return driver


def test_parts_of_a_gpu_are_given_back_with_their_tensors(driver: Driver) -> None:
    arena = GpuArena(3 * PAGE, GPU)
    assert driver.memory == {ADDRESS: 3 * PAGE}
    assert told(arena) == {"handle": arena.handle}
    first, second = arena.take(PAGE + 1), arena.take(PAGE)
    assert (first[0], second[0]) == (0, 2 * PAGE)
    interface = second[1].part.__cuda_array_interface__
    assert interface["data"] == (ADDRESS + 2 * PAGE, False)
    assert interface["shape"] == (PAGE,)
    assert arena.take(1) is None
    del second
    assert arena.take(1)[0] == 2 * PAGE
    arena.lose(first[1])
    del first
    assert arena.take(2 * PAGE) is None
    arena.close()
    gc.collect()
    assert driver.memory == {}


def test_memory_lives_as_long_as_its_last_part(driver: Driver) -> None:
    arena = GpuArena(PAGE, GPU)
    _, part = arena.take(5)
    arena.close()
    assert arena.take(1) is None
    gc.collect()
    assert driver.memory
    del part
    gc.collect()
    assert driver.memory == {}


def test_the_process_that_decodes_opens_what_the_other_made(driver: Driver) -> None:
    arena = GpuArena(PAGE, GPU)
    opened = OpenedArena(told(arena))
    part = opened.part(64, 10).part
    # The same memory has another address there.
    assert part.__cuda_array_interface__["data"] == (ADDRESS + 1 + 64, False)
    arena.close()


def test_a_gpu_without_room_is_one_clear_line(driver: Driver) -> None:
    driver.status = 2
    with pytest.raises(UsageError, match=r"cannot be shared.*cuMemAlloc_v2: out of memory"):
        GpuArena(PAGE, GPU)


def test_it_takes_a_sixteenth_of_a_gpu(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    for total, size in ((16 * 2**30, 2**30), (141 * 2**30, 4 * 2**30)):
        about = SimpleNamespace(total_memory=total)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device, about=about: about)
        arena = open_gpu_arena(GPU)
        assert driver.memory == {ADDRESS: size}
        arena.close()
        gc.collect()


def test_on_a_cpu_both_see_the_same_bytes() -> None:
    arena = open_gpu_arena(torch.device("cpu"))
    assert isinstance(arena, Arena)
    start, part = arena.take(6)
    OpenedArena(told(arena)).part(start, 6).copy_(torch.arange(6, dtype=torch.uint8))
    np.testing.assert_array_equal(part, np.arange(6))
    arena.close()
