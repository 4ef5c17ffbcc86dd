"""Tables of docs/GPU.md, made of rows of benchmarks/kernel_figures.py."""

from collections.abc import Iterator

CROSS_ENTROPY = (
    *("frame_softmax_forward", "logit_gradient"),
    *("frames_gradient", "text_gradient"),
)
"""Kernels of fusion_cross_entropy and its gradients."""
# Of an H100: products in half precision and in float32 a second as NVIDIA's data sheet has them,
# and bytes a second from its L2 cache, which are assumed.
TENSOR_RATE, SINGLE_RATE, CACHE_RATE = 989e12, 67e12, 5.5e12
_DIGITS = (1, 2, 2, 1, 2, 2)


def floors(rows: list[dict]) -> Iterator[str]:
    """Lines of a table of fusion_cross_entropy beside plain PyTorch: what its newest rows count,
    and the milliseconds that takes at least, of an H100.

    Loads and products of a kernel run beside each other, operations of PyTorch after each other.
    """
    newest = {
        (row["sizes"], row["dtypes"], row["kernel"]): row
        for row in rows
        if row["case"] == "fusion_cross_entropy"
    }
    for *case, kernel in newest:
        if kernel != "eager":
            continue
        plain, *own = (newest[*case, name] for name in ("eager", *CROSS_ENTROPY))
        work = [row["logit_operations"] + row["gradient_operations"] for row in own]
        loaded = [row["loaded_bytes"] for row in own]
        floor = sum(max(w / TENSOR_RATE, b / CACHE_RATE) for w, b in zip(work, loaded, strict=True))
        products, moved = plain["product_operations"], plain["moved_bytes"]
        eager_floor = products / SINGLE_RATE + moved / CACHE_RATE
        told = sum(work), sum(loaded), floor * 1e12, products, moved, eager_floor * 1e12
        cells = (f"{value / 1e9:.{digits}f}" for value, digits in zip(told, _DIGITS, strict=True))
        yield "| " + " | ".join((*case, *cells)) + " |"


def occupancy(rows: list[dict]) -> Iterator[str]:
    """Lines of a table of what loads ahead, of the newest row of each case and its last Triton."""
    newest = {(row["kernel"], row["case"], row["sizes"], row["dtypes"]): row for row in rows}
    for row in newest.values():
        if "bytes_in_flight" in row:
            cells = (
                *(row["case"], row["sizes"], row["dtypes"], row["registers"]),
                *(row["warps_per_multiprocessor"], row["stages_ahead"]),
                f"{row['bytes_in_flight'] / 1024:.0f}",
            )
            yield "| " + " | ".join(map(str, cells)) + " |"
