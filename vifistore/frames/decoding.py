"""One video -> the pixels of its sampled frames, whatever the file is."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np

from vifistore.errors import DecodeError, UnknownNameError, UsageError, first_line
from vifistore.files import read_regular
from vifistore.frames.by_number import decode_by_number
from vifistore.frames.decord_decoder import fetch_decord, load_decord
from vifistore.frames.encryption import is_encrypted
from vifistore.frames.image_folder import decode_image_folder, list_images
from vifistore.frames.kept import WHOLE, Keep
from vifistore.frames.pyav_decoder import decode_pyav
from vifistore.frames.raw_frames import Plan, RawFrames
from vifistore.frames.sampling import sample_indices, sample_training_indices
from vifistore.frames.torchcodec_decoder import fetch_torchcodec
from vifistore.pointers import HEAD_BYTES, pointer_told
from vifistore.sources.footage import Footage, LocalFile, Readable, opened, read_or_told
from vifistore.sources.roots import footage_of


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """A library that decodes."""

    decode: Callable[[Readable, Plan, Keep], RawFrames]
    """Gives the frames of a plan; raises DecodeError."""
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
        decode=partial(decode_by_number, fetch=fetch_decord, decoder="decord"),
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

Sampling = tuple[int, int, int]
"""Frames per clip, clips and stride, of the test rule."""

# What does not lie on this machine is fetched whole up to this size, and read in pieces above it;
# further where a decoder reads no pieces, as reading in order takes ten times as long.
_WHOLE_BYTES, _MOST_WHOLE_BYTES = 2**26, 2**29

# Pillow opens no picture whose pixels take more than half of this.
_LARGEST_IMAGE_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class DecodedVideo:
    """The sampled frames of one video."""

    frames: np.ndarray
    """uint8 [distinct height width 3], RGB, upright: each sampled frame once. Where they were cut,
    uint8 [crop*distinct size size 3], crop-major."""
    index: np.ndarray
    """int64 [clip frame] into `frames`."""
    timestamps: np.ndarray
    """float32 [clip frame], seconds after the first frame of the video."""
    num_frames: int
    """Frames that can be decoded; the sampling runs over these."""
    declared_frames: int
    """Frames that the file promises; more than `num_frames` in a file that is cut off."""
    content_digest: str
    """SHA-256 of the bytes of the file, or of the names and bytes of a folder of frames."""
    width: int
    """Pixels, of the upright frame."""
    height: int
    """Pixels, of the upright frame."""
    decoder: str
    """What read the frames: the decoder asked for; "pyav" for a file that it can only read in
    order, or whose frames are large; "pillow" for a folder."""
    are_squares: bool = False
    """Whether `frames` were cut to squares."""
    was_retried: bool = False
    """Whether it was read in a second way, since a frame could not be read in the first: with
    other frames asked for, pixels might be others."""
    decode_seconds: float = 0.0
    """Processor time of reading it, from a pool."""
    cut_seconds: float = 0.0
    """Processor time of cutting squares, and from a pool of handing over."""

    def facts(self) -> dict[str, Any]:
        """All but the frames, as plain JSON values."""
        facts = {name: value for name, value in vars(self).items() if name != "frames"}
        return facts | {name: facts[name].tolist() for name in ("index", "timestamps")}

    @classmethod
    def of_facts(cls, frames: np.ndarray, facts: dict[str, Any]) -> Self:
        """From what `facts` gave and uint8 [frame height width 3]; TypeError for anything else."""
        index = np.array(facts["index"], np.int64)
        timestamps = np.array(facts["timestamps"], np.float32)
        return cls(**{**facts, "frames": frames, "index": index, "timestamps": timestamps})


def decode_video(
    video: str | Path | Footage,
    *,
    frames: int,
    clips: int,
    decoder: str,
    stride: int = 0,
    draw: Sequence[int] | None = None,
    keep: Keep = WHOLE,
    also: Sequence[Sampling] = (),
) -> DecodedVideo:
    """Sample and decode a video file, or a folder of JPEG or PNG frames.

    `keep` says what is kept of the frames. `draw` seeds a random clip of the training rule; without
    it frames are those of the test rule. With `also`, which is of the test rule, `index` and
    `timestamps` are [1 place]: those of all samplings one after the other, from which
    `vifistore.frames.together` takes each.

    Raises DecodeError, whose reason is one of: missing, empty, pointer, not a video, no video
    stream, encrypted, short (no frame is there), decode error, memory.
    """
    check_decoder(decoder)
    footage = footage_of(video)
    plan = _plan((frames, clips, stride), draw, also)
    with read_or_told(footage):
        try:
            raw, digest = _read(footage, DECODERS[decoder], plan, keep)
        except DecodeError as error:
            raise DecodeError(error.reason, f"{footage}: {error}") from None
    return DecodedVideo(
        frames=raw.frames,
        index=raw.index,
        timestamps=raw.seconds[raw.index].astype(np.float32),
        num_frames=raw.num_frames,
        declared_frames=raw.declared_frames,
        content_digest=digest,
        width=raw.kept.width,
        height=raw.kept.height,
        decoder=raw.decoder,
        are_squares=raw.kept.are_squares,
        cut_seconds=raw.kept.cut_seconds,
        was_retried=raw.was_retried,
    )


def load_decoder(decoder: str) -> None:
    """Import a decoder now; raises UsageError if it is not there or cannot be loaded."""
    check_decoder(decoder)
    try:
        load_decord() if decoder == "decord" else import_module(DECODERS[decoder].module)
    except (ImportError, OSError, RuntimeError) as error:
        remedy = DECODERS[decoder].remedy
        told = f"decoder {decoder!r} cannot be loaded ({first_line(error)}): {remedy}"
        raise UsageError(told) from error


def check_decoder(decoder: str) -> None:
    """Raise UsageError if there is no such decoder or its package is not installed."""
    if decoder not in DECODERS:
        raise UnknownNameError("decoder", decoder, DECODERS)
    if find_spec(DECODERS[decoder].module.split(".")[0]) is None:
        raise UsageError(f"decoder {decoder!r} is not installed: {DECODERS[decoder].remedy}")


def decoder_version(decoder: str) -> str:
    """Version of a decoder, as recipes record it, with PyAV's, which reads what it cannot."""
    check_decoder(decoder)
    own = _package_version(decoder)
    return own if decoder == "pyav" else f"{own}+av{_package_version('pyav')}"


