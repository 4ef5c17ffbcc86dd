"""View embeddings from stored frames, in NumPy: the store imports no torch."""

import numpy as np


def pool_views(
    frames: np.ndarray, num_valid: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and consensus over frames, two float32 [video view dim].

    frames: float16 [video view frame dim]. num_valid: uint16 [video view], how many of the first
    frames of a view count, all by default; a view with none gives zeros. The consensus is the mean
    of the L2-normalised frames; a zero frame adds zero to it. Equal to `temporal_pool_reference` up
    to rounding.
    """
    exact = frames.astype(np.float32)
    norms = np.linalg.norm(exact, axis=-1, keepdims=True)
    # What is not finite stays so, for the caller to refuse.
    with np.errstate(invalid="ignore"):
        units = np.divide(exact, norms, out=np.zeros_like(exact), where=norms > 0)
    if num_valid is None:
        return exact.mean(axis=2), units.mean(axis=2)
    counts = counted_frames(num_valid, frames.shape[2])[..., None]
    divisor = np.maximum(num_valid, 1).astype(np.float32)[..., None]
    return exact.sum(axis=2, where=counts) / divisor, units.sum(axis=2, where=counts) / divisor


def counted_frames(num_valid: np.ndarray, num_frames: int) -> np.ndarray:
    """Which frames count, bool [video view frame], of how many do, [video view]."""
    return np.arange(num_frames) < num_valid[..., None]


def wrong_counts(frames: np.ndarray, num_valid: np.ndarray) -> np.ndarray:
    """Of which videos `num_valid` [video view] does not go with `frames` [video view frame dim],
    bool [video]: none of a view counts, or more than there are, or one behind them is not zero."""
    is_padding = ~counted_frames(num_valid, frames.shape[2])
    has_more = ((frames != 0).any(axis=-1) & is_padding).any(axis=(1, 2))
    return ((num_valid < 1) | (num_valid > frames.shape[2])).any(axis=1) | has_more


def unit_views(views: np.ndarray) -> np.ndarray:
    """Views [video view dim] at unit length, float32; a zero one stays zero."""
    norms = np.linalg.norm(views, axis=-1, keepdims=True)
    # What is not finite stays so.
    return np.divide(views, norms, out=np.array(views, np.float32), where=norms > 0)
