"""Sizes and crops of image resizing. Imports no torch.

There are two rules, which recipes name as the backend that resizes:

    pillow-exact    torchvision's `Resize` and `CenterCrop` on Pillow images, as in OpenCLIP's
                    evaluation transform
    opencv-exact    mmcv's `rescale_size` and ViFi-CLIP's `CenterCrop` and `ThreeCrop`
                    (datasets/pipeline.py) on OpenCV images
"""

from vifistore.errors import UnknownNameError, UsageError

PILLOW, OPENCV = "pillow-exact", "opencv-exact"
BACKENDS = (PILLOW, OPENCV)


def check_resizing(backend: str, interpolation: str, antialias: bool) -> None:
    """Raise UnknownNameError for an unknown backend, UsageError for what it does not do."""
    if backend not in BACKENDS:
        raise UnknownNameError("resizing backend", backend, BACKENDS)
    if backend == OPENCV and (antialias or interpolation != "bilinear"):
        kind = f"{interpolation} with antialias" if antialias else interpolation
        raise UsageError(f"{OPENCV} resizes bilinear without antialias; take {PILLOW} for {kind}")


def resized_shape(
    height: int, width: int, short_side: int, backend: str = PILLOW
) -> tuple[int, int]:
    """Height and width after the shorter side became `short_side`.

    The longer one rounds down for Pillow, and to the nearest for OpenCV, halves up.
    """
    if backend == OPENCV:
        scale = short_side / min(height, width)
        return int(height * scale + 0.5), int(width * scale + 0.5)
    if height <= width:
        return short_side, int(short_side * width / height)
    return int(short_side * height / width), short_side


def shape_after(
    before: tuple[int, int], size: int, short_side: int, resize_mode: str, backend: str = PILLOW
) -> tuple[int, int]:
    """Height and width of a resized frame, of which squares of `size` are cut.

    `resize_mode` is OpenCLIP's: `shortest` keeps the shape, `squash` makes a square of the whole.
    """
    if resize_mode == "squash":
        return size, size
    return resized_shape(*before, short_side, backend)


def is_height_first(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether Pillow resizes rows before columns, given (height, width) before and after.

    Pillow 13's rule; earlier versions take the width first always, which differs by a few levels
    in frames more than twice as high as wide.
    """
    lost_rows, lost_columns = before[0] - after[0], before[1] - after[1]
    return lost_rows > 0 and lost_rows > 2 * lost_columns


def crop_corners(
    height: int, width: int, size: int, num_crops: int, backend: str = PILLOW
) -> list[tuple[int, int]]:
    """Top and left of each crop in a resized frame: the centre, or three along the longer side.

    Three crops are left, centre and right; top, centre and bottom where height exceeds width.
    Raises UsageError for another number of crops, and for one that does not fit.
    """
    top, left = _centre(height, size, backend), _centre(width, size, backend)
    if num_crops == 1:
        return [(top, left)]
    if num_crops != 3:
        raise UsageError(f"{num_crops} crops are not defined; use 1 (centre) or 3")
    if height > width:
        return [(0, left), (top, left), (_end(height, size, backend), left)]
    return [(top, 0), (top, left), (top, _end(width, size, backend))]


def _centre(length: int, size: int, backend: str) -> int:
    if size > length:
        raise UsageError(f"a crop of {size} does not fit in {length}; use a larger short side")
    return (length - size) // 2 if backend == OPENCV else round((length - size) / 2)


def _end(length: int, size: int, backend: str) -> int:
    # Two whole steps, which leave out the last pixel of an odd rest.
    return 2 * _centre(length, size, backend) if backend == OPENCV else length - size
