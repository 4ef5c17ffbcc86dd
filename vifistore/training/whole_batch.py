"""Losses that compare all videos of a step, whatever its forward passes and processes.

The embeddings of all passes are made without a graph; the loss of all of them gives a gradient for
each; then every pass is made again, and takes its share through the model (Gao et al., Scaling Deep
Contrastive Learning Batch Size under Memory Limited Setup, 2021). It costs the forward passes once
more, and memory for one of them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from vifistore.training.distributed import Processes
from vifistore.training.systems.system import BatchObjective, Embedded, Sums
from vifistore.training.training_data import Views


def accumulate_together(
    objective: BatchObjective, views: Sequence[Views], processes: Processes
) -> Sums | None:
    """Add the gradients of the loss of all views, of all processes, to the parameters.

    Summed over processes they are those of one forward pass. What is returned is of all views, in
    the first process; None in others, and where no view was read.
    """
    with torch.no_grad():
        own = [objective.embed(one) for one in views]
    parts = processes.merged({processes.rank: _on_cpu(own)} if own else {})
    if not parts:
        return None
    every = _joined([parts[rank] for rank in sorted(parts)], objective.texts().device)
    leaves = [every.views.requires_grad_(), every.texts.requires_grad_()]
    sums = objective.compare(every)
    # What the loss itself learns, its scale, learns from one process: gradients are added up.
    extra = [sums.loss] if processes.is_first else []
    gradients = torch.autograd.grad(sums.loss, leaves, retain_graph=bool(extra))
    for loss in extra:
        loss.backward()
    start = sum(len(parts[rank][2]) for rank in parts if rank < processes.rank)
    for one in views:
        again, stop = objective.embed(one), start + len(one.frames)
        shares = [gradient[start:stop] for gradient in gradients]
        torch.autograd.backward([again.views, again.texts], shares)
        start = stop
    return sums if processes.is_first else None


def _on_cpu(own: Sequence[Embedded]) -> tuple[Tensor, Tensor, Tensor]:
    parts = zip(*((one.views, one.texts, one.labels) for one in own), strict=True)
    views, texts, labels = (torch.cat(part).cpu() for part in parts)
    return views, texts, labels


def _joined(parts: Sequence[tuple[Tensor, Tensor, Tensor]], device: torch.device) -> Embedded:
    views, texts, labels = (torch.cat(part).to(device) for part in zip(*parts, strict=True))
    return Embedded(views=views, texts=texts, labels=labels)
