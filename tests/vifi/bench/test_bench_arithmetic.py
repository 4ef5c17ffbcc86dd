"""Arithmetic is counted as by hand, and a device's rate is measured in the same unit."""

import pytest
import torch

from vifi.bench import arithmetic
from vifi.bench.arithmetic import forward_flops, image_flops
from vifistore.models.towers import load_model


@pytest.fixture(scope="module")
def tiny():
    return load_model("vifi-tiny", "none")


def test_operations_of_layers_that_can_be_counted_by_hand():
    linear = torch.nn.Linear(7, 5).bfloat16()
    assert forward_flops(linear, (3, 7)) == 2 * 3 * 7 * 5
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()

    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = attention

        def forward(self, x):
            return self.attention(x, x, x, need_weights=False)[0]

    tokens, width = 6, 8
    projections = 4 * tokens * width * width
    assert forward_flops(Layer(), (1, tokens, width)) == 2 * (projections + 2 * tokens**2 * width)


def test_a_tower_that_needs_data_is_not_counted(tiny, monkeypatch):
    def forward(self, pixels):
        return pixels[pixels > pixels.mean().item()]

    monkeypatch.setattr(type(tiny.clip.visual), "forward", forward)
    assert image_flops(tiny) == 0


def test_operations_of_an_image_tower(tiny):
    config, dim = tiny.config["vision_cfg"], tiny.config["embed_dim"]
    width, patch = config["width"], config["patch_size"]
    patches = (config["image_size"] // patch) ** 2
    tokens = patches + 1
    hidden = int(width * config.get("mlp_ratio", 4))
    layer = tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width
    products = config["layers"] * layer + patches * 3 * patch**2 * width + width * dim
    assert image_flops(tiny) == 2 * products


def test_the_rate_of_a_matrix_product(monkeypatch):
    """2 x 64^3 operations in the fastest of 3 products, which took 1, 2 and 4 s."""
    monkeypatch.setattr(arithmetic, "_SIDES", {"cpu": 64})
    times = iter([2.0, 1.0, 4.0])
    monkeypatch.setattr(arithmetic, "_product_seconds", lambda left, device: next(times))
    assert arithmetic.measure_matmul(torch.device("cpu"), torch.float32) == 2 * 64**3
    monkeypatch.undo()
    assert arithmetic.measure_matmul(torch.device("cpu"), torch.float32) > 1e6
