"""What an encoder is: pixels in, embeddings out; texts in, embeddings out.

    frame   sees frames one by one, as OpenCLIP's image towers do
    clip    sees the frames of a view together, and gives one embedding of it, or several

OpenCLIP's models are one implementation (`openclip_model.py`). Whatever takes videos into a store
knows encoders by this file alone; what only OpenCLIP's models can do asks for one by
`require_openclip`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Literal

import numpy as np
import torch

from vifistore.cleaning import AS_IS
from vifistore.errors import TextTowerError
from vifistore.models.video_texts import VideoTexts
from vifistore.models.wording import PAPER_TEMPLATE
from vifistore.store.checkpoints import checkpoint_digest
from vifistore.store.feature_record import FurtherArray
from vifistore.store.identity import Identity

FRAME, CLIP = "frame", "clip"
EncoderKind = Literal["frame", "clip"]

# Few texts are padded to a batch: on a CPU 8 at a time are as fast as more, a GPU wants many.
_CPU_BATCH, _GPU_BATCH = 8, 128


class TextSide(ABC):
    """The half of an encoder that reads texts."""

    @property
    def context_length(self) -> int:
        """Tokens of a text, beyond which it is cut; 0 where that is not known."""
        return 0

    @property
    def template(self) -> str:
        """Prompt of a class name where nobody says which one it was trained with."""
        return PAPER_TEMPLATE

    @property
    def cleaning(self) -> str:
        """Cleaning of class names likewise."""
        return AS_IS

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return un-normalised embeddings, float32 [text dim]; that of a text does not depend on
        the others.

        Raises TextTowerError where texts cannot be encoded here.
        """

    def tokens(self, texts: Sequence[str]) -> torch.Tensor | None:
        """Return what is read of texts, int64 [text token], which tells those apart that differ to
        the encoder; None where that is not known."""
        return None


def encode_in_batches(
    encode: Callable[[torch.Tensor], torch.Tensor],
    groups: Sequence[torch.Tensor],
    device: torch.device,
) -> np.ndarray:
    """Embeddings of texts, float32 [text dim], of what `encode` gives [text dim] of their places,
    int64 [text].

    Those of one group share batches. All are of one size, so that a text's embedding does not
    depend on the others.
    """
    size = _GPU_BATCH if device.type == "cuda" else _CPU_BATCH
    parts = []
    for batch in (batch for group in groups for batch in group.split(size)):
        encoded = encode(batch.repeat(size)[:size])
        parts.append(encoded[: len(batch)].float().cpu())
    return torch.cat(parts)[torch.cat([*groups]).argsort()].numpy()


class NoTexts(TextSide):
    """Stands for a text side that an encoder has not, or that cannot be made here."""

    def __init__(self, why: str) -> None:
        self._why = why

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Raises TextTowerError."""
        raise TextTowerError(self._why)


@dataclass(kw_only=True)
class LoadedModel(ABC):
    """An encoder in memory, and what it is."""

    model: str
    """What `--model` calls it."""
    config: dict
    """Its architecture, in JSON values; `embed_dim` is the length of an embedding."""
    name: str
    """Of the checkpoint."""
    image_digest: str
    """Of all that makes embeddings of pixels: architecture and weights."""
    text_digest: str
    """Of all that makes embeddings of texts."""
    logit_scale: float
    """What multiplies the cosine of a view and a text."""
    weights_path: str
    """What `load_model(model, weights_path)` loads it from; empty for a tag, which is its name."""
    parent: str
    step: int
    settings: dict
    identity: Identity
    """What it was trained with and on, as far as that is known; always a preprocessing."""
    preprocessing_from: str
    """Whose word that preprocessing is, for a line of the log."""
    logit_bias: float | None = None
    """Of the sigmoid that makes probabilities of cosines: sigmoid(scale z + bias); None of a
    softmax."""
    kind: EncoderKind = FRAME
    num_frames: int = 0
    """Frames of a view that a clip encoder sees together; 0: as many as it is given."""
    num_outputs: int = 1
    """Embeddings of a view that a clip encoder gives, each of a stretch of its frames."""
    texts_depend_on_video: bool = False
    """Whether texts have no embedding of their own to be compared with every video."""
    further: Mapping[str, FurtherArray] = field(default_factory=dict)
    """What the image tower gives of a view beside its embeddings, and the store keeps."""
    optional: Mapping[str, FurtherArray] = field(default_factory=dict)
    """What it gives and the store keeps where that is asked for."""
    video_texts: VideoTexts | None = None
    """What makes cosines with texts that depend on the video, from one of those arrays."""

    def __repr__(self) -> str:
        """Its name, model and digest; its modules would fill pages."""
        return f"<{type(self).__name__} {self.name} of {self.model}: {self.digest}>"

    @property
    @abstractmethod
    def image_tower(self) -> torch.nn.Module:
        """What makes embeddings of pixels.

        Of a frame encoder `[batch 3 height width]` -> `[batch dim]`. Of a clip encoder
        `[batch frame 3 height width]` -> `[batch dim]` or `[batch output dim]`. One with `further`
        arrays gives a dict of these as `frames`, and of each `[batch ...]` under its name.
        """

    @property
    @abstractmethod
    def text_side(self) -> TextSide:
        """What makes embeddings of texts."""

    @property
    @abstractmethod
    def preprocess_config(self) -> dict:
        """`size`, `mean`, `std`, `interpolation`, `resize_mode`, in OpenCLIP's words."""

    @abstractmethod
    def to(self, device: torch.device | str) -> None:
        """Move it to a device."""

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.config["embed_dim"]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of what the image tower sees, pixels."""
        size = self.preprocess_config["size"]
        return (size, size) if isinstance(size, int) else tuple(size)

    @property
    def digest(self) -> str:
        """Digest of the checkpoint."""
        towers = (self.image_digest, self.text_digest, self.logit_scale)
        return checkpoint_digest(*towers, self.logit_bias)

    @property
    def softmax_digest(self) -> str:
        """Digest of the checkpoint without its bias, where it has one: all were named so before
        sigmoids were scored, and what a softmax tunes still is."""
        return checkpoint_digest(self.image_digest, self.text_digest, self.logit_scale)

    def record(self) -> dict:
        """Fields of the checkpoint as the store keeps them, beside its identity; those of another
        kind than OpenCLIP's image towers where they say so."""
        known = {f.name: (getattr(self, f.name), f.default) for f in fields(LoadedModel)}
        return {
            name: value
            for name, (value, default) in known.items()
            if name not in _NOT_RECORDED and (default is MISSING or value != default)
        }


_NOT_RECORDED = ("identity", "preprocessing_from", "further", "optional", "video_texts")
