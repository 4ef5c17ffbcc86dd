"""Texts that follow the video: cosines with them are read, where others are computed.

An encoder such as X-CLIP has no embedding of a text that every video could be compared with. Its
cosines were computed where it ran (`vifistore/store/similarities.py`), one for each view and class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.whole_views import ONLY_FUSION
from vifistore.errors import DamagedError, UsageError, shell
from vifistore.store.feature_record import PATCH_TOKENS
from vifistore.store.features import Features
from vifistore.store.problems import model_flags
from vifistore.store.similarities import Similarities, covers, similarity_ids
from vifistore.store.similarity_costs import without_tokens

_READ_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class FollowedTexts:
    """Where the cosines of some classes are kept."""

    parts: tuple[tuple[str, np.ndarray], ...]
    """Text sets, and which of the classes of each, int64 [class], in order."""

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return sum(len(columns) for _, columns in self.parts)

    def blocks(self, features: Features, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield (positions, cosines): float32 [video view class] of `rows[positions]`.

        Raises DamagedError for cosines that are not finite or do not match their checksum.
        """
        backend = features.dataset.backend
        kept = [(Similarities(backend, features.path, t), columns) for t, columns in self.parts]
        for start in range(0, len(rows), _READ_ROWS):
            here = slice(start, start + _READ_ROWS)
            found = [known.chosen(rows[here])[..., columns] for known, columns in kept]
            cosines = np.concatenate(found, axis=2)
            if not np.isfinite(cosines).all():
                raise DamagedError(
                    f"feature set {features.name} of {features.dataset.name} lacks cosines of some "
                    f"videos; run: {backend.verify_command}"
                )
            yield here, cosines

    def mean(self, features: Features, rows: np.ndarray) -> np.ndarray:
        """Means over views of the cosines of `rows`, float32 [video class]; raises as `blocks`."""
        means = np.empty((len(rows), self.num_classes), np.float32)
        for here, cosines in self.blocks(features, rows):
            means[here] = cosines.mean(axis=1)
        return means

    def joined(self, other: "FollowedTexts") -> "FollowedTexts":
        """These classes and behind them those of another."""
        return FollowedTexts(parts=(*self.parts, *other.parts))


def follow_videos(checkpoint: Mapping) -> bool:
    """Whether the texts of a checkpoint depend on the video."""
    return bool(checkpoint.get("texts_depend_on_video"))


def followed_texts(
    features: Features, checkpoint: Mapping, texts: str, columns: Sequence[int]
) -> FollowedTexts | None:
    """The cosines of a feature set and some classes of a text set; None for a checkpoint whose
    texts have an embedding each.

    Raises UsageError where they are not kept for every video, with what makes them and what that
    takes.
    """
    if not follow_videos(checkpoint):
        return None
    backend = features.dataset.backend
    if texts in similarity_ids(backend, features.path):
        kept = Similarities(backend, features.path, texts)
        if covers(kept.sealed, features.sealed):
            return FollowedTexts(parts=((texts, np.asarray(columns, np.int64)),))
    where = f"{features.name} of {features.dataset.name} has no cosines with text set {texts}"
    flags = ("--dataset", features.dataset.name, *model_flags(checkpoint))
    if PATCH_TOKENS in features.declared:
        again = shell("vifi", "texts", features.store.path, *flags)
        raise UsageError(f"{where}; make them from its patch tokens, without any video: {again}")
    raise UsageError(f"{where}; {without_tokens(features, checkpoint)}")


def refuse_fusions(fusions: Sequence[str], frames: np.ndarray | None, features: Features) -> None:
    """Raise UsageError for a fusion, or a choice of `frames` int64 [frame], that means nothing
    where the encoder has merged the frames of a view."""
    if tuple(fusions) != (ONLY_FUSION,) or frames is not None:
        raise UsageError(
            f"the encoder of {features.name} merges the frames of a view itself, and its texts "
            f"follow each view; only --fusion {ONLY_FUSION} and choices of views are left"
        )


def refuse_followed(features: Features, what: str) -> None:
    """Raise UsageError for what needs an embedding of a text that is the same for every video."""
    raise UsageError(
        f"the texts of {features.name} follow each video and have no embedding of their own, which "
        f"{what}; score classes with vifi evaluate"
    )
