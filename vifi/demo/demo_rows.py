"""The demo's result rows: every question that its small world lets one ask of the cache."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.ablations import Ablation, frames_ablation, fusion_matrix
from harness.class_tables import class_tables
from harness.measuring import Scored, Scoring
from harness.protocols.few_shot import FewShot, few_shot
from harness.protocols.zero_shot import zero_shot
from harness.results import ResultRow, append_rows
from harness.retrieval.evaluation import retrieval
from vifistore.store.dataset import Dataset
from vifistore.store.splits import Split, write_split

# The test clips again, in two halves: a classifier is trained on one and scored on the other.
SUPPORT, QUERY = "support", "query"
_FRAME_COUNTS = (1, 2, 4, 8, 16)
_SHOTS = (1, 2, 4, 8)
_DRAWS = 2


def score(dataset: Dataset, split: str, names: Sequence[str], out: Path) -> None:
    """Score every feature set; `names` begins with the untuned model and ends with any.

    Tables of classes and of mistakes go to the artefacts.
    """

    def keep(scored: Scored) -> None:
        class_tables(scored).write(out)

    rows: list[ResultRow] = []
    for name in names:
        rows += zero_shot(dataset.features(name), (split,), Scoring(keep=keep))
        rows += retrieval(dataset.features(name), split, Scoring())
    rows += fusion_matrix([dataset.features(name) for name in names], split)
    append_rows(out, rows)


def score_with_less(dataset: Dataset, split: str, names: Sequence[str], out: Path) -> None:
    """Score `names` with fewer frames, and by prototypes of few clips."""
    shots = _halve(dataset, split)
    rows: list[ResultRow] = []
    for name in names:
        num_frames = dataset.features(name).timestamps.shape[2]
        counts = [count for count in _FRAME_COUNTS if count <= num_frames]
        settings = Ablation(fusions=("embedding",))
        rows += frames_ablation(dataset.features(name), counts, split, settings)
        few = FewShot(classifier="prototype", train_split=SUPPORT, shots=shots, draws=_DRAWS)
        rows += few_shot(dataset.features(name), QUERY, few)
    append_rows(out, rows)


def _halve(dataset: Dataset, split: str) -> tuple[int, ...]:
    """Write the halves of a split; returns the numbers of shots that every class has clips for."""
    whole = dataset.split(split)
    # Clips of a class follow each other, so every second one is half of each class.
    for name, start in ((SUPPORT, 0), (QUERY, 1)):
        half = Split(
            name=name,
            rows=whole.rows[start::2],
            labels=whole.labels[start::2],
            class_names=whole.class_names,
            source=f"every second clip of {split}",
            digest=whole.digest,
        )
        write_split(dataset, half)
    fewest = int(np.bincount(whole.labels[::2], minlength=len(whole.class_names)).min())
    return tuple(count for count in _SHOTS if count <= fewest)
