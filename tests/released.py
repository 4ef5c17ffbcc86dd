"""The released code's pixels, restated plainly: mmcv's sizes and crops, OpenCV's bilinear resizing,
and torchvision's own colour changes.

Written for reading, apart from the project's own arithmetic: one output row and column at a time.
From muzairkhattak/ViFi-CLIP, datasets/build.py and datasets/pipeline.py, mmcv's image/geometric.py
and OpenCV's modules/imgproc/src/resize.cpp.
"""

import math
from collections.abc import Iterable, Sequence
from types import ModuleType

import numpy as np
from PIL import Image

from vifistore.models.torchvision_operators import prepare

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def cv2_resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """What cv2.resize(image, (width, height)) gives for a uint8 image [height width channel]."""
    levels = image.astype(np.int64)
    lines = np.empty((len(image), width, image.shape[2]), np.int64)
    for column in range(width):
        first, share = _place(column, image.shape[1], width)
        if first < 0 or first >= image.shape[1] - 1:
            first, share = min(max(first, 0), image.shape[1] - 1), np.float32(0)
        after = min(first + 1, image.shape[1] - 1)
        near, far = _weights(share)
        lines[:, column] = (levels[:, first] * near + levels[:, after] * far) >> 4
    result = np.empty((height, width, image.shape[2]), np.uint8)
    for row in range(height):
        first, share = _place(row, len(image), height)
        above, below = (lines[min(max(r, 0), len(image) - 1)] for r in (first, first + 1))
        near, far = _weights(share)
        result[row] = ((above * near >> 16) + (below * far >> 16) + 2) >> 2
    return result


def _place(number: int, length: int, out_length: int) -> tuple[int, np.float32]:
    place = np.float32((number + 0.5) * (1 / (out_length / length)) - 0.5)
    first = math.floor(place)
    return first, np.float32(place - np.float32(first))


def _weights(share: np.float32) -> tuple[int, int]:
    # Python rounds halves to even, as cvRound does.
    return round(float((np.float32(1) - share) * 2048)), round(float(share * 2048))


def short_side_resized(image: np.ndarray, short_side: int) -> np.ndarray:
    """mmcv.imresize to what mmcv.rescale_size((width, height), (inf, short_side)) gives."""
    height, width = image.shape[:2]
    factor = min(math.inf / max(height, width), short_side / min(height, width))
    return cv2_resize(image, int(width * factor + 0.5), int(height * factor + 0.5))


def scored_squares(image: np.ndarray, size: int, crops: int) -> np.ndarray:
    """The squares [crop size size 3] that are scored; three are left, middle, right or top ..."""
    if crops == 1:
        image = short_side_resized(image, int(256 / 224 * size))
        left, top = (image.shape[1] - size) // 2, (image.shape[0] - size) // 2
        return image[None, top : top + size, left : left + size]
    image = short_side_resized(image, size)
    height, width = image.shape[:2]
    if height == size:
        step = (width - size) // 2
        return np.stack([image[:, left : left + size] for left in (0, step, 2 * step)])
    assert width == size
    step = (height - size) // 2
    return np.stack([image[top : top + size] for top in (0, step, 2 * step)])


def normalised(squares: np.ndarray) -> np.ndarray:
    """mmcv.imnormalize of uint8 [... height width 3], as float32 [... 3 height width]."""
    mean, scale = np.float64(np.float32(MEAN)), 1 / np.float64(np.float32(STD))
    return np.moveaxis(((squares.astype(np.float32) - mean) * scale).astype(np.float32), -1, -3)


def multi_scale_box(
    height: int, width: int, size: int, pair: int, place: int
) -> tuple[int, int, int, int]:
    """Left, top, width and height of MultiScaleCrop's box of a number, at a place of a number."""
    base = min(height, width)
    sides = [int(base * scale) for scale in (1, 0.875, 0.75, 0.66)]
    pairs = []
    for i, box_height in enumerate(sides):
        for j, box_width in enumerate(sides):
            if abs(i - j) <= 1:
                pairs.append([box_width, box_height])
    box_width, box_height = (size if abs(side - size) < 3 else side for side in pairs[pair])
    step_x, step_y = (width - box_width) // 4, (height - box_height) // 4
    corners = [
        *((0, 0), (4 * step_x, 0), (0, 4 * step_y), (4 * step_x, 4 * step_y)),
        (2 * step_x, 2 * step_y),
    ]
    return *corners[place], box_width, box_height


def training_crop(image: np.ndarray, size: int, pair: int, place: int) -> np.ndarray:
    """A square of training: the image resized, a box of it resized again."""
    image = short_side_resized(image, int(256 / 224 * size))
    left, top, width, height = multi_scale_box(*image.shape[:2], size, pair, place)
    return cv2_resize(image[top : top + height, left : left + width], size, size)


def jittered(image: np.ndarray, order: Iterable[int], factors: Sequence[float]) -> np.ndarray:
    """torchvision's ColorJitter of a Pillow image, with what it would have drawn."""
    picture = Image.fromarray(image)
    names = ("brightness", "contrast", "saturation", "hue")
    for number in order:
        change = getattr(torchvision_functional(), f"adjust_{names[number]}")
        picture = change(picture, float(factors[number]))
    return np.asarray(picture)


def grayed(image: np.ndarray) -> np.ndarray:
    """torchvision's Grayscale(3) of a Pillow image."""
    return np.asarray(torchvision_functional().to_grayscale(Image.fromarray(image), 3))


def torchvision_functional() -> ModuleType:
    """torchvision.transforms.functional, beside whichever torch is installed."""
    prepare()
    from torchvision.transforms import functional

    return functional
