"""Digests of columns, kept in the attributes of their table: chunks of two may have been swapped.

Every chunk has a checksum of its own, which tells nothing of where it belongs. Stores that were
written before have no such digests, and then nothing is checked.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numcodecs.vlen import VLenUTF8

from vifistore.errors import DamagedError
from vifistore.store.recipe import digest_of
from vifistore.store.schema import ArraySpec
from vifistore.store.zarr_format.backend import Backend

FIELD = "digests"

# In front of texts stands how many there are.
_COUNT_BYTES = 4
_TEXTS_AT_ONCE = 2**16

# Attributes that say what numbers of a table stand for.
_NAMES = "class_names"

Columns = Mapping[str, np.ndarray]


class ColumnDigest:
    """SHA-256 over the shape of an array [row ...] and its values as they are stored, which come
    one part after the other."""

    def __init__(self, spec: ArraySpec, shape: Sequence[int]) -> None:
        self._spec = spec
        self._digest = hashlib.sha256(f"{spec.dtype} {list(shape)}\n".encode())
        if spec.dtype == "str":
            self._digest.update(math.prod(shape).to_bytes(_COUNT_BYTES, "little"))

    def add(self, values: np.ndarray) -> None:
        """Take the next values, [row ...]."""
        if self._spec.dtype != "str":
            stored = np.ascontiguousarray(values, np.dtype(self._spec.dtype).newbyteorder("<"))
            self._digest.update(stored.data.cast("B") if stored.size else b"")
            return
        texts = np.asarray(values, object).reshape(-1)
        # A part after the other: of ten million paths all as they are stored would be a gigabyte.
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            encoded = VLenUTF8().encode(texts[start : start + _TEXTS_AT_ONCE])
            self._digest.update(memoryview(encoded)[_COUNT_BYTES:])

    def hexdigest(self) -> str:
        """Of all values that came."""
        return self._digest.hexdigest()


def column_digest(values: np.ndarray, spec: ArraySpec) -> str:
    """See ColumnDigest."""
    digest = ColumnDigest(spec, values.shape)
    digest.add(values)
    return digest.hexdigest()


def digests(columns: Columns, specs: Mapping[str, ArraySpec], attributes: Mapping) -> dict:
    """What a table's attributes keep of its columns and class names."""
    found = {name: column_digest(columns[name], specs[name]) for name in specs}
    if _NAMES in attributes:
        found[_NAMES] = digest_of(attributes[_NAMES])
    return found


def kept_digests(attributes: Mapping) -> dict:
    """What a table's attributes keep of its columns, by name."""
    kept = attributes.get(FIELD)
    # Whatever is no digest is that of nothing, and noticed.
    return kept if isinstance(kept, dict) else {FIELD: kept} if kept is not None else {}


def wrong_digests(
    columns: Columns, specs: Mapping[str, ArraySpec], attributes: Mapping
) -> Iterator[str]:
    """Yield the names of those of some columns, and of the class names, that are not what was
    written."""
    names = columns.keys() & kept_digests(attributes).keys()
    found = {name: column_digest(columns[name], specs[name]) for name in names}
    yield from _unlike(found, attributes)


def _unlike(found: Mapping[str, str], attributes: Mapping) -> Iterator[str]:
    kept = kept_digests(attributes)
    if FIELD in kept:
        yield FIELD
    yield from (name for name, digest in found.items() if digest != kept[name])
    if _NAMES in kept and digest_of(attributes.get(_NAMES)) != kept[_NAMES]:
        yield _NAMES


def require_digests(
    backend: Backend,
    path: str,
    columns: Columns,
    specs: Mapping[str, ArraySpec],
    attributes: Mapping,
) -> None:
    """Raise DamagedError unless columns of the table at `path` are those that were written."""
    _refuse(backend, path, wrong_digests(columns, specs, attributes))


def require_kept(
    backend: Backend, path: str, found: Mapping[str, str], attributes: Mapping
) -> None:
    """Raise DamagedError unless these digests of columns of the table at `path` are those that its
    attributes keep of them."""
    _refuse(backend, path, _unlike(found, attributes))


def _refuse(backend: Backend, path: str, names: Iterable[str]) -> None:
    wrong: Sequence[str] = sorted(names)
    if wrong:
        raise DamagedError(
            f"{backend.folder}/{path}/{wrong[0]} is not what was written; "
            f"run: {backend.verify_command}"
        )
