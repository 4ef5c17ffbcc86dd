"""Decoded frames to what an encoder reads: resize, crop and normalise in one go.

    level = resize(frames)[crop]           integers 0..255, see vifistore.kernels.resampling
    pixel = (level / 255 - mean) / std     as torchvision's ToTensor and Normalize

Only the rows and columns that a crop shows are made, and the image between the two passes is as
deep as in Pillow (8 bits) or OpenCV (15); so kernel, reference and they agree level for level.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vifistore.errors import UsageError
from vifistore.kernels.dispatch import blocks_over, chosen_way, launch, tl, triton
from vifistore.kernels.geometry import PILLOW
from vifistore.kernels.opencv_linear import resize_linear
from vifistore.kernels.resampling import CropTaps, Taps, box_taps, crop_taps

Colour = Sequence[float]

# Tile of one program; with four channel lanes 16 sums a thread.
BLOCK_OTHERS, BLOCK_OUT = 16, 32


def preprocess_frames(
    frames: Tensor,
    *,
    size: int,
    mean: Colour,
    std: Colour,
    short_side: int | None = None,
    interpolation: str = "bicubic",
    antialias: bool = True,
    num_crops: int = 1,
    backend: str = PILLOW,
    dtype: torch.dtype = torch.float32,
    resize_mode: str = "shortest",
) -> Tensor:
    """Resize the shorter side to `short_side` pixels, crop squares of `size`, normalise.

    frames: uint8 `[frame height width 3]`, RGB. Returns `[crop frame 3 size size]` of `dtype`.
    `mean` and `std` are per channel, on pixels in 0..1. `short_side` is `size` where it is None.
    `num_crops` 1 is the centre; 3 are left, centre, right (top, centre, bottom of a portrait).
    With `resize_mode` squash both sides become `size`, whatever the shape.
    OpenCLIP's transform is Pillow's bicubic with antialias. ViFi-CLIP's is OpenCV's bilinear, which
    is not antialiased, to short side 256 for a crop of 224, or 224 with three crops. UsageError for
    frames of another kind, an unknown interpolation or backend, one that the backend has not, or a
    crop that does not fit.
    """
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise UsageError(
            f"frames are {frames.dtype} {list(frames.shape)}; give uint8 [frame height width 3]"
        )
    height, width = frames.shape[1:3]
    geometry = (height, width, size, short_side or size, interpolation, antialias, num_crops)
    crops = crop_taps(*geometry, frames.device, backend, resize_mode)
    path = preprocess_frames_reference
    if chosen_way(frames).is_kernel:
        path = preprocess_frames_forward
    return path(frames, crops, mean, std, dtype)


def preprocess_frames_reference(
    frames: Tensor, crops: Sequence[CropTaps], mean: Colour, std: Colour, dtype: torch.dtype
) -> Tensor:
    """Plain PyTorch form of `preprocess_frames`, for crops from `crop_taps`.

    frames: uint8 `[frame height width 3]`. Returns `[crop frame 3 size size]` of `dtype`.
    """
    pixels = [
        torch.stack([_normalise(_resize(frame, crop), mean, std).to(dtype) for frame in frames])
        for crop in crops
    ]
    return torch.stack(pixels)


def _resize(frame: Tensor, crop: CropTaps) -> Tensor:
    """uint8 `[height width channel]` -> uint8 `[channel row column]`."""
    planes = _read(frame[None], crop)[0]
    if crop.height_first:
        return _weigh(_weigh(planes, crop.rows, 1), crop.columns, 2)
    return _weigh(_weigh(planes, crop.columns, 2), crop.rows, 1)


def _read(frames: Tensor, crop: CropTaps) -> Tensor:
    """The part of `[frame height width channel]` that a crop reads, as `[frame channel ...]`."""
    rows, columns = crop.rows, crop.columns
    return frames[:, rows.first : rows.end, columns.first : columns.end].permute(0, 3, 1, 2)


def _weigh(levels: Tensor, taps: Taps, axis: int) -> Tensor:
    """Levels `[channel height width]` resized along one axis."""
    # Gathering whole lines is several times faster than gathering bytes.
    lines = levels.movedim(axis, 0).contiguous()
    rounding = taps.rounding
    sums = lines.new_full((len(taps.starts), *lines.shape[1:]), rounding.half, dtype=torch.int32)
    for tap in range(taps.weights.shape[1]):
        positions = (taps.starts + tap).clamp(0, len(lines) - 1)
        products = lines[positions].int() * taps.weights[:, tap].view(-1, 1, 1)
        sums += products >> rounding.product_shift
    levels = (sums >> rounding.sum_shift).clamp(0, rounding.largest)
    return levels.to(rounding.dtype).movedim(0, axis)


def _normalise(levels: Tensor, mean: Colour, std: Colour) -> Tensor:
    centre, spread, whole = colours(tuple(mean), tuple(std), levels.device)
    return (levels.float() / whole - centre) / spread


@lru_cache(maxsize=32)
def colours(mean: Colour, std: Colour, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, deviation and the highest level on a device, float32 `[3 1 1]`, `[3 1 1]` and `[]`.

    Kept, since a GPU is waited for where a number is handed to it. The level is a tensor, too: by a
    plain number a GPU multiplies with its reciprocal, which gives other bits than dividing.
    """
    numbers = (torch.tensor(colour, dtype=torch.float32) for colour in (mean, std, 255.0))
    centre, spread, whole = (number.to(device, non_blocking=True) for number in numbers)
    return centre.view(3, 1, 1), spread.view(3, 1, 1), whole


