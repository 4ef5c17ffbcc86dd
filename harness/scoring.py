"""From a store to scores: which videos, against which classes, fused how.

    videos = load_videos(store.features("ucf101", "vifi-clip@step-2000"), "val1")
    classes = load_classes(videos.features, videos.class_names)
    scores = score(videos, classes, ["embedding", "decision"])      # {fusion: [video class]}

Quarantined videos have no embedding: they are left out of the scores and counted, and every
result row carries that count. Taken as wrong answers instead, they turn an accuracy a over n videos
with q quarantined into a n / (n + q).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from harness.classes import Classes
from harness.followed_texts import FollowedTexts, followed_texts, refuse_fusions
from harness.frame_scores import frame_scores
from harness.fusion import (
    array_of,
    check_fusions,
    class_vectors,
    fuse_frames,
    fuse_views,
    pool,
    sum_over_views,
    unit,
)
from harness.link import link_of
from harness.shared_files import shared_files
from harness.split_checks import check_covered, check_labels
from harness.text_choice import cleaning_of, find_texts, places_in
from harness.text_rules import OF_FRAMES, TEXT_RULES, fuse_texts
from harness.vector_reading import read_vectors
from harness.whole_views import ONLY_FUSION, refuse_merging
from vifistore.errors import UsageError, first_few
from vifistore.store.dataset import Dataset
from vifistore.store.described import text_counts
from vifistore.store.features import Features
from vifistore.store.schema import DONE, QUARANTINED, TODO
from vifistore.store.splits import ALL_VIDEOS
from vifistore.store.texts import Texts


@dataclass(frozen=True, kw_only=True)
class Videos:
    """The videos of a split that a feature set holds, with their labels."""

    split: str
    features: Features
    rows: np.ndarray
    """int64 [video]: rows of the dataset, only those that are done."""
    labels: np.ndarray
    """int64 [video]: indexes into `class_names`."""
    class_names: list[str]
    num_quarantined: int
    num_todo: int
    """Videos of the split that the feature set does not hold yet (only with `partial`)."""
    listed: int | None = None
    """Videos that the split's published list names; None where these are all."""

    def __repr__(self) -> str:
        """How many there are, and of what."""
        counts = f"{len(self.rows)} videos, {len(self.class_names)} classes"
        return f"<Videos of {self.features.name}, {self.dataset}/{self.split}: {counts}>"

    @cached_property
    def files(self) -> np.ndarray | None:
        """int64 [video]: the file or other source (a group of UCF101, a film of HMDB51) that each
        was cut from; None where no two share one."""
        return shared_files(self.dataset, self.rows)

    @property
    def dataset(self) -> Dataset:
        """The dataset that they are of."""
        return self.features.dataset

    @property
    def num_listed(self) -> int:
        """Videos that the split's list names, whatever became of them."""
        held = len(self.rows) + self.num_quarantined + self.num_todo
        return held if self.listed is None else self.listed


def load_videos(features: Features, split_name: str = "", *, partial: bool = False) -> Videos:
    """The videos of a split, ready to be scored.

    Raises UsageError for no name where there are splits (see `scored_split`), an empty split,
    unlabelled videos or labels outside the classes; IncompleteError when videos are still to do
    and `partial` is False, or none is done.
    """
    split = features.dataset.split(scored_split(features.dataset, split_name))
    check_labels(split, features.dataset.name)
    if not partial:
        features.require_sealed()
    status = status_of(features, split.rows)
    num_todo = int((status == TODO).sum())
    check_covered(features, split, status, partial=partial)
    done = status == DONE
    return Videos(
        split=split.name,
        features=features,
        rows=split.rows[done],
        labels=split.labels[done].astype(np.int64),
        class_names=split.class_names,
        num_quarantined=int((status == QUARANTINED).sum()),
        num_todo=num_todo,
        listed=split.num_listed,
    )


def scored_split(dataset: Dataset, name: str, use: str = "score") -> str:
    """`name`, or where none is given and the dataset has no splits, that of all its videos.

    Raises UsageError for none where there are splits: all videos together hold those that were
    trained on. `use` is what is done with a split, for the message.
    """
    if name:
        return name
    if known := dataset.splits():
        raise UsageError(
            f"{dataset.name} has the split{'s' * (len(known) > 1)} {first_few(known, 8, 30)}; name "
            f"the one to {use} with --split, or all its videos with --split {ALL_VIDEOS}"
        )
    return ALL_VIDEOS


def load_classes(
    features: Features,
    class_names: Sequence[str],
    texts: str = "",
    templates: Sequence[str] = (),
    how: str = "",
) -> Classes:
    """Unit text vectors of `class_names`, in that order, from a text set of the store.

    `texts` is a text set's id; empty finds the one set that the feature set's checkpoint made of
    these names (it may hold more of them), by `templates` and the cleaning `how` where they are
    given, see `find_texts`. Raises UsageError when none or several fit, when a class is missing
    from it, or when its dimension is not that of the features.
    """
    if not texts:
        texts = find_texts(features.store, checkpoint_of(features), class_names, templates, how)
    return classes_of(features, features.store.texts(texts), class_names)


def classes_of(features: Features, chosen: Texts, class_names: Sequence[str]) -> Classes:
    """Unit text vectors of `class_names`, in that order, from text embeddings at hand.

    Raises UsageError as `load_classes` does.
    """
    index = places_in(chosen, class_names)
    dim, text_dim = features.view_mean.shape[-1], chosen.embeddings.shape[-1]
    if dim != text_dim:
        raise UsageError(
            f"feature set {features.name} has {dim} dimensions, text set {chosen.id} has "
            f"{text_dim}; use texts of the same model (`vifi texts`)"
        )
    counts = text_counts(chosen.id, chosen.attrs, chosen.embeddings.shape)
    counts = None if counts is None else counts[index]
    vectors = class_vectors(chosen.embeddings[index], counts)
    checkpoint = known_checkpoint(features)
    followed = followed_texts(features, checkpoint, chosen.id, index) if checkpoint else None
    return Classes(
        vectors=vectors[:0] if followed else vectors,
        prompts=unit(chosen.embeddings[index]),
        counts=counts,
        followed=followed,
        link=link_of(chosen.attrs),
        text_set=chosen.id,
        templates=_templates(chosen, counts),
        cleaning=cleaning_of(chosen.attrs),
    )


