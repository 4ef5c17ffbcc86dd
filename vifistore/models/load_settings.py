"""What can be told about the weights that a model gets. Imports no torch, for --help."""

import logging
from dataclasses import dataclass

from vifistore.errors import UsageError, short

logger = logging.getLogger("vifi")

LARGEST_SIDE = 2048

HF_PREFIX = "hf:"
"""What `--model` begins with for models of transformers."""
RANDOM = "none"
"""What `--pretrained` says for random weights."""


def tell_random(model: str) -> None:
    """Log that a model gets random weights; a command says so once, however often it loads it."""
    logger.warning(
        "--pretrained none: %s gets RANDOM weights; its numbers mean nothing, use it to try things",
        short(model, 80),
        extra={"once": True},
    )


@dataclass(frozen=True, kw_only=True)
class WeightsSettings:
    """Which of a file's weights are taken, and for pictures of which size."""

    image_size: int = 0
    """Side of the pictures that the image tower takes, pixels; positional embeddings of another
    size are resized to it. 0: the size of the model or, of a checkpoint of ours, its own."""
    ema_weights: bool = False
    """Take the average over training (EMA) from a file that holds one beside its weights."""

    def __post_init__(self) -> None:
        if not 0 <= self.image_size <= LARGEST_SIDE:
            raise UsageError(
                f"--image-size is {self.image_size}; give pixels, at most {LARGEST_SIDE}"
            )
