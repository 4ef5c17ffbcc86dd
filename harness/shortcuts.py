"""What scripts ask for most, in one call each.

    features = store.features("ucf101", "vifi-clip@step-2000")
    evaluate(features, "test1")             # DataFrame, a row per fusion and metric
    predict(features, "test1")              # DataFrame, a row per video
    classify(features, ["archery", "golf"]) # DataFrame, a row per video, labelled or not
    text_embeddings(features)["archery"]    # float32 [dim]

They score by class names alone; other protocols are in `harness.protocols`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.followed_texts import refuse_followed
from harness.labelling import check_labels, label_videos
from harness.measuring import Scored, Scoring
from harness.predictions import predictions
from harness.protocols.zero_shot import zero_shot
from harness.results import to_frame
from harness.scoring import load_classes
from vifistore.store.features import Features

if TYPE_CHECKING:
    import pandas as pd


def evaluate(
    features: Features, split: str = "", settings: Scoring | None = None
) -> "pd.DataFrame":
    """Scores of a split by its class names: a row per fusion and metric, columns as in
    `harness.results.ResultRow`; value, ci_low and ci_high are fractions.

    No split means every labelled video of a dataset without splits. Raises what `zero_shot` does.
    """
    return to_frame(zero_shot(features, (split,), settings))


def predict(features: Features, split: str = "", settings: Scoring | None = None) -> "pd.DataFrame":
    """What every video of a split was taken for: a row per video and fusion, columns as in
    `harness.predictions.predictions`. Raises what `zero_shot` does."""
    import pandas as pd

    kept: list[Scored] = []
    zero_shot(features, (split,), replace(settings or Scoring(), keep=kept.append))
    videos = features.dataset.videos()
    plain = [predictions(scored, videos) for scored in kept if scored.is_plain]
    return pd.concat(plain, ignore_index=True)


def classify(
    features: Features,
    labels: Sequence[str] = (),
    templates: Sequence[str] = (),
    *,
    top: int = 5,
    moments: bool = False,
) -> "pd.DataFrame":
    """What is in every video of a dataset, or in every moment, by labels of one's own: a row each,
    columns as in `harness.labelling.LabelShares.as_row`.

    Without labels they are the classes of the dataset. Only texts that the store holds are read
    (`vifi classify` and `vifi texts` make others). Raises UsageError where none fit, and as
    `label_videos` does.
    """
    import pandas as pd

    names = list(labels) or features.dataset.class_names()
    check_labels(names)
    classes = load_classes(features, names, templates=templates)
    found = label_videos(features, classes, names, top, moments=moments)
    return pd.DataFrame([line.as_row(min(top, len(names))) for line in found])


def text_embeddings(
    features: Features, class_names: Sequence[str] = (), templates: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Class name -> unit vector float32 [dim], by the text tower of the features' checkpoint.

    Without names they are those of the dataset, without templates those that the checkpoint was
    trained with. Only texts that the store holds are read (`vifi texts` makes others). Raises
    UsageError where none fit.
    """
    names = list(class_names) or features.dataset.class_names()
    classes = load_classes(features, names, templates=templates)
    if classes.followed:
        refuse_followed(features, "this asks for")
    return dict(zip(names, classes.vectors, strict=True))
