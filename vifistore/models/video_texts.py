"""What makes cosines of views and texts where the texts depend on the video."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class VideoTexts(ABC):
    """The text side of an encoder behind its text tower, as far as it follows a view."""

    reads: str
    """Name of what it reads of a view, among the outputs of the encoder's image tower."""

    @abstractmethod
    def cosines(self, videos: Tensor, read: Tensor, texts: Tensor) -> Tensor:
        """Cosines `[view class]` of the embeddings of views `[view dim]`, with what is read of them
        `[view ...]`, and the text embeddings of classes `[class prompt dim]`; all float32, on its
        device. Those of a view do not depend on the others."""

    @abstractmethod
    def to(self, device: torch.device | str) -> "VideoTexts":
        """One of its own on a device, which training or another use does not change."""
