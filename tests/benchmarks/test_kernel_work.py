import pytest
import torch

from benchmarks.kernel_tables import CROSS_ENTROPY, floors
from benchmarks.kernel_work import COUNTED, Call, eager_work, work

CALL = Call(rows=100, classes=30, dim=64, item_bytes=2)
TILES = {"BLOCK_ROWS": 64, "BLOCK_CLASSES": 32, "BLOCK_DIM": 32, "TEXT_TERMS": 1}


def test_logits_are_counted_in_whole_tiles():
    done = work("frame_softmax_forward", CALL, TILES | {"GRADIENT_TERMS": 2})
    assert CALL.product == 2 * 100 * 30 * 64
    # Two tiles of rows, one of classes.
    assert done["logit_operations"] == 2 * 128 * 32 * 64
    assert done["gradient_operations"] == 0
    assert done["loaded_bytes"] == 2 * (64 + 32) * 64 * 2


def test_terms_add_products_and_loads():
    tiles = {"BLOCK_ROWS": 64, "BLOCK_CLASSES": 16, "BLOCK_OUT": 32, "GRADIENT_TERMS": 2}
    frames = work("frames_gradient", CALL, tiles | {"TEXT_TERMS": 2})
    # Both terms of a gradient with the higher of the text, and the higher one with the lower.
    assert frames["gradient_operations"] == 2 * (128 * 32 * 64) * 3
    turns = 2 * 2 * 2
    assert frames["loaded_bytes"] == turns * (2 * 64 * 16 + 2 * 16 * 32) * 2
    text = work("text_gradient", CALL, tiles)
    assert text["gradient_operations"] == 2 * (128 * 32 * 64) * 2
    assert text["loaded_bytes"] == turns * (2 * 64 * 16 + 64 * 32) * 2
    assert frames["logit_operations"] == text["logit_operations"] == 0


def test_operations_of_pytorch_are_counted_by_what_they_move():
    one, other = torch.empty(3, 5, device="meta"), torch.empty(5, 7, device="meta")

    def call() -> None:
        (one @ other).t().sum()
        one[:, :1].expand(3, 5) + 1

    found = eager_work(call)
    assert found["product_operations"] == 2 * 3 * 5 * 7
    # The product, its sum, and the addition, which reads one value a row.
    assert found["moved_bytes"] == 4 * ((15 + 35 + 21) + (21 + 1) + (3 + 15))


@pytest.mark.parametrize("loaded", [5.5e9, 11e9])
def test_the_floor_of_a_call_is_that_of_its_kernels(loaded):
    assert set(CROSS_ENTROPY) < set(COUNTED)
    case = {"case": "fusion_cross_entropy", "sizes": "s", "dtypes": "d"}
    counts = {"logit_operations": 989e9, "gradient_operations": 0, "loaded_bytes": loaded}
    rows = [{**case, "kernel": name, **counts} for name in CROSS_ENTROPY]
    assert list(floors(rows)) == []
    plain = {"kernel": "eager", "product_operations": 67e9, "moved_bytes": 5.5e9}
    (line,) = floors([*rows, {**case, **plain}])
    # Of a kernel the longer of both, of PyTorch both.
    taken = 4 * loaded / 5.5e9
    assert line == f"| s | d | 3956.0 | {4 * loaded / 1e9:.2f} | {taken:.2f} | 67.0 | 5.50 | 2.00 |"
