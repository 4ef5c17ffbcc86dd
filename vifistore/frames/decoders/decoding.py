"""One video -> the pixels of its sampled frames, whatever the file is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np

from vifistore.errors import DecodeError, UnknownNameError, UsageError, first_line
from vifistore.frames.bitstreams.encryption import is_encrypted
from vifistore.frames.decoders.by_number import decode_by_number
from vifistore.frames.decoders.by_time import decode_pyav
from vifistore.frames.decoders.decoder_names import NVDEC
from vifistore.frames.decoders.decord_decoder import fetch_decord, load_decord
from vifistore.frames.decoders.image_folder import decode_image_folder
from vifistore.frames.decoders.kept import WHOLE, FramePiece, Keep
from vifistore.frames.decoders.torchcodec_decoder import fetch_torchcodec, load_torchcodec
from vifistore.frames.digests import content_digest, digest_file
from vifistore.frames.gpu.nvdec import torchcodec_release
from vifistore.frames.plans import WHOLE_VIDEO, Plan, Sampling, Span
from vifistore.frames.raw_frames import Read
from vifistore.sources.footage import Footage, LocalFile, Readable, read_or_told
from vifistore.sources.roots import footage_of


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """A library that decodes."""

    decode: Callable[[Readable, Sequence[Plan], Keep], Iterator[Read]]
    """Gives the frames of each plan in turn, as soon as they are all there, or why it has none;
    raises DecodeError for what stands against all that are left."""
    module: str
    """What to import to load its native libraries."""
    distributions: tuple[str, ...]
    """Distributions that may bring it; the first that is installed tells its version."""
    remedy: str
    """What to do where it is missing."""
    reads_pieces: bool = False
    """Whether it reads what does not lie on this machine as it needs it, and not whole."""


DECODERS = {
    "decord": Decoder(
        decode=partial(decode_by_number, fetch=fetch_decord, decoder="decord", picks=True),
        module="decord",
        distributions=("decord2", "decord", "eva-decord"),
        remedy="pip install decord2",
    ),
    "pyav": Decoder(
        decode=decode_pyav,
        module="av",
        distributions=("av",),
        remedy="pip install av",
        reads_pieces=True,
    ),
    "torchcodec": Decoder(
        decode=partial(decode_by_number, fetch=fetch_torchcodec, decoder="torchcodec"),
        module="torchcodec.decoders",
        distributions=("torchcodec",),
        remedy="pip install 'torchcodec>=0.13', and install FFmpeg's shared libraries",
    ),
}

# Decoders that are loaded by more than an import.
_LOADERS = {"decord": load_decord, "torchcodec": load_torchcodec}

# What does not lie on this machine is fetched whole up to this size, and read in pieces above it;
# further where a decoder reads no pieces, as reading in order takes ten times as long.
_WHOLE_BYTES, _MOST_WHOLE_BYTES = 2**26, 2**29


@dataclass(frozen=True, kw_only=True)
class DecodedVideo:
    """The sampled frames of one video, or of a stretch of it."""

    frames: np.ndarray
    """uint8 [distinct height width 3], RGB, upright: each sampled frame once. Where they were cut,
    uint8 [crop*distinct size size 3], crop-major. Of `torchcodec-cuda` a tensor on the GPU."""
    index: np.ndarray
    """int64 [clip frame] into `frames`."""
    timestamps: np.ndarray
    """float32 [clip frame], seconds after the first frame of the file; of frames at a rate the
    moments at which they are taken."""
    num_frames: int
    """Frames of the file that can be decoded; the sampling runs over these, or the stretch's."""
    declared_frames: int
    """Frames that the file promises; more than `num_frames` in a file that is cut off."""
    content_digest: str
    """SHA-256 of the bytes of the file, or of the names and bytes of a folder of frames."""
    width: int
    """Pixels, of the upright frame."""
    height: int
    """Pixels, of the upright frame."""
    decoder: str
    """What read the frames: the decoder asked for; "pyav" for a file of which that decodes less,
    that is only read in order or is large, or that no GPU took; "pillow" for a folder."""
    way: str = ""
    """How it went about it: "wanted-only" (only what wanted frames need), "by-number" (the
    decoder's own search), "by-time" (from the key frame before each), "in-order" (all of the
    file); empty for a folder."""
    are_squares: bool = False
    """Whether `frames` were cut to squares."""
    numbers: tuple[int, ...] = ()
    """Of the distinct frames in the file, sorted."""
    left_out: int = 0
    """Frames at a rate beyond those that there is room for."""
    lost_seconds: float = 0.0
    """How much of the stretch a damaged file does not hold any more."""
    was_retried: bool = False
    """Whether it was read in a second way, since a frame could not be read in the first: with
    other frames asked for, pixels might be others."""
    first: int = 0
    """How many distinct frames come before `frames`, which were handed over in pieces."""
    decode_seconds: float = 0.0
    """Processor time of reading it, from a pool."""
    cut_seconds: float = 0.0
    """Processor time of cutting squares, and from a pool of handing over."""

    @property
    def reader(self) -> str:
        """What read the frames, and how: "decord by-number", "pyav wanted-only", "pillow"."""
        return f"{self.decoder} {self.way}".rstrip()

    def facts(self) -> dict[str, Any]:
        """All but the frames, as plain JSON values."""
        facts = {name: value for name, value in vars(self).items() if name != "frames"}
        return facts | {name: facts[name].tolist() for name in ("index", "timestamps")}

    @classmethod
    def of_facts(cls, frames: np.ndarray, facts: dict[str, Any]) -> Self:
        """From what `facts` gave and uint8 [frame height width 3]; TypeError for anything else."""
        index = np.array(facts["index"], np.int64)
        timestamps = np.array(facts["timestamps"], np.float32)
        made = {"frames": frames, "index": index, "timestamps": timestamps}
        return cls(**{**facts, **made, "numbers": tuple(facts.get("numbers", ()))})


