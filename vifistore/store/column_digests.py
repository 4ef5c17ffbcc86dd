"""Digests of columns, kept in the attributes of their table: chunks of two may have been swapped.

Every chunk has a checksum of its own, which tells nothing of where it belongs. Stores that were
written before have no such digests, and then nothing is checked.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numcodecs.vlen import VLenUTF8

from vifistore.errors import DamagedError
from vifistore.store.backend import Backend
from vifistore.store.recipe import digest_of
from vifistore.store.schema import ArraySpec

FIELD = "digests"

# In front of texts stands how many there are.
_COUNT_BYTES = 4
_TEXTS_AT_ONCE = 2**16

# Attributes that say what numbers of a table stand for.
_NAMES = "class_names"

Columns = Mapping[str, np.ndarray]


def column_digest(values: np.ndarray, spec: ArraySpec) -> str:
    """SHA-256 over the shape of an array [row ...] and its values as they are stored."""
    digest = hashlib.sha256(f"{spec.dtype} {list(values.shape)}\n".encode())
    if spec.dtype == "str":
        texts = np.asarray(values, object).reshape(-1)
        # As they are stored, a part after the other: of ten million paths all would be a gigabyte.
        digest.update(len(texts).to_bytes(_COUNT_BYTES, "little"))
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            encoded = VLenUTF8().encode(texts[start : start + _TEXTS_AT_ONCE])
            digest.update(memoryview(encoded)[_COUNT_BYTES:])
    else:
        stored = np.ascontiguousarray(values, np.dtype(spec.dtype).newbyteorder("<"))
        digest.update(stored.data.cast("B") if stored.size else b"")
    return digest.hexdigest()


def digests(columns: Columns, specs: Mapping[str, ArraySpec], attributes: Mapping) -> dict:
    """What a table's attributes keep of its columns and class names."""
    found = {name: column_digest(columns[name], specs[name]) for name in specs}
    if _NAMES in attributes:
        found[_NAMES] = digest_of(attributes[_NAMES])
    return found


def wrong_digests(
    columns: Columns, specs: Mapping[str, ArraySpec], attributes: Mapping
) -> Iterator[str]:
    """Yield the names of those of some columns, and of the class names, that are not what was
    written."""
    kept = attributes.get(FIELD)
    # Whatever is no digest is that of nothing, and noticed.
    kept = kept if isinstance(kept, dict) else {FIELD: kept} if kept is not None else {}
    if FIELD in kept:
        yield FIELD
    for name in columns.keys() & kept.keys():
        if column_digest(columns[name], specs[name]) != kept[name]:
            yield name
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
    wrong: Sequence[str] = sorted(wrong_digests(columns, specs, attributes))
    if wrong:
        raise DamagedError(
            f"{backend.folder}/{path}/{wrong[0]} is not what was written; "
            f"run: {backend.verify_command}"
        )
