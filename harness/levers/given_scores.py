"""Plain scores that levers are given: of the videos, of other sets, and of a validation split."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from harness.leaks import check_held_out
from harness.levers.lever import Given
from harness.measuring import Scoring, chosen_classes
from harness.scoring import Classes, Videos, load_classes, load_videos, score
from harness.split_checks import check_same_videos
from vifistore.errors import UsageError
from vifistore.store.features import Features


def given_scores(
    videos: Videos, classes: Classes, scores: Mapping[str, np.ndarray], settings: Scoring
) -> dict[str, Given]:
    """What levers are given, by the fusion of the plain scores [video class].

    Raises UsageError for a validation split that shows a scored video or has other classes, and for
    another feature set that lacks a video.
    """
    asked, fusions = settings.levers, tuple(scores)
    described = None
    if asked.descriptions:
        described = load_classes(videos.features, videos.class_names, asked.descriptions)
    others = [_of_another(one, videos, settings, fusions) for one in asked.ensemble_with]
    known = _validation(videos, classes, settings, fusions) if asked.validation_split else {}
    return {
        fusion: Given(
            videos=videos,
            classes=classes,
            fusion=fusion,
            scores=plain,
            described=described,
            others=tuple(of_fusion[fusion] for of_fusion in others),
            validation=known.get(fusion),
            kin={
                kind: partial(_scored_once, one, videos, settings, fusion)
                for kind, one in asked.kin.items()
            },
        )
        for fusion, plain in scores.items()
    }


def _scored_once(other: Features, videos: Videos, settings: Scoring, fusion: str) -> Given:
    return _of_another(other, videos, settings, (fusion,))[fusion]


def _validation(
    videos: Videos, classes: Classes, settings: Scoring, fusions: Sequence[str]
) -> dict[str, Given]:
    asked = settings.levers
    held_out = load_videos(videos.features, asked.validation_split, partial=settings.partial)
    check_held_out(held_out, videos)
    others = [_of_another(one, held_out, settings, fusions) for one in asked.ensemble_with]
    return {
        fusion: replace(given, others=tuple(of_fusion[fusion] for of_fusion in others))
        for fusion, given in _scored(held_out, classes, fusions).items()
    }


def _of_another(
    other: Features, videos: Videos, settings: Scoring, fusions: Sequence[str]
) -> dict[str, Given]:
    """The plain scores of another feature set, with its own texts, of the same videos in their
    order."""
    own = (videos.features.id, videos.features.checkpoint)
    if (other.id, other.checkpoint) == own:
        raise UsageError(
            f"{other.name} and {videos.features.name} are one feature set; give another beside it"
        )
    check_same_videos(videos.features, other)
    theirs = load_videos(other, videos.split, partial=settings.partial)
    if missing := len(np.setdiff1d(videos.rows, theirs.rows)):
        raise UsageError(
            f"feature set {other.name} lacks {missing} of the {len(videos.rows)} videos of "
            f"{videos.split} that {videos.features.name} holds; extract them, or leave it out"
        )
    kept = np.isin(theirs.rows, videos.rows)
    theirs = replace(theirs, rows=theirs.rows[kept], labels=theirs.labels[kept])
    texts = chosen_classes(theirs, replace(settings, texts=""))
    return _scored(theirs, texts, fusions)


def _scored(videos: Videos, classes: Classes, fusions: Sequence[str]) -> dict[str, Given]:
    return {
        fusion: Given(videos=videos, classes=classes, fusion=fusion, scores=plain)
        for fusion, plain in score(videos, classes, fusions).items()
    }
