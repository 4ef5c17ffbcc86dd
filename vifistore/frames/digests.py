"""What tells the content of a video apart: a SHA-256 of all its bytes."""

import hashlib
from pathlib import Path

from vifistore.errors import DecodeError
from vifistore.files import read_regular
from vifistore.frames.decoders.image_folder import list_images
from vifistore.pointers import HEAD_BYTES, pointer_told
from vifistore.sources.footage import Footage, Readable, opened
from vifistore.sources.roots import footage_of

# Pillow opens no picture whose pixels take more than half of this.
_LARGEST_IMAGE_BYTES = 1 << 30


def content_digest(video: str | Path | Footage) -> str:
    """SHA-256 of the bytes of a file, or of the names and bytes of a folder of frames.

    Raises DecodeError if there is nothing in it, OSError if it cannot be read.
    """
    footage = footage_of(video)
    if folder := footage.folder:
        return _digest_folder(folder)
    with footage.at_hand(0) as readable:
        return digest_file(readable)


def digest_file(video: Readable, *, whole: bool = True) -> str:
    """SHA-256 of a file; empty unless the `whole` of it is to be read."""
    with opened(video) as file:
        head = file.read(HEAD_BYTES)
        _check_head(head)
        if head and not whole:
            return ""
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
