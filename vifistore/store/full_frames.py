"""Which feature sets may be read frame by frame: those whose views have all their frames."""

import numpy as np

from vifistore.errors import UsageError
from vifistore.store.features import Features
from vifistore.store.schema import DONE


def has_full_frames(features: Features) -> bool:
    """Whether every view that is done has as many frames as the set holds of it."""
    return not _is_short(features).any()


def require_full_frames(features: Features, remedy: str) -> None:
    """Raise UsageError if a view that is done has fewer frames than the set holds of it: what
    reads frames one by one would count those that pad it. `remedy` is what its caller can do."""
    is_short = _is_short(features)
    if is_short.any():
        assert features.frames is not None, "without frames none is short"
        raise UsageError(
            f"feature set {features.name} of {features.dataset.name} has fewer than "
            f"{features.frames.shape[2]} frames of {int(is_short.sum())} videos (first: row "
            f"{int(is_short.argmax())}), and what reads frames one by one would count the padding; "
            f"{remedy}"
        )


def _is_short(features: Features) -> np.ndarray:
    """Which videos have a view that is padded, bool [video]."""
    if not features.has_num_valid or features.frames is None:
        return np.zeros(features.num_videos, bool)
    few = (features.num_valid < features.frames.shape[2]).any(axis=1)
    return few & (features.read_status() == DONE)
