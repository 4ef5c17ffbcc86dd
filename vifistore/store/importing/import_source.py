"""What a file to import holds: looked at, not yet read."""

import hashlib
import tokenize
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vifistore.errors import UsageError, first_line, short
from vifistore.files import open_regular
from vifistore.store.feature_record import FurtherArray
from vifistore.store.schema import FEATURE_ARRAYS, VIDEO_COLUMNS, ArraySpec
from vifistore.store.writer import Shape

if TYPE_CHECKING:
    import pandas as pd

Read = Callable[[int, int], dict[str, np.ndarray]]

FRAME_ARRAYS = tuple(FEATURE_ARRAYS)
MEAN_ARRAYS = tuple(
    name
    for name, spec in FEATURE_ARRAYS.items()
    if "frame" not in spec.axes and name != "view_consensus"
)


# What libraries raise for files that are no such file, or say what is not so: lengths below zero or
# beyond all memory among them.
UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, SyntaxError),
    *(ArithmeticError, RuntimeError, MemoryError, tokenize.TokenError),
)

_NPY = b"\x93NUMPY"

# Compression makes numbers shorter by no more than this.
_MOST_COMPRESSED = 2000


@dataclass(frozen=True, kw_only=True)
class ImportSource:
    """Embeddings of some videos, an entry each, in a file or folder."""

    path: Path | str
    """Where it lies; a URL for an object store."""
    recipe: dict
    """The original one, or where the numbers came from."""
    is_original: bool
    """Whether `recipe` is the one that the numbers were made by, kept with them."""
    videos: "pd.DataFrame"
    """Columns of VIDEO_COLUMNS, a row per entry; in an original, rows without one may follow."""
    class_names: list[str]
    shape: Shape
    """`video` counts entries; `frame` is 0 without frames."""
    arrays: tuple[str, ...]
    """Names of those of FEATURE_ARRAYS that the feature set will have."""
    read: Read
    """Arrays of entries [start, stop) by name; what is left out is computed or filled."""
    names: tuple[str, ...] = ()
    """Names that it was exported under."""
    checkpoint: str = ""
    """Digest of the checkpoint that it was made under."""
    about: dict = field(default_factory=dict)
    """What a derived set says of its head and parent."""
    further: dict[str, FurtherArray] = field(default_factory=dict)
    """The arrays that it has beside these."""

    @property
    def shapes(self) -> dict[str, tuple[ArraySpec, tuple[int, ...]]]:
        """What each array is, and its lengths behind the first axis."""
        found = {n: (a.spec, (self.shape.view, *a.lengths)) for n, a in self.further.items()}
        for name in self.arrays:
            spec = FEATURE_ARRAYS[name]
            found[name] = spec, tuple(vars(self.shape)[axis] for axis in spec.axes[1:])
        return found


def foreign_source(
    format: str,
    path: Path,
    digest: str,
    shape: Shape,
    ids: Sequence[str],
    read: Read,
    labels: Sequence[str] = (),
) -> ImportSource:
    """Embeddings made elsewhere: all that is known is which bytes they were, the ids of the videos
    and perhaps their labels, "" for none."""
    recipe = {
        "imported": {"format": format, "source": path.name, "digest": digest},
        "frames": shape.frame,
        "clips": shape.view,
        "crops": 1,
    }
    return ImportSource(
        path=path,
        recipe=recipe,
        is_original=False,
        videos=_table(ids, labels),
        class_names=sorted(set(labels) - {""}),
        shape=shape,
        arrays=FRAME_ARRAYS if shape.frame else MEAN_ARRAYS,
        read=read,
    )


def digest_of_files(files: Sequence[Path], base: Path) -> str:
    """SHA-256 over the names, relative to `base`, and the bytes of files."""
    digest = hashlib.sha256()
    for file in files:
        with open_regular(file) as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        digest.update(f"{content} {file.relative_to(base).as_posix()}\n".encode())
    return digest.hexdigest()


def _table(ids: Sequence[str], labels: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd

    columns = {
        name: np.full(len(ids), spec.fill, object if spec.dtype == "str" else spec.dtype)
        for name, spec in VIDEO_COLUMNS.items()
    }
    columns["id"] = columns["path"] = np.array(list(ids), object)
    if labels:
        columns["label"] = np.array(list(labels), object)
    return pd.DataFrame(columns)


def check_ids(ids: Sequence[str] | np.ndarray, path: Path) -> None:
    """Raise UsageError unless there are ids [video], each of them text and given once."""
    if not len(ids):
        raise UsageError(f"{path} holds no videos; give a file that holds some")
    seen: set[str] = set()
    for name in ids:
        if not isinstance(name, str) or not name.strip() or "\0" in name or "\n" in name:
            raise UsageError(
                f"{path} has {short(repr(name))} for an id; give every video one line of text"
            )
        if name in seen:
            raise UsageError(
                f"{path} has the id {short(repr(name))} twice; give every video one entry"
            )
        seen.add(name)


def check_float(dtype: np.dtype, path: Path) -> None:
    """Raise UsageError unless embeddings are float16, float32 or float64."""
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise UsageError(f"{path} holds {dtype}, not embeddings; save them as float16 or float32")


def check_lengths(lengths: Sequence[int], path: Path) -> None:
    """Raise UsageError if an axis of the embeddings is empty."""
    if min(lengths) < 1:
        raise UsageError(
            f"{path} has shape {tuple(lengths)}, an axis of which is empty; "
            "give a file that holds embeddings"
        )


def open_npy(path: Path) -> np.ndarray:
    """Map a .npy file, [video ...] or [frame ...], without ever unpickling.

    Raises UsageError if it is no plain array.
    """
    try:
        with open_regular(path) as file:
            # What else numpy.load opens are archives and pickles.
            if file.read(len(_NPY)) != _NPY:
                raise ValueError("it does not begin as one")
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE as error:
        raise UsageError(
            f"{path} is not a plain .npy array ({first_line(error)}); save it with numpy.save as "
            "float16 or float32"
        ) from error


def open_embeddings(path: Path, axes: Collection[int], told: str) -> np.ndarray:
    """Map a .npy file of embeddings [... dim] with one of these numbers of axes, as `told`.

    Raises UsageError if it is none, or its type or lengths cannot be.
    """
    array = open_npy(path)
    check_float(array.dtype, path)
    if array.ndim not in axes:
        raise UsageError(f"{path} has shape {array.shape}; give {told}")
    check_lengths(array.shape, path)
    return array


def require_possible(num_bytes: int, path: Path, *, is_compressed: bool) -> None:
    """Raise UsageError if a file cannot hold what it says: memory is taken by that."""
    if num_bytes > path.stat().st_size * (_MOST_COMPRESSED if is_compressed else 1):
        raise UsageError(f"{path} says that it holds more than its size allows; export it again")
