"""Base-to-novel: tuned on 16 videos of each base class, scored on base and on novel classes.

    rows = base_to_novel([ucf101.features(f"run-s{seed}") for seed in (1, 2, 3)])

Paper, section 4.1 and Table 2. Base and novel videos each compete among their own classes only
(`subset` base and novel). The harmonic mean is that of the means over seeds. Beyond the paper,
`joint` lets all classes compete for all videos, as a user of the model meets them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.measuring import Scoring, Setup, chosen_classes, result_rows, scored_rows
from harness.metrics import harmonic_mean, is_right
from harness.results import ResultRow
from harness.scoring import Classes, Videos, load_videos, score
from harness.shots import require_novel
from harness.statistics import bootstrap_mean, harmonic_interval
from harness.summaries import summary_rows
from vifistore.errors import UsageError
from vifistore.store.features import Features

PROTOCOL = "base-to-novel"
_HARMONIC = "harmonic_mean"
# Subset of a harmonic mean -> subset and metric of the base and of the novel accuracy behind it.
_HALVES = {
    "all": (("base", "top1"), ("novel", "top1")),
    "joint": (("joint", "base_top1"), ("joint", "novel_top1")),
}

# The base or the novel videos, with the classes they are compared with.
Half = tuple[Videos, Classes]


@dataclass(frozen=True, kw_only=True)
class BaseToNovel(Scoring):
    """Settings of the base-to-novel protocol."""

    base_split: str = "base_val"
    """Split of the base classes' test videos."""
    novel_split: str = "novel_val"
    """Split of the novel classes' test videos."""
    joint: bool = True
    """Also score all videos among the base and novel classes together."""


def base_to_novel(
    features: Sequence[Features],
    seeds: Sequence[int | None] = (),
    settings: BaseToNovel | None = None,
) -> list[ResultRow]:
    """Rows of every run, and over several runs their means, deviations and harmonic mean.

    `features` names one feature set per training run, `seeds` the seed of each (counted from 1 if
    left out and there are several). Raises UsageError when the counts differ, a feature set is
    named twice, runs have other frames or views, a class is both base and novel, or a checkpoint
    was tuned on novel classes; and what scoring raises.
    """
    settings = settings or BaseToNovel()
    if not seeds:
        seeds = range(1, len(features) + 1) if len(features) > 1 else (None,)
    if len(seeds) != len(features):
        raise UsageError(
            f"{len(features)} feature sets and {len(seeds)} seeds; give one seed per feature set"
        )
    _check_alike(features)
    runs = [_one_run(one, seed, settings) for one, seed in zip(features, seeds, strict=True)]
    rows = [row for run in runs for row in run]
    return rows + (_summary(runs) if len(runs) > 1 else [])


def _check_alike(sets: Sequence[Features]) -> None:
    """Raise UsageError for one run given twice, and for a mean over other frames or views."""
    if len({(f.id, f.checkpoint) for f in sets}) < len(sets):
        names = ", ".join(f.name for f in sets)
        raise UsageError(f"a feature set is named twice in {names}; name one per training run")
    sizes = {f.name: (int(f.source_recipe["frames"]), f.view_mean.shape[1]) for f in sets}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {frames} x {views}" for name, (frames, views) in sizes.items())
        raise UsageError(
            f"runs with other numbers of frames x views ({listed}) have no common mean; extract "
            "all in one way"
        )


def _one_run(features: Features, seed: int | None, settings: BaseToNovel) -> list[ResultRow]:
    videos = [
        load_videos(features, split, partial=settings.partial)
        for split in (settings.base_split, settings.novel_split)
    ]
    if common := set(videos[0].class_names) & set(videos[1].class_names):
        raise UsageError(
            f"{len(common)} classes are both base and novel (first: {min(common)!r}); choose "
            "splits whose classes differ"
        )
    require_novel(videos[1])
    base, novel = ((part, chosen_classes(part, settings)) for part in videos)
    rows = _separate_rows(base, novel, seed, settings)
    return rows + (_joint_rows(base, novel, seed, settings) if settings.joint else [])


def _separate_rows(
    base: Half,
    novel: Half,
    seed: int | None,
    settings: BaseToNovel,
) -> list[ResultRow]:
    rows = []
    right: dict[str, list[np.ndarray]] = {fusion: [] for fusion in settings.fusions}
    for subset, (videos, classes) in {"base": base, "novel": novel}.items():
        setup = Setup(protocol=PROTOCOL, texts=classes, subset=subset, seed=seed)
        scores = score(videos, classes, settings.fusions)
        rows += scored_rows(videos, scores, settings, setup)
        for fusion, of_fusion in scores.items():
            right[fusion].append(is_right(of_fusion, videos.labels))
    joined, classes = _join(base, novel)
    setup = Setup(protocol=PROTOCOL, texts=classes, seed=seed)
    for fusion, (base_right, novel_right) in right.items():
        resampling = (settings.folds, settings.bootstrap_seed, (base[0].files, novel[0].files))
        mean = harmonic_interval(base_right, novel_right, *resampling)
        rows += result_rows(joined, fusion, {_HARMONIC: mean}, setup)
    return rows


