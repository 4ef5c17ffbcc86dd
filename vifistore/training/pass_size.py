"""How many views a forward pass takes where the memory of the GPU is too small for all at once."""

import logging
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vifistore.training.systems.system import Objective
from vifistore.training.training_data import Views

logger = logging.getLogger("vifi")

# Of what is free: other sizes of tensors leave gaps.
_USABLE = 0.85
# A pass of so many and one of twice as many: what a view takes is their difference.
_FEW = 2
# AdamW keeps two averages of every number that is trained, beside its gradient.
_OF_WHAT_IS_TRAINED = 3
# Pixels of so many whole passes are there at once, in use, ready and being made.
_AHEAD = 5


def fitting_views(per_view: float, fixed: float, free: float, wanted: int) -> int:
    """Views of each of the fewest equal passes that fit: each takes `per_view` bytes of `free`, all
    together `fixed` more; at least 1, and at most `wanted`."""
    room = int(max(free - fixed, 0) // max(per_view, 1))
    num_passes = -(-wanted // max(1, min(room, wanted)))
    return -(-wanted // num_passes)


def pieces(views: Views, most: int) -> Iterator[Views]:
    """The views of a pass, at most so many at once, in their order."""
    if len(views.frames) <= most:
        yield views
        return
    for start in range(0, len(views.frames), most):
        part = slice(start, start + most)
        yield Views(
            frames=views.frames[part],
            targets=views.targets[part],
            rows=views.rows[part],
            epoch=views.epoch,
        )


def measured_views(
    objective: Objective,
    shape: tuple[int, ...],
    num_classes: int,
    parameters: Sequence[Tensor],
    wanted: int,
) -> int:
    """Views of a pass that fit into the memory of a GPU, by the memory that passes of few take.

    `shape` is that of a view's pixels, `[frame 3 size size]`; `parameters` are what is trained,
    whose gradients are forgotten.
    """
    few = min(_FEW, wanted // 2)
    if not few:
        return wanted
    try:
        taken = [_peak_bytes(objective, shape, num_classes, count) for count in (few, 2 * few)]
    except torch.OutOfMemoryError:
        return 1
    finally:
        for parameter in parameters:
            parameter.grad = None
    trained = sum(parameter.nbytes for parameter in parameters)
    per_view = (taken[1] - taken[0]) / few
    pixels = wanted * math.prod(shape) * torch.float32.itemsize
    fixed = taken[0] - per_view * few + _OF_WHAT_IS_TRAINED * trained + _AHEAD * pixels
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(parameters[0].device)
    most = fitting_views(per_view, fixed, _USABLE * free, wanted)
    if most < wanted:
        logger.info("of %d videos of a pass %d at once fit into the memory", wanted, most)
    return most


def _peak_bytes(objective: Objective, shape: tuple[int, ...], num_classes: int, count: int) -> int:
    """Most memory of the GPU that a pass of so many blank views takes, forward and backward."""
    texts = objective.texts()
    device = texts.device
    views = Views(
        frames=torch.zeros(count, *shape, device=device),
        targets=torch.full((count, num_classes), 1 / num_classes, device=device),
        rows=tuple(range(count)),
        epoch=0,
    )
    del texts
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    objective.sums(views, objective.texts()).loss.backward()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before
