"""Class scores of views from their frame embeddings, for the three places where frames merge.

With frame embeddings x_vt, unit text embeddings w_c and the logit scale s (ViFi-CLIP, table 5):

    l_vtc     = s (x_vt / |x_vt|) . w_c                         logits of one frame
    embedding   s (m_v / |m_v|) . w_c,   m_v = (1/T) sum_t x_vt
    decision    (1/T) sum_t l_vtc
    image       log (1/T) sum_t softmax_c(l_vtc)                log of the mean probability

Embedding and decision scores need only pooled frames and one small product. Image scores need
every frame's softmax; the kernel holds logits in tiles, and of their gradients no more than half
is ever written at once. With u = d image_vc, each frame gets its share of a class's probability:

    A_vtc = u_vc p_vtc / sum_t p_vtc,    d l_vtc = A_vtc - p_vtc sum_c A_vtc
"""

import math

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from vifistore.errors import UnknownNameError, UsageError
from vifistore.kernels.dispatch import (
    SavedContext,
    blocks_over,
    chosen_way,
    compute_dtype,
    launch,
    tl,
    triton,
)
from vifistore.kernels.frame_logits import FrameLogits
from vifistore.kernels.frame_softmax import frame_softmax_backward, frame_softmax_forward
from vifistore.kernels.frame_softmax_tiles import cosine_tile
from vifistore.kernels.temporal_pool import temporal_pool, unit_rows
from vifistore.kernels.tile_choices import SCORES

FUSIONS = ("embedding", "decision", "image")


def fusion_scores(frames: Tensor, text: Tensor, logit_scale: Tensor | float, fusion: str) -> Tensor:
    """Scores of each class for each view; their softmax over classes is the prediction.

    frames: `[view frame dim]`, un-normalised. text: `[class dim]`, normalised here. logit_scale:
    the multiplier itself, not its logarithm. fusion: `embedding`, `decision` or `image`. Returns
    `[view class]`, float32 (float64 for float64 frames); exp of image scores sums to one.
    Differentiable once in all three tensors. A zero frame is equally like every class.
    UnknownNameError for another fusion; UsageError for shapes that do not fit.
    """
    # A mixed-precision region would round logits, which the scale has made large.
    with torch.autocast(frames.device.type, enabled=False):
        text, scale = fusion_inputs(frames, text, logit_scale, fusion)
        if fusion != "image":
            return _pooled_scores(frames, text, scale, fusion)
        if chosen_way(frames).is_kernel:
            return ImageScoresFunction.apply(frames, text, scale)
        return fusion_scores_reference(frames, text, scale, fusion)


def fusion_scores_reference(
    frames: Tensor, text: Tensor, logit_scale: Tensor, fusion: str
) -> Tensor:
    """Plain PyTorch form of `fusion_scores`, each formula as it is written above.

    frames `[view frame dim]`, text `[class dim]`, logit_scale `[]`; returns `[view class]`.
    """
    if fusion == "embedding":
        mean = frames.to(compute_dtype(frames)).mean(1, keepdim=True)
        return frame_logits_reference(mean, text, logit_scale).squeeze(1)
    logits = frame_logits_reference(frames, text, logit_scale)
    if fusion == "decision":
        return logits.mean(1)
    return logits.log_softmax(-1).logsumexp(1) - math.log(frames.shape[1])


def frame_logits_reference(frames: Tensor, text: Tensor, logit_scale: Tensor) -> Tensor:
    """Logits `[view frame class]` of every frame."""
    dtype = compute_dtype(frames)
    return logit_scale * unit_rows(frames.to(dtype)) @ unit_rows(text.to(dtype)).T


def fusion_inputs(
    frames: Tensor, text: Tensor, logit_scale: Tensor | float, fusion: str
) -> tuple[Tensor, Tensor]:
    """Text `[class dim]` and logit scale `[]` in types that go with frames `[view frame dim]`.

    Raises UnknownNameError for an unknown fusion, UsageError for shapes that do not fit.
    """
    if fusion not in FUSIONS:
        raise UnknownNameError("fusion", fusion, FUSIONS)
    if frames.ndim != 3 or text.ndim != 2 or frames.shape[-1] != text.shape[-1]:
        raise UsageError(
            f"frames {list(frames.shape)} and text {list(text.shape)} do not fit; "
            "give [view frame dim] and [class dim] of one model"
        )
    dtype = compute_dtype(frames)
    if dtype == torch.float64 or text.dtype == torch.float64:
        text = text.to(dtype)
    return text, torch.as_tensor(logit_scale, dtype=dtype, device=frames.device).view(())