def _joint_rows(
    base: Half,
    novel: Half,
    seed: int | None,
    settings: BaseToNovel,
) -> list[ResultRow]:
    videos, classes = _join(base, novel)
    is_base = videos.labels < len(base[0].class_names)
    setup = Setup(protocol=PROTOCOL, texts=classes, subset="joint", seed=seed)
    scores = score(videos, classes, settings.fusions)
    resampling = (settings.folds, settings.bootstrap_seed)
    files = [None if videos.files is None else videos.files[half] for half in (is_base, ~is_base)]
    further = {}
    for fusion, of_fusion in scores.items():
        right = is_right(of_fusion, videos.labels)
        further[fusion] = {
            "base_top1": bootstrap_mean(right[is_base], *resampling, files[0]),
            "novel_top1": bootstrap_mean(right[~is_base], *resampling, files[1]),
            _HARMONIC: harmonic_interval(
                right[is_base], right[~is_base], *resampling, (files[0], files[1])
            ),
        }
    return scored_rows(videos, scores, settings, setup, further)


def _join(base: Half, novel: Half) -> tuple[Videos, Classes]:
    """Base and novel videos with the classes of both, base classes first."""
    (videos, classes), (novel_videos, novel_classes) = base, novel
    num_base = len(videos.class_names)
    is_part = videos.listed is not None or novel_videos.listed is not None
    joined = replace(
        videos,
        split=f"{videos.split}+{novel_videos.split}",
        rows=np.concatenate([videos.rows, novel_videos.rows]),
        labels=np.concatenate([videos.labels, novel_videos.labels + num_base]),
        class_names=[*videos.class_names, *novel_videos.class_names],
        num_quarantined=videos.num_quarantined + novel_videos.num_quarantined,
        num_todo=videos.num_todo + novel_videos.num_todo,
        listed=videos.num_listed + novel_videos.num_listed if is_part else None,
    )
    if classes.cleaning != novel_classes.cleaning:
        raise UsageError(
            f"the texts of {videos.split} have class names {classes.cleaning}, those of "
            f"{novel_videos.split} {novel_classes.cleaning}; choose one with --class-names"
        )
    sets = dict.fromkeys((classes.text_set, novel_classes.text_set))
    templates = dict.fromkeys((*classes.templates, *novel_classes.templates))
    followed = classes.followed
    if followed and novel_classes.followed:
        followed = followed.joined(novel_classes.followed)
    prompts, counts = _together(classes, novel_classes)
    joined_classes = replace(
        classes,
        followed=followed,
        vectors=np.concatenate([classes.vectors, novel_classes.vectors]),
        prompts=prompts,
        counts=counts,
        text_set="+".join(sets),
        templates=tuple(templates),
    )
    return joined, joined_classes


def _together(classes: Classes, novel: Classes) -> tuple[np.ndarray, np.ndarray | None]:
    """Texts of both, float32 [class prompt dim], and how many of them each class has, int64
    [class]; of templates that differ, or descriptions of two sets, the means alone."""
    texts = (classes.each_template, novel.each_template)
    base_counts, counts = classes.counts, novel.counts
    if base_counts is None and counts is None and classes.templates == novel.templates:
        return np.concatenate(texts), None
    if base_counts is not None and counts is not None and classes.text_set == novel.text_set:
        return np.concatenate(texts), np.concatenate([base_counts, counts])
    return np.concatenate([classes.vectors, novel.vectors])[:, None], None


def _summary(runs: list[list[ResultRow]]) -> list[ResultRow]:
    """Means and deviations over seeds; harmonic means are those of the mean accuracies, their
    deviations those of the seeds' own harmonic means."""
    rows = sorted(summary_rows(runs, "seeds"), key=lambda row: row.metric.startswith(_HARMONIC))
    means = {(row.fusion, row.subset, row.metric): row.value for row in rows}
    for index, row in enumerate(rows):
        if row.metric == _HARMONIC:
            base, novel = _HALVES[row.subset]
            value = harmonic_mean(means[(row.fusion, *base)], means[(row.fusion, *novel)])
            rows[index] = replace(row, value=value)
    return rows
