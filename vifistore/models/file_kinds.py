"""What a file of weights must be before it is read: a file, no pointer to one, and no bomb."""

import re
import unicodedata
import zipfile
from pathlib import Path

from vifistore.errors import ModelError, first_line, short
from vifistore.files import open_regular
from vifistore.pointers import pointer_told

# Raw weights, an average of them, two moments of an optimiser, and as much again: what a training
# checkpoint may hold of each of its model's bytes.
_COPIES = 6
_BESIDE = 64 * 2**20

_WEB_PAGE = re.compile(rb"\s*<(!doctype html|html|\?xml)", re.IGNORECASE)
_ZIP = b"PK\x03\x04"
_START_BYTES = 256

# What zipfile raises on a directory that is cut off (BadZipFile), that points out of the file
# (OSError, ValueError), or that asks for a later version of the format (NotImplementedError).
ZIP_DAMAGE = (zipfile.BadZipFile, OSError, ValueError, NotImplementedError)


def checkpoint_name(path: Path) -> str:
    """What the checkpoint in a file of others is called: the file's name, as a store takes it."""
    plain = unicodedata.normalize("NFKD", path.stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^\w.@+=-]+", "-", plain, flags=re.ASCII).strip(".-+@=")[:100] or "weights"


def refuse_other_files(path: Path) -> None:
    """Raise ModelError unless there is a file that may hold weights."""
    name = short(path, 120)
    if path.is_dir():
        raise ModelError(f"{name} is a folder; give the file of weights in it")
    if not path.is_file():
        raise ModelError(f"there are no weights at {name}; give an existing file")
    try:
        with open_regular(path) as file:
            start = file.read(_START_BYTES)
    except OSError as error:
        raise ModelError(f"{name} cannot be read ({error.strerror}); make it readable") from error
    if not start:
        raise ModelError(f"{name} is empty; copy it again")
    if told := pointer_told(start):
        raise ModelError(f"{name}: {told}")
    if _WEB_PAGE.match(start):
        raise ModelError(f"{name} is a web page and no weights; download it again")


def unreadable(path: Path, error: Exception) -> ModelError:
    """What to raise for a file whose reader failed; of some errors the text alone says nothing."""
    reason = ": ".join(dict.fromkeys([type(error).__name__, first_line(error)]))
    return ModelError(f"{short(path.name)} cannot be read as weights ({reason}); copy it again")


def unreadable_safetensors(path: Path, error: Exception) -> ModelError:
    """What to raise for a file of safetensors whose reader failed."""
    told = f"is not a readable safetensors file ({first_line(error)}); copy it again"
    return ModelError(f"{short(path.name)} {told}")


def unpacked_limit(model_bytes: int) -> int:
    """Bytes that a file of weights of a model may unpack to, with all that training keeps."""
    return _COPIES * model_bytes + _BESIDE


def refuse_larger(path: Path, limit: int, model: str) -> None:
    """Raise ModelError for a file that would take more than `limit` bytes of memory."""
    if (size := _unpacked_bytes(path)) > limit:
        raise ModelError(
            f"{short(path.name)} unpacks to {size / 2**30:,.1f} GiB, where a {short(model)} with "
            f"all that training keeps takes {limit / 2**30:,.1f}; name the model that it was made "
            "with: --model"
        )


def _unpacked_bytes(path: Path) -> int:
    """What the members of an archive take, as its directory says, else the file itself."""
    with open_regular(path) as file:
        is_zip = file.read(len(_ZIP)) == _ZIP
    if not is_zip:
        return path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except ZIP_DAMAGE as error:
        raise unreadable(path, error) from error
