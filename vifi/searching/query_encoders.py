"""Queries become embeddings: words by a checkpoint's text tower, a picture by its image tower.

A plain CLIP text tower is computed in NumPy, from the checkpoint's file or from a copy of its text
half in the cache, so that a search from the shell imports no torch. Any other one is OpenCLIP's.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vifi.searching.read_pictures import read_picture
from vifistore.errors import ModelError, UsageError
from vifistore.models.text_tower import TextTower, has_plain_keys, is_plain, read_text_tower
from vifistore.models.tower_digests import is_text_key
from vifistore.store.features import Features
from vifistore.store.key_value.durable import put_stages
from vifistore.store.recipe import Preprocessing, sees_clips

logger = logging.getLogger("vifi")

TextEncoder = Callable[[Sequence[str]], np.ndarray]
ImageEncoder = Callable[[np.ndarray, np.ndarray], np.ndarray]
_FOLDER = "text-towers"


def text_encoder(cache_folder: Path, checkpoint: dict) -> TextEncoder:
    """A function from texts to un-normalised embeddings, float32 [text dim].

    `checkpoint` is a record of the store. Raises ModelError if its weights are gone, or are not
    the same any more.
    """
    tower = plain_text_tower(cache_folder, checkpoint)
    if tower is not None:
        return tower.encode

    from vifistore.extract.class_texts import reload_checkpoint
    from vifistore.models.openclip_model import OpenClipModel

    loaded, config = reload_checkpoint(checkpoint), checkpoint["config"]
    if isinstance(loaded, OpenClipModel) and is_plain(config):
        weights = {k: value for k, value in loaded.clip.state_dict().items() if is_text_key(k)}
        if has_plain_keys(config, weights):
            _keep(_copy(cache_folder, checkpoint), weights)
    return loaded.text_side.encode


def plain_text_tower(cache_folder: Path, checkpoint: dict) -> TextTower | None:
    """The text tower of a checkpoint where it is a plain one that needs no torch: from its copy in
    the cache or its own file; None otherwise. Raises ModelError as `text_encoder` does."""
    config, digest = checkpoint["config"], checkpoint["text_digest"]
    copy, weights = _copy(cache_folder, checkpoint), checkpoint["weights_path"]
    try:
        tower = read_text_tower(copy, config, digest)
    except (ModelError, OSError) as error:
        # It is made again from the weights.
        logger.warning("the copy of the text tower is not used: %s", error)
        tower = None
    if tower is None and weights:
        tower = read_text_tower(Path(weights), config, digest)
    return tower


def encode_picture(features: Features, checkpoint: dict, path: Path) -> np.ndarray:
    """The embedding of a picture, float32 [dim], made as the feature set's frames were.

    Raises UsageError for a file that is no picture, and what `image_encoder` does.
    """
    _require_pixels(features)
    pixels = read_picture(path)
    encode = image_encoder(features, checkpoint)
    return encode(pixels[None], np.zeros((1, 1), np.int64))


def image_encoder(features: Features, checkpoint: dict) -> ImageEncoder:
    """A function from frames, uint8 [frame height width 3], and which of them each view shows,
    int64 [view frame], to their mean embedding, float32 [dim], made as the feature set's were.

    Of each frame the middle square is seen. Raises UsageError for a set that was not extracted from
    videos, ModelError if the checkpoint's weights are gone or belong to another tower.
    """
    _require_pixels(features)

    import torch

    from vifistore.extract.class_texts import reload_checkpoint
    from vifistore.extract.encoder import Encoder
    from vifistore.frames.preprocess import preprocess

    recipe, loaded = features.recipe, reload_checkpoint(checkpoint)
    if loaded.image_digest != recipe["image_digest"]:
        raise ModelError(
            f"the image tower of checkpoint {checkpoint['digest']} is not the one that made "
            f"feature set {features.name}; choose another one with --features"
        )
    settings = Preprocessing(**recipe["preprocessing"])
    device = torch.device("cpu")
    count, precision = int(recipe["frames"]), recipe["precision"]

    def encode(frames: np.ndarray, views: np.ndarray) -> np.ndarray:
        (pixels,) = preprocess(torch.from_numpy(frames), settings, 1)
        is_clip, index = sees_clips(recipe), torch.from_numpy(views)
        batch = 1 if len(pixels) == 1 else 0
        encoder = Encoder(loaded, precision=precision, device=device, batch=batch, frames=count)
        if is_clip and index.shape[1] == 1:
            # To who sees frames together a picture is a video in which nothing moves.
            index = index.expand(-1, encoder.frames_per_row)
        ((_, embeddings),) = encoder.encode([("query", pixels[index] if is_clip else pixels)])
        if not is_clip:
            embeddings = embeddings[index.reshape(-1)]
        return embeddings.reshape(-1, loaded.dim).mean(0).numpy()

    return encode


def _require_pixels(features: Features) -> None:
    """Raise UsageError for a set of which it is not known how pixels became its embeddings."""
    if not isinstance(features.recipe.get("preprocessing"), dict):
        raise UsageError(
            f"feature set {features.name} was not extracted from videos here, so how a picture or "
            "a video becomes its embedding is not known; choose one that was with --features"
        )


def _copy(cache_folder: Path, checkpoint: dict) -> Path:
    return cache_folder / _FOLDER / f"{checkpoint['text_digest'][:16]}.safetensors"


def _keep(path: Path, weights: dict) -> None:
    """Keep the tensors of a text tower; the next search is faster by it."""
    from safetensors.numpy import save

    arrays = {key: value.float().cpu().contiguous().numpy() for key, value in weights.items()}
    try:
        put_stages([{path: [save(arrays)]}])
    except OSError as error:
        logger.warning("the text tower is not kept: %s", error)
