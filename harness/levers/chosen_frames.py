"""Some frames of a view count more than others, by rules on their embeddings.

A view becomes sum_f w_f x_f, compared by its cosine as by embedding fusion, which has all w_f = 1.
With u_f = x_f / |x_f|, and m and d the mean and deviation over the frames of a view:

    frames-on-topic   w_f = 0 where u_f . (sum of the others) lies below its m - d
    frames-moving     w_f = 0 where 1 - u_f . u_g, with g the last frame kept, is less than half the
                      median of 1 - u_f . u_(f-1): what stands still counts once
    frames-sharp      w_f = 0 where |x_f| lies below its m - d
    frames-by-text    w_fc = softmax_f(u_f . t_c / 0.1), for each class c by itself

The first two are what near-duplicates and outliers are in clustering of frames. Embeddings of poor
pictures, blurred ones among them, are short in networks that are trained by a softmax (Ranjan et
al. 2017, L2-constrained Softmax Loss, section 3); whether they are so in a CLIP, this lever tells.
The last is the weighted mean of Bain et al. 2022, A CLIP-Hitchhiker's Guide to Long Video
Retrieval, section 3: unlike attention fusion it makes the mean unit length. The rules are fixed:
nothing is chosen by labels.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from harness.frame_scores import frame_scores
from harness.fusion import ATTENTION_TEMPERATURE, SLAB_VECTORS, class_products, sum_over_views, unit
from harness.levers.lever import Given, Lever, Lifted
from harness.softmax import softmax

Weigh = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Frames [video view frame dim] and unit class vectors [class dim] -> weights [video view frame
class], or [video view frame 1] where they are the same for all."""


def on_topic(frames: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Weights [video view frame 1] of frames [video view frame dim]: 0 of those unlike the rest."""
    units = unit(frames)
    # A frame's own share of the sum is 1.
    likeness = np.einsum("vwfd,vwd->vwf", units, units.sum(axis=2)) - 1
    return _not_below(likeness)


def sharp(frames: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Weights [video view frame 1] of frames [video view frame dim]: 0 of short ones."""
    return _not_below(np.linalg.norm(frames, axis=3))


def _not_below(values: np.ndarray) -> np.ndarray:
    mean, deviation = values.mean(axis=2, keepdims=True), values.std(axis=2, keepdims=True)
    # Of frames that are all alike rounding makes a deviation, which drops none.
    least = mean - deviation - 1e-5 * np.abs(mean)
    return (values >= least).astype(np.float32)[..., None]


def moving(frames: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Weights [video view frame 1] of frames [video view frame dim] in the order of time: 0 of
    those that show what the last one kept does."""
    units = unit(frames)
    weights = np.ones(frames.shape[:3], np.float32)
    if frames.shape[2] < 2:
        return weights[..., None]
    changes = 1 - np.einsum("vwfd,vwfd->vwf", units[:, :, 1:], units[:, :, :-1])
    # Frames that are all alike differ by rounding, which drops none.
    least = np.median(changes, axis=2) / 2 - 1e-6
    last = units[:, :, 0].copy()
    for frame in range(1, frames.shape[2]):
        here = units[:, :, frame]
        kept = 1 - np.einsum("vwd,vwd->vw", here, last) >= least
        weights[:, :, frame] = kept
        last[kept] = here[kept]
    return weights[..., None]


def by_text(frames: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Weights [video view frame class] of frames [video view frame dim] by their cosines with the
    unit vectors of classes [class dim]."""
    cosines = class_products(unit(frames), classes)
    return softmax(cosines / np.float32(ATTENTION_TEMPERATURE), axis=2)


def pooled_cosines(frames: np.ndarray, weights: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Cosines [video view class] of weighted sums of frames [video view frame dim] with unit class
    vectors [class dim]; weights are [video view frame class], or 1 for all classes."""
    frames = np.asarray(frames, np.float32)
    products = (weights * class_products(frames, classes)).sum(axis=2)
    # |sum_f w_f x_f|^2 = sum_fg w_f w_g x_f . x_g, of each class without a sum for each.
    gram = frames @ np.swapaxes(frames, 2, 3)
    squares = np.einsum("vwfc,vwfc->vwc", weights, gram @ weights)
    lengths = np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))
    return products / lengths


def _weighed(weigh: Weigh, given: Given) -> Lifted:
    classes, scores = given.classes, np.empty_like(given.scores, np.float32)
    kept: list[float] = []

    def fuse(frames: np.ndarray) -> dict[str, np.ndarray]:
        step = max(1, SLAB_VECTORS // (frames.shape[1] * frames.shape[2]))
        parts = [frames[start : start + step] for start in range(0, len(frames), step)]
        weights = [weigh(part, classes.vectors) for part in parts]
        kept.extend(float((one > 0).mean()) * one.shape[0] * one.shape[1] for one in weights)
        cosines = [
            pooled_cosines(part, one, classes.vectors)
            for part, one in zip(parts, weights, strict=True)
        ]
        return {"": sum_over_views(np.concatenate(cosines), classes.link)}

    for positions, parts in frame_scores(given.videos.features, given.videos.rows, fuse):
        scores[positions] = parts[""]
    num_views = len(scores) * given.num_views
    return Lifted(scores=scores, facts={"frames_kept": round(sum(kept) / num_views, 4)})


def _lever(weigh: Weigh) -> Lever:
    return Lever(score=partial(_weighed, weigh), needs=("frames",))


FRAME_CHOICES = {
    "frames-on-topic": _lever(on_topic),
    "frames-moving": _lever(moving),
    "frames-sharp": _lever(sharp),
    "frames-by-text": _lever(by_text),
}
