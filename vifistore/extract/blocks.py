"""What came out of videos, collected until the rows of a block are all there."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from vifistore.errors import DecodeError, ModelError
from vifistore.frames.decoders.decoding import DecodedVideo
from vifistore.kernels.temporal_pool import pool_and_round
from vifistore.sources.footage import Footage
from vifistore.store.feature_record import NUM_VALID, FurtherArray
from vifistore.store.schema import BLOCK_SIZE, DONE, FEATURE_ARRAYS, QUARANTINED
from vifistore.store.writer import BlockData, Shape

# A message is for people; a decoder's whole log would bloat the store.
_MESSAGE_LENGTH = 300


Kind = Literal["encoded", "copied", "quarantined"]


@dataclass(kw_only=True)
class VideoResult:
    """What one video gave, and how."""

    row: int
    kind: Kind
    values: dict[str, object]
    """Arrays of one row each, named as in the store."""
    reader: str = ""
    """What read the video, where it was read; see `DecodedVideo.reader`."""


def spread(rows: torch.Tensor, decoded: DecodedVideo, crops: int) -> torch.Tensor:
    """What there is of the distinct frames of each crop, [crop*distinct ...] -> the same of the
    frames of each view [view frame ...], crop-major."""
    index = torch.from_numpy(decoded.index).to(rows.device, non_blocking=True)
    return rows.unflatten(0, (crops, -1))[:, index].flatten(0, 1)


def done(
    row: int,
    decoded: DecodedVideo,
    outputs: Mapping[str, torch.Tensor],
    shape: Shape,
    further: Mapping[str, FurtherArray],
) -> VideoResult:
    """The result of a video that was encoded.

    `outputs` are float32 [view frame dim] as `frames`, and what the encoder leaves beside them,
    [view ...]. What is made of them stays on their device.
    """
    frames = outputs["frames"].reshape(shape.view, -1, shape.dim)
    stored, mean, consensus = pool_and_round(frames)
    beside: dict[str, object] = {
        name: outputs[name].to(getattr(torch, array.dtype)) for name, array in _given(further)
    }
    if NUM_VALID in further:
        # Behind them are frames that pad the view, and are zero.
        count = frames.shape[1]
        stored = torch.nn.functional.pad(stored, (0, 0, 0, shape.frame - count))
        beside[NUM_VALID] = np.full(shape.view, count, np.uint16)
    return VideoResult(
        row=row,
        kind="encoded",
        values={
            "frames": stored,
            "view_mean": mean,
            "view_consensus": consensus,
            **beside,
            "timestamps": _timestamps(decoded.timestamps, shape, pads=NUM_VALID in further),
            "content_digest": decoded.content_digest,
            "message": _short_message(decoded),
            "status": DONE,
        },
        reader=decoded.reader,
    )


def _given(further: Mapping[str, FurtherArray]) -> Iterable[tuple[str, FurtherArray]]:
    """The arrays that encoders give."""
    return ((name, array) for name, array in further.items() if name != NUM_VALID)


def _timestamps(seconds: np.ndarray, shape: Shape, *, pads: bool) -> np.ndarray:
    """Seconds of the frames of each clip [clip frame] -> those of each embedding of a view, means
    of as many stretches, or zero where it `pads` the view, float32 [view frame]."""
    if pads:
        seconds = np.pad(seconds, ((0, 0), (0, shape.frame - seconds.shape[1])))
    if seconds.shape[1] != shape.frame:
        parts = np.array_split(seconds.astype(np.float64), shape.frame, axis=1)
        seconds = np.stack([part.mean(axis=1) for part in parts], axis=1).astype(np.float32)
    return np.tile(seconds, (shape.view // len(seconds), 1))


def quarantined(row: int, footage: Footage, error: DecodeError) -> VideoResult:
    """The result of a video that cannot be decoded."""
    values = {
        "reason": error.reason,
        # The row says which video it is; its path may be another one tomorrow.
        "message": str(error).removeprefix(f"{footage}: ")[:_MESSAGE_LENGTH],
        "status": QUARANTINED,
    }
    return VideoResult(row=row, kind="quarantined", values=values)


class BlockCollector:
    """Keeps results until all rows of a run that lie in their block have one."""

    def __init__(
        self,
        missing: Counter[int],
        shape: Shape,
        attempts: np.ndarray,
        further: Mapping[str, FurtherArray] | None = None,
    ) -> None:
        """`missing` counts, by block, the rows that are under way; it grows elsewhere.

        `attempts` is how often each video was tried before, uint8 [video]; `further` are the
        arrays that the set has beside those of all."""
        self._further = further or {}
        self._missing = missing
        self._shape, self._attempts = shape, attempts.astype(int)
        self._waiting: dict[int, list[VideoResult]] = defaultdict(list)

    def add(self, result: VideoResult) -> BlockData | None:
        """Take a result; return its block if that was the last one.

        Raises ModelError as `stack` does.
        """
        block = result.row // BLOCK_SIZE
        self._waiting[block].append(result)
        self._missing[block] -= 1
        if self._missing[block]:
            return None
        results = sorted(self._waiting.pop(block), key=lambda result: result.row)
        rows = [result.row for result in results]
        data = stack(results, self._shape, self._further)
        data["attempts"] = np.minimum(self._attempts[rows] + 1, 255).astype(np.uint8)
        readers = [result.reader for result in results]
        return BlockData(block=block, rows=rows, data=data, readers=readers)


def stack(
    results: list[VideoResult], shape: Shape, further: Mapping[str, FurtherArray]
) -> dict[str, np.ndarray]:
    """One array [result ...] per name of FEATURE_ARRAYS and of `further`; what a result lacks is
    filled.

    Raises ModelError if an embedding is not finite, or zero throughout: it would be sealed, and
    score nothing.
    """
    lengths = vars(shape)
    specs = {**FEATURE_ARRAYS, **{name: array.spec for name, array in further.items()}}
    data = {}
    for name, spec in specs.items():
        dtype = object if spec.dtype == "str" else spec.dtype
        entry = tuple(lengths[axis] for axis in spec.axes[1:]) if name in FEATURE_ARRAYS else ()
        if name in further:
            entry = (shape.view, *further[name].lengths)
        values = np.full((len(results), *entry), spec.fill, dtype=dtype)
        for i, result in enumerate(results):
            if name in result.values:
                values[i] = result.values[name]
        data[name] = values
    is_finite = np.isfinite(data["view_mean"]).all(axis=(1, 2))
    for name, array in further.items():
        if array.spec.fill != 0:
            is_finite &= np.isfinite(data[name]).reshape(len(results), -1).all(axis=1)
    wrong = np.flatnonzero((data["status"] == DONE) & ~is_finite)
    if len(wrong):
        raise ModelError(
            f"the image tower gives numbers that are not finite, or too large for float16, for "
            f"{len(wrong)} videos (first: row {results[wrong[0]].row}); check the weights, or try "
            "--precision fp32"
        )
    _refuse_zeros(data, results)
    return data


def _refuse_zeros(data: dict[str, np.ndarray], results: list[VideoResult]) -> None:
    """Raise ModelError if a view's mean [video view dim] is zero: a vector without a direction."""
    is_zero = ~data["view_mean"].any(axis=2).all(axis=-1)
    wrong = np.flatnonzero((data["status"] == DONE) & is_zero)
    if len(wrong):
        raise ModelError(
            f"the image tower gives nothing but zeros for {len(wrong)} videos (first: row "
            f"{results[wrong[0]].row}); check the weights"
        )


def _short_message(decoded: DecodedVideo) -> str:
    # Lengths are rounded: one frame more or less is none that was lost.
    if decoded.left_out > 1:
        return f"longer than the scan could tell: its last {decoded.left_out} frames are left out"
    if decoded.lost_seconds:
        return f"damaged: {decoded.lost_seconds:.3g} of its seconds hold no frame of their own"
    if decoded.num_frames < decoded.declared_frames:
        return f"{decoded.num_frames} of {decoded.declared_frames} declared frames decode"
    return ""
