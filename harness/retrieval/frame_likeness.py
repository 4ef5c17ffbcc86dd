"""How alike texts and the frames of videos are, a part at a time: no video vector comes into it."""

from dataclasses import dataclass

import numpy as np

from harness.retrieval.filters import TimeFilter
from harness.retrieval.reranking import Rerank, frame_scores
from vifistore.store.features import Features

# Cosines of so many texts with the frames of one read are kept at once.
_TEXTS = 512
_WHOLE_FILES = TimeFilter()


@dataclass(frozen=True, kw_only=True)
class FrameLikeness:
    """Scores of whole videos by their frames, as `frame_scores` makes them."""

    features: Features
    rows: np.ndarray
    """int64 [video]: rows of the dataset."""
    texts: np.ndarray
    """float32 [text dim], unit length."""
    how: Rerank

    @property
    def counts(self) -> tuple[int, int]:
        """How many texts and videos."""
        return len(self.texts), len(self.rows)

    def of_texts(self, texts: np.ndarray) -> np.ndarray:
        """Scores of every video for these texts, int64 [text], float32 [text video]."""
        return self._scores(self.rows, self.texts[texts])

    def of_videos(self, videos: np.ndarray) -> np.ndarray:
        """Scores of these videos, int64 [video], for every text, float32 [video text]."""
        return self._scores(self.rows[videos], self.texts).T

    def _scores(self, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        scores = np.empty((len(vectors), len(rows)), np.float32)
        for start in range(0, len(vectors), _TEXTS):
            part = slice(start, start + _TEXTS)
            scores[part] = frame_scores(
                self.features, rows, vectors[part], self.how, _WHOLE_FILES, verify=True
            )
        return scores
