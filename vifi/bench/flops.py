"""How much arithmetic a forward pass is."""

import logging

import torch
from torch.utils.flop_counter import FlopCounterMode

from vifistore.models.towers import LoadedModel

logger = logging.getLogger("vifi")


def forward_flops(module: torch.nn.Module, *shapes: tuple[int, ...]) -> int:
    """Floating-point operations of a forward pass over inputs of these shapes.

    A multiply-accumulate is two. Matrix products, convolutions and attention are counted, as in
    torch's own counter; what papers call GFLOPs is often the number of multiply-accumulates, half
    of this. Nothing is computed: tensors have shapes and no data.
    """
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    shadows = {name: torch.empty_like(value, device="meta") for name, value in state.items()}
    dtype = next(module.parameters()).dtype
    inputs = tuple(torch.empty(shape, dtype=dtype, device="meta") for shape in shapes)
    whole_layers = torch.backends.mha.get_fastpath_enabled()
    # The counter does not know the operation that stands for a whole attention layer.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            torch.func.functional_call(module, shadows, inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(whole_layers)
    return counter.get_total_flops()


def image_flops(loaded: LoadedModel) -> int:
    """Floating-point operations of the image tower for one frame.

    0 for a tower with operations that need data, not only shapes: those cannot be counted.
    """
    try:
        return forward_flops(loaded.clip.visual, (1, 3, *loaded.image_size))
    except RuntimeError as error:
        logger.info("arithmetic of %s is not counted: %s", loaded.model, str(error).split("\n")[0])
        return 0
