"""What few-shot and supervised share: scores by text, or by a classifier trained on the cache."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.classifiers import CLASSIFIERS, USES_TEXT
from harness.leaks import check_apart, copies_between, neighbours_between
from harness.levers.lever_rows import rows_with_levers
from harness.link import link_of
from harness.measuring import Scoring, Setup, chosen_classes, scored_rows
from harness.probing import probe
from harness.results import ResultRow
from harness.scoring import Videos, known_checkpoint, load_videos, score
from vifistore.errors import UnknownNameError, UsageError, first_few
from vifistore.store.features import Features

# Of CLIP, once trained: what multiplies cosines in the softmax of embeddings made elsewhere.
_USUAL_SCALE = 100.0


@dataclass(frozen=True, kw_only=True)
class Trained(Scoring):
    """Settings of a protocol that scores with text or with a classifier trained on the cache."""

    classifier: str = "text"
    """text, linear-probe, prototype, cache or tip-adapter."""
    train_split: str = ""
    """Split of the training videos; needed by every classifier but text."""

    def __post_init__(self) -> None:
        if self.classifier != "text" and self.classifier not in CLASSIFIERS:
            raise UnknownNameError("classifier", self.classifier, ("text", *CLASSIFIERS))
        if self.classifier != "text" and not self.train_split:
            raise UsageError(f"{self.classifier} needs training videos; give --train-split NAME")
        if self.classifier != "text" and self.levers.names:
            told = f"levers are of scores by class names, and {self.classifier} is none"
            raise UsageError(f"{told}; leave them out")

    @property
    def uses_text(self) -> bool:
        """Whether class names are scored, or help a classifier."""
        return self.classifier in ("text", *USES_TEXT)


def load_pair(features: Features, split: str, settings: Trained) -> tuple[Videos, Videos | None]:
    """The test videos, and the training videos if the settings name their split.

    Raises UsageError for training videos that are also test videos, and what `load_videos` and
    `of_trained_classes` do.
    """
    test = load_videos(features, split, partial=settings.partial)
    if not settings.train_split:
        return test, None
    train = load_videos(features, settings.train_split, partial=settings.partial)
    check_apart(train, test)
    return (test, train) if settings.classifier == "text" else of_trained_classes(test, train)


def of_trained_classes(test: Videos, train: Videos) -> tuple[Videos, Videos]:
    """Both as far as their classes have training videos: no classifier knows any other class.

    Raises UsageError unless these are two classes or more, and one of them has test videos.
    """
    present = np.unique(train.labels)
    names = [train.class_names[label] for label in present]
    if len(names) == len(train.class_names):
        return test, train
    if len(names) < 2:
        raise UsageError(
            f"{train.split} has videos of {names[0]!r} alone of {len(train.class_names)} classes; "
            "choose a --train-split that holds two classes or more"
        )
    kept = np.isin(test.labels, present)
    if not kept.any():
        raise UsageError(
            f"{test.split} has no video of the {len(names)} classes of {train.split} "
            f"({first_few(names, 3)}); choose splits of the same classes"
        )
    return _of_classes(test, present, names, kept), _of_classes(train, present, names)


def _of_classes(
    videos: Videos, present: np.ndarray, names: list[str], kept: np.ndarray | slice = slice(None)
) -> Videos:
    labels = np.searchsorted(present, videos.labels[kept])
    # What is left out was listed all the same.
    changes = {"rows": videos.rows[kept], "labels": labels, "listed": videos.num_listed}
    return replace(videos, class_names=names, **changes)


def trained_rows(
    train: Videos | None,
    test: Videos,
    settings: Trained,
    protocol: str,
    *,
    shots: int | None = None,
    seed: int | None = None,
    extra: Mapping[str, object] | None = None,
) -> list[ResultRow]:
    """Rows of `test`, scored with text or with the classifier trained on `train`.

    `extra` are further entries of the provenance.
    """
    checkpoint = known_checkpoint(test.features)
    classes = chosen_classes(test, settings) if settings.uses_text else None
    link = classes.link if classes else link_of(checkpoint or {"logit_scale": _USUAL_SCALE})
    extra = dict(extra or {})
    if train is not None:
        extra |= {
            **({} if checkpoint else {"assumed_logit_scale": link.scale}),
            "train_split": train.split,
            "num_train_videos": len(train.rows),
            "num_test_copies_in_train": len(copies_between(train, test)),
        }
        if len(others := neighbours_between(train, test)):
            extra["num_test_stretches_of_train_files"] = len(others)
    if train is None or settings.classifier == "text":
        assert classes is not None, "class names are the text"
        scores = score(test, classes, settings.fusions)
    else:
        options = (settings.classifier, link, classes)
        scores = {fusion: probe(train, test, fusion, *options) for fusion in settings.fusions}
    setup = Setup(
        protocol=protocol,
        texts=classes,
        classifier=settings.classifier,
        shots=shots,
        seed=seed,
        extra=extra,
    )
    if classes is None or settings.classifier != "text":
        return scored_rows(test, scores, settings, setup)
    return rows_with_levers(test, classes, scores, settings, setup)