Decoded = DecodedVideo | FramePiece | DecodeError
"""What there is of a stretch: some frames, all that are left, or why it has none."""


def decode_video(
    video: str | Path | Footage,
    *,
    frames: int,
    clips: int,
    decoder: str,
    stride: int = 0,
    fps: float = 0.0,
    every: int = 0,
    span: Span = WHOLE_VIDEO,
    draw: Sequence[int] | None = None,
    keep: Keep = WHOLE,
    also: Sequence[Sampling] = (),
) -> DecodedVideo:
    """Sample and decode a video file, or a folder of JPEG or PNG frames.

    `span` is the stretch of it that is wanted; with `fps` frames a second, or `every` so many,
    `frames` is the most there may be. `keep` says what is kept of the frames. `draw` seeds a random
    clip of the training rule; without it frames are those of the test rule. With `also`, which is
    of the test rule, `index` and `timestamps` are [1 place]: those of all samplings one after the
    other, from which `vifistore.frames.processes.together` takes each.

    Raises DecodeError, whose reason is one of: missing, empty, pointer, not a video, no video
    stream, encrypted, short (no frame is there), decode error, memory.
    """
    sampling = Sampling(frames, clips, stride, fps, every)
    plan = Plan(sampling=sampling, span=span, draw=draw, also=also)
    (decoded,) = decode_stretches(video, [plan], decoder=decoder, keep=keep)
    if isinstance(decoded, DecodeError):
        raise decoded
    assert isinstance(decoded, DecodedVideo), "a video is kept whole"
    return decoded


def decode_stretches(
    video: str | Path | Footage,
    plans: Sequence[Plan],
    *,
    decoder: str,
    keep: Keep = WHOLE,
    digest: bool = True,
) -> Iterator[Decoded]:
    """Decode stretches of one video in one go, forward; yield each, or why it has no frames, in
    turn and as soon as it is there.

    Without `digest` the `content_digest` is left empty, and the file not read for it. The reasons
    are those of `decode_video`; what stands against the file is told of each stretch that is left.
    """
    load_decoder(decoder)
    footage, done = footage_of(video), 0
    try:
        with read_or_told(footage):
            for decoded in _read(footage, DECODERS[decoder], plans, keep, digest):
                yield _named(footage, decoded) if isinstance(decoded, DecodeError) else decoded
                done += not isinstance(decoded, FramePiece)
    except DecodeError as error:
        yield from [_named(footage, error)] * (len(plans) - done)


