"""Cosines made on demand where texts follow the video: from what is kept, without decoding."""

from harness.followed_texts import follow_videos
from harness.scoring import checkpoint_of
from vifistore.store import open_store
from vifistore.store.feature_record import PATCH_TOKENS
from vifistore.store.features import Features
from vifistore.store.similarities import lacking_cosines


def make_cosines(features: Features, texts: str) -> None:
    """Make the cosines of a feature set with a text set, where they are missing and what they are
    made from is kept; where it is not, whoever scores says what that takes.

    Raises ModelError if the checkpoint's weights cannot be had.
    """
    checkpoint = checkpoint_of(features)
    if not follow_videos(checkpoint) or PATCH_TOKENS not in features.declared:
        return
    if not lacking_cosines(features, [texts]):
        return
    from vifistore.extract.class_texts import reload_checkpoint
    from vifistore.extract.cosines_from_tokens import ensure_cosines

    writable = open_store(features.store.path, mode="a")
    ensure_cosines(
        writable.features(features.dataset.name, features.name),
        reload_checkpoint(checkpoint),
        [texts],
    )
