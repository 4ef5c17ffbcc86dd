"""Captions as queries: which sentences are asked, and which videos are right for each.

Each caption of a file is asked once, its video being the one right answer also where another video
has the same words, as published evaluations count. Where the rows of a file are stretches, all that
have the caption are right. As a paragraph the captions of a row are one text, in their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.scoring import Videos, status_of
from vifistore.errors import IncompleteError
from vifistore.store.dataset import Dataset
from vifistore.store.features import Features
from vifistore.store.schema import DONE, QUARANTINED, TODO
from vifistore.store.splits import ALL_VIDEOS

PARAGRAPHS = "paragraphs"
"""What `ranking` of a row says where all captions of a video are one text."""


@dataclass(frozen=True, kw_only=True)
class CaptionPairs:
    """Every caption beside every video that has it, each once; sorted by query."""

    queries: np.ndarray
    """int64 [pair]: ascending numbers of what is asked, from 0, none left out."""
    videos: np.ndarray
    """int64 [pair]: positions of videos."""
    texts: np.ndarray
    """int64 [pair]: indexes of captions; those of one query are equal."""

    @property
    def query_texts(self) -> np.ndarray:
        """Index of the caption of each query, int64 [query]."""
        return self.texts[self._firsts]

    @property
    def query_videos(self) -> np.ndarray:
        """One right video of each query, int64 [query]."""
        return self.videos[self._firsts]

    @property
    def _firsts(self) -> np.ndarray:
        return np.unique(self.queries, return_index=True)[1]


@dataclass(frozen=True, kw_only=True)
class Captioned:
    """Videos with captions, and every pair of the two."""

    videos: Videos
    """`class_names` are the different captions."""
    pairs: CaptionPairs
    num_uncaptioned: int
    """Videos of the split that have no caption, and are not searched either."""


def caption_texts(dataset: Dataset, split: str, *, paragraphs: bool = False) -> list[str]:
    """The different captions of a split, or of the dataset, in the order they were first given."""
    rows = None if dataset.is_everything(split) else dataset.split(split).rows
    return list(dict.fromkeys(_listed(dataset, rows, paragraphs=paragraphs)[1]))


def load_captioned(
    features: Features, split: str, *, partial: bool, paragraphs: bool = False
) -> Captioned:
    """The videos of a split, or of the dataset, that have captions and embeddings.

    Raises IncompleteError when videos are still to do and `partial` is False, or none is done.
    """
    if not partial:
        features.require_sealed()
    dataset, members, listed = features.dataset, None, None
    if not dataset.is_everything(split):
        chosen = dataset.split(split)
        members, listed = chosen.rows, chosen.num_listed
    pair_rows, texts = _listed(dataset, members, paragraphs=paragraphs)
    rows = np.unique(pair_rows)
    status = status_of(features, rows)
    num_todo, done = int((status == TODO).sum()), rows[status == DONE]
    if (num_todo and not partial) or not len(done):
        raise IncompleteError(
            f"feature set {features.name} holds {len(done)} of {len(rows)} captioned videos of "
            f"{dataset.name}; run `vifi extract` again, or give --partial"
        )
    is_done = np.isin(pair_rows, done)
    kept = [text for text, is_kept in zip(texts, is_done, strict=True) if is_kept]
    names = list(dict.fromkeys(kept))
    num_members = dataset.num_videos if members is None else len(members)
    return Captioned(
        videos=Videos(
            split=split or ALL_VIDEOS,
            features=features,
            rows=done,
            labels=np.full(len(done), -1),
            class_names=names,
            num_quarantined=int((status == QUARANTINED).sum()),
            num_todo=num_todo,
            listed=listed,
        ),
        pairs=_pairs(dataset, done, pair_rows[is_done], kept, names),
        num_uncaptioned=num_members - len(rows),
    )


def _listed(
    dataset: Dataset, members: np.ndarray | None, *, paragraphs: bool
) -> tuple[np.ndarray, list[str]]:
    """Rows int64 [pair] and their captions, of all rows or of `members`, in the order given."""
    captions = dataset.captions()
    if members is not None:
        captions = captions.loc[np.isin(captions["row"], members)]
    rows, texts = np.asarray(captions["row"], np.int64), list(captions["text"])
    if not paragraphs:
        return rows, texts
    of_row: dict[int, list[str]] = {}
    for row, text in zip(rows.tolist(), texts, strict=True):
        of_row.setdefault(row, []).append(text)
    return np.array(list(of_row), np.int64), [" ".join(parts) for parts in of_row.values()]


def _pairs(
    dataset: Dataset, done: np.ndarray, rows: np.ndarray, texts: list[str], names: Sequence[str]
) -> CaptionPairs:
    index = {name: number for number, name in enumerate(names)}
    numbers = np.array([index[text] for text in texts], np.int64)
    # Rows of one path are stretches of one file.
    _, files = np.unique(dataset.column("path")[rows].astype(str), return_inverse=True)
    asked = np.unique(np.stack([files, numbers, rows]), axis=1)
    _, queries = np.unique(asked[:2], axis=1, return_inverse=True)
    return CaptionPairs(
        queries=queries.reshape(-1), videos=np.searchsorted(done, asked[2]), texts=asked[1]
    )