def _named(footage: Footage, error: DecodeError) -> DecodeError:
    """The error, which says of which file it is."""
    told = str(error)
    is_named = told.startswith(f"{footage}: ")
    return error if is_named else DecodeError(error.reason, f"{footage}: {told}")


def load_decoder(decoder: str) -> None:
    """Import a decoder now; raises UsageError if it is not there or cannot be loaded."""
    check_decoder(decoder)
    try:
        _LOADERS.get(decoder, partial(import_module, DECODERS[decoder].module))()
    except (ImportError, OSError, RuntimeError) as error:
        remedy = DECODERS[decoder].remedy
        told = f"decoder {decoder!r} cannot be loaded ({first_line(error)}): {remedy}"
        raise UsageError(told) from error


def check_decoder(decoder: str) -> None:
    """Raise UsageError if there is no such decoder or its package is not installed."""
    if decoder == NVDEC:
        torchcodec_release()
        return
    if decoder not in DECODERS:
        raise UnknownNameError("decoder", decoder, DECODERS)
    if find_spec(DECODERS[decoder].module.split(".")[0]) is None:
        raise UsageError(f"decoder {decoder!r} is not installed: {DECODERS[decoder].remedy}")


def decoder_version(decoder: str) -> str:
    """Version of a decoder, as recipes record it, with PyAV's, which reads what it cannot.

    Raises UsageError for one that is not there; also for torchcodec that can decode no video, whose
    name PyAV's frames would bear.
    """
    check_decoder(decoder)
    if decoder == "torchcodec":
        load_decoder(decoder)
    own = torchcodec_release() if decoder == NVDEC else _package_version(decoder)
    return own if decoder == "pyav" else f"{own}+av{_package_version('pyav')}"


def _package_version(decoder: str) -> str:
    for distribution in DECODERS[decoder].distributions:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    raise UsageError(f"the version of {decoder!r} is not known: {DECODERS[decoder].remedy}")


def _read(
    footage: Footage, decoder: Decoder, plans: Sequence[Plan], keep: Keep, digest: bool
) -> Iterator[Decoded]:
    """Raises DecodeError and OSError for what stands against all that are left."""
    if folder := footage.folder:
        told = content_digest(footage) if digest else ""
        yield from _decoded(decode_image_folder(folder, plans, keep), told)
        return
    if isinstance(footage, LocalFile) and footage.exists() and not footage.path.is_file():
        # Pipes and devices may never end.
        raise DecodeError("not a video", "it is neither a file nor a folder")
    most_bytes = _WHOLE_BYTES if decoder.reads_pieces else _MOST_WHOLE_BYTES
    with footage.at_hand(most_bytes) as readable:
        told = digest_file(readable, whole=digest)
        if is_encrypted(readable):
            raise DecodeError("encrypted", "its video is encrypted; use a decrypted copy")
        yield from _decoded(decoder.decode(readable, plans, keep), told)


def _decoded(found: Iterator[Read], digest: str) -> Iterator[Decoded]:
    for raw in found:
        if isinstance(raw, DecodeError | FramePiece):
            yield raw
            continue
        yield DecodedVideo(
            frames=raw.frames,
            index=raw.index,
            timestamps=raw.planned.seconds.astype(np.float32),
            num_frames=raw.num_frames,
            declared_frames=raw.declared_frames,
            content_digest=digest,
            width=raw.kept.width,
            height=raw.kept.height,
            decoder=raw.decoder,
            way=raw.way,
            are_squares=raw.kept.are_squares,
            cut_seconds=raw.kept.cut_seconds,
            numbers=tuple(raw.numbers.tolist()),
            left_out=raw.planned.left_out,
            lost_seconds=raw.planned.lost_seconds,
            was_retried=raw.was_retried,
            first=raw.kept.first,
        )
