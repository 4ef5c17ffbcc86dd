"""A batch too large for the memory of a GPU goes through it in parts, and trains the same."""

from dataclasses import replace

import pytest
import torch

from tests.vifistore.training.conftest import SETTINGS, bright_halves, tiny_model
from vifistore.training import pass_size
from vifistore.training.distributed import Processes
from vifistore.training.engine import Engine
from vifistore.training.order import Order
from vifistore.training.pass_size import fitting_views, measured_views, pieces
from vifistore.training.systems.known_systems import load_system
from vifistore.training.systems.system import ObjectiveInputs

GIGABYTE = 10**9


@pytest.mark.parametrize(
    ("free", "most"),
    # A view takes 2 GB, all together 6 more.
    [(600, 256), (518, 256), (517, 128), (86, 37), (10, 2), (8.5, 1), (7, 1), (0, 1)],
)
def test_the_fewest_equal_passes_that_fit(free, most):
    assert fitting_views(2 * GIGABYTE, 6 * GIGABYTE, free * GIGABYTE, 256) == most


def test_views_in_pieces():
    batch = Order(num_videos=12, settings=replace(SETTINGS, batch_size=12)).step(0)
    (views,) = bright_halves().views(batch, SETTINGS, torch.device("cpu"))
    parts = list(pieces(views, 5))
    assert [len(part.frames) for part in parts] == [5, 5, 2]
    assert torch.equal(torch.cat([part.frames for part in parts]), views.frames)
    assert torch.equal(torch.cat([part.targets for part in parts]), views.targets)
    assert sum((part.rows for part in parts), ()) == views.rows
    assert list(pieces(views, 12)) == [views]


@pytest.mark.parametrize("system", ["vifi-clip", "actionclip"])
def test_a_step_in_pieces_has_the_gradients_of_one_pass(system):
    found = {most: _step(system, most) for most in (12, 5)}
    (whole, result), (parts, same) = found.values()
    for name, gradient in whole.items():
        assert torch.allclose(parts[name], gradient, rtol=1e-6, atol=1e-9), name
    assert same.loss == pytest.approx(result.loss, rel=1e-6)
    assert (same.num_views, same.accuracy) == (12, result.accuracy)


def _step(name: str, most: int):
    settings = replace(SETTINGS, batch_size=12, system=name, frame_head="mean")
    start, system = tiny_model(), load_system(name)
    clip = start.clip.double()
    system.add_modules(clip, settings)
    groups = system.groups(clip, settings)
    tokens = start.text_side.tokens(["bright sun", "dark"])[None]
    objective = system.objective(ObjectiveInputs(clip=clip, tokens=tokens, settings=settings))
    order = Order(num_videos=12, settings=settings)
    engine = Engine(objective, groups, settings, order, Processes(), most)
    views = bright_halves().views(order.step(0), settings, torch.device("cpu"))
    double = (replace(v, frames=v.frames.double(), targets=v.targets.double()) for v in views)
    result = engine.step(0, double, 1)
    return {n: p.grad for n, p in engine.parameters.items() if p.grad is not None}, result


def test_what_is_measured_decides(monkeypatch):
    """Passes of 2 and 4 views take 7 and 11 GB: 2 for each, 3 more; 1 GB is trained."""
    weight = torch.nn.Parameter(torch.zeros(1, 1, device="meta").expand(250_000, 1000))
    taken = {2: 7, 4: 11}
    monkeypatch.setattr(pass_size, "_peak_bytes", lambda *of: taken[of[-1]] * GIGABYTE)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100 * GIGABYTE, None))
    # Pixels of all views of five passes take 4 GB: 85 - 3 - 3 - 4 = 75 are left.
    pixels = (2, 10**7, 1, 1)
    assert measured_views(None, pixels, 4, [weight], 10) == 10
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (40 * GIGABYTE, None))
    assert measured_views(None, pixels, 4, [weight], 10) == 10
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (30 * GIGABYTE, None))
    assert measured_views(None, pixels, 4, [weight], 10) == 5
    assert measured_views(None, pixels, 4, [weight], 1) == 1


def test_a_gpu_too_small_for_few_views_takes_them_one_by_one(monkeypatch):
    weight = torch.nn.Parameter(torch.zeros(3))
    weight.grad = torch.ones(3)

    def fails(*of):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(pass_size, "_peak_bytes", fails)
    assert measured_views(None, (1, 3, 8, 8), 2, [weight], 64) == 1
    assert weight.grad is None
