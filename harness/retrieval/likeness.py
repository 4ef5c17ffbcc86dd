"""How alike texts and videos are, a part at a time: by vectors, or by cosines kept of them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Likeness(Protocol):
    """Scores of texts and videos: the larger, the more alike."""

    @property
    def counts(self) -> tuple[int, int]:
        """How many texts and videos."""
        ...

    def of_texts(self, texts: np.ndarray) -> np.ndarray:
        """Scores of these texts, int64 [text], with every video [text video]."""
        ...

    def of_videos(self, videos: np.ndarray) -> np.ndarray:
        """Scores of these videos, int64 [video], with every text [video text]."""
        ...


@dataclass(frozen=True)
class VectorLikeness:
    """Products of unit vectors, which are cosines."""

    texts: np.ndarray
    """float32 [text dim]."""
    videos: np.ndarray
    """float32 [video dim]."""

    @property
    def counts(self) -> tuple[int, int]:
        """How many texts and videos."""
        return len(self.texts), len(self.videos)

    def of_texts(self, texts: np.ndarray) -> np.ndarray:
        """Cosines of these texts, int64 [text], with every video, float32 [text video]."""
        return self.texts[texts] @ self.videos.T

    def of_videos(self, videos: np.ndarray) -> np.ndarray:
        """Cosines of these videos, int64 [video], with every text, float32 [video text]."""
        return self.videos[videos] @ self.texts.T


@dataclass(frozen=True)
class KnownLikeness:
    """Cosines that were computed where the encoder ran, means over the views of a video."""

    cosines: np.ndarray
    """float32 [video text]."""

    @property
    def counts(self) -> tuple[int, int]:
        """How many texts and videos."""
        num_videos, num_texts = self.cosines.shape
        return num_texts, num_videos

    def of_texts(self, texts: np.ndarray) -> np.ndarray:
        """Cosines of these texts, int64 [text], with every video, float32 [text video]."""
        return self.cosines[:, texts].T

    def of_videos(self, videos: np.ndarray) -> np.ndarray:
        """Cosines of these videos, int64 [video], with every text, float32 [video text]."""
        return self.cosines[videos]
