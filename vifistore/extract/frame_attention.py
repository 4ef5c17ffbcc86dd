"""What checkpoints look at in a video: its sampled frames through their image towers, and maps."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vifistore.errors import ModelError
from vifistore.extract.class_texts import reload_checkpoint
from vifistore.extract.extract_settings import PixelSettings
from vifistore.extract.recipes import preprocessing_for
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.preprocess import preprocess
from vifistore.models.class_attention import METHODS, attention_maps, check_tower
from vifistore.models.openclip_model import OpenClipModel, require_openclip
from vifistore.sources.footage import Footage
from vifistore.store.checkpoints import find_checkpoint
from vifistore.store.dataset import Dataset
from vifistore.store.identity import SQUASH
from vifistore.store.recipe import Preprocessing

# As large as a frame is drawn on paper; towers see no more.
_SHOWN_PIXELS = 224


@dataclass(frozen=True, kw_only=True)
class VideoAttention:
    """The sampled frames of one video and where each model looked in them."""

    frames: np.ndarray
    """uint8 [frame side side 3]: the square that the towers see."""
    seconds: np.ndarray
    """float32 [frame], after the first frame of the video."""
    maps: dict[str, dict[str, np.ndarray]]
    """Model -> method (last, rollout) -> float32 [frame row column], each frame sums to 1."""


def load_checkpoints(dataset: Dataset, names: tuple[str, ...]) -> dict[str, OpenClipModel]:
    """Models of the store by name: of the checkpoint, its digest, or of a feature set of `dataset`.

    Raises UnknownNameError for a name that is none of these, ModelError for weights that are gone
    or changed, or a tower without a class token.
    """
    loaded = {}
    for name in names:
        checkpoint = find_checkpoint(dataset, name)
        model = reload_checkpoint(checkpoint)
        loaded[name] = require_openclip(model, "attention maps are made of")
        if loaded[name].image_digest != checkpoint["image_digest"]:
            raise ModelError(
                f"the weights at {loaded[name].weights_path} are not those of checkpoint "
                f"{checkpoint['digest']} any more; put the right ones there"
            )
        check_tower(loaded[name].clip.visual)
    return loaded


def common_frames(models: Mapping[str, OpenClipModel]) -> int:
    """Frames that all of these models were trained with; 0 where they differ or none says it."""
    counts = {loaded.identity.frames for loaded in models.values()} - {0}
    return counts.pop() if len(counts) == 1 else 0


def video_attention(
    video: str | Path | Footage,
    models: Mapping[str, OpenClipModel],
    *,
    frames: int,
    preprocessing: str = "",
    decoder: str = "decord",
) -> VideoAttention:
    """Maps of `frames` frames of a video, one of each equal stretch, under every model.

    `preprocessing` is openclip or paper; empty gives each model the one it was trained with.
    Raises DecodeError for a video that cannot be read.
    """
    decoded = decode_video(video, frames=frames, clips=1, decoder=decoder)
    pixels = np.ascontiguousarray(decoded.frames[decoded.index[0]])
    maps: dict[str, dict[str, np.ndarray]] = {}
    shown: np.ndarray | None = None
    for name, loaded in models.items():
        recipe = preprocessing_for(PixelSettings(preprocess=preprocessing), loaded, 1)
        tensor = preprocess(torch.from_numpy(pixels), recipe, 1)[0]
        found = attention_maps(loaded.clip, tensor)
        maps[name] = {method: getattr(found, method).numpy() for method in METHODS}
        shown = shown if shown is not None else _seen_square(pixels, recipe)
    assert shown is not None, "there is no model to show"
    return VideoAttention(frames=shown, seconds=decoded.timestamps[0], maps=maps)


def _seen_square(pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
    """uint8 [frame height width 3] -> the middle square that the recipe cuts, but not so coarse."""
    height, width = pixels.shape[1:3]
    if recipe.resize_mode == SQUASH:
        return _resized(pixels)
    side = round(min(height, width) * recipe.size / recipe.short_side)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[:, top : top + side, left : left + side]
    if side <= _SHOWN_PIXELS:
        return square
    return _resized(square)


def _resized(frames: np.ndarray) -> np.ndarray:
    size = (_SHOWN_PIXELS, _SHOWN_PIXELS)
    return np.stack([np.asarray(Image.fromarray(frame).resize(size)) for frame in frames])