def resize_box(frames: Tensor, box: tuple[int, int, int, int], size: int) -> Tensor:
    """A box (top, left, height, width) of uint8 `[frame height width 3]` as OpenCV resizes it.

    Returns uint8 `[frame 3 size size]`.
    """
    if not chosen_way(frames).is_kernel:
        top, left, height, width = box
        part = frames[:, top : top + height, left : left + width].cpu().numpy()
        levels = np.stack([resize_linear(frame, (size, size)) for frame in part])
        return torch.from_numpy(levels).permute(0, 3, 1, 2).to(frames.device)
    return resize_box_forward(frames, box_taps(box, size, frames.device))


def resize_box_forward(frames: Tensor, crop: CropTaps) -> Tensor:
    """Two launches that resize `[frame height width 3]` by the taps of a box.

    Returns uint8 `[frame 3 size size]`.
    """
    size = len(crop.columns.starts)
    levels = frames.new_empty(len(frames), 3, size, size)
    _resize_crop(frames, crop, levels, None)
    return levels


def preprocess_frames_forward(
    frames: Tensor, crops: Sequence[CropTaps], mean: Colour, std: Colour, dtype: torch.dtype
) -> Tensor:
    """Two launches a crop: one axis, then the other one and normalising.

    frames: uint8 `[frame height width 3]`. Returns `[crop frame 3 size size]` of `dtype`.
    """
    size = len(crops[0].columns.starts)
    shape = (len(crops), len(frames), 3, size, size)
    pixels = torch.empty(shape, dtype=dtype, device=frames.device)
    colour = colours(tuple(mean), tuple(std), frames.device)[:2]
    for crop, out in zip(crops, pixels, strict=True):
        _resize_crop(frames, crop, out, colour)
    return pixels


def _resize_crop(
    frames: Tensor, crop: CropTaps, out: Tensor, colour: tuple[Tensor, Tensor] | None
) -> None:
    """One crop of `[frame height width channel]` into `out`; normalised with a colour."""
    read = _read(frames, crop)
    passes = [(crop.columns, 3), (crop.rows, 2)]
    (first, first_axis), (last, last_axis) = reversed(passes) if crop.height_first else passes
    shape = list(read.shape)
    shape[first_axis] = len(first.starts)
    levels = torch.empty(shape, dtype=first.rounding.dtype, device=frames.device)
    _resize_axis(_first_pass, read, first, first_axis, levels, None)
    _resize_axis(_last_pass, levels, last, last_axis, out, colour)


