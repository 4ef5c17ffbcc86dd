"""Zero-shot: a checkpoint tuned elsewhere, scored against the class names of a dataset.

    rows = zero_shot(store.features("hmdb51", "vifi-clip@step-2000"), ("val1", "val2", "val3"))

Paper, section 4.1 and Table 1: top-1 on HMDB-51 and UCF-101, top-1 and top-5 on Kinetics-600,
each as mean and deviation over three splits.
"""

from collections.abc import Sequence

from harness.levers.lever_rows import rows_with_levers
from harness.measuring import Scoring, Setup, chosen_classes
from harness.results import ResultRow
from harness.scoring import load_videos, score, scored_split
from harness.summaries import summary_rows
from vifistore.errors import UsageError
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features


def zero_shot(
    features: Features,
    splits: Sequence[str] = ("",),
    settings: Scoring | None = None,
) -> list[ResultRow]:
    """Rows per split, fusion and metric, and over several splits their mean and deviation.

    An empty split name means every labelled video of a dataset without splits. Raises UsageError
    for splits without a common mean, and what `load_videos`, `load_classes` and `score` raise.
    """
    settings = settings or Scoring()
    splits = [scored_split(features.dataset, name) for name in splits]
    _check_common_mean(features.dataset, splits)
    runs = [_one_split(features, split, settings) for split in splits]
    rows = [row for run in runs for row in run]
    return rows + (summary_rows(runs, "splits") if len(runs) > 1 else [])


def _check_common_mean(dataset: Dataset, splits: Sequence[str]) -> None:
    """Raise UsageError for a split given twice, and for splits of other numbers of classes."""
    if len(set(splits)) < len(splits):
        raise UsageError(f"a split is named twice in {', '.join(splits)}; name each once")
    counts = {name: len(dataset.split(name).class_names) for name in splits}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UsageError(
            f"splits with different numbers of classes ({listed}) have no common mean; score them "
            "one by one"
        )


def _one_split(features: Features, split: str, settings: Scoring) -> list[ResultRow]:
    videos = load_videos(features, split, partial=settings.partial)
    classes = chosen_classes(videos, settings)
    scores = score(videos, classes, settings.fusions)
    setup = Setup(protocol="zero-shot", texts=classes)
    return rows_with_levers(videos, classes, scores, settings, setup)
