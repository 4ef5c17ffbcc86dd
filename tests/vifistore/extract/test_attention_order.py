"""The way through attention is the fastest, where it is so by more than chance."""

import copy

import pytest
import torch
from torch.nn.attention import SDPBackend

from tests.vifistore.models.random_towers import tower_of
from vifistore.extract import attention_order as module
from vifistore.extract.attention_order import attention_order, by_speed
from vifistore.models.packed_tower import pack

FLASH, CUDNN = SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION
EFFICIENT, MATH = SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH


@pytest.mark.parametrize(
    ("times", "first"),
    [
        ({FLASH: 1.09, CUDNN: 1.0}, FLASH),
        ({FLASH: 1.11, CUDNN: 1.0}, CUDNN),
        ({CUDNN: 1.0, EFFICIENT: 0.5}, EFFICIENT),
        ({EFFICIENT: 3.0}, EFFICIENT),
        ({}, MATH),
    ],
)
def test_the_usual_order_holds_but_for_a_tenth(times, first):
    order = by_speed(times)
    assert order[0] is first
    assert sorted(way.name for way in order) == sorted(
        w.name for w in (FLASH, CUDNN, EFFICIENT, MATH)
    )


def test_ways_are_timed_on_views_of_one_product_of_the_towers_shape():
    tower = tower_of()
    seen = []

    def timer(parts, way):
        seen.append((way, [part.shape for part in parts], parts[0].stride(), parts[0].dtype))
        return 1.0

    cpu = torch.device("cpu")
    assert attention_order(tower, torch.bfloat16, cpu, timer)[0] is FLASH
    assert seen == []
    packed = copy.deepcopy(tower)
    pack(packed)
    # On a CPU torch has this way alone of those that are tried.
    assert attention_order(packed, torch.bfloat16, cpu, timer)[0] is FLASH
    shape, strides = torch.Size([module._FRAMES, 2, 17, 64]), (17 * 384, 64, 384, 1)
    assert seen == [(FLASH, [shape] * 3, strides, torch.bfloat16)]
