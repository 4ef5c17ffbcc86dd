"""Encoders that see the frames of a view together: what merging frames again would mean.

Of one embedding of a view every fusion gives what embedding fusion gives; and frames that were seen
together cannot be left out afterwards.
"""

from collections.abc import Sequence

import numpy as np

from harness.fusion import array_of
from vifistore.errors import UsageError
from vifistore.store.features import Features
from vifistore.store.recipe import sees_clips, view_shape

ONLY_FUSION = "embedding"


def has_one_embedding(features: Features) -> bool:
    """Whether an encoder that sees frames together gave one embedding of each view."""
    recipe = features.source_recipe
    return sees_clips(recipe) and (view_shape(recipe) or (0, 0))[1] == 1


def refuse_merging(
    features: Features, fusions: Sequence[str], frames: np.ndarray | None = None
) -> None:
    """Raise UsageError for a fusion, or a choice of `frames` int64 [frame], that a set cannot
    give."""
    if frames is not None and sees_clips(features.source_recipe):
        raise UsageError(
            f"the encoder of {features.name} sees {features.source_recipe['frames']} frames of a "
            "view together, so that none can be left out; leave --frames out, or choose --views"
        )
    others = [name for name in fusions if array_of(name) != array_of(ONLY_FUSION)]
    if others and has_one_embedding(features):
        raise UsageError(
            f"{others[0]} fusion merges embeddings of a view, and the encoder of {features.name} "
            f"gives one of each, so that all fusions are equal; give --fusion {ONLY_FUSION}"
        )
