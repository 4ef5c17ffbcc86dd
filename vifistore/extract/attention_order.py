"""Which of torch's ways through attention a tower takes on a GPU: the fastest, by measuring.

That depends on the GPU, on torch, on the tokens of a frame and the width of a head. Numbers differ
in their last bits, so that the first of the usual order stays unless another is faster by a tenth:
runs on one machine should choose alike.
"""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from vifistore.models.openclip_parts import ImageTower
from vifistore.models.packed_block import PackedBlock

logger = logging.getLogger("vifi")

_ORDER = (
    *(SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION),
    *(SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH),
)
_MARGIN = 1.1
_REPEATS = 10
# Enough to fill any GPU, and memory for them.
_FRAMES = 64

# Queries, keys and values [batch head token channel], and the way -> seconds of a call.
Timer = Callable[[Sequence[torch.Tensor], SDPBackend], float]


def attention_order(
    tower: nn.Module, dtype: torch.dtype, device: torch.device, timer: Timer
) -> list[SDPBackend]:
    """The ways a tower tries, the fastest first; the usual order for a tower whose attention is of
    another kind."""
    shape = _attention_shape(tower)
    if shape is None:
        return [*_ORDER]
    tokens, heads, width = shape
    # As packed blocks give them: views of one product.
    made = torch.randn(_FRAMES, tokens, 3, heads, width, dtype=dtype, device=device)
    parts = made.permute(2, 0, 3, 1, 4).unbind()
    times = {way: timer(parts, way) for way in _ORDER[:-1] if _runs(parts, way)}
    order = by_speed(times)
    told = ", ".join(f"{way.name.lower()} {1e3 * taken:.3f} ms" for way, taken in times.items())
    logger.info("attention by %s (%s)", order[0].name.lower(), told)
    return order


def by_speed(times: Mapping[SDPBackend, float]) -> list[SDPBackend]:
    """The ways, the one to take first in front: of those with times, in seconds, the first of the
    usual order that no other beats by a tenth."""
    usual = [way for way in _ORDER if way in times]
    best = min(times.values(), default=0.0)
    first = next((way for way in usual if times[way] <= _MARGIN * best), _ORDER[-1])
    return [first, *(way for way in _ORDER if way is not first)]


def gpu_seconds(parts: Sequence[torch.Tensor], way: SDPBackend) -> float:
    """Seconds of one call on the GPU where queries, keys and values `[batch head token channel]`
    lie."""
    query, key, value = parts
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    with torch.inference_mode(), sdpa_kernel(way):
        for number in range(2 * _REPEATS):
            if number == _REPEATS:
                begin.record()
            functional.scaled_dot_product_attention(query, key, value)
        end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / _REPEATS


def _runs(parts: Sequence[torch.Tensor], way: SDPBackend) -> bool:
    """Whether a way takes these at all; torch warns of why it does not."""
    query, key, value = parts
    try:
        with warnings.catch_warnings(action="ignore"), torch.inference_mode(), sdpa_kernel(way):
            functional.scaled_dot_product_attention(query, key, value)
    except RuntimeError:
        return False
    return True


def _attention_shape(tower: nn.Module) -> tuple[int, int, int] | None:
    """Tokens of a frame, heads, and the width of a head, of a packed tower; None for any other."""
    for part in tower.modules():
        for block in getattr(getattr(part, "transformer", None), "resblocks", ()):
            if isinstance(block, PackedBlock):
                positions = cast(ImageTower, part).positional_embedding
                width = positions.shape[1] // block.num_heads
                return len(positions), block.num_heads, width
    return None