def _package_version(decoder: str) -> str:
    for distribution in DECODERS[decoder].distributions:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    raise UsageError(f"the version of {decoder!r} is not known: {DECODERS[decoder].remedy}")


def _plan(own: Sampling, draw: Sequence[int] | None, also: Sequence[Sampling]) -> Plan:
    def first(num_frames: int) -> np.ndarray:
        if draw is None:
            return sample_indices(num_frames, *own)
        # A new generator, since a plan is made again where a file holds fewer frames than it says.
        return sample_training_indices(num_frames, own[0], np.random.default_rng(draw))[None]

    def all_of_them(num_frames: int) -> np.ndarray:
        further = (sample_indices(num_frames, *sampling) for sampling in also)
        return np.concatenate([first(num_frames).ravel(), *map(np.ravel, further)])[None]

    return all_of_them if also else first


def _read(footage: Footage, decoder: Decoder, plan: Plan, keep: Keep) -> tuple[RawFrames, str]:
    """Raw frames and content digest."""
    if folder := footage.folder:
        digest = content_digest(footage)
        return decode_image_folder(folder, plan, keep), digest
    if isinstance(footage, LocalFile) and footage.exists() and not footage.path.is_file():
        # Pipes and devices may never end.
        raise DecodeError("not a video", "it is neither a file nor a folder")
    most_bytes = _WHOLE_BYTES if decoder.reads_pieces else _MOST_WHOLE_BYTES
    with footage.at_hand(most_bytes) as readable:
        digest = _digest_file(readable)
        if is_encrypted(readable):
            raise DecodeError("encrypted", "its video is encrypted; use a decrypted copy")
        return decoder.decode(readable, plan, keep), digest


def content_digest(video: str | Path | Footage) -> str:
    """SHA-256 of the bytes of a file, or of the names and bytes of a folder of frames.

    Raises DecodeError if there is nothing in it, OSError if it cannot be read.
    """
    footage = footage_of(video)
    if folder := footage.folder:
        return _digest_folder(folder)
    with footage.at_hand(0) as readable:
        return _digest_file(readable)


def _digest_file(video: Readable) -> str:
    with opened(video) as file:
        _check_head(file.read(HEAD_BYTES))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256")
        if file.tell() == 0:
            raise DecodeError("empty", "the file is empty; download it again")
    return digest.hexdigest()


def _check_head(head: bytes) -> None:
    """Raise DecodeError for what downloads and checkouts leave in the place of a video."""
    if told := pointer_told(head):
        raise DecodeError("pointer", told)
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise DecodeError("not a video", "it is a web page under a video's name; download it again")


def _digest_folder(folder: Path) -> str:
    images = list_images(folder)
    if not images:
        raise DecodeError("empty", "the folder holds no JPEG or PNG frames")
    digest = hashlib.sha256()
    for image in images:
        content = read_regular(image, _LARGEST_IMAGE_BYTES)
        digest.update(f"{image.name}\0{len(content)}\0".encode(errors="surrogateescape"))
        digest.update(content)
    return digest.hexdigest()
