"""View embeddings from stored frames, in NumPy: the store imports no torch."""

import numpy as np


def pool_views(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and consensus over frames, two float32 [video view dim].

    frames: float16 [video view frame dim]. The consensus is the mean of the L2-normalised frames;
    a zero frame adds zero to it. Equal to `temporal_pool_reference` up to rounding.
    """
    exact = frames.astype(np.float32)
    norms = np.linalg.norm(exact, axis=-1, keepdims=True)
    # What is not finite stays so, for the caller to refuse.
    with np.errstate(invalid="ignore"):
        units = np.divide(exact, norms, out=np.zeros_like(exact), where=norms > 0)
    return exact.mean(axis=2), units.mean(axis=2)


def unit_views(views: np.ndarray) -> np.ndarray:
    """Views [video view dim] at unit length, float32; a zero one stays zero."""
    norms = np.linalg.norm(views, axis=-1, keepdims=True)
    # What is not finite stays so.
    return np.divide(views, norms, out=np.array(views, np.float32), where=norms > 0)
