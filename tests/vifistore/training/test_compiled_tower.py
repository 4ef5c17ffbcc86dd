"""A run compiles its tower once, and a tower that is compiled trains as one that is not."""

from functools import partial

import pytest
import torch

from tests.vifistore.training.conftest import bright_halves, losses_of, tiny_model
from vifistore.training.compiled_tower import CompiledTower, compiles_on
from vifistore.training.training_data import FrameData


@pytest.fixture
def graphs(monkeypatch) -> list[torch.nn.Module]:
    """Every graph that is compiled, by a compiler that changes nothing of it."""
    found = []

    def backend(module, inputs):
        found.append(module)
        return module.forward

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    monkeypatch.setattr("vifistore.training.run.compiles_on", lambda device: True)
    yield found
    torch.compiler.reset()


SYSTEMS = {
    "full": {},
    "prompts": {"trains": "prompts", "image_depth": 2, "text_depth": 2, "text_prompts": 2},
    "x-clip": {"system": "x-clip", "trains": "image"},
    "actionclip": {"system": "actionclip", "frame_head": "mean", "label_smoothing": 0.0},
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_smaller_batch_compiles_nothing_anew(trained, tmp_path, graphs, monkeypatch, name):
    """Twelve videos make passes of 5, 5 and 2, in each of two epochs."""
    # Of the first pass alone, and then of all.
    trained(out="first", batch_size=12, epochs=1, warmup_epochs=0.0, **SYSTEMS[name])
    once = len(graphs)
    assert once > 0
    graphs.clear()
    torch.compiler.reset()
    trained(out="compiled", batch_size=5, **SYSTEMS[name])
    assert len(graphs) == once
    monkeypatch.setattr("vifistore.training.run.compiles_on", lambda device: False)
    trained(out="plain", batch_size=5, **SYSTEMS[name])
    assert len(graphs) == once
    losses = [losses_of(tmp_path / out) for out in ("compiled", "plain")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_videos_that_cannot_be_read_compile_nothing_anew(trained, graphs):
    trained(out="whole")
    once = len(graphs)
    graphs.clear()
    torch.compiler.reset()
    data = bright_halves()
    lacking = FrameData(frames=data.frames, targets=data.targets, skipped={3: "why", 8: "why"})
    trained(out="lacking", source=lacking, epochs=3)
    assert len(graphs) == once


def test_gradients_are_those_of_the_rows_given(graphs):
    visual = tiny_model().clip.visual.double()
    pixels = torch.rand(3, 3, 32, 32, dtype=torch.float64)
    found = []
    for tower in (visual, CompiledTower(visual, 8)):
        visual.zero_grad()
        given = tower(pixels)
        assert len(given) == 3
        given.square().sum().backward()
        found.append([p.grad.clone() for p in visual.parameters() if p.grad is not None])
    assert len(found[0]) == len(found[1]) > 10
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other)


def test_a_tower_of_several_outputs(graphs):
    class Pair(torch.nn.Module):
        def forward(self, pixels):
            return {"one": pixels + 1, "two": pixels.sum(1)}

    given = CompiledTower(Pair(), 4)(torch.ones(3, 2))
    assert {name: value.tolist() for name, value in given.items()} == {
        "one": [[2, 2]] * 3,
        "two": [2] * 3,
    }


def test_nothing_is_compiled_on_a_cpu():
    assert not compiles_on(torch.device("cpu"))
