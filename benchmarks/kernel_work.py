"""What fusion_cross_entropy does in a call, counted: by its kernels from the tiles that they run
with, and by plain PyTorch from the operations that it starts.

A product of a row with a class is 2 x dim operations. Tiles that go beyond the ends are counted
whole, as they are computed, and a load each time that it is made, from memory or from a cache.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from vifistore.kernels.dispatch import blocks_over

_OF_LOGITS = ("frame_softmax_forward", "frame_softmax_backward", "logit_gradient")
COUNTED = (*_OF_LOGITS, "frames_gradient", "text_gradient")
"""Kernels that are counted."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """Sizes of a call."""

    rows: int
    """Frames of all views."""
    classes: int
    dim: int
    item_bytes: int
    """Bytes of a number that products are made with."""

    @property
    def product(self) -> int:
        """Operations of all rows with all classes."""
        return 2 * self.rows * self.classes * self.dim


def work(kernel: str, call: Call, tiles: dict[str, int]) -> dict[str, int]:
    """Operations of the logits, operations of the gradients' products, and bytes that are loaded.

    kernel: one of `COUNTED`. tiles: sizes and numbers of terms as they are compiled in.
    """
    count = _of_logits if kernel in _OF_LOGITS else _of_gradient
    return count(kernel, call, tiles)


def _of_logits(kernel: str, call: Call, tiles: dict[str, int]) -> dict[str, int]:
    rows, classes, terms = tiles["BLOCK_ROWS"], tiles["BLOCK_CLASSES"], tiles["TEXT_TERMS"]
    pairs = blocks_over(call.rows, rows) * blocks_over(call.classes, classes)
    width = blocks_over(call.dim, tiles["BLOCK_DIM"]) * tiles["BLOCK_DIM"]
    return {
        "logit_operations": 2 * pairs * rows * classes * width * terms,
        "gradient_operations": 0,
        "loaded_bytes": pairs * (rows + classes * terms) * call.dim * call.item_bytes,
    }


def _of_gradient(kernel: str, call: Call, tiles: dict[str, int]) -> dict[str, int]:
    """A product of gradients of logits, `[row class]`, with texts or with frames."""
    rows, classes, out = (tiles[f"BLOCK_{name}"] for name in ("ROWS", "CLASSES", "OUT"))
    num_rows, num_classes = blocks_over(call.rows, rows), blocks_over(call.classes, classes)
    terms, texts = tiles["GRADIENT_TERMS"], tiles.get("TEXT_TERMS", 1)
    # Tiles of both factors that a turn of the loop loads.
    loaded = {
        "frames_gradient": terms * rows * classes + texts * classes * out,
        "text_gradient": terms * rows * classes + rows * out,
    }[kernel]
    turns = num_rows * num_classes * blocks_over(call.dim, out)
    return {
        "logit_operations": 0,
        "gradient_operations": 2 * turns * rows * classes * out * (terms + texts - 1),
        "loaded_bytes": turns * loaded * call.item_bytes,
    }


def eager_work(function: Callable[[], object]) -> dict[str, int]:
    """Operations of the products that a function of PyTorch starts, and the bytes that each of its
    operations reads and writes, of values that are as they are repeated once."""
    passes = _Passes()
    with FlopCounterMode(display=False) as products, passes:
        function()
    return {"product_operations": products.get_total_flops(), "moved_bytes": passes.num_bytes}


class _Passes(TorchDispatchMode):
    """Adds up the bytes that operations move."""

    num_bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            given = (*args, *(out if isinstance(out, (tuple, list)) else (out,)))
            self.num_bytes += sum(_distinct_bytes(one) for one in given)
        return out


def _distinct_bytes(value: object) -> int:
    """Bytes of a tensor `[...]`; of one that repeats values, of those."""
    if not isinstance(value, torch.Tensor):
        return 0
    count = value.itemsize
    for length, stride in zip(value.shape, value.stride(), strict=True):
        count *= length if stride else 1
    return count
