"""OpenCV's bilinear resizing of 8-bit images (INTER_LINEAR), in NumPy and on its own integers.

OpenCV (modules/imgproc/src/resize.cpp) resizes columns, then rows, with two taps and weights of 11
fractional bits:

    line = (level_0 * w_0 + level_1 * w_1) >> 4                              along columns
    level = ((line_0 * w_0 >> 16) + (line_1 * w_1 >> 16) + 2) >> 2           along rows

so results are equal to those of cv2.resize, not only close. Imports no torch: decode workers
resize by it, and `resampling` takes its taps for the kernel and the reference.
"""

import numpy as np

LINEAR_WEIGHT_BITS = 11
# How much is shifted out: of sums of columns, of each product of rows, and of sums of rows.
LINE_SHIFT, PRODUCT_SHIFT, LEVEL_SHIFT = 4, 16, 2

Window = tuple[int, int, int, int]


def linear_taps(in_size: int, out_size: int, *, are_rows: bool) -> tuple[np.ndarray, np.ndarray]:
    """First input of each output, int32 `[output]`, and its two weights, int32 `[output tap]`.

    The first input may be -1 and the second `in_size`: outside is what the edge shows. Columns
    give the edge all the weight there; rows share it, and each share is cut off by itself.
    """
    scale = 1.0 / (out_size / in_size)
    positions = ((np.arange(out_size) + 0.5) * scale - 0.5).astype(np.float32)
    starts = np.floor(positions).astype(np.int32)
    shares = positions - starts.astype(np.float32)
    if not are_rows:
        shares[(starts < 0) | (starts >= in_size - 1)] = 0
        starts = starts.clip(0, in_size - 1)
    one = np.float32(1 << LINEAR_WEIGHT_BITS)
    weights = np.rint(np.stack([1 - shares, shares], axis=1) * one)
    return starts, weights.astype(np.int32)


def resize_linear(
    frame: np.ndarray, shape: tuple[int, int], window: Window | None = None
) -> np.ndarray:
    """uint8 `[height width 3]` resized to `shape`, (height, width); uint8 `[row column 3]`.

    Only the part of the result that `window` shows is made: top, left, bottom, right.
    """
    top, left, bottom, right = window or (0, 0, *shape)
    starts, weights = linear_taps(frame.shape[0], shape[0], are_rows=True)
    pairs = _pairs(starts[top:bottom], frame.shape[0])
    # Growing, many rows are read more often than once; shrinking, some are not read at all.
    read, positions = np.unique(pairs, return_inverse=True)
    lines = _lines(frame, read, shape[1], left, right)
    levels = np.full((bottom - top, right - left, 3), 1 << (LEVEL_SHIFT - 1), np.int32)
    for index, weight in zip(positions.reshape(pairs.shape), weights[top:bottom].T, strict=True):
        products = lines[index]
        products *= weight[:, None, None]
        products >>= PRODUCT_SHIFT
        levels += products
    levels >>= LEVEL_SHIFT
    return levels.astype(np.uint8)


def _lines(
    frame: np.ndarray, rows: np.ndarray, out_width: int, left: int, right: int
) -> np.ndarray:
    """int32 `[row column 3]`: columns `left` to `right` of some rows, resized to a width."""
    starts, weights = linear_taps(frame.shape[1], out_width, are_rows=False)
    pairs = _pairs(starts[left:right], frame.shape[1])
    first, end = pairs.min(), pairs.max() + 1
    # Gathering whole lines is several times faster than gathering pixels.
    columns = np.ascontiguousarray(frame[rows, first:end].swapaxes(0, 1))
    lines = np.zeros((right - left, *columns.shape[1:]), np.int32)
    for pair, weight in zip(pairs - first, weights[left:right].T, strict=True):
        lines += np.multiply(columns[pair], weight[:, None, None], dtype=np.int32)
    lines >>= LINE_SHIFT
    return np.ascontiguousarray(lines.swapaxes(0, 1))


def _pairs(starts: np.ndarray, length: int) -> np.ndarray:
    """Both inputs of each output, `[tap output]`."""
    return np.stack([starts, starts + 1]).clip(0, length - 1)
