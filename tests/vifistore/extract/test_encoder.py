"""Batches of one size, whatever the lengths of videos."""

import contextlib
import copy
import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel

from vifi.bench.encode import place_difference
from vifistore.errors import ModelError
from vifistore.extract import encoder as encoder_module
from vifistore.extract.clock import Clock
from vifistore.extract.device_tower import is_convolutional, running_on, suitable_batch
from vifistore.extract.encoder import Encoder
from vifistore.models.packed_tower import pack

CPU = torch.device("cpu")


@settings(deadline=None, max_examples=10)
@given(lengths=st.lists(st.integers(1, 9), max_size=6), batch=st.integers(1, 7))
def test_every_video_comes_back_whole_and_in_order(tiny, lengths, batch):
    clock = Clock()
    encoder = Encoder(tiny, precision="fp32", device=CPU, batch=batch, clock=clock)
    generator = torch.Generator().manual_seed(batch)
    videos = [torch.randn(n, 3, *tiny.image_size, generator=generator) for n in lengths]
    found = list(encoder.encode(enumerate(videos)))
    assert [key for key, _ in found] == list(range(len(lengths)))
    assert encoder.num_frames == sum(lengths)
    for (_, embeddings), video in zip(found, videos, strict=True):
        with torch.inference_mode():
            expected = tiny.clip.encode_image(video)
        torch.testing.assert_close(embeddings, expected, rtol=1e-4, atol=1e-5)


def test_a_frame_does_not_depend_on_its_neighbours(tiny):
    encoder = Encoder(tiny, precision="fp32", device=CPU, batch=4)
    frames = torch.randn(6, 3, *tiny.image_size)
    ((_, alone),) = encoder.encode([(0, frames[4:5])])
    ((_, together),) = encoder.encode([(0, frames)])
    assert torch.equal(alone[0], together[4])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_frame_has_its_bytes_at_any_place_of_a_batch(tiny, precision):
    encoder = Encoder(tiny, precision=precision, device=CPU, batch=24)
    assert place_difference(encoder) == 0
    module = encoder._tower

    def by_place(pixels):
        return module(pixels) + torch.linspace(0, 0.01, len(pixels))[:, None]

    encoder._tower = by_place
    assert 1e-4 < place_difference(encoder) < 1


