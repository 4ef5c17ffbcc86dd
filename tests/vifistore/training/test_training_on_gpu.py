"""On an NVIDIA GPU: passes wait for nothing, compile once, and train as the CPU does."""

from functools import partial

import numpy as np
import pytest
import torch

from tests.vifistore.training.conftest import CLASSES, bright_halves, losses_of, tiny_model
from tests.vifistore.training.test_augment import SCALES, TOWER
from vifistore.frames.preprocess import preprocessing_of
from vifistore.training import pass_size
from vifistore.training.augment import augment
from vifistore.training.mixing import mix
from vifistore.training.options import RunOptions
from vifistore.training.order import Order
from vifistore.training.systems.class_objective import ClassObjective
from vifistore.training.systems.system import ObjectiveInputs
from vifistore.training.training_settings import TrainSettings
from vifistore.training.uploads import uploaded

pytestmark = pytest.mark.gpu


def without_waiting(call):
    """Call twice: what is kept is made by the first call, the second may wait for nothing."""
    call()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        return call()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("each_frame", [False, True])
@pytest.mark.parametrize("name", ["openclip", "paper"])
@pytest.mark.parametrize("released", [False, True])
def test_pixels_are_changed_without_waiting_and_as_on_the_cpu(gpu, name, released, each_frame):
    how = {"jitter_each_frame": each_frame, "released_data": released, "crop_scales": SCALES}
    settings = TrainSettings(flip=0.5, jitter=1.0, grayscale=0.5, **how)
    frames = np.random.default_rng(0).integers(0, 256, (4, 48, 64, 3), dtype=np.uint8)

    def changed(device):
        levels = uploaded(torch.from_numpy(frames), device)
        rng = np.random.default_rng(1)
        return augment(levels, preprocessing_of(name, TOWER, 1), settings, rng)

    found = without_waiting(partial(changed, gpu)).cpu()
    difference = (found - changed(torch.device("cpu"))).abs()
    # Whole levels may round to the next one.
    assert difference.mean() < (0.02 if released else 1e-3)


def test_videos_are_mixed_without_waiting_and_as_on_the_cpu(gpu):
    given = torch.rand(6, 2, 3, 16, 16), torch.rand(6, 3)
    there = [tensor.to(gpu) for tensor in given]
    for seed in range(6):
        rng = partial(np.random.default_rng, seed)
        found = without_waiting(lambda rng=rng: mix(*there, rng()))
        for one, other in zip(found, mix(*given, rng()), strict=True):
            assert torch.allclose(one.cpu(), other, atol=1e-6)


@pytest.mark.parametrize("fusion", ["embedding", "decision", "image"])
def test_a_pass_waits_for_nothing(gpu, fusion):
    settings = TrainSettings(num_frames=2, batch_size=6, fusion=fusion, flip=0.5)
    start = tiny_model()
    clip = start.clip.to(gpu).requires_grad_(True)
    tokens = start.text_side.tokens(CLASSES)[None].to(gpu)
    inputs = ObjectiveInputs(clip=clip, tokens=tokens, settings=settings, bf16=True)
    objective = ClassObjective(inputs)
    texts = objective.texts().detach().requires_grad_()
    data, batches = bright_halves(), Order(num_videos=12, settings=settings).step(0)

    def one_pass():
        (views,) = data.views(batches, settings, gpu)
        sums = objective.sums(views, texts)
        sums.loss.backward()
        return sums

    assert without_waiting(one_pass).loss.isfinite()


# The compiler warns of what is its own.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("compiled", [False, True])
def test_a_run_is_that_of_the_cpu_and_compiles_once(gpu, trained, tmp_path, compiled):
    trained(out="cpu", batch_size=5, options=RunOptions(device="cpu"))
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    options = RunOptions(device="cuda", precision="fp32", compile=compiled)
    trained(out="gpu", batch_size=5, options=options)
    losses = [losses_of(tmp_path / name) for name in ("cpu", "gpu")]
    assert losses[1] == pytest.approx(losses[0], abs=0.02)
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert (graphs > 0) == compiled
    assert not torch._dynamo.utils.counters["recompiles"]


@pytest.mark.filterwarnings("ignore")
def test_a_whole_batch_is_bounded_by_the_memory(gpu, trained, tmp_path, monkeypatch):
    measured, found = pass_size._peak_bytes, []
    monkeypatch.setattr(
        pass_size, "_peak_bytes", lambda *of: found.append(measured(*of)) or found[-1]
    )
    options = RunOptions(device="cuda", precision="fp32", compile=False)
    trained(out="whole", batch_size=12, options=options)
    assert found[1] > found[0] > 0
    monkeypatch.setattr(pass_size, "fitting_views", lambda *of: 5)
    trained(out="pieces", batch_size=12, options=options)
    losses = [losses_of(tmp_path / name) for name in ("whole", "pieces")]
    assert losses[1] == pytest.approx(losses[0], abs=0.02)
