"""From scores to result rows: the metrics of a protocol with their intervals.

`scored_rows` turns scores into rows, `Setup` holds what the rows of one evaluation share. Means
over splits or seeds are made of them in `harness.summaries`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from harness.checkpoint_facts import (
    checkpoint_name,
    has_sigmoid,
    trained_fusion,
    trained_system,
)
from harness.levers.wanted_levers import Levers
from harness.metrics import Reliability, calibration_error, label_ranks, reliability
from harness.released_code import differences
from harness.results import TUNED, ZERO_SHOT, ResultRow
from harness.results.video_answers import DIGEST, answers_digest
from harness.row_provenance import provenance
from harness.scoring import Classes, Videos, known_checkpoint, load_classes
from harness.shared_files import shared_facts
from harness.split_checks import check_scores
from harness.statistics import (
    FOLDS,
    Interval,
    bootstrap_mean,
    bootstrap_mean_per_class,
)
from harness.whole_views import has_one_embedding
from harness.zero_shot_claims import Claim, claim_of
from vifistore.cleaning import AS_IS
from vifistore.store import as_trained
from vifistore.store.features import Features
from vifistore.store.identity import Identity

CALIBRATION = "calibration_error"

# With this many classes or fewer every answer is among the five best: there is nothing to measure.
TOP5_CLASSES = 5

PROBABILITIES = "probabilities"
"""Entry of a row's provenance where probabilities are others than the checkpoint was made for."""
_OF_SIGMOID = (
    "probabilities are softmaxes over the classes, and the checkpoint was trained with a sigmoid "
    "and a bias: calibration, image fusion and sums over views are not those of its sigmoid; top-1 "
    "of embedding and decision fusion over one view is; for its sigmoid run vifi extract with "
    "another --name, which encodes no video again"
)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of one fusion, and the rows that were made of them."""

    rows: list[ResultRow]
    """One per metric."""
    videos: Videos
    scores: np.ndarray
    """float32 [video class]: probabilities summed over views."""

    @property
    def is_plain(self) -> bool:
        """Whether no lever made them."""
        return not self.rows[0].lever

    @property
    def taken_for(self) -> tuple[np.ndarray, np.ndarray]:
        """What every video is, and what it was taken for: names of classes, two object [video]."""
        names = np.asarray(self.videos.class_names, dtype=object)
        return names[self.videos.labels], names[self.scores.argmax(axis=1)]

    def with_digest(self) -> Self:
        """With rows that tell the digest of these answers, so that what is kept of them is known to
        be theirs."""
        told = {DIGEST: answers_digest(self.videos.rows, *self.taken_for)}
        rows = [replace(row, provenance=row.provenance | told) for row in self.rows]
        return replace(self, rows=rows)


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """What every protocol lets its caller choose."""

    fusions: tuple[str, ...] = ("embedding",)
    """Where frames are merged: embedding, decision, image, max, top-K (as top-4), attention;
    each-template averages the probabilities of templates."""
    texts: str = ""
    """Id of the text set to compare with; empty finds the one of the features' checkpoint."""
    templates: tuple[str, ...] = ()
    """Prompt templates of the text set to find. Default: those the checkpoint was trained with, or
    the only ones that the store holds."""
    cleaning: str = ""
    """Cleaning of the class names in them; likewise."""
    partial: bool = False
    """Score what a feature set that is not sealed holds; the rows say how many videos that is."""
    folds: int = FOLDS
    """Bootstrap resamples behind each 95% interval."""
    bootstrap_seed: int = 0
    """Seed of the bootstrap."""
    keep: Callable[[Scored], None] | None = None
    """Called with every set of scores, those of levers too: answers, per-class tables and
    comparisons are made of them."""
    levers: Levers = field(default_factory=Levers)
    """What to score beside the plain score; protocols of class names alone know them."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Fields that all rows of one evaluation share."""

    protocol: str
    subset: str = "all"
    texts: Classes | None = None
    """What the videos were compared with; None for a classifier that uses no text."""
    classifier: str = "text"
    lever: str = ""
    shots: int | None = None
    seed: int | None = None
    num_frames: int | None = None
    """Frames per view that were used, if not all."""
    num_views: int | None = None
    """Views that were used, if not all."""
    extra: dict = field(default_factory=dict)
    """Further entries of the provenance."""


def chosen_classes(videos: Videos, settings: Scoring) -> Classes:
    """The classes of the videos' split, from the text set that the settings choose."""
    chosen = (settings.texts, settings.templates, settings.cleaning)
    return load_classes(videos.features, videos.class_names, *chosen)


def scored_rows(
    videos: Videos,
    scores: Mapping[str, np.ndarray],
    settings: Scoring,
    setup: Setup,
    further: Mapping[str, Mapping[str, Interval]] | None = None,
    claim: Claim | None = None,
) -> list[ResultRow]:
    """Rows of {fusion: scores [video class]}; `further` gives {fusion: {metric: value}} to add,
    `claim` is that of all that scored, if that is more than the feature set. Raises UsageError for
    scores that are no numbers."""
    rows, claim = [], claim or claim_of(videos)
    is_sigmoid = setup.texts is not None and setup.texts.link.is_sigmoid
    num_summed = _views_of(videos, setup) if is_sigmoid else None
    for fusion, of_fusion in scores.items():
        check_scores(of_fusion, setup.lever or f"{fusion} fusion")
        values = measure(of_fusion, videos.labels, settings, num_summed, videos.files)
        values |= (further or {}).get(fusion, {})
        bins = reliability(of_fusion, videos.labels, num_summed=num_summed)
        made = [_with_bins(row, bins) for row in result_rows(videos, fusion, values, setup, claim)]
        scored = Scored(rows=made, videos=videos, scores=of_fusion).with_digest()
        if settings.keep:
            settings.keep(scored)
        rows += scored.rows
    return rows