class Few(torch.nn.Module):
    """Gives what suits one frame, whatever it is given; of bright ones nothing."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if pixels.max() > 100:
            raise ValueError("too\nbright")
        return pixels.new_zeros(1, self.dim)


@pytest.mark.parametrize(
    ("value", "told"), [(1, "gives 1 rows of frames for 4"), (999, "ValueError: too;")]
)
def test_a_tower_that_fails_after_its_first_frame(tiny, monkeypatch, value, told):
    monkeypatch.setattr(type(tiny), "image_tower", property(lambda _: Few(tiny.dim)))
    encoder = Encoder(tiny, precision="fp32", device=CPU, batch=4)
    with pytest.raises(ModelError, match=told):
        list(encoder.encode([(0, torch.full((4, 3, *tiny.image_size), float(value)))]))


def test_what_was_left_half_way_does_not_meet_the_next(tiny):
    encoder = Encoder(tiny, precision="fp32", device=CPU, batch=4)
    frames = torch.randn(5, 3, *tiny.image_size)
    left = encoder.encode([("left", frames[:4]), ("never", frames)])
    assert next(left)[0] == "left"

    def broken():
        yield "broken", frames
        raise OSError("gone")

    left.close()
    with pytest.raises(OSError, match="gone"):
        list(encoder.encode(broken()))
    ((key, found),) = encoder.encode([("next", frames)])
    assert key == "next"
    ((_, expected),) = Encoder(tiny, precision="fp32", device=CPU, batch=4).encode([(0, frames)])
    assert torch.equal(found, expected)


def test_batch_and_layout_suit_the_device(tiny):
    # 16 patches and the class token, some 1,600 tokens a batch.
    assert Encoder(tiny, precision="fp32", device=CPU).batch == 1600 // 17
    assert suitable_batch(tiny.clip.visual, torch.device("cuda")) == 512
    assert suitable_batch(torch.nn.Conv2d(3, 3, 1), CPU) == 32
    assert not is_convolutional(tiny.clip.visual)
    convolutions = [torch.nn.Conv2d(3, 3, 1) for _ in range(2)]
    assert is_convolutional(torch.nn.Sequential(*convolutions))


def test_bfloat16_is_close_to_the_exact_tower(tiny):
    frames = torch.randn(3, 3, *tiny.image_size)
    ((_, found),) = Encoder(tiny, precision="bf16", device=CPU, batch=3).encode([(0, frames)])
    with torch.inference_mode():
        expected = tiny.clip.encode_image(frames)
    assert torch.cosine_similarity(found, expected).min() > 0.999


def test_the_attention_path_is_put_back(tiny):
    enabled = torch.backends.mha.get_fastpath_enabled()
    Encoder(tiny, precision="bf16", device=CPU, batch=2)
    assert torch.backends.mha.get_fastpath_enabled() == enabled


@pytest.fixture
def warnings_said(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(
        logging.getLogger("vifi"), "warning", lambda text, *values: lines.append(text % values)
    )
    return lines


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (RuntimeError("no C compiler is found\nat length"), "no C compiler is found"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_a_tower_that_cannot_be_compiled_runs_as_it_is(
    tiny, monkeypatch, warnings_said, failure, told
):
    encoder = Encoder(tiny, precision="fp32", device=CPU, batch=2)

    def broken(tower, **_):
        def run(pixels):
            raise failure

        return run

    monkeypatch.setattr(torch, "compile", broken)
    assert encoder._compiled(encoder._tower, 2) is encoder._tower
    assert warnings_said == [f"the image tower runs uncompiled: {told}"]


def test_graphs_that_belong_to_another_thread_leave_a_tower_uncompiled(
    tiny, monkeypatch, warnings_said
):
    # Before torch 2.13 so does the first call of a thread that did not begin with graphs.
    def refuse():
        raise AssertionError("not of this thread")

    encoder = Encoder(tiny, precision="fp32", device=CPU, batch=2)
    monkeypatch.setattr(torch.compiler, "reset", refuse)
    assert encoder._compiled(encoder._tower, 2) is encoder._tower
    assert warnings_said == ["the image tower runs uncompiled: not of this thread"]


def test_a_compiled_tower_is_warmed_up_at_the_batch_size(tiny, monkeypatch):
    encoder = Encoder(tiny, precision="fp32", device=CPU, batch=3)
    shapes, options = [], {}

    def compiled(tower, **given):
        options.update(given)
        return lambda pixels: (shapes.append(tuple(pixels.shape)), tower(pixels))[1]

    monkeypatch.setattr(torch, "compile", compiled)
    encoder._tower = encoder._compiled(encoder._tower, 3)
    list(encoder.encode([(0, torch.zeros(7, 3, *tiny.image_size))]))
    assert set(shapes) == {(3, 3, *tiny.image_size)}
    assert options == {"mode": "reduce-overhead", "dynamic": False}


@contextlib.contextmanager
def running_as_on_a_gpu(device, ways):
    """Its path through attention, and what else it says, on whatever device."""
    with running_on(device, ways), sdpa_kernel(SDPBackend.MATH):
        torch.backends.mha.set_fastpath_enabled(False)
        yield


def test_a_tower_is_compiled_whole_and_once(tiny, monkeypatch):
    encoder = Encoder(tiny, precision="bf16", device=CPU, batch=3)
    graphs, compile_really = [], torch.compile

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    def compiled(tower, *, mode, dynamic):
        return compile_really(tower, backend=backend, dynamic=dynamic, fullgraph=True)

    monkeypatch.setattr(encoder_module, "running_on", running_as_on_a_gpu)
    monkeypatch.setattr(torch, "compile", compiled)
    plain = copy.deepcopy(tiny.clip.visual)
    pack(plain)
    encoder._tower = plain.to(torch.bfloat16)
    frames = torch.randn(7, 3, *tiny.image_size)
    ((_, expected),) = encoder.encode([(0, frames)])
    encoder._tower = encoder._compiled(encoder._tower, 3)
    ((_, found),) = encoder.encode([(0, frames)])
    assert len(graphs) == 1
    torch.testing.assert_close(found, expected)


class Small:
    """Stands for torch.compile on a GPU that holds batches of `most` rows."""

    def __init__(self, most: int, told: str = "CUDA out of memory", kind=torch.OutOfMemoryError):
        self.most, self.error, self.tried = most, kind(told), []

    def __call__(self, tower, **_):
        def run(pixels):
            self.tried.append(len(pixels))
            if len(pixels) > self.most:
                raise RuntimeError("backend='inductor' raised") from self.error
            return tower(pixels)

        return run


@pytest.mark.parametrize(
    ("told", "kind"), [("", torch.OutOfMemoryError), ("CUDA error: out of memory", RuntimeError)]
)
def test_a_batch_is_halved_until_it_fits(tiny, monkeypatch, warnings_said, told, kind):
    encoder = Encoder(tiny, precision="fp32", device=CPU, batch=9)
    monkeypatch.setattr(torch, "compile", gpu := Small(2, told, kind))
    encoder._tower = encoder._fitting(encoder._tower, compiled=True)
    assert (encoder.batch, gpu.tried) == (2, [9, 4, 2, 2, 2])
    assert [line.split(" for ")[1] for line in warnings_said] == [
        "batches of 9: they become 4; --batch 4 spares the attempt",
        "batches of 4: they become 2; --batch 2 spares the attempt",
    ]
    frames = torch.randn(5, 3, *tiny.image_size)
    ((_, found),) = encoder.encode([(0, frames)])
    assert len(found) == 5


def test_without_room_for_one_compiled_row_it_runs_uncompiled(tiny, monkeypatch, warnings_said):
    encoder = Encoder(tiny, precision="fp32", device=CPU, batch=2)
    plain = encoder._tower
    monkeypatch.setattr(torch, "compile", Small(0))
    assert encoder._fitting(plain, compiled=True) is plain
    # Graphs keep memory of their own: without them the whole batch may fit.
    assert encoder.batch == 2
    assert warnings_said[1:] == ["the image tower runs uncompiled: backend='inductor' raised"]
    with pytest.raises(RuntimeError, match="inductor"):
        encoder._fitting(Small(0)(plain), compiled=False)


def test_another_failure_halves_nothing(tiny, monkeypatch, warnings_said):
    encoder = Encoder(tiny, precision="fp32", device=CPU, batch=4)
    monkeypatch.setattr(torch, "compile", Small(0, "no kernel image", RuntimeError))
    assert encoder._fitting(encoder._tower, compiled=True) is encoder._tower
    assert encoder.batch == 4
    assert warnings_said == ["the image tower runs uncompiled: backend='inductor' raised"]
