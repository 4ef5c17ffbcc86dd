"""What a preprocessor of transformers makes of a picture, in the words of a recipe."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vifistore.errors import ModelError, short
from vifistore.models.hf.hf_folder import read_config
from vifistore.store.identity import parse_tower

# As Pillow numbers its filters.
_FILTERS = {2: "bilinear", 3: "bicubic"}
_FILE, _OF_VIDEOS, _OF_ALL = (
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
)


def read_preprocessing(
    folder: Path, image_size: int, patch_size: int, resample: int, *, is_clip: bool
) -> tuple[dict, list[str]]:
    """`size`, `mean`, `std`, `interpolation`, `resize_mode` of a folder, and what of its
    preprocessor these cannot say.

    `image_size` is the side of what the model sees, 0 where any will do; `patch_size` is that of
    one that takes any number of patches, else 0; `resample` the filter where nobody says one.
    Raises ModelError for a preprocessor that makes other pixels.
    """
    found, name = _find(folder, is_clip=is_clip)
    told: list[str] = []
    size, mode = _square_of_patches(found, patch_size, told) if patch_size else _square(found, told)
    filter_number = found.get("resample", resample)
    if filter_number not in _FILTERS:
        raise _refused(folder, name, f"resample is {filter_number!r:.20}, not bilinear or bicubic")
    factor = found.get("rescale_factor", 1 / 255)
    if not found.get("do_rescale", True) or not _is_near(factor, 1 / 255):
        raise _refused(folder, name, "pixels are not brought to 0 to 1")
    if not found.get("do_resize", True) or size <= 0:
        raise _refused(folder, name, "it makes no square of one size")
    if image_size and size != image_size:
        raise _refused(folder, name, f"it makes squares of {size}, the model sees {image_size}")
    normalizes = found.get("do_normalize", True)
    colours = {
        "mean": found.get("image_mean") if normalizes else [0.0, 0.0, 0.0],
        "std": found.get("image_std") if normalizes else [1.0, 1.0, 1.0],
    }
    made = {"size": size, **colours, "interpolation": _FILTERS[filter_number], "resize_mode": mode}
    try:
        return parse_tower(made), told
    except (TypeError, ValueError) as error:
        raise _refused(folder, name, str(error)[:100]) from error


def _find(folder: Path, *, is_clip: bool) -> tuple[dict[str, Any], str]:
    """The fields of the preprocessor of pictures, or of videos where there is one for them, and the
    name of its file."""
    for name in (_OF_VIDEOS, _FILE) if is_clip else (_FILE,):
        if (folder / name).is_file():
            return read_config(folder, name), name
    if (folder / _OF_ALL).is_file():
        both = read_config(folder, _OF_ALL)
        found = both.get("video_processor" if is_clip else "image_processor")
        if isinstance(found, dict):
            return found, _OF_ALL
    raise ModelError(
        f"{short(folder, 120)} has no preprocessor_config.json, so that the pixels which its model "
        "was trained with are not known; copy it from where the model came from"
    )


def _square(found: Mapping, told: list[str]) -> tuple[int, str]:
    """Side of the squares, pixels, and whether they are cut from a picture or squashed."""
    size, crop = found.get("size"), _side(found.get("crop_size"))
    shortest = size.get("shortest_edge") if isinstance(size, Mapping) else size
    if shortest is None and found.get("default_to_square", True):
        side = _side(size)
        if found.get("do_center_crop") and crop != side:
            told.append(f"it crops {crop} of squares of {side} pixels; here all of them is seen")
        return (crop if found.get("do_center_crop") and crop else side), "squash"
    side = shortest if type(shortest) is int else 0
    if not found.get("do_center_crop", crop > 0):
        return 0, "shortest"
    if crop and crop != side:
        told.append(
            f"it makes the shorter side {side} pixels and crops {crop}; here that side is {crop}"
        )
    return crop or side, "shortest"


def _square_of_patches(found: Mapping, patch_size: int, told: list[str]) -> tuple[int, str]:
    """As `_square`, of a model whose pictures keep their shape within a number of patches."""
    most = found.get("max_num_patches", 256)
    side = math.isqrt(most) if type(most) is int and most > 0 else 0
    told.append(
        f"it keeps the shape of a picture within {most} patches; here all are squares of "
        f"{side} x {side}"
    )
    return side * patch_size, "squash"


def _side(size: object) -> int:
    """The side of a size that is a square; 0 of any other."""
    if isinstance(size, Mapping):
        height, width = size.get("height"), size.get("width")
        return height if type(height) is int and height == width else 0
    return size if type(size) is int else 0


def _is_near(value: object, wanted: float) -> bool:
    return isinstance(value, int | float) and math.isclose(value, wanted, rel_tol=1e-4)


def _refused(folder: Path, name: str, why: str) -> ModelError:
    return ModelError(
        f"{name} of {short(folder, 100)} asks for pixels that cannot be made here: {why}; encode "
        "with --model of another, or through module:function"
    )
