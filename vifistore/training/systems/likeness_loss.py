"""ActionCLIP's loss: how far the likeness of views and texts is from that of their classes.

With v_i the views of a batch, t_j a text of the class of view j, both at unit length, s the scale:

    KL of softmax_j(s v_i t_j) from softmax_j(10 [class i = class j]), over rows and over columns,
    halved                                                       (train.py, utils/KLLoss.py)
"""

import torch
from torch import Tensor
from torch.nn.functional import kl_div, normalize

# How much more alike two views of one class are meant to be than two of different classes.
_SHARPNESS = 10


def actionclip_loss(views: Tensor, text: Tensor, labels: Tensor, scale: Tensor | float) -> Tensor:
    """ActionCLIP's loss of a batch.

    views and text `[view dim]`: each view beside a text of its class; labels `[view]`.
    """
    logits = scale * cosines_of(views, text)
    alike = (labels[:, None] == labels).to(logits.dtype)
    targets = (_SHARPNESS * alike).softmax(1)
    directions = [
        kl_div(direction.log_softmax(1), targets, reduction="batchmean")
        for direction in (logits, logits.T)
    ]
    return torch.stack(directions).mean()


def cosines_of(views: Tensor, text: Tensor) -> Tensor:
    """`[view dim]` and `[text dim]` -> `[view text]`."""
    return normalize(views, dim=-1) @ normalize(text, dim=-1).T
