"""From decoded frames to the tower's input, as a recipe says."""

from collections.abc import Sequence

import torch

from vifistore.errors import UsageError
from vifistore.frames.squares import Squares
from vifistore.kernels.dispatch import chosen_way
from vifistore.kernels.geometry import OPENCV, PILLOW, check_resizing
from vifistore.kernels.preprocess_frames import colours, preprocess_frames
from vifistore.store.identity import SHORTEST, SQUASH
from vifistore.store.recipe import Preprocessing

# What resizes, on the integers of Pillow or OpenCV, whether the kernel or its reference runs.
BACKENDS = {"openclip": PILLOW, "paper": OPENCV}

# Many views of a video in float32 would be many times what the video itself is.
_FRAMES_AT_ONCE = 64

# The paper's statistics are ImageNet's, its short side 256 for a crop of 224, and its resizing
# OpenCV's bilinear (datasets/build.py): https://github.com/muzairkhattak/ViFi-CLIP
_PAPER_MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
_PAPER_STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)


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

    Raises UsageError for a tower that wants something else than squares, and for several crops of
    a frame that is squashed.
    """
    size = _side(tower["size"])
    if name == "paper":
        return Preprocessing(
            name=name,
            size=size,
            # The released code cuts the fraction off.
            short_side=size if crops > 1 else int(256 / 224 * size),
            interpolation="bilinear",
            antialias=False,
            mean=_PAPER_MEAN,
            std=_PAPER_STD,
            backend=BACKENDS[name],
        )
    if tower["resize_mode"] not in (SHORTEST, SQUASH):
        raise UsageError(
            f"this tower resizes by {tower['resize_mode']!r}, which is not known here; give "
            "--resize-mode shortest or squash"
        )
    if tower["resize_mode"] == SQUASH and crops > 1:
        raise UsageError(
            f"a frame that is squashed into the square has no {crops} crops; give --crops 1, or "
            "--resize-mode shortest"
        )
    return Preprocessing(
        name=name,
        size=size,
        short_side=size,
        # OpenCLIP, too, draws one at random for training alone.
        interpolation="bicubic" if tower["interpolation"] == "random" else tower["interpolation"],
        antialias=True,
        mean=tuple(tower["mean"]),
        std=tuple(tower["std"]),
        backend=BACKENDS["openclip"],
        resize_mode=tower["resize_mode"],
    )


def _side(size: int | Sequence[int]) -> int:
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) > 1:
        raise UsageError(f"this tower sees pictures of {size} pixels, no squares; choose another")
    return sides.pop()


def squares_of(preprocessing: Preprocessing, crops: int) -> Squares | None:
    """How squares are cut on the CPU; None where the backend is Pillow but without antialias.

    Pillow does not resize so, but `paper` was that before it was OpenCV's. Raises UsageError for a
    backend that is unknown, or does not resize so.
    """
    backend, antialias = preprocessing.backend, preprocessing.antialias
    check_resizing(backend, preprocessing.interpolation, antialias)
    if backend == PILLOW and not antialias:
        return None
    return Squares(
        size=preprocessing.size,
        short_side=preprocessing.short_side,
        interpolation=preprocessing.interpolation,
        crops=crops,
        backend=backend,
        resize_mode=preprocessing.resize_mode,
    )


def preprocess(
    frames: torch.Tensor,
    preprocessing: Preprocessing,
    crops: int,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """uint8 [frame height width 3] -> [crop frame 3 size size] of `dtype`, normalised.

    On the CPU Pillow or NumPy resizes where it can: the numbers are the same, and it neither needs
    nor disturbs the threads that the tower computes with.
    """
    squares = squares_of(preprocessing, crops)
    if squares and not chosen_way(frames).is_kernel:
        levels = torch.from_numpy(squares.cut(frames.cpu().numpy()))
        return normalise(levels, preprocessing, dtype).to(frames.device)
    return preprocess_frames(
        frames,
        size=preprocessing.size,
        short_side=preprocessing.short_side,
        mean=preprocessing.mean,
        std=preprocessing.std,
        interpolation=preprocessing.interpolation,
        antialias=preprocessing.antialias,
        num_crops=crops,
        backend=preprocessing.backend,
        dtype=dtype,
        resize_mode=preprocessing.resize_mode,
    )


def normalise(
    levels: torch.Tensor, preprocessing: Preprocessing, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """uint8 [... size size 3] -> [... 3 size size] of `dtype`: (level / 255 - mean) / std."""
    colour = tuple(preprocessing.mean), tuple(preprocessing.std)
    mean, std, whole = colours(*colour, levels.device)
    planes = levels.movedim(-1, -3)
    pixels = torch.empty(planes.shape, dtype=dtype, device=levels.device)
    flat = planes.reshape(-1, *planes.shape[-3:]), pixels.view(-1, *planes.shape[-3:])
    for part, out in zip(*(each.split(_FRAMES_AT_ONCE) for each in flat), strict=True):
        exact = part.to(torch.float32, memory_format=torch.contiguous_format)
        out.copy_(exact.div_(whole).sub_(mean).div_(std))
    return pixels
