"""What the kernels of fusion_cross_entropy do in a call, counted from the tiles that they run with.

A product of a row with a class is 2 x dim operations. Tiles that go beyond the ends are counted
whole, as they are computed, and a load each time that it is made, from memory or from a cache.
"""

from dataclasses import dataclass

from vifistore.kernels.dispatch import blocks_over

COUNTED = (
    *("frame_softmax_forward", "frame_softmax_backward"),
    *("frames_backward", "text_backward"),
)
"""Kernels that are counted."""
# Products of all rows with all classes that a loss and its gradients cannot do without: logits once
# forward and once for each gradient, and each gradient's own.
FEWEST_PRODUCTS = 5


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
    """Operations of the logits, operations of the gradient's products, and bytes that are loaded.

    kernel: one of `COUNTED`. tiles: sizes and numbers of terms as they are compiled in.
    """
    rows, classes = tiles["BLOCK_ROWS"], tiles["BLOCK_CLASSES"]
    pairs = blocks_over(call.rows, rows) * blocks_over(call.classes, classes)
    width = blocks_over(call.dim, tiles["BLOCK_DIM"]) * tiles["BLOCK_DIM"]
    terms, out = tiles["TEXT_TERMS"], tiles.get("BLOCK_OUT", 0)
    slices = blocks_over(call.dim, out) if out else 1
    matrix_rows, products = {
        "frames_backward": (classes * terms, tiles["GRADIENT_TERMS"] + terms - 1),
        "text_backward": (rows, tiles["GRADIENT_TERMS"]),
    }.get(kernel, (0, 0))
    loaded = (rows + classes * terms) * call.dim + matrix_rows * min(out, call.dim)
    return {
        "logit_operations": 2 * slices * pairs * rows * classes * width * terms,
        "gradient_operations": 2 * slices * pairs * rows * classes * out * products,
        "loaded_bytes": slices * pairs * loaded * call.item_bytes,
    }
