"""Is one feature set better than another on the same videos? A paired bootstrap says."""

from dataclasses import dataclass

import numpy as np

from harness.measuring import Scoring, chosen_classes
from harness.metrics import label_ranks
from harness.scoring import Videos, load_videos, score
from harness.statistics import Comparison, paired_bootstrap
from vifistore.errors import UsageError
from vifistore.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two feature sets and how much more often the first is right."""

    first: str
    second: str
    fusion: str
    split: str
    num_videos: int
    """Videos that both feature sets hold; only these are compared."""
    comparison: Comparison

    @property
    def sentence(self) -> str:
        """One sentence, as `A beats B by 2.1 ± 0.4 points, p < 0.001`."""
        return self.comparison.sentence(self.first, self.second)


def compare(
    store: Store,
    dataset: str,
    first: str,
    second: str,
    split: str = "",
    settings: Scoring | None = None,
) -> list[Compared]:
    """Compare the top-1 of two feature sets by name, once per fusion, each with its own texts.

    Raises UsageError when no video is in both, and what scoring raises.
    """
    settings = settings or Scoring()
    pair = [
        load_videos(store, dataset, name, split, partial=settings.partial)
        for name in (first, second)
    ]
    common, *positions = np.intersect1d(pair[0].rows, pair[1].rows, return_indices=True)
    if not len(common):
        raise UsageError(
            f"{first} and {second} hold no video of {pair[0].split} in common; extract both"
        )
    right = [_right(store, videos, settings) for videos in pair]
    return [
        Compared(
            first=first,
            second=second,
            fusion=fusion,
            split=pair[0].split,
            num_videos=len(common),
            comparison=paired_bootstrap(
                right[0][fusion][positions[0]],
                right[1][fusion][positions[1]],
                seed=settings.bootstrap_seed,
            ),
        )
        for fusion in settings.fusions
    ]


def _right(store: Store, videos: Videos, settings: Scoring) -> dict[str, np.ndarray]:
    classes = chosen_classes(store, videos, settings)
    scored = score(videos, classes, settings.fusions)
    return {fusion: label_ranks(scores, videos.labels) < 1 for fusion, scores in scored.items()}
