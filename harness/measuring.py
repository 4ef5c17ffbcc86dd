"""From scores to result rows: the metrics of a protocol with their intervals.

`scored_rows` turns scores into rows, `Setup` holds what the rows of one evaluation share, and
`summary_rows` makes the mean and the deviation over splits or seeds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.metrics import calibration_error, label_ranks
from harness.released_code import differences
from harness.results import TUNED, ZERO_SHOT, ResultRow
from harness.row_provenance import provenance
from harness.scoring import Classes, Videos, known_checkpoint, load_classes
from harness.statistics import (
    FOLDS,
    Interval,
    bootstrap_mean,
    bootstrap_mean_per_class,
    spread,
)
from harness.zero_shot_claims import Claim, claim_of
from vifistore.cleaning import AS_IS
from vifistore.store import as_trained
from vifistore.store.features import Features
from vifistore.store.identity import Identity

# Between the templates of a row.
_AND = " | "
# With this many classes or fewer every answer is among the five best: there is nothing to measure.
TOP5_CLASSES = 5

PROBABILITIES = "probabilities"
"""Entry of a row's provenance where probabilities are others than the checkpoint was made for."""
_OF_SIGMOID = (
    "probabilities are softmaxes over the classes, and the checkpoint was trained with a sigmoid "
    "and a bias: calibration, image fusion and sums over views are not those of its sigmoid; top-1 "
    "of embedding and decision fusion over one view is"
)


# Entries of the provenance that a mean takes from all of its runs.
_MARKS = ("not_as_trained", "assumed", "cleaning", "differs_from_released_code", PROBABILITIES)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of one fusion, and the rows that were made of them."""

    rows: list[ResultRow]
    """One per metric."""
    videos: Videos
    scores: np.ndarray
    """float32 [video class]: probabilities summed over views."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """What every protocol lets its caller choose."""

    fusions: tuple[str, ...] = ("embedding",)
    """Where frames are merged: embedding, decision, image, max, top-K (as top-4), attention."""
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
    """Called with every set of scores: per-class tables and comparisons are made of them."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Fields that all rows of one evaluation share."""

    protocol: str
    subset: str = "all"
    text_set: str = ""
    template: str = ""
    cleaning: str = AS_IS
    """Of the class names in the prompts."""
    classifier: str = "text"
    shots: int | None = None
    seed: int | None = None
    num_frames: int | None = None
    """Frames per view that were used, if not all."""
    num_views: int | None = None
    """Views that were used, if not all."""
    extra: dict = field(default_factory=dict)
    """Further entries of the provenance."""


def text_setup(protocol: str, classes: Classes, **fields: object) -> Setup:
    """A Setup for scores against text."""
    texts = {"text_set": classes.text_set, "template": _AND.join(classes.templates)}
    return Setup(protocol=protocol, cleaning=classes.cleaning, **texts, **fields)


def chosen_classes(videos: Videos, settings: Scoring) -> Classes:
    """The classes of the videos' split, from the text set that the settings choose."""
    names = videos.class_names
    chosen = (settings.texts, settings.templates, settings.cleaning)
    return load_classes(videos.features, names, *chosen)


def scored_rows(
    videos: Videos,
    scores: Mapping[str, np.ndarray],
    settings: Scoring,
    setup: Setup,
    further: Mapping[str, Mapping[str, Interval]] | None = None,
) -> list[ResultRow]:
    """Rows of {fusion: scores [video class]}; `further` gives {fusion: {metric: value}} to add."""
    rows, claim = [], claim_of(videos)
    for fusion, found in scores.items():
        values = measure(found, videos.labels, settings) | dict((further or {}).get(fusion, {}))
        made = result_rows(videos, fusion, values, setup, claim)
        if settings.keep:
            settings.keep(Scored(rows=made, videos=videos, scores=found))
        rows += made
    return rows


def measure(scores: np.ndarray, labels: np.ndarray, settings: Scoring) -> dict[str, Interval]:
    """top1, top5 (with more than 5 classes), mean_per_class and calibration_error of
    [video class] scores. The last has no interval: a resample's calibration error is biased."""
    ranks = label_ranks(scores, labels)
    options = {"folds": settings.folds, "seed": settings.bootstrap_seed}
    values = {"top1": bootstrap_mean(ranks < 1, **options)}
    if scores.shape[1] > TOP5_CLASSES:
        values["top5"] = bootstrap_mean(ranks < TOP5_CLASSES, **options)
    values["mean_per_class"] = bootstrap_mean_per_class(ranks < 1, labels, **options)
    values["calibration_error"] = Interval(value=calibration_error(scores, labels))
    return values


