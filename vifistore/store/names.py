"""Names of feature sets: one small group each, so that writers never share a file."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vifistore.errors import DamagedError, UnknownNameError, UsageError, shell, short
from vifistore.store.key_value.conditional import ChangedError
from vifistore.store.key_value.object_storage import ObjectStorage
from vifistore.store.schema import check_name
from vifistore.store.zarr_format.attributes import read_fields
from vifistore.store.zarr_format.block_files import joined
from vifistore.store.zarr_format.metadata import metadata_key

if TYPE_CHECKING:
    from vifistore.store.dataset import Dataset

_ID = re.compile(r"[0-9a-f]{12}")
_PLAIN = re.compile(r"[A-Za-z0-9_]{1,64}")
_KINDS = {"id": str, "checkpoint": str}


@dataclass(frozen=True, kw_only=True)
class Name:
    """What a name stands for: a feature set, and the checkpoint it was made under.

    Two checkpoints whose image towers are equal share one feature set, but not their text tower:
    the name says which of them is meant.
    """

    name: str
    id: str
    checkpoint: str


def can_be_id(found: object) -> bool:
    """Whether what a file says can be the id of a feature set. It becomes a folder, which is read,
    and removed: it must not lead out of its place."""
    return isinstance(found, str) and _PLAIN.fullmatch(found) is not None


def check_set_name(name: str) -> str:
    """Return `name` if a feature set can be called so, else raise UsageError."""
    if _ID.fullmatch(name):
        raise UsageError(
            f"{name!r} looks like the id of a feature set, and would hide the one that has it; "
            "give a name that is not 12 digits or letters a to f"
        )
    return check_name("feature set", name)


def require_free(dataset: "Dataset", name: str, feature_id: str, checkpoint: str) -> None:
    """Raise UsageError if `name` cannot be a name, or stands for another feature set already."""
    path, backend = _path(dataset, check_set_name(name)), dataset.backend
    if not backend.exists(path):
        return
    old = read_fields(backend, path, _KINDS)
    if old != {"id": feature_id, "checkpoint": checkpoint}:
        raise UsageError(
            f"the name {name!r} of {dataset.name} already stands for feature set {old['id']} of "
            f"checkpoint {old['checkpoint']}; give another --name, or move it with: "
            f"{shell('vifi', 'name', backend.folder, dataset.name, feature_id, name, '--force')}"
        )


def set_name(
    dataset: "Dataset", name: str, feature_id: str, checkpoint: str, *, force: bool
) -> None:
    """Let `name` stand for a feature set. Without `force` it raises as `require_free` does."""
    check_set_name(name)
    backend, path = dataset.backend, _path(dataset, name)
    place, key = backend.place, metadata_key(path)
    is_bucket = isinstance(place, ObjectStorage)
    # Before it is asked what the name stands for: another machine may be giving it now.
    seen = place.look(key) if is_bucket else None
    if not force:
        require_free(dataset, name, feature_id, checkpoint)
    files = backend.group_files(path, {"id": feature_id, "checkpoint": checkpoint})
    if not is_bucket:
        backend.put(files)
        return
    own = joined(files.pop(key))
    backend.put(files)
    try:
        place.swap(key, own, seen)
    except ChangedError:
        set_name(dataset, name, feature_id, checkpoint, force=force)


def read_names(dataset: "Dataset") -> list[Name]:
    """Every name of a dataset."""
    return [_read(dataset, name) for name in dataset.backend.children(f"names/{dataset.name}")]


def _read(dataset: "Dataset", name: str) -> Name:
    backend, path = dataset.backend, _path(dataset, name)
    attributes = read_fields(backend, path, _KINDS)
    if not can_be_id(attributes["id"]):
        raise DamagedError(
            f"{backend.folder}/{path}/zarr.json names {short(repr(attributes['id']))}, which is no "
            f"id of a feature set; run: {backend.verify_command}"
        )
    return Name(name=name, id=attributes["id"], checkpoint=attributes["checkpoint"])


def _path(dataset: "Dataset", name: str) -> str:
    return f"names/{dataset.name}/{name}"


def resolve(dataset: "Dataset", name_or_id: str) -> Name:
    """Return what a name, or a bare id, stands for.

    A bare id stands for a checkpoint only where all of its names agree on it: checkpoints whose
    image towers are equal share the set, but score it with different texts. Raises
    UnknownNameError naming what exists.
    """
    if "/" not in name_or_id and dataset.backend.exists(_path(dataset, name_or_id)):
        return _read(dataset, name_or_id)
    names = read_names(dataset)
    ids = dataset.feature_ids()
    if name_or_id not in ids:
        known = [name.name for name in names] or ids
        raise UnknownNameError(f"feature set of {dataset.name}", name_or_id, known)
    checkpoints = {name.checkpoint for name in names if name.id == name_or_id}
    checkpoint = checkpoints.pop() if len(checkpoints) == 1 else ""
    return Name(name=name_or_id, id=name_or_id, checkpoint=checkpoint)
