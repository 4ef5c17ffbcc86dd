"""Fusions that compare with every text of a class by itself: those of its templates, or those that
describe it.

With v = mean_f x_f the embedding of a view, x_f those of its frames, u_f = x_f / |x_f|, and t_pc
the unit embedding of text p of the P texts of class c:

    each-template   1/P sum_p p(cos(v, t_pc)), see `harness/each_template.py`
    best-text       max_p cos(v, t_pc)
    transport       1/2 (mean_fp z_fp + sum_fp T_fp z_fp),  z_fp = u_f.t_pc, see `_transported`
    time-warping    the mean of z_fp along the path that aligns frames with texts, see `_warped`

A cosine becomes a probability by the link of the texts, and these are summed over views, as of
every fusion. With one text a class the first two are embedding fusion, the others decision fusion.
"""

from collections.abc import Callable

import numpy as np

from harness.each_template import EACH_TEMPLATE, fuse_templates
from harness.fusion import SLAB_VECTORS, class_cosines, sum_over_views
from harness.link import Link
from harness.slabs import run_slabs
from vifistore.errors import UsageError

BEST_TEXT, TRANSPORT, TIME_WARPING = "best-text", "transport", "time-warping"

# Of the released solver of OST.
TRANSPORT_ENTROPY = 0.1
TRANSPORT_STEPS = 100
# Steps end where no share of a frame changes by more than this part of it.
_SETTLED = 1e-5


def _best(cosines: np.ndarray) -> np.ndarray:
    """Cosines [video view class text] -> [video view class]."""
    return cosines.max(axis=3)


def _transported(cosines: np.ndarray) -> np.ndarray:
    """The mean cosine of a view, half of it of all pairs alike, half as the cheapest transport from
    frames to texts pairs them; [video view frame class text] -> [video view class].

    The transport T has 1/F and 1/P as its sums over texts and over frames, and is the one that
    maximises sum T z + 0.1 entropy(T) (Cuturi 2013, Sinkhorn Distances, algorithm 1): T_fp =
    r_f K_fp c_p with K = exp((z - 1) / 0.1). OST (Chen et al. 2024, Optimal Descriptor Solver) adds
    the cosine by transport to that of the means, where here is their mean: its ranking by the usual
    scale.
    """
    pairs = np.moveaxis(cosines, 2, 3)
    num_frames, num_texts = pairs.shape[-2:]
    kernel = np.exp((pairs - 1) / np.float32(TRANSPORT_ENTROPY))
    of_text = np.ones((*kernel.shape[:-2], num_texts, 1), np.float32)
    of_frame = np.ones((*kernel.shape[:-2], num_frames, 1), np.float32)
    for _ in range(TRANSPORT_STEPS):
        before = of_frame
        of_frame = 1 / (num_frames * (kernel @ of_text))
        of_text = 1 / (num_texts * (np.swapaxes(kernel, -1, -2) @ of_frame))
        if (np.abs(of_frame - before) <= _SETTLED * of_frame).all():
            break
    plan = of_frame * kernel * np.swapaxes(of_text, -1, -2)
    return ((plan * pairs).sum(axis=(-2, -1)) + pairs.mean(axis=(-2, -1))) / 2


def _warped(cosines: np.ndarray) -> np.ndarray:
    """The mean cosine along the path of dynamic time warping, [video view frame class text] ->
    [video view class].

    From the first frame and text to the last of both a path goes on by a frame, a text, or both;
    the one with the least sum of 1 - z is taken (Sakoe and Chiba 1978, section II), of two such the
    one with fewer steps at its end. Texts are in the order in which they happen, as ActAlign has
    them (Aghdam et al. 2025, arXiv 2506.22967), which also smooths frames over time and takes the
    sigmoid of its encoder instead of the cosine.
    """
    costs = np.moveaxis(1 - cosines, (2, 4), (0, 1))
    num_texts = costs.shape[1]
    row: list[tuple[np.ndarray, np.ndarray]] = []
    for frame, of_frame in enumerate(costs):
        above, row = row, []
        for text in range(num_texts):
            # Of ends that cost the same the first is taken: both, then a frame, then a text.
            ends = [above[text - 1]] if frame and text else []
            ends += [above[text]] if frame else []
            ends += [row[text - 1]] if text else []
            cost, steps = _cheapest(ends) if ends else (0, np.zeros(of_frame[0].shape, np.float32))
            row.append((cost + of_frame[text], steps + 1))
    cost, steps = row[-1]
    return 1 - cost / steps


def _cheapest(ends: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    cost, steps = ends[0]
    for other, other_steps in ends[1:]:
        is_less = other < cost
        cost, steps = np.where(is_less, other, cost), np.where(is_less, other_steps, steps)
    return cost, steps


Match = Callable[[np.ndarray], np.ndarray]
"""Cosines of view vectors [video view class text], or of frames [video view frame class text] ->
one cosine [video view class]."""

OF_VIEWS: dict[str, Match] = {BEST_TEXT: _best}
OF_FRAMES: dict[str, Match] = {TRANSPORT: _transported, TIME_WARPING: _warped}
TEXT_RULES = (EACH_TEMPLATE, *OF_VIEWS, *OF_FRAMES)


def fuse_texts(
    fusion: str,
    vectors: np.ndarray,
    texts: np.ndarray,
    link: Link,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """Scores of a fusion of TEXT_RULES, float32 [video class], probabilities summed over views.

    `vectors` are of views, [video view dim], or for those of OF_FRAMES of frames [video view frame
    dim]; `texts` unit vectors [class text dim], of which the first `counts` int64 [class] of each
    class are meant, all if None. Raises UsageError for each-template where counts differ.
    """
    if fusion == EACH_TEMPLATE:
        if counts is not None:
            raise UsageError(
                "each-template fusion averages over templates, and classes are described by texts "
                f"of their own; give --fusion {BEST_TEXT}"
            )
        return fuse_templates(vectors, texts, link)
    vectors, match = np.asarray(vectors, np.float32), (OF_VIEWS | OF_FRAMES)[fusion]
    scores = np.empty((len(vectors), len(texts)), np.float32)

    def work(slab: slice) -> None:
        cosines = _matched(vectors[slab], texts, counts, match)
        scores[slab] = sum_over_views(cosines, link)

    run_slabs(work, len(vectors), _step(vectors, texts))
    return scores


def _step(vectors: np.ndarray, texts: np.ndarray) -> int:
    """Videos of a slab: with all texts as many numbers as other fusions have with all classes."""
    return max(1, SLAB_VECTORS // (int(np.prod(vectors.shape[1:-1])) * texts.shape[1]))


def _matched(
    vectors: np.ndarray, texts: np.ndarray, counts: np.ndarray | None, match: Match
) -> np.ndarray:
    """One cosine of every view and class, [video view class]; classes of as many texts together."""
    if counts is None:
        counts = np.full(len(texts), texts.shape[1])
    found = np.empty((*vectors.shape[:2], len(texts)), np.float32)
    for count in np.unique(counts):
        chosen = counts == count
        flat = texts[chosen, :count].reshape(-1, texts.shape[-1])
        cosines = class_cosines(vectors, flat)
        found[..., chosen] = match(cosines.reshape(*cosines.shape[:-1], -1, count))
    return found