def _resize_axis(
    kernel: Any,
    levels: Tensor,
    taps: Taps,
    axis: int,
    out: Tensor,
    colour: tuple[Tensor, Tensor] | None,
) -> None:
    """Resize axis 2 or 3 of `[frame channel height width]` into `out`; normalise with `colour`,
    mean and deviation."""
    if axis == 2:
        levels, out = levels.transpose(2, 3), out.transpose(2, 3)
    num_frames, _, num_others, num_inputs = levels.shape
    num_outputs, num_taps = taps.weights.shape
    launch(
        kernel,
        (num_frames, blocks_over(num_others, BLOCK_OTHERS), blocks_over(num_outputs, BLOCK_OUT)),
        levels,
        *levels.stride(),
        taps.starts,
        taps.weights,
        *(colour or (None, None)),
        out,
        *out.stride(),
        num_others,
        num_inputs,
        num_outputs,
        num_taps,
        PRODUCT_SHIFT=taps.rounding.product_shift,
        HALF=taps.rounding.half,
        SUM_SHIFT=taps.rounding.sum_shift,
        LARGEST=taps.rounding.largest,
        BLOCK_OTHERS=BLOCK_OTHERS,
        BLOCK_OUT=BLOCK_OUT,
    )


def _preprocess_frames_forward_kernel(
    levels_ptr,
    levels_frame_stride,
    levels_channel_stride,
    levels_other_stride,
    levels_stride,
    starts_ptr,
    weights_ptr,
    mean_ptr,
    std_ptr,
    out_ptr,
    out_frame_stride,
    out_channel_stride,
    out_other_stride,
    out_stride,
    num_others,
    num_inputs,
    num_outputs,
    num_taps,
    PRODUCT_SHIFT: tl.constexpr,
    HALF: tl.constexpr,
    SUM_SHIFT: tl.constexpr,
    LARGEST: tl.constexpr,
    BLOCK_OTHERS: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
):
    """One axis resized in fixed point, all channels of a tile; with a mean, normalised as well."""
    frame = tl.program_id(0).to(tl.int64)
    others = tl.program_id(1) * BLOCK_OTHERS + tl.arange(0, BLOCK_OTHERS)
    outputs = tl.program_id(2) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    channels = tl.arange(0, 4)
    inside = (
        (others < num_others)[:, None, None]
        & (outputs < num_outputs)[None, :, None]
        & (channels < 3)[None, None, :]
    )
    starts = tl.load(starts_ptr + outputs, mask=outputs < num_outputs, other=0)
    lines = (
        levels_ptr
        + frame * levels_frame_stride
        + others[:, None, None] * levels_other_stride
        + channels[None, None, :] * levels_channel_stride
    )
    sums = tl.full([BLOCK_OTHERS, BLOCK_OUT, 4], HALF, tl.int32)
    for tap in range(num_taps):
        weights = tl.load(
            weights_ptr + outputs * num_taps + tap, mask=outputs < num_outputs, other=0
        )
        positions = tl.maximum(tl.minimum(starts + tap, num_inputs - 1), 0)
        levels = tl.load(lines + positions[None, :, None] * levels_stride, mask=inside, other=0)
        sums += levels.to(tl.int32) * weights[None, :, None] >> PRODUCT_SHIFT
    result = tl.minimum(tl.maximum(sums >> SUM_SHIFT, 0), LARGEST)
    if mean_ptr is not None:
        mean = tl.load(mean_ptr + channels, mask=channels < 3, other=0.0)
        std = tl.load(std_ptr + channels, mask=channels < 3, other=1.0)
        # Rounded divisions, so that float32 results are equal to PyTorch's to the last bit.
        shifted = tl.div_rn(result.to(tl.float32), 255.0) - mean[None, None, :]
        result = tl.div_rn(shifted, tl.broadcast_to(std[None, None, :], shifted.shape))
    out = (
        out_ptr
        + frame * out_frame_stride
        + others[:, None, None] * out_other_stride
        + channels[None, None, :] * out_channel_stride
        + outputs[None, :, None] * out_stride
    )
    tl.store(out, result.to(out_ptr.dtype.element_ty), mask=inside)


# Videos of the web come in hundreds of sizes: a compilation serves all that need no other one.
# The first pass reads bytes one by one, however they lie; the last one reads and writes what is
# made here, several numbers at once where Triton knows that they lie so.
_first_pass = triton.jit(
    do_not_specialize=("num_others", "num_inputs", "num_taps"),
    do_not_specialize_on_alignment=(
        *("levels_ptr", "levels_frame_stride", "levels_channel_stride"),
        *("levels_other_stride", "levels_stride"),
    ),
)(_preprocess_frames_forward_kernel)
_last_pass = triton.jit(do_not_specialize=("num_inputs", "num_taps"))(
    _preprocess_frames_forward_kernel
)
