"""Few-shot: K training videos per class.

    few_shot(tuned, "val1", FewShot(train_split="train1_few_shot_16"))
    few_shot(vanilla, "val1",
             FewShot(train_split="train1", shots=(2, 4, 8, 16), draws=3, classifier="tip-adapter"))

With the classifier `text`, a checkpoint that was fine-tuned on K videos per class is scored
against class names (paper, section 4.1 and Table 3); any other is refused, as that is zero-shot.
The other classifiers are trained here, on the frozen cached embeddings. Training videos that are
also test videos are refused: the published few-shot lists of split 1 share videos with the test
lists of splits 2 and 3. Copies of test videos among them, by content digest, are counted in the
provenance.
"""

from dataclasses import dataclass, replace

from harness.probing import draw_shots
from harness.protocols.trained import Trained, load_pair, trained_rows
from harness.results import ResultRow
from harness.scoring import Videos
from harness.shots import require_shots, videos_per_class
from harness.summaries import summary_rows
from vifistore.store.features import Features

PROTOCOL = "few-shot"


@dataclass(frozen=True, kw_only=True)
class FewShot(Trained):
    """Settings of the few-shot protocol."""

    shots: tuple[int, ...] = ()
    """Videos per class to draw from the training split; empty takes the split as it is. With the
    classifier text, the number the checkpoint was tuned on; by default, the one that it says."""
    draws: int = 1
    """Draws per number of shots, with seeds 0, 1, ...; several give mean and deviation."""


def few_shot(features: Features, split: str, settings: FewShot) -> list[ResultRow]:
    """Rows per number of shots, draw, fusion and metric; over several draws mean and deviation.

    Raises UsageError without a way to know the shots, for class names and a checkpoint that was
    not tuned on as many (see `harness.shots`), for overlapping training and test videos, and for a
    class with too few videos; and what scoring raises.
    """
    test, train = load_pair(features, split, settings)
    if train is None or settings.classifier == "text":
        shots, is_known = require_shots(test, settings.shots, train)
        extra = {} if is_known else {"shots_told": True}
        return trained_rows(train, test, settings, PROTOCOL, shots=shots, extra=extra)
    if not settings.shots:
        return trained_rows(train, test, settings, PROTOCOL, shots=videos_per_class(train))
    rows = []
    for shots in settings.shots:
        runs = [_one_draw(train, test, shots, seed, settings) for seed in range(settings.draws)]
        rows += [row for run in runs for row in run]
        rows += summary_rows(runs, "seeds") if len(runs) > 1 else []
    return rows


def _one_draw(
    train: Videos, test: Videos, shots: int, seed: int, settings: FewShot
) -> list[ResultRow]:
    drawn = draw_shots(train, shots, seed)
    few = replace(train, rows=train.rows[drawn], labels=train.labels[drawn])
    return trained_rows(few, test, settings, PROTOCOL, shots=shots, seed=seed)
