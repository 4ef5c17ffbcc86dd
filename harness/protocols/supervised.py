"""Fully supervised: tuned on all training videos, scored over several views.

    supervised(store.features("k400", "vifi-clip-16x4x3"), "val")

Paper, section 4.1 and Table 4: 16 frames, 4 clips x 3 crops, probabilities summed over the views.
With a classifier other than `text`, it is trained here on the embeddings of a training split.
"""

from harness.protocols.trained import Trained, load_pair, trained_rows
from harness.results import ResultRow
from harness.shots import require_tuned
from vifistore.store.features import Features


def supervised(
    features: Features, split: str = "", settings: Trained | None = None
) -> list[ResultRow]:
    """Rows per fusion and metric of one split, over all views of the feature set.

    Raises UsageError for a training split that shares videos with the test split, for class names
    and a checkpoint that was tuned on none of the dataset's videos, and what scoring raises.
    """
    settings = settings or Trained()
    test, train = load_pair(features, split, settings)
    if settings.classifier == "text":
        require_tuned(test)
    return trained_rows(train, test, settings, "supervised")
