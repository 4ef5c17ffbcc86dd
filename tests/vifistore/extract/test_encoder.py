"""Batches of one size, whatever the lengths of videos."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.errors import ModelError
from vifistore.extract import encoder as encoder_module
from vifistore.extract.clock import Clock
from vifistore.extract.encoder import Encoder, _is_convolutional

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
    assert encoder_module._suitable_batch(tiny.clip.visual, torch.device("cuda")) == 256
    assert encoder_module._suitable_batch(torch.nn.Conv2d(3, 3, 1), CPU) == 32
    assert not _is_convolutional(tiny.clip.visual)
    convolutions = [torch.nn.Conv2d(3, 3, 1) for _ in range(2)]
    assert _is_convolutional(torch.nn.Sequential(*convolutions))


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


def test_a_tower_that_cannot_be_compiled_runs_as_it_is(tiny, monkeypatch, warnings_said):
    encoder = Encoder(tiny, precision="fp32", device=CPU, batch=2)

    def broken(tower, **_):
        def run(pixels):
            raise RuntimeError("no C compiler is found\nat length")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    assert encoder._compiled(encoder._tower) is encoder._tower
    assert warnings_said == ["the image tower runs uncompiled: no C compiler is found"]


def test_a_compiled_tower_is_warmed_up_at_the_batch_size(tiny, monkeypatch):
    encoder = Encoder(tiny, precision="fp32", device=CPU, batch=3)
    shapes, options = [], {}

    def compiled(tower, **given):
        options.update(given)
        return lambda pixels: (shapes.append(tuple(pixels.shape)), tower(pixels))[1]

    monkeypatch.setattr(torch, "compile", compiled)
    encoder._tower = encoder._compiled(encoder._tower)
    list(encoder.encode([(0, torch.zeros(7, 3, *tiny.image_size))]))
    assert set(shapes) == {(3, 3, *tiny.image_size)}
    assert options == {"mode": "reduce-overhead", "dynamic": False}


def test_a_tower_is_compiled_whole_and_once(tiny, monkeypatch):
    encoder = Encoder(tiny, precision="bf16", device=CPU, batch=3)
    graphs, compile_really = [], torch.compile

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    def compiled(tower, *, mode, dynamic):
        return compile_really(tower, backend=backend, dynamic=dynamic, fullgraph=True)

    # The path through attention that a GPU takes.
    path = encoder_module._attention_path
    monkeypatch.setattr(encoder_module, "_attention_path", lambda **_: path(whole_layer=False))
    monkeypatch.setattr(torch, "compile", compiled)
    frames = torch.randn(7, 3, *tiny.image_size)
    ((_, expected),) = encoder.encode([(0, frames)])
    encoder._tower = encoder._compiled(encoder._tower)
    ((_, found),) = encoder.encode([(0, frames)])
    assert len(graphs) == 1
    torch.testing.assert_close(found, expected)
