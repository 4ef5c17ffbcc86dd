"""The training split of a store's dataset, as videos, as frames in memory or as embeddings."""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import one_hot

from vifistore.errors import UsageError
from vifistore.extract.origin import in_words
from vifistore.frames.decoders.decoding import decoder_version
from vifistore.frames.plans import Span, span_of
from vifistore.frames.preprocess import preprocessing_of
from vifistore.frames.readers import Reader
from vifistore.kernels.geometry import PILLOW
from vifistore.models.encoders import LoadedModel
from vifistore.scanning.presence import Presence
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features
from vifistore.store.full_frames import require_full_frames
from vifistore.store.identity import PAPER, TunedOn
from vifistore.store.recipe import Preprocessing, digest_of
from vifistore.store.schema import DONE
from vifistore.store.splits import Split, count_videos
from vifistore.store.stretch_times import are_parts
from vifistore.training.faults import run_faults
from vifistore.training.options import RunOptions
from vifistore.training.shared_frames import what_is_read
from vifistore.training.training_data import FrameData, TrainingSet, TrainingSource
from vifistore.training.training_settings import TrainSettings
from vifistore.training.videos import VideoSource

logger = logging.getLogger("vifi")


def open_training_set(
    dataset: Dataset,
    split_name: str,
    start: LoadedModel,
    settings: TrainSettings,
    options: RunOptions,
    *,
    features: Features | None = None,
    others: Sequence[Reader] = (),
) -> TrainingSet:
    """Open the videos of a split, or with `features` their cached embeddings.

    `others` are kept in the frame cache beside what training reads.

    Raises
    ------
    UnknownNameError
        For an unknown dataset, split or feature set.
    UsageError
        If the settings do not fit what is to be read.
    """
    split = dataset.split(split_name)
    kind = {"features": features, "is_followed": bool(others)}
    run_faults(settings, options, dataset, split, **kind).refuse()
    _warn_of_few(dataset, split, settings.shots)
    _warn_of_sides(split.class_names, settings.flip)
    reads: dict = {}
    data = {"dataset": dataset.name, "split": split_name, "digest": split.digest}
    if features is not None:
        _warn_of_idle_flags(options, is_shared=bool(others))
        source: TrainingSource = _embeddings(features, split, start, settings)
        pixels = Preprocessing(**features.recipe["preprocessing"])
        data["features"] = features.id
    else:
        pixels = preprocessing_of(settings.preprocess, start.preprocess_config, 1)
        source = _videos(dataset, split, pixels, settings, options, others)
        reads = what_is_read(dataset.name, split_name, pixels, settings, options)
        if source.spans:
            data["stretches"] = digest_of([(s.start, str(s.end)) for s in source.spans])
        data["decoder"] = f"{options.decoder} {decoder_version(options.decoder)}"
        if pixels.backend != PILLOW:
            # Runs of before OpenCV resized for the paper do not go on with other pixels.
            data["resizing"] = pixels.backend
    _say_pixels(settings, pixels, start, is_cached=features is not None)
    names = tuple(split.class_names)
    return TrainingSet(
        source=source,
        class_names=list(names),
        data=data,
        tuned_on=TunedOn(dataset=dataset.name, split=split.name, class_names=names),
        preprocessing=pixels,
        reads=reads,
    )


def _say_pixels(
    settings: TrainSettings, used: Preprocessing, start: LoadedModel, *, is_cached: bool
) -> None:
    """Log from which pixels the model learns: its checkpoints will say so."""
    source = start.preprocessing_from
    if start.identity.assumed:
        source += "; state another with: vifi convert FILE OUT --mean ..., and start from OUT"
    if is_cached or settings.preprocess == PAPER:
        source = "that of the cached features" if is_cached else "as --preprocess says"
    logger.info("preprocessing %s, %s", in_words(used), source)


def _warn_of_idle_flags(options: RunOptions, *, is_shared: bool) -> None:
    cache = options.frame_cache and not is_shared
    idle = {"--frame-cache": cache, "--in-memory": options.in_memory}
    for flag in (flag for flag, given in idle.items() if given):
        logger.warning("%s has nothing to do: --from-store reads no videos", flag)


def _warn_of_few(dataset: Dataset, split: Split, shots: int) -> None:
    if shots and (counts := count_videos(dataset, split)).min() < shots:
        logger.warning(
            "split %s has %d videos of %s, fewer than the %d of --shots; where that is meant, say "
            "so: --shots %d",
            *(split.name, counts.min(), split.class_names[counts.argmin()], shots, counts.min()),
        )


def _warn_of_sides(class_names: list[str], flip: float) -> None:
    sided = [name for name in class_names if {"left", "right"} & set(name.lower().split())]
    if flip and sided:
        logger.warning(
            "%d classes tell left from right, for instance %r, and videos are mirrored; give "
            "--flip 0 to keep them apart",
            *(len(sided), sided[0]),
        )


def _videos(
    dataset: Dataset,
    split: Split,
    pixels: Preprocessing,
    settings: TrainSettings,
    options: RunOptions,
    others: Sequence[Reader],
) -> VideoSource:
    files = dataset.files().take(split.rows)
    Presence(dataset, files).require()
    return VideoSource(
        files=files,
        targets=_targets(split),
        preprocessing=pixels,
        options=options,
        spans=_spans(dataset, split),
        others=others,
    )


def _spans(dataset: Dataset, split: Split) -> list[Span]:
    """The stretch of each video of a split; none where all are whole."""
    starts, ends = (times[split.rows] for times in dataset.stretches())
    if not are_parts(starts, ends).any():
        return []
    return [span_of(start, end) for start, end in zip(starts, ends, strict=True)]


def _embeddings(
    features: Features,
    split: Split,
    start: LoadedModel,
    settings: TrainSettings,
) -> FrameData:
    """Cached frame embeddings, which a frozen image tower would make again."""
    _require_same_tower(features, start)
    if settings.changes_pixels:
        logger.info(
            "training on cached embeddings: there are no pixels to crop, mirror, colour or mix"
        )
    require_full_frames(features, "train on a set of full frames, or on videos")
    selection = features.select(rows=split.rows, arrays=("frames",))
    lost = np.flatnonzero(selection.status != DONE)
    reasons = {found["row"]: found["reason"] for found in features.quarantine()}
    skipped = {
        int(i): f"{selection.ids[i]}: {reasons.get(int(split.rows[i]), 'not extracted')}"
        for i in lost
    }
    return FrameData(
        frames=torch.from_numpy(selection.arrays["frames"][:, 0]),
        targets=_targets(split),
        skipped=skipped,
        digests=dict(enumerate(features.content_digests(selection.rows).tolist())),
    )


def _require_same_tower(features: Features, start: LoadedModel) -> None:
    """Raise UsageError where the embeddings are of another tower than that training starts from."""
    if features.recipe.get("image_digest") != start.image_digest:
        raise UsageError(
            f"feature set {features.name} was made by another image tower than that of "
            f"{start.name}; extract with the model that training starts from"
        )


def _targets(split: Split) -> torch.Tensor:
    labels = torch.from_numpy(split.labels).long()
    return one_hot(labels, len(split.class_names)).float()
