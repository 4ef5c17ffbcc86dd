"""The work of a tower is counted as by hand, and the page's table is what is counted."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.vifistore.models.random_towers import SIZES, tower_of
from vifi.bench.tower_work import TowerWork, tower_without_weights, tower_work
from vifistore.models.packed_tower import pack

PAGE = Path(__file__).parents[3] / "docs" / "GPU.md"


class Mlp(nn.Module):
    """Norm, product, activation, product, sum; of tokens [frame 4 8] cut from pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.widen, self.narrow = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(24, 8)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens = pixels[:, 0].unflatten(1, (4, -1)).flatten(2)
        normed = self.norm(tokens)
        return tokens + self.narrow(torch.sigmoid(self.widen(normed)))


def test_a_pass_is_what_lies_between_two_products():
    work = tower_work(Mlp(), 4, 8)
    tokens, hidden = 2 * 4 * 8, 2 * 4 * 24
    # Norm reads and writes; sigmoid reads and writes; the sum reads twice and writes.
    assert work.fused_bytes == work.eager_bytes == 2 * tokens + 2 * hidden + 3 * tokens
    assert (work.passes, work.attention_flops) == (3, 0)
    assert work.product_flops == 2 * 2 * 4 * 8 * 24


def test_what_one_pass_leaves_to_itself_is_not_written():
    class Twice(Mlp):
        def forward(self, pixels):
            return super().forward(pixels).sigmoid() * 2

    one, two = tower_work(Mlp(), 4, 8), tower_work(Twice(), 4, 8)
    assert (two.fused_bytes, two.passes) == (one.fused_bytes, one.passes)
    assert two.eager_bytes == one.eager_bytes + 2 * 2 * (2 * 4 * 8)


def test_a_packed_tower_by_its_formula():
    packed = tower_of()
    pack(packed)
    work = tower_work(packed, 32, 32)
    width, layers, patches, tokens = SIZES["width"], SIZES["layers"], 16, 17
    rest = layers - 1
    block = 2 * tokens * 12 * width**2
    last = 2 * (2 * tokens + 10) * width**2
    patch, end = 2 * patches * 3 * 8 * 8 * width, 2 * width * 64
    assert work.product_flops == rest * block + last + patch + end
    assert work.attention_flops == 4 * (rest * tokens + 1) * tokens * width
    row = 2 * width
    # Of a block: sum and norm read two and write two, the activation four and four widths, sum and
    # norm of the next block again two and two. The first norms read patches and write two, the last
    # block has one token, whose sum goes to its norm alone.
    whole = tokens * row * (4 + 8 + 4) * rest
    first, end_of_last = (patches + 2 * tokens) * row, (4 + 8 + 3) * row
    assert work.fused_bytes == whole + first + end_of_last
    assert work.passes == 1 + 3 * layers


def test_seconds_add_up():
    work = TowerWork(product_flops=8, attention_flops=6, eager_bytes=9, fused_bytes=4, passes=1)
    assert work.seconds(4, 2, 1) == 2 + 3 + 4


@pytest.mark.parametrize("model", ["ViT-B-32", "ViT-B-16", "ViT-L-14"])
def test_the_pages_table_is_counted(model):
    tower = tower_without_weights(model)
    rows = {}
    for name in ("OpenCLIP's", "packed"):
        if name == "packed":
            pack(tower)
        work = tower_work(tower, 224, 224)
        figures = [work.product_flops / 1e9, work.attention_flops / 1e9]
        figures += [work.eager_bytes / 1e6, work.fused_bytes / 1e6]
        rows[name] = [f"{figures[0]:.1f}", f"{figures[1]:.2f}", f"{figures[2]:.1f}"]
        rows[name] += [f"{figures[3]:.1f}", str(work.passes)]
    found = re.findall(rf"\| {model}, (\S+) \|(.*)\|\n", PAGE.read_text(encoding="utf-8"))
    assert {name: [cell.strip() for cell in cells.split("|")] for name, cells in found} == rows