def result_rows(
    videos: Videos,
    fusion: str,
    values: Mapping[str, Interval],
    setup: Setup,
    claim: Claim | None = None,
) -> list[ResultRow]:
    """One row per metric of `values`; `claim` is that of the videos, where it is known already."""
    features = videos.features
    # Embeddings made elsewhere have none.
    checkpoint = known_checkpoint(features) or {}
    claim = claim or claim_of(videos)
    is_tuned = setup.protocol == ZERO_SHOT and claim.tuned_on
    num_frames = setup.num_frames or int(features.source_recipe["frames"])
    shared = {
        "protocol": TUNED if is_tuned else setup.protocol,
        "dataset": videos.dataset.name,
        "split": videos.split,
        "subset": setup.subset,
        "feature_set": features.id,
        "feature_names": names_of(features),
        "scored_checkpoint": checkpoint_name(checkpoint),
        "text_set": setup.text_set,
        "template": setup.template,
        "classifier": setup.classifier,
        "trained_fusion": trained_fusion(checkpoint),
        "fusion": fusion,
        "num_frames": num_frames,
        "num_views": setup.num_views or features.view_mean.shape[1],
        "shots": setup.shots,
        "seed": setup.seed,
        "classes": len(videos.class_names),
        "num_videos": len(videos.rows),
        "num_quarantined": videos.num_quarantined,
        "tuned_on": claim.tuned_on,
        "listed": videos.listed,
    }
    more = {
        "num_todo": videos.num_todo,
        "asked": features.name,
        "model": checkpoint.get("model"),
        "differs_from_released_code": differences(features.source_recipe),
        **({PROBABILITIES: _OF_SIGMOID} if setup.text_set and has_sigmoid(checkpoint) else {}),
        **claim.facts,
        **training_facts(claim.identity, videos, setup, num_frames),
        **setup.extra,
    }
    origin = provenance(features, len(videos.rows), **more)
    return [
        ResultRow(
            metric=metric,
            value=value.value,
            ci_low=value.low,
            ci_high=value.high,
            provenance=origin,
            **shared,
        )
        for metric, value in values.items()
    ]


def training_facts(
    identity: Identity, videos: Videos, setup: Setup, num_frames: int
) -> dict[str, object]:
    """Entries of the provenance on how the number was made otherwise than its checkpoint was
    trained, and on what of that is assumed; none where there is nothing to say."""
    texts = {}
    if setup.text_set:
        texts = {"templates": setup.template.split(_AND), "how": setup.cleaning}
    pixels = videos.features.source_recipe.get("preprocessing")
    found = as_trained.differences(
        identity,
        preprocessing=pixels if isinstance(pixels, Mapping) else None,
        frames=num_frames,
        class_names=videos.class_names,
        **texts,
    )
    facts = {"not_as_trained": found, "assumed": list(identity.assumed), "cleaning": setup.cleaning}
    return {name: value for name, value in facts.items() if value and value != AS_IS}


def summary_rows(rows: Sequence[Sequence[ResultRow]], over: str, ddof: int = 0) -> list[ResultRow]:
    """Mean and `<metric>_std` of the same metrics over runs; `over` is `splits` or `seeds`.

    `rows[run]` are the rows of one run, the same metrics in the same order. Counts of videos are
    summed over splits, and the largest over seeds, which score the same videos. Fields that differ
    between the runs are joined by `+`, a seed becomes None.
    """
    return [row for same in zip(*rows, strict=True) for row in _summary(same, over, ddof)]