def _pooled_scores(frames: Tensor, text: Tensor, logit_scale: Tensor, fusion: str) -> Tensor:
    mean, consensus = temporal_pool(frames)
    pooled = unit_rows(mean) if fusion == "embedding" else consensus
    return logit_scale * pooled @ unit_rows(text.to(pooled.dtype)).T


class ImageScoresFunction(torch.autograd.Function):
    """Ties the kernels of image scores together for autograd."""

    @staticmethod
    def forward(ctx: FunctionCtx, frames: Tensor, text: Tensor, logit_scale: Tensor) -> Tensor:
        """Image scores `[view class]` of frames `[view frame dim]` for text `[class dim]`."""
        logits, *_ = frame_softmax_forward(frames, text, logit_scale)
        scores = image_scores_forward(logits)
        ctx.save_for_backward(*logits, scores)
        return scores

    # To torch's stub of the decorator the first parameter has no name.
    @staticmethod
    @once_differentiable
    def backward(ctx: SavedContext, grad_scores: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients of frames `[view frame dim]`, text `[class dim]` and logit_scale `[]`."""
        *logits, scores = ctx.saved_tensors
        return frame_softmax_backward(
            FrameLogits(*logits), grad_scores, ctx.needs_input_grad, scores
        )


def image_scores_forward(logits: FrameLogits) -> Tensor:
    """Log of the mean probability, `[view class]`."""
    num_views, num_frames, dim = logits.frames.shape
    num_classes = len(logits.text)
    scores = logits.normaliser.new_empty(num_views, num_classes)
    blocks = logits.tiles(SCORES, num_frames)
    launch(
        _image_scores_forward_kernel,
        (num_views, blocks_over(num_classes, blocks["BLOCK_CLASSES"])),
        *logits.arguments,
        scores,
        num_frames,
        num_classes,
        dim,
        **blocks,
    )
    return scores


@triton.jit
def _image_scores_forward_kernel(
    frames_ptr,
    text_ptr,
    scale_ptr,
    row_inverse_ptr,
    class_inverse_ptr,
    normaliser_ptr,
    scores_ptr,
    num_frames,
    num_classes,
    dim,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_CLASSES: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    DOT_TYPE: tl.constexpr,
    TERM_TYPE: tl.constexpr,
    TEXT_TERMS: tl.constexpr,
    GRADIENT_TERMS: tl.constexpr,
):
    """Log of the mean probability; one program a view and a tile of classes."""
    view = tl.program_id(0).to(tl.int64)
    classes = tl.program_id(1) * BLOCK_CLASSES + tl.arange(0, BLOCK_CLASSES)
    scale = tl.load(scale_ptr)
    # Running maximum and sum over frames, so that a small probability does not become log 0.
    largest = tl.full([BLOCK_CLASSES], float("-inf"), scale.dtype)
    total = tl.zeros([BLOCK_CLASSES], scale.dtype)
    for start in range(0, num_frames, BLOCK_ROWS):
        frame = start + tl.arange(0, BLOCK_ROWS)
        rows = view * num_frames + frame
        end = (view + 1) * num_frames
        cosines = cosine_tile(
            frames_ptr,
            text_ptr,
            row_inverse_ptr,
            class_inverse_ptr,
            rows,
            classes,
            end,
            num_classes,
            dim,
            BLOCK_DIM,
            DOT_TYPE,
            TEXT_TERMS,
            True,
        )
        normaliser = tl.load(normaliser_ptr + rows, mask=rows < end, other=0.0)
        log_p = scale * cosines - normaliser[None, :]
        log_p = tl.where((rows < end)[None, :], log_p, float("-inf"))
        new_largest = tl.maximum(largest, tl.max(log_p, axis=1))
        total = total * tl.exp(largest - new_largest)
        total += tl.sum(tl.exp(log_p - new_largest[:, None]), axis=1)
        largest = new_largest
    scores = largest + tl.log(total / num_frames)
    tl.store(scores_ptr + view * num_classes + classes, scores, mask=classes < num_classes)
