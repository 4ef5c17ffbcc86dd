"""A table of the store: columns of equal length, in a group that says how many rows there are.

A table grows by rows beyond its committed length; the group's attributes, which hold that
length, are written last. A kill before that leaves the old table as it was.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from vifistore.errors import DamagedError
from vifistore.store.schema import TABLE_CHUNK, ArraySpec
from vifistore.store.zarr_format.attributes import read_fields
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.chunks import can_hold
from vifistore.store.zarr_format.column_digests import FIELD, digests, require_digests

_TABLE = {"rows": int}


def write_table(
    backend: Backend,
    path: str,
    specs: dict[str, ArraySpec],
    columns: dict[str, np.ndarray],
    attributes: dict,
    *,
    start: int = 0,
) -> None:
    """Write `columns`, [row] each, at rows [start, start + n) of the table at `path`, its length
    last."""
    num_rows = start + len(next(iter(columns.values())))
    # Of the dtype it is stored in: what has no rows may have any, and would round times to floats.
    dtypes = {name: object if spec.dtype == "str" else spec.dtype for name, spec in specs.items()}
    written = {name: np.asarray(columns[name], dtypes[name]) for name in specs}
    whole = written
    if start:
        before = read_table(backend, path, specs)
        whole = {name: np.concatenate([before[name][:start], written[name]]) for name in specs}
    shape, chunks = (max(num_rows, 1),), (TABLE_CHUNK,)
    kept = {**attributes, FIELD: digests(whole, specs, attributes)}
    # Held throughout: arrays without a group are what a removal that was stopped has left.
    with backend.place.writing():
        if not start and backend.exists(path):
            # A kill meanwhile leaves old rows or new ones, and no digest of others.
            known = backend.attributes(path)
            backend.make_group(path, {key: known[key] for key in known if key != FIELD})
        arrays = {f"{path}/{name}": (spec, shape, chunks) for name, spec in specs.items()}
        backend.make_arrays(arrays)
        backend.write_rows(start, {f"{path}/{name}": written[name] for name in specs})
        backend.make_group(path, {**kept, "rows": num_rows})


def read_table(
    backend: Backend, path: str, specs: Mapping[str, ArraySpec]
) -> dict[str, np.ndarray]:
    """Read the committed rows of the table at `path`, a column [row] each.

    Raises DamagedError if they are not what was written.
    """
    attributes = table_attributes(backend, path, specs)
    return read_columns(backend, path, specs, specs, attributes)


def table_attributes(backend: Backend, path: str, specs: Mapping[str, ArraySpec]) -> dict:
    """Attributes of the table at `path`; `rows` are those that are committed.

    Raises DamagedError if there cannot be so many: a number is easily written.
    """
    attributes = read_fields(backend, path, _TABLE)
    first = f"{path}/{next(iter(specs))}"
    num_rows, grid = attributes["rows"], backend.layout(first)
    if num_rows > grid.shape[0] or not can_hold(backend, first, grid, num_rows):
        raise DamagedError(
            f"{backend.folder}/{path} says that it has {num_rows} rows, which its files do not "
            f"hold; run: {backend.verify_command}"
        )
    return attributes


def _column(backend: Backend, path: str, num_rows: int) -> np.ndarray:
    values = backend.read(path, 0, num_rows, may_lack=False)
    if len(values) != num_rows:
        raise DamagedError(
            f"{backend.folder}/{path} has {len(values)} rows, not {num_rows}; "
            f"run: {backend.verify_command}"
        )
    return values


def read_columns(
    backend: Backend,
    path: str,
    specs: Mapping[str, ArraySpec],
    names: Iterable[str],
    attributes: Mapping,
) -> dict[str, np.ndarray]:
    """Read columns of the table at `path`, [row] each, strings as objects: the rows that were
    committed when its `attributes` were read, however it has grown since.

    Raises DamagedError if they are not what was written.
    """
    columns = {name: _column(backend, f"{path}/{name}", attributes["rows"]) for name in names}
    require_digests(backend, path, columns, specs, attributes)
    return columns
