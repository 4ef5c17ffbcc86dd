"""An image tower as its device runs it: packed, on its device, in a batch that its memory holds."""

import contextlib
import copy
import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vifistore.models.packed_tower import pack, pack_last, why_not

logger = logging.getLogger("vifi")

# A core's caches hold the activations of some thousand tokens: 32 frames of a ViT-B-32, 8 of a
# ViT-B-16, which with 32 is a tenth slower. A GPU needs many frames to be filled.
_CPU_BATCH, _CPU_TOKENS, _GPU_BATCH = 32, 1600, 512

Ready = TypeVar("Ready")


def tower_on(tower: nn.Module, device: torch.device, dtype: torch.dtype, frames: int) -> nn.Module:
    """A copy of a tower on a device, for inference of so many frames a batch: the model may go on
    to encode text, or be trained. Casting it once is several times faster than autocast, which
    without gradients casts every weight at every batch."""
    own = copy.deepcopy(tower).eval()
    if device.type != "cuda":
        reason = pack_last(own.to(device, dtype), frames)
    elif not (reason := why_not(own)):
        pack(own)
    if reason:
        logger.debug("the image tower runs as it is: %s", reason)
    return own.to(device, dtype)


def suitable_batch(tower: nn.Module, device: torch.device) -> int:
    """Frames a batch that suit the device and the tower."""
    if device.type == "cuda":
        return _GPU_BATCH
    positions = getattr(tower, "positional_embedding", None)
    return _CPU_BATCH if positions is None else max(1, _CPU_TOKENS // len(positions))


def is_convolutional(tower: nn.Module) -> bool:
    """Whether a tower has more convolutions than the one that cuts a ViT's patches."""
    return sum(isinstance(module, nn.Conv2d) for module in tower.modules()) > 1


@contextlib.contextmanager
def running_on(device: torch.device, ways: Sequence[SDPBackend]) -> Iterator[None]:
    """How a tower runs on a device: without gradients, on a GPU by these ways through attention.

    On a CPU torch's own path through a whole attention layer is twice as fast; on a GPU
    `scaled_dot_product_attention` is, and it is what can be compiled.
    """
    on_gpu, previous = device.type == "cuda", torch.backends.mha.get_fastpath_enabled()
    with contextlib.ExitStack() as stack:
        stack.callback(torch.backends.mha.set_fastpath_enabled, previous)
        torch.backends.mha.set_fastpath_enabled(not on_gpu)
        if on_gpu:
            # Graphs and compiled code belong to the current GPU.
            stack.enter_context(torch.cuda.device(device))
            stack.enter_context(sdpa_kernel([*ways], set_priority=True))
        stack.enter_context(torch.inference_mode())
        yield


def in_memory(make: Callable[[int], Ready], batch: int) -> tuple[Ready, int]:
    """What `make` makes of a batch of so many rows, halved until the GPU's memory holds it, and
    that number; each halving is said in a line.

    Raises torch.OutOfMemoryError where there is no room for one row.
    """
    while True:
        try:
            return make(batch), batch
        except RuntimeError as error:
            if batch == 1 or not is_out_of_memory(error):
                raise
        _release()
        logger.warning(
            "the image tower has no room on the GPU for batches of %d: they become %d; --batch %d "
            "spares the attempt",
            *(batch, batch // 2, batch // 2),
        )
        batch //= 2


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error is a lack of a GPU's memory, or came of one: torch's compiler wraps them."""
    while error is not None:
        text = str(error).lower()
        if isinstance(error, torch.OutOfMemoryError) or "cuda error: out of memory" in text:
            return True
        error = error.__cause__ or error.__context__
    return False


def _release() -> None:
    """Give back what a failed attempt took: graphs keep memory of their own."""
    torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
