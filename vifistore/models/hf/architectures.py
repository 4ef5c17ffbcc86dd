"""The architectures of transformers that are encoders here, by the `model_type` of their config."""

import math
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from vifistore.errors import ModelError, UnknownNameError
from vifistore.models.encoders import CLIP, FRAME, EncoderKind
from vifistore.models.hf.hf_towers import (
    PatchedImages,
    PooledImages,
    PooledVideos,
    ProjectedVideos,
    headed_texts,
    pooled_texts,
)

# Its weights hold no scale. Its example divides cosines by 0.01 (google-deepmind/videoprism at
# 9762d46, colabs/videoprism_video_text_demo.ipynb).
_VIDEOPRISM_SCALE = 100.0
_BLANKS = str.maketrans(string.punctuation, " " * len(string.punctuation))


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What is known of one class of transformers."""

    class_name: str
    kind: EncoderKind
    image_parts: tuple[str, ...]
    """Beginnings of the keys of weights that make embeddings of pixels."""
    text_parts: tuple[str, ...]
    image_config: tuple[str, ...]
    """Entries of config.json that describe these."""
    text_config: tuple[str, ...]
    dim: Callable[[Any], int]
    """Of a config, the length of an embedding."""
    image_size: Callable[[Any], int]
    """Of a config, the side of the squares that are seen, pixels; 0 where any side is."""
    tower: Callable[[Any], nn.Module]
    """Of a model, its image tower."""
    texts: Callable[[Any, dict[str, Tensor]], Tensor] = pooled_texts
    cleaned: Callable[[str], str] = str
    """What its training makes of a text before it is cut into tokens, and its tokenizer may not."""
    masks_padding: bool = True
    """Whether its text tower is told which tokens are padding."""
    link: Callable[[Any], tuple[float, float | None]]
    """Of a model, what multiplies cosines, and the bias of its sigmoid; None of a softmax."""
    num_frames: Callable[[Any], int] = lambda config: 0
    """Of a config, the frames that a clip encoder sees together; 0 where any number is."""
    resample: int = 3
    """Of Pillow: how pictures are resized where a preprocessor does not say."""
    assumed: tuple[str, ...] = ()
    """Notes on what its weights leave open."""


def _exponential(model: Any) -> tuple[float, None]:
    return math.exp(model.logit_scale.item()), None


def _sigmoid(model: Any) -> tuple[float, float]:
    return math.exp(model.logit_scale.item()), model.logit_bias.item()


def _canonical(text: str) -> str:
    """Lower-case words without punctuation and a point behind (google-deepmind/videoprism,
    videoprism/utils.py)."""
    return f"{' '.join(text.translate(_BLANKS).lower().split())}."


_SIGLIP: dict[str, Any] = {
    "kind": FRAME,
    "image_parts": ("vision_model.",),
    "text_parts": ("text_model.",),
    "image_config": ("vision_config",),
    "text_config": ("text_config",),
    "dim": lambda config: config.vision_config.hidden_size,
    "link": _sigmoid,
    # SigLIP's tokenizer does so; of SigLIP 2, trained on such texts as well, it is Gemma's.
    "cleaned": str.lower,
    "masks_padding": False,
}
ARCHITECTURES: dict[str, Architecture] = {
    "clip": Architecture(
        class_name="CLIPModel",
        kind=FRAME,
        image_parts=("vision_model.", "visual_projection."),
        text_parts=("text_model.", "text_projection."),
        image_config=("vision_config", "projection_dim"),
        text_config=("text_config", "projection_dim"),
        dim=lambda config: config.projection_dim,
        image_size=lambda config: config.vision_config.image_size,
        tower=lambda model: PooledImages(model.vision_model, model.visual_projection),
        link=_exponential,
    ),
    "siglip": Architecture(
        class_name="SiglipModel",
        image_size=lambda config: config.vision_config.image_size,
        tower=lambda model: PooledImages(model.vision_model),
        **_SIGLIP,
    ),
    "siglip2": Architecture(
        class_name="Siglip2Model",
        image_size=lambda config: 0,
        tower=lambda model: PatchedImages(
            model.vision_model, model.config.vision_config.patch_size
        ),
        resample=2,
        **_SIGLIP,
    ),
    "videoprism": Architecture(
        class_name="VideoPrismClipModel",
        kind=CLIP,
        image_parts=("video_model.",),
        text_parts=("text_model.",),
        image_config=("vision_config",),
        text_config=("text_config",),
        dim=lambda config: config.vision_config.hidden_size,
        image_size=lambda config: config.vision_config.image_size,
        tower=lambda model: PooledVideos(model.video_model),
        link=lambda model: (_VIDEOPRISM_SCALE, None),
        cleaned=_canonical,
        num_frames=lambda config: config.vision_config.num_frames,
        assumed=("its weights hold no scale: cosines are multiplied by 100",),
    ),
    "pe_video": Architecture(
        class_name="PeVideoModel",
        kind=CLIP,
        image_parts=("video_encoder.", "video_head."),
        text_parts=("text_model.", "text_video_head."),
        image_config=("video_config",),
        text_config=("text_config",),
        dim=lambda config: config.text_config.hidden_size,
        image_size=lambda config: 0,
        tower=lambda model: ProjectedVideos(model.video_encoder, model.video_head),
        texts=headed_texts,
        link=lambda model: (
            model.text_video_logit_scale.item(),
            model.text_video_logit_bias.item(),
        ),
        resample=2,
        assumed=(
            "its sigmoid takes products of embeddings, and here takes cosines: probabilities are "
            "not those of its training",
        ),
    ),
}


def architecture_of(name: str, config: Mapping) -> Architecture:
    """The architecture of a config.json. Raises UnknownNameError naming those there are, and
    ModelError for one that names none."""
    found = config.get("model_type")
    if found is None:
        raise ModelError(
            f"the config.json of {name} has no model_type, so it does not say what it is; give a "
            "folder or a repository that transformers wrote"
        )
    if not isinstance(found, str) or found not in ARCHITECTURES:
        remedy = f"{name} is of another; models of other packages come as module:function."
        raise UnknownNameError("architecture", str(found), list(ARCHITECTURES), remedy)
    return ARCHITECTURES[found]
