"""Sizes and crops of image resizing, as in OpenCLIP's evaluation transform. Imports no torch.

The rules are torchvision's `Resize` and `CenterCrop` on Pillow images.
"""

from vifistore.errors import UsageError


def resized_shape(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Height and width after the shorter side became `short_side`; the longer one rounds down."""
    if height <= width:
        return short_side, int(short_side * width / height)
    return int(short_side * height / width), short_side


def shape_after(
    before: tuple[int, int], size: int, short_side: int, resize_mode: str
) -> tuple[int, int]:
    """Height and width of a resized frame, of which squares of `size` are cut.

    `resize_mode` is OpenCLIP's: `shortest` keeps the shape, `squash` makes a square of the whole.
    """
    return (size, size) if resize_mode == "squash" else resized_shape(*before, short_side)


def is_height_first(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether rows are resized before columns, given (height, width) before and after.

    Pillow 13's rule; earlier versions take the width first always, which differs by a few levels
    in frames more than twice as high as wide.
    """
    lost_rows, lost_columns = before[0] - after[0], before[1] - after[1]
    return lost_rows > 0 and lost_rows > 2 * lost_columns


def crop_corners(height: int, width: int, size: int, num_crops: int) -> list[tuple[int, int]]:
    """Top and left of each crop in a resized frame: the centre, or three along the longer side.

    Three crops are left, centre and right; top, centre and bottom where height exceeds width.
    """
    top, left = _centre(height, size), _centre(width, size)
    if num_crops == 1:
        return [(top, left)]
    if num_crops != 3:
        raise UsageError(f"{num_crops} crops are not defined; use 1 (centre) or 3")
    if height > width:
        return [(0, left), (top, left), (height - size, left)]
    return [(top, 0), (top, left), (top, width - size)]


def _centre(length: int, size: int) -> int:
    if size > length:
        raise UsageError(f"a crop of {size} does not fit in {length}; use a larger short side")
    return round((length - size) / 2)
