"""What changes pixels asks the device for nothing and hands it nothing that would be waited for.

Tensors of the meta device have no values: whoever asks for one fails.
"""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.vifistore.training.test_augment import OFF, SCALES, TOWER
from vifistore.frames.preprocess import preprocessing_of
from vifistore.training import augment, released_colours, uploads
from vifistore.training.mixing import mix
from vifistore.training.training_settings import TrainSettings
from vifistore.training.uploads import uploaded

META = torch.device("meta")


class NoWaiting(TorchDispatchMode):
    """Fails for copies to the device that are waited for, and for all from it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default:
            source, target = args[0].device, kwargs.get("device") or args[0].device
            assert source.type == "cpu" or target.type != "cpu"
            assert source == target or kwargs.get("non_blocking")
        return func(*args, **kwargs)


@pytest.fixture(autouse=True)
def without_numbers(monkeypatch):
    """Tensors made of numbers lie on the CPU at first."""
    made = torch.tensor
    monkeypatch.setattr(torch, "tensor", lambda *args, **how: made(*args, **_on_cpu(how)))
    for kept in (augment._gray_weights, released_colours._luma_weights):
        kept.cache_clear()
    yield
    for kept in (augment._gray_weights, released_colours._luma_weights):
        kept.cache_clear()


def _on_cpu(how: dict) -> dict:
    assert "device" not in how
    return how


@pytest.mark.parametrize("each_frame", [False, True])
@pytest.mark.parametrize("released", [False, True])
def test_pixels_are_changed_without_waiting(each_frame, released):
    how = {"jitter_each_frame": each_frame, "released_data": released, "crop_scales": SCALES}
    settings = TrainSettings(flip=1.0, jitter=1.0, grayscale=1.0, **how)
    preprocessing = preprocessing_of("openclip", TOWER, 1)
    frames = torch.empty(3, 48, 64, 3, dtype=torch.uint8, device=META)
    augment.colours(tuple(preprocessing.mean), tuple(preprocessing.std), META)
    with NoWaiting():
        pixels = augment.augment(frames, preprocessing, settings, np.random.default_rng(0))
    assert pixels.shape == (3, 3, 32, 32)
    assert pixels.device == META


@pytest.mark.parametrize("seed", range(4))
def test_videos_are_mixed_without_waiting(seed):
    frames, targets = torch.empty(5, 2, 3, 8, 8, device=META), torch.empty(5, 4, device=META)
    with NoWaiting():
        mixed = mix(frames, targets, np.random.default_rng(seed))
    assert [value.device for value in mixed] == [META, META]


def test_a_gpu_is_given_pinned_memory(monkeypatch):
    given = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: given.append(self) or self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device, non_blocking: non_blocking)
    tensor = torch.zeros(3)
    assert uploaded(tensor, torch.device("cuda", 0)) is True
    assert given == [tensor]
    monkeypatch.undo()
    assert uploads.uploaded(tensor, torch.device("cpu")) is tensor
    assert OFF.flip == 0