def _summary(rows: Sequence[ResultRow], over: str, ddof: int) -> list[ResultRow]:
    values = [row.value for row in rows]
    found = spread(values, ddof)
    first = rows[0]
    count = sum if over == "splits" else max
    origins = [row.provenance for row in rows]
    shared = {name: getattr(first, name) for name in ResultRow.__dataclass_fields__}
    shared |= {
        name: joined(getattr(row, name) for row in rows) or ""
        for name in ("split", "feature_set", "scored_checkpoint", "text_set")
    }
    shared |= {
        "feature_names": _names_of_runs(rows),
        "seed": first.seed if len({row.seed for row in rows}) == 1 else None,
        "num_videos": count(row.num_videos for row in rows),
        "num_quarantined": count(row.num_quarantined for row in rows),
        "listed": count(row.num_listed for row in rows) if any(r.listed for r in rows) else None,
        "ci_low": None,
        "ci_high": None,
        "protocol": TUNED if any(row.protocol == TUNED for row in rows) else first.protocol,
        "tuned_on": ", ".join(dict.fromkeys(row.tuned_on for row in rows if row.tuned_on)),
        "provenance": first.provenance
        | _claims_of(origins, count)
        | _marks_of(origins)
        | {name: joined(o[name] for o in origins) for name in ("recipe", "checkpoint", "manifest")}
        | {name: count(o[name] for o in origins) for name in ("rows_covered", "num_todo")}
        | {"over": over, "count": found.count, "ddof": ddof, "values": values},
    }
    named = {first.metric: found.mean, f"{first.metric}_std": found.deviation}
    return [
        ResultRow(**(shared | {"metric": metric, "value": value}))
        for metric, value in named.items()
    ]


def _names_of_runs(rows: Sequence[ResultRow]) -> tuple[str, ...]:
    """One name for each run; of draws from one set all of its names."""
    if len({(row.feature_set, row.checkpoint) for row in rows}) == 1:
        return rows[0].feature_names
    return tuple(dict.fromkeys(row.feature_names[0] for row in rows if row.feature_names))


def _claims_of(origins: Sequence[Mapping], count: Callable[[Iterable[int]], int]) -> dict:
    """What several runs share with what their checkpoints were tuned on."""
    entries = {
        (entry["dataset"], entry["split"]): {"dataset": entry["dataset"], "split": entry["split"]}
        for origin in origins
        for entry in origin.get("tuned_on", ())
    }
    if not entries:
        return {}
    return {
        "tuned_on": list(entries.values()),
        "shared_videos": count(origin.get("shared_videos", 0) for origin in origins),
        "shared_class_names": max(origin.get("shared_class_names", 0) for origin in origins),
    }


def _marks_of(origins: Sequence[Mapping]) -> dict:
    """What keeps the numbers of several runs from being what they look like, of any of them."""
    marks: dict = {}
    for name in _MARKS:
        for found in (origin[name] for origin in origins if origin.get(name)):
            known = marks.setdefault(name, found)
            if isinstance(found, Mapping):
                marks[name] = {**found, **known}
            elif isinstance(found, list | tuple):
                marks[name] = list(dict.fromkeys([*known, *found]))
            else:
                marks[name] = joined([known, found])
    return marks


def joined(values: Iterable[str | None]) -> str | None:
    """Different texts joined by `+`; None where all are."""
    return "+".join(dict.fromkeys(value for value in values if value is not None)) or None


def names_of(features: Features) -> tuple[str, ...]:
    """Names that stand for this feature set and this checkpoint, first the one it was asked by.

    Checkpoints with equal image towers share a feature set; each has names of its own for it.
    """
    wanted = (features.id, features.checkpoint)
    found = [n.name for n in features.dataset.names() if (n.id, n.checkpoint) == wanted]
    return tuple(sorted(found, key=lambda name: name != features.name))


def checkpoint_name(checkpoint: Mapping) -> str:
    """The first name of a checkpoint, or its digest; empty where there is no checkpoint."""
    return next(iter(checkpoint.get("names", ())), checkpoint.get("digest", ""))


def has_sigmoid(checkpoint: Mapping) -> bool:
    """Whether a checkpoint was trained with a sigmoid (SigLIP), and not again here."""
    settings, config = checkpoint.get("settings") or {}, checkpoint.get("config") or {}
    is_siglip = "logit_bias" in settings or config.get("init_logit_bias") is not None
    return is_siglip and "fusion" not in settings


def trained_fusion(checkpoint: Mapping) -> str:
    """The fusion a checkpoint was fine-tuned with; empty where its settings do not say."""
    return str((checkpoint.get("settings") or {}).get("fusion", ""))
