"""Where the frames of a view are merged, computed from cached arrays.

Symbols: x_f is the embedding of frame f, u_f = x_f / |x_f|, t_c the unit vector of class c, s the
logit scale. Every fusion gives one value per view and class, a cosine or a probability:

    embedding   cos(mean_f x_f, t_c)             ViFi-CLIP, section 3 (the default there)
    decision    mean_f u_f.t_c                   averaged frame logits (paper, Table 5)
    image       mean_f p(u_f.t_c)                averaged frame probabilities (paper, Table 5)
    max         max_f u_f.t_c
    top-4       mean of the 4 largest u_f.t_c; top-1, top-2, ... likewise
    attention   sum_f w_fc u_f.t_c,  w = softmax_f(u_f.t_c / 0.1)

Those that compare with every text of a class by itself are in `harness/text_rules.py`.

A cosine z becomes a probability p(z) by the link of its texts (`harness/link.py`): softmax_c(s z),
or sigmoid(s z + bias) of models trained so. Probabilities are summed over the views of a video (the
paper's multi-view rule). With one frame per view all of them agree.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from harness.link import Link
from harness.slabs import run_slabs
from harness.softmax import softmax
from vifistore.errors import UnknownNameError, UsageError

_TOP = re.compile(r"top-([1-9]\d{0,5})")
ATTENTION_TEMPERATURE = 0.1

# 2,048 embeddings x 400 classes in float32 are 3.3 MB: little enough to stay near the cores.
SLAB_VECTORS = 2048


def _image(cosines: np.ndarray, link: Link) -> np.ndarray:
    return link.probabilities(cosines).mean(axis=2)


def _max(cosines: np.ndarray, link: Link) -> np.ndarray:
    return link.probabilities(cosines.max(axis=2))


def _top(count: int, cosines: np.ndarray, link: Link) -> np.ndarray:
    count = min(count, cosines.shape[2])
    largest = np.partition(cosines, -count, axis=2)[:, :, -count:]
    return link.probabilities(largest.mean(axis=2))


def _attention(cosines: np.ndarray, link: Link) -> np.ndarray:
    weights = softmax(cosines / np.float32(ATTENTION_TEMPERATURE), axis=2)
    return link.probabilities((weights * cosines).sum(axis=2))


def _mean(frames: np.ndarray) -> np.ndarray:
    return frames.mean(axis=2)


def _mean_of_units(frames: np.ndarray) -> np.ndarray:
    return unit(frames).mean(axis=2)


# [video view frame class] cosines and their link -> probabilities [video view class]
FrameRule = Callable[[np.ndarray, Link], np.ndarray]
FRAME_RULES: dict[str, FrameRule] = {
    "image": _image,
    "max": _max,
    # For any number of frames: `array_of` knows them all.
    "top-4": partial(_top, 4),
    "attention": _attention,
}
# float32 [video view frame dim] -> one vector per view [video view dim], compared by its cosine. A
# consensus is shorter than 1 where frames disagree; that length is part of the fusion.
POOLINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "embedding": _mean,
    "decision": _mean_of_units,
}
FUSIONS = (*POOLINGS, *FRAME_RULES)
# By every text of a class (`harness/text_rules.py`), which no function of class vectors can be.
_OF_TEXTS = {
    **dict.fromkeys(("each-template", "best-text"), "view_mean"),
    **dict.fromkeys(("transport", "time-warping"), "frames"),
}
# Of two the store keeps the view vectors; all others read its frames.
ARRAY_OF_FUSION = {
    **dict.fromkeys(FUSIONS, "frames"),
    **{"embedding": "view_mean", "decision": "view_consensus"},
}


def check_fusions(names: Sequence[str]) -> tuple[str, ...]:
    """Return `names` as a tuple; raises UnknownNameError for one that is no fusion."""
    for name in names:
        array_of(name)
    return tuple(names)


def array_of(fusion: str) -> str:
    """The cached array that a fusion reads; raises UnknownNameError for one that is no fusion."""
    if _TOP.fullmatch(fusion):
        return "frames"
    arrays = ARRAY_OF_FUSION | _OF_TEXTS
    if fusion not in arrays:
        raise UnknownNameError("fusion", fusion, tuple(arrays))
    return arrays[fusion]


def unit(vectors: np.ndarray) -> np.ndarray:
    """`vectors` [... dim] over their Euclidean length, float32; a zero vector stays zero."""
    vectors = np.asarray(vectors, np.float32)
    return vectors * _inverse_norms(vectors)[..., None]


def class_vectors(embeddings: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Text embeddings [class prompt dim] -> one unit vector per class, float32 [class dim].

    Every prompt is normalised, then averaged, then normalised again (as CLIP ensembles prompts).
    Of a class the first `counts` int64 [class] prompts count, all if None. Raises UsageError for a
    wrong shape and for a prompt that is zero or not finite.
    """
    if np.ndim(embeddings) != 3 or 0 in np.shape(embeddings):
        raise UsageError(
            f"text embeddings have shape {np.shape(embeddings)}, not [class prompt dim]; "
            "make them again with `vifi texts`"
        )
    room = np.arange(embeddings.shape[1])
    is_text = room < (len(room) if counts is None else counts[:, None])
    bad = ~(is_usable(embeddings) | ~is_text).all(axis=1)
    if bad.any():
        raise UsageError(
            f"the text embeddings of {int(bad.sum())} classes (first: class {int(bad.argmax())}) "
            "are zero or not finite; make them again with `vifi texts`"
        )
    if counts is not None:
        embeddings = np.where(is_text[..., None], embeddings, 0)
    return unit(unit(embeddings).mean(axis=1))


