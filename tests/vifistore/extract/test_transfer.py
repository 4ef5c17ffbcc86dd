"""Copies to and from a device: what is copied is right, and no more is under way than allowed.

Streams and events are stood in for, so the order of things is what is tested here.
"""

import contextlib
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vifistore.extract import transfer
from vifistore.extract.blocks import VideoResult
from vifistore.extract.clock import Clock
from vifistore.extract.registered import registered
from vifistore.extract.transfer import Pixels, to_host
from vifistore.frames.preprocess import preprocess, preprocessing_of, squares_of
from vifistore.frames.processes.arena import Arena

GPU = SimpleNamespace(type="cuda")


@pytest.fixture
def log(monkeypatch) -> list:
    """What is asked of the streams and events that stand in, in order."""
    log: list = []

    class Event:
        def record(self, stream):
            log.append("record")

        def synchronize(self):
            log.append("wait")

    class Stream:
        def __init__(self, device=None):
            pass

        def wait_stream(self, other):
            log.append("wait for the tower")

        def wait_event(self, event):
            log.append("the tower waits")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: None)
    monkeypatch.setattr(transfer, "_pinned", lambda size: torch.empty(size, dtype=torch.uint8))
    return log


def results(count: int, drawn: list):
    for row in range(count):
        drawn.append(row)
        yield VideoResult(
            row=row, kind="encoded", values={"view_mean": torch.full((1, 3), row), "status": 1}
        )


def test_results_come_in_order_with_few_under_way(log):
    drawn: list[int] = []
    for taken, result in enumerate(to_host(results(7, drawn), GPU, 2, Clock())):
        assert result.row == taken
        assert isinstance(result.values["view_mean"], np.ndarray)
        assert (result.values["view_mean"] == taken).all()
        assert len(drawn) - taken <= 3
    assert log.count("wait") == log.count("record") == log.count("wait for the tower") == 7


def test_nothing_moves_on_a_cpu():
    drawn: list[int] = []
    for taken, result in enumerate(to_host(results(4, drawn), torch.device("cpu"), 2, Clock())):
        assert (result.values["view_mean"] == taken).all()
        assert len(drawn) == taken + 1


def test_a_buffer_is_filled_only_when_its_copy_is_over(log):
    upload = transfer._Uploader(torch.device("cpu"))
    generator = np.random.default_rng(0)
    for size in (5, 9, 3, 9, 2):
        array = generator.integers(0, 256, (size, 2), dtype=np.uint8)
        kept = upload(array).clone()
        np.testing.assert_array_equal(kept.numpy(), array)
    assert log == ["wait", "record", "the tower waits"] * 5


def test_what_lies_in_registered_memory_is_kept_until_its_copy_is_over(log, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda self: True)
    monkeypatch.setattr(transfer, "_pinned", lambda size: pytest.fail("it was copied once more"))
    upload = transfer._Uploader(torch.device("cpu"))
    held = []
    for number in range(4):
        array = np.full((3, 2), number, np.uint8)
        held.append(weakref.ref(array))
        copied = upload(array)
        assert copied.data_ptr() != array.ctypes.data
        assert (copied == number).all()
        del array
        assert [ref() is not None for ref in held[-2:]] == [True] * min(2, len(held))
    assert [ref() is None for ref in held] == [True, True, False, False]
    assert log == ["wait", "record", "the tower waits"] * 4


class Cudart:
    """Stands in for the CUDA runtime, which registers memory or not."""

    cudaError = SimpleNamespace(success=0)

    def __init__(self, status: int) -> None:
        self.status, self.calls = status, []

    def cudaHostRegister(self, address, num_bytes, flags):
        self.calls.append((address, num_bytes, flags))
        return self.status

    def cudaHostUnregister(self, address):
        self.calls.append(address)
        return 0

    def cudaGetErrorString(self, status):
        return f"no memory to pin: {status}"


@pytest.mark.parametrize("status", [0, 2])
def test_the_memory_of_frames_is_registered_while_they_are_uploaded(monkeypatch, caplog, status):
    cudart, arena = Cudart(status), Arena(2**16)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "cudart", lambda: cudart)
    monkeypatch.setattr(torch, "zeros", lambda *_, device: None)
    address = arena.whole.ctypes.data
    with registered(arena, GPU):
        assert cudart.calls == [(address, 2**16, 1)]
    assert cudart.calls[1:] == ([] if status else [address])
    assert ("no memory to pin: 2" in caplog.text) == bool(status)
    with registered(arena, torch.device("cpu")), registered(None, GPU):
        assert len(cudart.calls) == (1 if status else 2)
    arena.close()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("crops", [1, 3])
def test_squares_and_whole_frames_give_the_same_pixels(crops, dtype):
    tower = {
        "size": 16,
        "mean": (0.4, 0.5, 0.6),
        "std": (0.2, 0.3, 0.25),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    recipe = preprocessing_of("openclip", tower, crops)
    frames = np.random.default_rng(1).integers(0, 256, (4, 30, 40, 3), dtype=np.uint8)
    squares = np.concatenate(squares_of(recipe, crops).cut(frames))

    def pixels(array: np.ndarray, are_squares: bool) -> torch.Tensor:
        made = Pixels(
            recipe,
            crops=crops,
            device=torch.device("cpu"),
            dtype=dtype,
            clock=Clock(),
        )
        return made.of(SimpleNamespace(frames=array, are_squares=are_squares))

    expected = preprocess(torch.from_numpy(frames), recipe, crops).to(dtype).flatten(0, 1)
    assert torch.equal(pixels(squares, True), expected)
    assert torch.equal(pixels(frames, False), expected)
