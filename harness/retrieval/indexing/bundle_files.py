"""The files of a frame index: what they hold, and how they are held against what was written.

    frames/
      frames.json      what the index is of, and its parts in order
      codebook-CRC/    centre.npy, centroids.npy
      part-NNNN-CRC/   of so many blocks of 64 videos in a row:
        states.npy     uint32 [block 3]: checksums of what was read, see `block_states`
        places.npy     int32 [bundle 3]: row, first position, number of frames
        codes.npy      uint8 [bundle byte]

All are read whole when an index is opened, codes to be scanned, so that all are held against their
checksums then. A file may say whatever it wants of its length: it is mapped first, which fails
where the file is shorter. No file is read by FAISS.
"""

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from vifistore.errors import DamagedError, first_line
from vifistore.files import read_json_object, require_regular
from vifistore.temporaries import atomic_path, clear_temporaries, remove_path

SETTINGS = "frames.json"
_MAX_PARTS = 1 << 20

Arrays = dict[str, np.ndarray]


def write_arrays(
    folder: Path, stem: str, arrays: Mapping[str, np.ndarray], whole: Collection[str] = ()
) -> dict:
    """Write arrays into a folder `stem-CRC` below `folder`; what the settings say of them.

    `whole` names folders that were read and are what they should be: one of them stays.
    """
    checksums = {name: _checksum(values) for name, values in arrays.items()}
    together = google_crc32c.value(json.dumps(checksums).encode())
    name = f"{stem}-{together:08x}"
    if name not in whole:
        remove_path(folder / name)
        with atomic_path(folder / name) as temporary:
            temporary.mkdir()
            for array, values in arrays.items():
                np.save(temporary / f"{array}.npy", values)
    return {"folder": name, "checksums": checksums}


def read_arrays(folder: Path, entry: Any, shapes: Mapping[str, tuple]) -> Arrays:
    """The arrays of an entry of the settings, by name.

    shapes: of each array its dtype and its lengths, None for any. Raises what `damage` takes for
    others than those that were written.
    """
    name = entry["folder"]
    if Path(name).name != name or name.startswith("."):
        raise ValueError(f"{name!r:.40} is no folder of it")
    arrays = {}
    for array, (dtype, *lengths) in shapes.items():
        require_regular(path := folder / name / f"{array}.npy")
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        fits = len(mapped.shape) == len(lengths) and all(
            wanted in (None, found) for found, wanted in zip(mapped.shape, lengths, strict=True)
        )
        if mapped.dtype != np.dtype(dtype) or not fits:
            raise ValueError(f"{name}/{array}.npy is {mapped.dtype} {list(mapped.shape)}")
        arrays[array] = np.ascontiguousarray(mapped)
        if _checksum(arrays[array]) != entry["checksums"][array]:
            raise ValueError(f"{name}/{array}.npy does not match its checksum")
    return arrays


def write_settings(folder: Path, settings: Mapping) -> None:
    """Make what was written the index, and remove what no longer belongs to it."""
    with atomic_path(folder / SETTINGS) as temporary:
        temporary.write_text(json.dumps(settings), encoding="utf-8")
    kept = folders_of(settings)
    for path in folder.iterdir():
        if path.is_dir() and path.name not in kept and path.name.startswith(("part-", "codebook-")):
            remove_path(path)
    clear_temporaries(folder)


def folders_of(settings: Mapping) -> set[str]:
    """Names of the folders that belong to an index."""
    return {entry["folder"] for entry in (settings["codebook"], *settings["parts"])}


def read_settings(folder: Path) -> dict[str, Any]:
    """What an index is of, and its parts. Raises what `damage` takes."""
    settings = read_json_object(folder / SETTINGS)
    if not isinstance(settings["parts"], list) or not 0 < len(settings["parts"]) <= _MAX_PARTS:
        raise ValueError("it has no list of parts")
    if len({part["folder"] for part in settings["parts"]}) < len(settings["parts"]):
        raise ValueError("it has a part twice")
    return settings


@contextlib.contextmanager
def damage() -> Iterator[None]:
    """Turn whatever a file that is not what was written makes Python raise into DamagedError."""
    try:
        yield
    except DamagedError:
        raise
    except (
        *(RuntimeError, ValueError, LookupError, TypeError, OSError),
        *(ArithmeticError, AttributeError, MemoryError, EOFError),
    ) as error:
        raise DamagedError(first_line(error)) from error


def _checksum(values: np.ndarray) -> int:
    """CRC32C of an array [...]."""
    return google_crc32c.value(np.ascontiguousarray(values).reshape(-1).view(np.uint8))
