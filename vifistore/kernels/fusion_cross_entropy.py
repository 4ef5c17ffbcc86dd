"""Soft-target cross-entropy of views against class texts, for the three fusions.

With the scores of vifistore.kernels.fusion_scores and targets y_vc (label smoothing and mixed
labels included; rows need not sum to one):

    embedding, decision   (1/V) sum_v  - sum_c y_vc log softmax_c(score_vc)
    image                 (1/VT) sum_vt - sum_c y_vc log softmax_c(l_vtc)

The loss of image-level fusion is each frame's own cross-entropy, averaged, which is how the paper
trains it; the score of image-level fusion is the log of the mean probability. Each frame's loss
is n_vt sum_c y_vc - sum_c y_vc l_vtc with n_vt = log sum_c exp(l_vtc), and its gradient has

    A_vtc = -y_vc / (V T),    d l_vtc = A_vtc - p_vtc sum_c A_vtc
"""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from vifistore.errors import UsageError
from vifistore.kernels.dispatch import SavedContext, chosen_way, compute_dtype
from vifistore.kernels.frame_logits import FrameLogits, RowSums
from vifistore.kernels.frame_softmax import frame_softmax_backward, frame_softmax_forward
from vifistore.kernels.fusion_scores import (
    frame_logits_reference,
    fusion_inputs,
    fusion_scores,
    fusion_scores_reference,
)


def fusion_cross_entropy(
    frames: Tensor, text: Tensor, logit_scale: Tensor | float, targets: Tensor, fusion: str
) -> Tensor:
    """Mean cross-entropy over the views.

    frames: `[view frame dim]`, un-normalised. text: `[class dim]`, normalised here. logit_scale:
    the multiplier itself. targets: weights of the classes, `[view class]`; they take no gradient.
    fusion: `embedding`, `decision` or `image`. Returns one number, float32 (float64 for float64
    frames), differentiable once in frames, text and logit_scale. UnknownNameError for another
    fusion; UsageError for shapes that do not fit.
    """
    if targets.shape != (len(frames), len(text)):
        raise UsageError(
            f"targets are {list(targets.shape)} for {len(frames)} views and {len(text)} classes; "
            "give [view class]"
        )
    targets = targets.detach().to(compute_dtype(frames))
    with torch.autocast(frames.device.type, enabled=False):
        text, scale = fusion_inputs(frames, text, logit_scale, fusion)
        if fusion != "image":
            return _soft_cross_entropy(fusion_scores(frames, text, scale, fusion), targets)
        if chosen_way(frames).is_kernel:
            return ImageCrossEntropyFunction.apply(frames, text, scale, targets)
        return fusion_cross_entropy_reference(frames, text, scale, targets, fusion)


def fusion_cross_entropy_reference(
    frames: Tensor, text: Tensor, logit_scale: Tensor, targets: Tensor, fusion: str
) -> Tensor:
    """Plain PyTorch form of `fusion_cross_entropy`: frames `[view frame dim]`, text `[class dim]`,
    logit_scale `[]`, targets `[view class]`; returns `[]`."""
    if fusion == "image":
        return _soft_cross_entropy(
            frame_logits_reference(frames, text, logit_scale), targets.unsqueeze(1)
        )
    return _soft_cross_entropy(fusion_scores_reference(frames, text, logit_scale, fusion), targets)


def _soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return -(targets * logits.log_softmax(-1)).sum(-1).mean()


class ImageCrossEntropyFunction(torch.autograd.Function):
    """Ties the kernels of the per-frame cross-entropy together for autograd."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, frames: Tensor, text: Tensor, logit_scale: Tensor, targets: Tensor
    ) -> Tensor:
        """The mean loss `[]` of frames `[view frame dim]` against targets `[view class]`."""
        logits, of_rows = frame_softmax_forward(frames, text, logit_scale, targets)
        assert of_rows is not None, "they come with targets"
        losses, sums = of_rows
        ctx.save_for_backward(*logits, *sums, targets)
        return losses.mean()

    # To torch's stub of the decorator the first parameter has no name.
    @staticmethod
    @once_differentiable
    def backward(ctx: SavedContext, grad_loss: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients of frames `[view frame dim]`, text `[class dim]` and logit_scale `[]`."""
        *logits, total, along, targets = ctx.saved_tensors
        logits, sums = FrameLogits(*logits), RowSums(total, along)
        share = -grad_loss / logits.normaliser.numel()
        needed = ctx.needs_input_grad[:3]
        grads = frame_softmax_backward(logits, targets * share, needed, sums=sums.times(share))
        return *grads, None
