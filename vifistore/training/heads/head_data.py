"""What a head is trained on: the cached frames of the labelled videos of a split."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from vifistore.errors import DamagedError, IncompleteError, UsageError
from vifistore.store.features import Features
from vifistore.store.full_frames import require_full_frames
from vifistore.store.schema import DONE
from vifistore.store.splits import Split

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class HeadData:
    """Cached frames in memory, as the store keeps them, and the classes of their videos."""

    frames: Tensor
    """float16 [video view frame dim]."""
    labels: Tensor
    """int64 [video]: indexes into `class_names`."""
    class_names: list[str]
    digests: list[str] = field(default_factory=list)
    """Content digests of the files of the videos."""

    def __len__(self) -> int:
        return len(self.frames)


def read_head_data(features: Features, split: Split) -> HeadData:
    """Read the frames of a split's videos; quarantined ones are left out, and that is said.

    Raises
    ------
    IncompleteError
        If the feature set is not sealed, or holds none of the videos.
    UsageError
        If it has no frames, or the split names fewer than two classes or a video without a class.
    DamagedError
        If an embedding is zero or not finite.
    """
    features.require_sealed()
    features.require_array("frames")
    require_full_frames(features, "train a head on a set of full frames")
    _check_labels(split)
    chosen = features.select(rows=split.rows, arrays=("frames",))
    done = chosen.status == DONE
    if not done.any():
        raise IncompleteError(
            f"feature set {features.name} holds none of the {len(done)} videos of split "
            f"{split.name}; run vifi extract --retry"
        )
    if num_lost := int((~done).sum()):
        logger.warning("%d of %d videos are quarantined and left out", num_lost, len(done))
    frames = chosen.arrays["frames"][done]
    _check_usable(features, frames, chosen.rows[done])
    labels = torch.from_numpy(split.labels[done].astype(np.int64))
    _warn_of_unseen(labels, split.class_names)
    return HeadData(
        frames=torch.from_numpy(frames),
        labels=labels,
        class_names=list(split.class_names),
        digests=features.content_digests(chosen.rows[done]).tolist(),
    )


def epoch_batches(
    data: HeadData, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all videos once, in random order: float32 frames `[view frame dim]`, labels `[view]`.

    One view of each video, drawn at random.
    """
    order = rng.permutation(len(data))
    for start in range(0, len(data), batch_size):
        rows = order[start : start + batch_size]
        views = rng.integers(data.frames.shape[1], size=len(rows))
        yield data.frames[rows, views].float(), data.labels[rows]


def _check_labels(split: Split) -> None:
    if not len(split.rows):
        raise UsageError(f"split {split.name} is empty; choose another --split")
    if len(split.class_names) < 2:
        raise UsageError(
            f"split {split.name} has {len(split.class_names)} classes; a head needs two or more"
        )
    if (split.labels < 0).any() or split.labels.max() >= len(split.class_names):
        raise UsageError(
            f"split {split.name} has videos of no known class; choose another --split, or scan the "
            "videos with labels"
        )


def _check_usable(features: Features, frames: np.ndarray, rows: np.ndarray) -> None:
    bad = ~np.isfinite(frames).all(axis=(1, 2, 3)) | ~np.all(frames.any(axis=3), axis=(1, 2))
    if bad.any():
        raise DamagedError(
            f"feature set {features.name} of {features.dataset.name}: frames of {int(bad.sum())} "
            f"videos (first: row {int(rows[bad.argmax()])}) are zero or not finite; make them "
            "again with vifi extract --repair"
        )


def _warn_of_unseen(labels: Tensor, class_names: list[str]) -> None:
    unseen = sorted(set(range(len(class_names))) - set(labels.tolist()))
    if unseen:
        logger.warning(
            "%d of %d classes have no video to train on, for instance %r",
            len(unseen),
            len(class_names),
            class_names[unseen[0]],
        )
