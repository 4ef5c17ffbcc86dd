"""Attributes that a group must have. What a damaged zarr.json lacks is told in one line."""

from collections.abc import Mapping

from vifistore.errors import DamagedError
from vifistore.store.zarr_format.backend import Backend

Kinds = Mapping[str, type | tuple[type, ...]]

NONE = type(None)


def read_fields(backend: Backend, path: str, kinds: Kinds) -> dict:
    """Attributes of the group at `path`; `kinds` are the types of those that must be there.

    Whole numbers count something, so that none is negative. Raises DamagedError if one is missing
    or of another type.
    """
    return require_fields(backend, path, backend.attributes(path), kinds)


def require_fields(backend: Backend, path: str, found: dict, kinds: Kinds) -> dict:
    """Return attributes that were read already; raises as `read_fields` does."""
    for name, kind in kinds.items():
        value = found.get(name)
        if not isinstance(value, kind) or name not in found or _is_negative(value):
            raise DamagedError(
                f"{backend.folder}/{path}/zarr.json does not say its {name} as it should; run: "
                f"{backend.verify_command}"
            )
    return found


def _is_negative(value: object) -> bool:
    return isinstance(value, int) and value < 0