def _templates(chosen: Texts, counts: np.ndarray | None) -> tuple[str, ...]:
    """Those of a text set, or in words how many texts describe a class."""
    if counts is None:
        return tuple(chosen.attrs["templates"])
    few, many = int(counts.min()), int(counts.max())
    return (f"{few} texts a class" if few == many else f"{few} to {many} texts a class",)


def known_checkpoint(features: Features) -> dict | None:
    """The checkpoint that a feature set was named under; None for embeddings made elsewhere, of
    whose towers the store knows nothing.

    Raises UsageError for an id that no name stands for, or names of several checkpoints do.
    """
    if features.checkpoint:
        return features.store.checkpoint(features.checkpoint)
    names = [n for n in features.dataset.names() if n.id == features.id]
    if features.name == features.id and len({name.checkpoint for name in names}) > 1:
        raise UsageError(
            f"feature set {features.id} of {features.dataset.name} is shared by several checkpoints"
            f"; score it by one of its names: {first_few([name.name for name in names], 4)}"
        )
    if names or "imported" in features.source_recipe:
        return None
    raise UsageError(
        f"feature set {features.id} of {features.dataset.name} has no name, so that its checkpoint "
        "is not known; extract it again with --name, which encodes nothing twice"
    )


def checkpoint_of(features: Features) -> dict:
    """The checkpoint of a feature set, for what needs its text tower.

    Raises UsageError where there is none, and as `known_checkpoint` does.
    """
    checkpoint = known_checkpoint(features)
    if checkpoint is None:
        raise UsageError(
            f"feature set {features.name} of {features.dataset.name} was made elsewhere and has no "
            "text tower; score it by supervised or few-shot with --classifier linear-probe, "
            "prototype or cache, search it with --like, or import it again with --checkpoint, one "
            "whose text tower belongs to it"
        )
    return checkpoint


def score(
    videos: Videos,
    classes: Classes,
    fusions: Sequence[str] = ("embedding",),
    *,
    frames: np.ndarray | None = None,
    views: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Scores {fusion: float32 [video class]}: probabilities summed over views.

    `frames` and `views` are indexes of those to use, all if None. Cached frames are read once for
    all fusions that need them, and for every fusion where `frames` leaves some out. Raises
    UnknownNameError for a fusion that does not exist, UsageError for one whose array the feature
    set lacks, or that is equal to another for its encoder, DamagedError for embeddings that are
    zero or not finite.
    """
    if classes.followed:
        refuse_fusions(check_fusions(fusions), frames, videos.features)
        return {ONLY_FUSION: _score_followed(videos, classes, classes.followed, views)}
    refuse_merging(videos.features, check_fusions(fusions), frames)
    by_array: dict[str, list[str]] = {}
    for name in check_fusions(fusions):
        array = array_of(name) if frames is None else "frames"
        by_array.setdefault(array, []).append(name)
    shape = (len(videos.rows), len(classes))
    scores = {name: np.empty(shape, np.float32) for name in fusions}
    for array, names in by_array.items():
        videos.features.require_array(array)
        if array == "frames":
            fuse = partial(_fuse, names, classes=classes)
            parts = frame_scores(videos.features, videos.rows, fuse, frames, views)
        else:
            read = read_vectors(videos.features, array, videos.rows)
            parts = ((at, _fuse(names, _chosen(found, views), classes)) for at, found in read)
        for positions, fused in parts:
            for name, part in fused.items():
                scores[name][positions] = part
    return scores


def _score_followed(
    videos: Videos, classes: Classes, followed: FollowedTexts, views: np.ndarray | None
) -> np.ndarray:
    scores = np.empty((len(videos.rows), len(classes)), np.float32)
    for here, cosines in followed.blocks(videos.features, videos.rows):
        scores[here] = sum_over_views(_chosen(cosines, views), classes.link)
    return scores


def _chosen(vectors: np.ndarray, views: np.ndarray | None) -> np.ndarray:
    return vectors if views is None else vectors[:, views]


def _fuse(names: list[str], vectors: np.ndarray, classes: Classes) -> dict[str, np.ndarray]:
    if vectors.ndim < 4:
        return {name: _fuse_views(name, vectors, classes) for name in names}
    fused = fuse_frames(
        [name for name in names if name not in TEXT_RULES], vectors, classes.vectors, classes.link
    )
    for name in filter(TEXT_RULES.__contains__, names):
        of = vectors if name in OF_FRAMES else pool("embedding", vectors)
        fused[name] = _fuse_views(name, of, classes)
    return fused


def _fuse_views(name: str, vectors: np.ndarray, classes: Classes) -> np.ndarray:
    if name in TEXT_RULES:
        return fuse_texts(name, vectors, classes.each_template, classes.link, classes.counts)
    return fuse_views(name, vectors, classes.vectors, classes.link)


def status_of(features: Features, rows: np.ndarray) -> np.ndarray:
    """Status of each row, uint8 [video]; rows added after the set was planned are to do."""
    known = features.read_status()
    status = np.full(len(rows), TODO, np.uint8)
    is_known = rows < len(known)
    status[is_known] = known[rows[is_known]]
    return status
