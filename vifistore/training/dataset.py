"""The training split of a store's dataset, as videos, as frames in memory or as embeddings."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from vifistore.errors import UsageError
from vifistore.extract.origin import in_words
from vifistore.frames.decoding import decoder_version
from vifistore.frames.preprocess import preprocessing_of
from vifistore.frames.readers import Reader
from vifistore.models.towers import LoadedModel
from vifistore.store.features import Features
from vifistore.store.identity import PAPER, TunedOn
from vifistore.store.recipe import Preprocessing
from vifistore.store.schema import DONE
from vifistore.store.store import Store
from vifistore.store.tables import Split
from vifistore.training.data import FrameData, Source, require_plain_pixels
from vifistore.training.memory import in_memory
from vifistore.training.options import RunOptions
from vifistore.training.settings import TrainSettings
from vifistore.training.shared_frames import what_is_read
from vifistore.training.targets import one_hot
from vifistore.training.videos import VideoSource

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """A source of videos and what they are."""

    source: Source
    class_names: list[str]
    """In the order of the targets."""
    data: dict = field(default_factory=dict)
    """Dataset, split and what was read, as plain JSON values."""
    tuned_on: TunedOn | None = None
    """The same for the identity of checkpoints, without the videos, which are read later."""
    preprocessing: Preprocessing | None = None
    """How its frames were made; None for that of the settings."""
    reads: dict = field(default_factory=dict)
    """What a follower is told of its frames: see `vifistore.extract.trainer_frames`."""


def open_training_set(
    store: Store,
    dataset: str,
    split_name: str,
    start: LoadedModel,
    settings: TrainSettings,
    options: RunOptions,
    *,
    features: str = "",
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
    split = store.split(dataset, split_name)
    _check_shots(split, settings.shots)
    _warn_of_sides(split.class_names, settings.flip)
    reads: dict = {}
    data = {"dataset": dataset, "split": split_name, "digest": split.digest}
    if features:
        _warn_of_idle_flags(options, is_shared=bool(others))
        found = store.features(dataset, features)
        source: Source = _embeddings(store, found, split, start, settings)
        pixels = Preprocessing(**found.recipe["preprocessing"])
        data["features"] = found.id
    else:
        pixels = preprocessing_of(settings.preprocess, start.preprocess_config, 1)
        source = _videos(store, dataset, split, pixels, settings, options, others)
        reads = what_is_read(dataset, split_name, pixels, settings, options)
        data["decoder"] = f"{options.decoder} {decoder_version(options.decoder)}"
    _say_pixels(settings, pixels, start, is_cached=bool(features))
    names = tuple(split.class_names)
    return TrainingSet(
        source=source,
        class_names=list(names),
        data=data,
        tuned_on=TunedOn(dataset=dataset, split=split.name, class_names=names),
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


def _check_shots(split: Split, shots: int) -> None:
    counts = np.bincount(split.labels, minlength=len(split.class_names))
    if shots and counts.max() > shots:
        raise UsageError(
            f"split {split.name} has {counts.max()} videos of {split.class_names[counts.argmax()]} "
            f"where this run takes {shots} per class; give --split one with that many (vifi scan "
            "--few-shot draws it), or --shots 0"
        )
    if counts.min() < shots:
        logger.warning(
            "split %s has %d videos of %s, fewer than %d",
            *(split.name, counts.min(), split.class_names[counts.argmin()], shots),
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
    store: Store,
    dataset: str,
    split: Split,
    pixels: Preprocessing,
    settings: TrainSettings,
    options: RunOptions,
    others: Sequence[Reader],
) -> Source:
    # A follower keeps its own frames, whatever training does.
    cache = options.frame_cache and not others
    needs = {"--frame-cache": cache, "--in-memory": options.in_memory}
    for flag in (flag for flag, given in needs.items() if given):
        if not settings.candidate_frames:
            raise UsageError(
                f"{flag} keeps the frames that steps draw from; say how many per video with "
                f"--candidate-frames {2 * settings.num_frames}, or leave out {flag}"
            )
    if options.in_memory:
        # All of them are decoded before the first is asked for.
        require_plain_pixels(settings)
    paths = store.videos(dataset)["path"].to_numpy()[split.rows]
    root = store.root(dataset)
    videos = VideoSource(
        paths=[Path(root / path) for path in paths],
        targets=_targets(split),
        preprocessing=pixels,
        options=options,
        others=others,
    )
    return in_memory(videos, settings) if options.in_memory else videos


def _embeddings(
    store: Store,
    features: Features,
    split: Split,
    start: LoadedModel,
    settings: TrainSettings,
) -> FrameData:
    """Cached frame embeddings, which a frozen image tower would make again."""
    _require_same_tower(features, start, settings)
    if settings.changes_pixels:
        logger.info(
            "training on cached embeddings: there are no pixels to crop, mirror, colour or mix"
        )
    selection = features.select(rows=split.rows, arrays=("frames", "content_digest"))
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
        digests=dict(enumerate(selection.arrays["content_digest"].tolist())),
    )


def _require_same_tower(features: Features, start: LoadedModel, settings: TrainSettings) -> None:
    """Raise UsageError where the embeddings are not those that training would compute."""
    if not settings.freezes_images:
        raise UsageError(
            f"--from-store needs a frozen image tower, and --trains {settings.trains} changes it; "
            "give --trains text, or prompts with --image-prompts 0"
        )
    features.require_array("frames")
    if not features.sealed:
        raise UsageError(
            f"feature set {features.name} is not complete; run vifi extract again first"
        )
    recipe = features.recipe
    if recipe.get("image_digest") != start.image_digest:
        raise UsageError(
            f"feature set {features.name} was made by another image tower than that of "
            f"{start.name}; extract with the model that training starts from"
        )
    if recipe["clips"] * recipe["crops"] != 1:
        raise UsageError(
            f"feature set {features.name} has {recipe['clips']} clips and {recipe['crops']} crops "
            "per video; extract one with --clips 1 --crops 1"
        )
    if recipe["frames"] < settings.num_frames:
        raise UsageError(
            f"feature set {features.name} has {recipe['frames']} frames per video; give "
            f"--num-frames {recipe['frames']} or fewer"
        )


def _targets(split: Split) -> torch.Tensor:
    return one_hot(torch.from_numpy(split.labels), len(split.class_names))