def is_usable(vectors: np.ndarray) -> np.ndarray:
    """Whether each vector of [... dim] is finite and not zero, bool [...]."""
    vectors = np.asarray(vectors, np.float32)
    # The sum of squares is NaN or infinite as soon as one component is.
    squares = np.einsum("...d,...d->...", vectors, vectors)
    return np.isfinite(squares) & (squares > 0)


def sum_over_views(cosines: np.ndarray, link: Link) -> np.ndarray:
    """Cosines [video view class] -> sum over views of their probabilities [video class]."""
    return link.probabilities(cosines).sum(axis=1)


def fuse_views(fusion: str, vectors: np.ndarray, classes: np.ndarray, link: Link) -> np.ndarray:
    """Scores of a fusion of POOLINGS from what it makes of frames, as view_mean or view_consensus.

    `vectors` is [video view dim], `classes` [class dim] of unit vectors; returns float32
    [video class], the probabilities summed over views.
    """
    vectors = np.asarray(vectors, np.float32)
    scores = np.empty((len(vectors), len(classes)), np.float32)
    products = class_products if fusion == "decision" else class_cosines

    def work(slab: slice) -> None:
        scores[slab] = sum_over_views(products(vectors[slab], classes), link)

    run_slabs(work, len(vectors), max(1, SLAB_VECTORS // vectors.shape[1]))
    return scores


def fuse_frames(
    fusions: Sequence[str], frames: np.ndarray, classes: np.ndarray, link: Link
) -> dict[str, np.ndarray]:
    """Scores of any fusions from frame embeddings [video view frame dim].

    The frame cosines are computed once for all of them. Returns {fusion: float32 [video class]},
    the probabilities summed over views. Works through slabs, so memory beyond the input stays at
    a few times SLAB_VECTORS x classes floats.
    """
    num_videos, num_views, num_frames, _ = frames.shape
    step = max(1, SLAB_VECTORS // (num_views * num_frames))
    pooled = [name for name in fusions if name in POOLINGS]
    rules = {name: _frame_rule(name) for name in fusions if name not in pooled}
    scores = {name: np.empty((num_videos, len(classes)), np.float32) for name in rules}

    def work(slab: slice) -> None:
        cosines = class_cosines(frames[slab], classes)
        for name, rule in rules.items():
            scores[name][slab] = rule(cosines, link).sum(axis=1)

    if rules:
        run_slabs(work, num_videos, step)
    for name in pooled:
        scores[name] = fuse_views(name, pool(name, frames), classes, link)
    return scores


def pool(fusion: str, frames: np.ndarray) -> np.ndarray:
    """The view vectors of a fusion of POOLINGS, float32 [video view dim], from frames
    [video view frame dim]."""
    return POOLINGS[fusion](np.asarray(frames, np.float32))


def class_cosines(vectors: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Cosines of embeddings [... dim] with unit class vectors [class dim], [... class]."""
    vectors = np.asarray(vectors, np.float32)
    products = class_products(vectors, classes)
    # Dividing the products instead of the embeddings saves a copy of these.
    products *= _inverse_norms(vectors)[..., None]
    return products


def class_products(vectors: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Inner products of embeddings [... dim] with unit class vectors [class dim], [... class]."""
    # One product of two matrices: NumPy works through more axes as many small ones.
    flat = vectors.reshape(-1, vectors.shape[-1]) @ classes.T
    return flat.reshape(*vectors.shape[:-1], len(classes))


def _frame_rule(fusion: str) -> FrameRule:
    top = _TOP.fullmatch(fusion)
    return partial(_top, int(top[1])) if top else FRAME_RULES[fusion]


def _inverse_norms(vectors: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))
    return np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