def _with_bins(row: ResultRow, bins: Reliability) -> ResultRow:
    """A calibration error with the reliability diagram that it sums up; other rows as they are."""
    if row.metric != CALIBRATION:
        return row
    told = {name: np.round(values, 6).tolist() for name, values in vars(bins).items()}
    return replace(row, provenance=row.provenance | {"reliability": told})


def measure(
    scores: np.ndarray,
    labels: np.ndarray,
    settings: Scoring,
    num_summed: int | None = None,
    files: np.ndarray | None = None,
) -> dict[str, Interval]:
    """top1, top5 (with more than 5 classes), mean_per_class and calibration_error of
    [video class] scores. The last has no interval: a resample's calibration error is biased; see
    there for `num_summed`. Intervals draw whole `files`, int64 [video], where there are any."""
    ranks = label_ranks(scores, labels)
    options = {"folds": settings.folds, "seed": settings.bootstrap_seed, "files": files}
    values = {"top1": bootstrap_mean(ranks < 1, **options)}
    if scores.shape[1] > TOP5_CLASSES:
        values["top5"] = bootstrap_mean(ranks < TOP5_CLASSES, **options)
    values["mean_per_class"] = bootstrap_mean_per_class(ranks < 1, labels, **options)
    values[CALIBRATION] = Interval(value=calibration_error(scores, labels, num_summed=num_summed))
    return values


def result_rows(
    videos: Videos,
    fusion: str,
    values: Mapping[str, Interval],
    setup: Setup,
    claim: Claim | None = None,
) -> list[ResultRow]:
    """One row per metric of `values`; `claim` is that of the videos, where it is known already."""
    features, texts = videos.features, setup.texts
    # Embeddings made elsewhere have none.
    checkpoint = known_checkpoint(features) or {}
    claim = claim or claim_of(videos)
    is_tuned = setup.protocol == ZERO_SHOT and claim.tuned_on
    num_frames = setup.num_frames or int(features.source_recipe["frames"])
    origin = provenance(
        features,
        len(videos.rows),
        num_todo=videos.num_todo,
        asked=features.name,
        model=checkpoint.get("model"),
        **({"system": system} if (system := trained_system(checkpoint)) else {}),
        **({"one_embedding": True} if has_one_embedding(features) else {}),
        differs_from_released_code=differences(features.source_recipe),
        **_link_facts(texts, checkpoint),
        **claim.facts,
        **training_facts(claim.identity, videos, texts, num_frames),
        **(shared_facts(videos.dataset, videos.rows) | setup.extra),
    )
    return [
        ResultRow(
            protocol=TUNED if is_tuned else setup.protocol,
            dataset=videos.dataset.name,
            split=videos.split,
            subset=setup.subset,
            feature_set=features.id,
            feature_names=names_of(features),
            scored_checkpoint=checkpoint_name(checkpoint),
            text_set=texts.text_set if texts else "",
            template=" | ".join(texts.templates) if texts else "",
            classifier=setup.classifier,
            trained_fusion=trained_fusion(checkpoint),
            fusion=fusion,
            lever=setup.lever,
            num_frames=num_frames,
            num_views=_views_of(videos, setup),
            shots=setup.shots,
            seed=setup.seed,
            classes=len(videos.class_names),
            num_videos=len(videos.rows),
            num_quarantined=videos.num_quarantined,
            listed=videos.listed,
            metric=metric,
            value=value.value,
            ci_low=value.low,
            ci_high=value.high,
            provenance=origin,
            tuned_on=claim.tuned_on,
        )
        for metric, value in values.items()
    ]


def _views_of(videos: Videos, setup: Setup) -> int:
    """How many views of a video were summed over."""
    return setup.num_views or videos.features.view_mean.shape[1]


def _link_facts(texts: Classes | None, checkpoint: Mapping) -> dict[str, str]:
    """Entries of the provenance on what made probabilities; none of a softmax trained as one."""
    if texts is None:
        return {}
    if texts.link.is_sigmoid:
        return {"link": "sigmoid"}
    return {PROBABILITIES: _OF_SIGMOID} if has_sigmoid(checkpoint) else {}


def training_facts(
    identity: Identity, videos: Videos, texts: Classes | None, num_frames: int
) -> dict[str, object]:
    """Entries of the provenance on how the number was made otherwise than its checkpoint was
    trained, and on what of that is assumed; none where there is nothing to say."""
    pixels = videos.features.source_recipe.get("preprocessing")
    cleaning = texts.cleaning if texts else AS_IS
    differing = as_trained.differences(
        identity,
        preprocessing=pixels if isinstance(pixels, Mapping) else None,
        frames=num_frames,
        class_names=videos.class_names,
        templates=texts.templates if texts else (),
        how=cleaning,
    )
    facts = {"not_as_trained": differing, "assumed": list(identity.assumed), "cleaning": cleaning}
    return {name: value for name, value in facts.items() if value and value != AS_IS}


def names_of(features: Features) -> tuple[str, ...]:
    """Names that stand for this feature set and this checkpoint, first the one it was asked by.

    Checkpoints with equal image towers share a feature set; each has names of its own for it.
    """
    own = (features.id, features.checkpoint)
    names = [n.name for n in features.dataset.names() if (n.id, n.checkpoint) == own]
    return tuple(sorted(names, key=lambda name: name != features.name))
