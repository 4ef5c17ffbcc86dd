"""From decoded frames to the tower's input, as a recipe says."""

import numpy as np
import torch
from PIL import Image

from vifistore.errors import UsageError
from vifistore.kernels.dispatch import chosen_path
from vifistore.kernels.preprocess_frames import preprocess_frames
from vifistore.kernels.resampling import crop_corners, resized_shape
from vifistore.store.recipe import Preprocessing

# Resizes on integers exactly as Pillow does, whether the kernel or its reference runs.
BACKEND = "pillow-exact"

# The paper's statistics are ImageNet's, its short side 256 for a crop of 224, and its resizing
# OpenCV's bilinear (ViFi-CLIP, datasets/pipeline.py): https://github.com/muzairkhattak/ViFi-CLIP
_PAPER_MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
_PAPER_STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)

_PILLOW_METHODS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}


def preprocessing_of(name: str, tower: dict, crops: int) -> Preprocessing:
    """Return the preprocessing called `name` for a tower.

    Parameters
    ----------
    name
        `openclip`: the tower's own; `paper`: ViFi-CLIP's.
    tower
        OpenCLIP's preprocess config of the tower: size, mean, std, interpolation, resize_mode.
    crops
        Squares per frame; with three, the short side equals the crop.

    Raises UsageError for a tower that wants something else than square crops.
    """
    size = tower["size"][0] if isinstance(tower["size"], (tuple, list)) else tower["size"]
    if name == "paper":
        return Preprocessing(
            name=name,
            size=size,
            short_side=size if crops > 1 else round(size * 256 / 224),
            interpolation="bilinear",
            antialias=False,
            mean=_PAPER_MEAN,
            std=_PAPER_STD,
            backend=BACKEND,
        )
    if tower["resize_mode"] != "shortest":
        raise UsageError(
            f"this tower resizes by {tower['resize_mode']!r}; only models that resize the shorter "
            "side and crop are supported, choose another one"
        )
    return Preprocessing(
        name=name,
        size=size,
        short_side=size,
        interpolation=tower["interpolation"],
        antialias=True,
        mean=tuple(tower["mean"]),
        std=tuple(tower["std"]),
        backend=BACKEND,
    )


def preprocess(frames: torch.Tensor, preprocessing: Preprocessing, crops: int) -> torch.Tensor:
    """uint8 [frame height width 3] -> float32 [crop frame 3 size size], normalised.

    On the CPU Pillow itself resizes where it can: the numbers are the same, and it neither needs
    nor disturbs the threads that the tower computes with.
    """
    if preprocessing.antialias and not chosen_path(frames).is_kernel:
        return _by_pillow(frames.cpu().numpy(), preprocessing, crops).to(frames.device)
    return preprocess_frames(
        frames,
        size=preprocessing.size,
        short_side=preprocessing.short_side,
        mean=preprocessing.mean,
        std=preprocessing.std,
        interpolation=preprocessing.interpolation,
        antialias=preprocessing.antialias,
        num_crops=crops,
    )


def _by_pillow(frames: np.ndarray, preprocessing: Preprocessing, crops: int) -> torch.Tensor:
    size = preprocessing.size
    height, width = resized_shape(*frames.shape[1:3], preprocessing.short_side)
    corners = crop_corners(height, width, size, crops)
    levels = np.empty((len(corners), len(frames), size, size, 3), np.uint8)
    method = _PILLOW_METHODS[preprocessing.interpolation]
    for number, frame in enumerate(frames):
        resized = np.asarray(Image.fromarray(frame).resize((width, height), method))
        for crop, (top, left) in enumerate(corners):
            levels[crop, number] = resized[top : top + size, left : left + size]
    pixels = torch.from_numpy(levels).permute(0, 1, 4, 2, 3).float().div_(255)
    mean, std = (
        torch.tensor(colour).view(3, 1, 1) for colour in (preprocessing.mean, preprocessing.std)
    )
    return pixels.sub_(mean).div_(std).contiguous()
