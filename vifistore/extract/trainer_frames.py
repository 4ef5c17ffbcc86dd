"""What a trainer reads of the videos that a follower of its checkpoints extracts.

    reads.json      beside the checkpoints: which videos the trainer draws frames from, and which
                    frames it keeps of them in the frame cache

Whoever comes to a video first, trainer or follower, decodes it for both.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vifistore.errors import VifiError
from vifistore.extract.extract_settings import EncodeSettings
from vifistore.files import read_json_object
from vifistore.frames.plans import Span, span_of
from vifistore.frames.readers import Reader
from vifistore.store.dataset import Dataset

READS = "reads.json"

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class TrainerFrames:
    """Frames that a trainer draws from, in the frame cache that it shares with an extraction."""

    kept: Reader
    """Which ones."""
    rows: frozenset[int]
    """Videos of the extraction that it reads."""

    def of_row(self, row: int) -> Sequence[Reader]:
        """What it keeps of a video."""
        return (self.kept,) if row in self.rows else ()


def trainer_of(folder: Path, dataset: Dataset, encode: EncodeSettings) -> TrainerFrames | None:
    """What the trainer of a folder keeps; None if it shares no video and frame cache with an
    extraction of the dataset, or does not say so."""
    if encode.frame_cache is None:
        return None
    try:
        said = read_json_object(folder / READS)
        if said["decoder"] != encode.decoder:
            return None
        kept = Reader.from_dict(said["kept"])
        trained = dataset.store.dataset(said["dataset"])
        read = read_stretches(trained, trained.split(said["split"]).rows)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, VifiError) as error:
        logger.warning("%s says nothing of use (%s); it is ignored", folder / READS, error)
        return None
    shared = set(read)
    rows = (row for row, stretch in enumerate(read_stretches(dataset)) if stretch in shared)
    return TrainerFrames(kept=kept, rows=frozenset(rows))


def read_stretches(dataset: Dataset, rows: np.ndarray | None = None) -> list[tuple[str, Span]]:
    """Where the videos of a dataset are, and which part of its file each is: all, or those of some
    rows, int64 [row]."""
    chosen = slice(None) if rows is None else rows
    starts, ends = (times[chosen] for times in dataset.stretches())
    files = dataset.files().take(chosen)
    return [
        (footage.address, span_of(start, end))
        for footage, start, end in zip(files, starts, ends, strict=True)
    ]
