"""An HDF5 file that `vifi export --format hdf5` wrote: a whole feature set with its recipe."""

import math
from pathlib import Path

import numpy as np

from vifistore.errors import DamagedError, UsageError, first_line
from vifistore.files import parse_json, parse_json_object, require_regular
from vifistore.store.feature_record import ARRAYS, FurtherArray, declared_arrays
from vifistore.store.importing.hdf5_trial import require_survivable
from vifistore.store.importing.import_source import (
    UNREADABLE,
    ImportSource,
    check_float,
    check_ids,
    check_lengths,
    require_possible,
)
from vifistore.store.recipe import recipe_id
from vifistore.store.schema import (
    DERIVED_FIELDS,
    FEATURE_ARRAYS,
    SCHEMA_VERSION,
    STRETCH_COLUMNS,
    VIDEO_COLUMNS,
    ArraySpec,
    check_name,
)
from vifistore.store.writer import Shape

VIDEOS = "videos"
CLASS_NAMES = "class_names"

# In `about`, where a reader of before refuses what it does not know: it would take parts of videos
# for whole ones, and padding for frames.
SCHEMA = "schema"


def open_hdf5(path: Path) -> ImportSource:
    """Open a feature set.

    Raises UsageError if it is no such file, DamagedError if its id is not that of its recipe.
    """
    # h5py takes a third of a second to import.
    import h5py

    try:
        require_regular(path)
        require_survivable(path)
        file = h5py.File(path, "r")
    except UsageError:
        raise
    except UNREADABLE as error:
        raise UsageError(
            f"{path} is not HDF5 ({first_line(error)}); give a file of vifi export"
        ) from error
    try:
        return _source(file, path)
    except (UsageError, DamagedError):
        raise
    except UNREADABLE as error:
        raise UsageError(
            f"{path} is not what vifi export --format hdf5 writes ({first_line(error)}); export it "
            "again"
        ) from error


def _source(file, path: Path) -> ImportSource:
    import pandas as pd

    recipe = _recipe(file, path)
    names = [*VIDEO_COLUMNS, *(name for name in STRETCH_COLUMNS if f"{VIDEOS}/{name}" in file)]
    columns = {name: _read(_dataset(file, f"{VIDEOS}/{name}", path)) for name in names}
    check_ids(columns["id"], path)
    declared = declared_arrays(parse_json_object(file.attrs.get(ARRAYS, "{}")))
    specs = {**{n: s for n, s in FEATURE_ARRAYS.items() if n in file}, **declared}
    found = {name: _dataset(file, name, path) for name in specs}
    shape = _shape(found, specs, len(columns["id"]), path)
    _check_columns(columns, shape.video, path)

    def read(start: int, stop: int) -> dict[str, np.ndarray]:
        try:
            return {name: _read(data, start, stop) for name, data in found.items()}
        except UNREADABLE as error:
            raise DamagedError(
                f"{path} is damaged ({first_line(error)}); export it again"
            ) from error

    return ImportSource(
        path=path,
        recipe=recipe,
        is_original=True,
        videos=pd.DataFrame(columns),
        class_names=_read(_dataset(file, CLASS_NAMES, path)).tolist(),
        shape=shape,
        arrays=tuple(name for name in found if name not in declared),
        further={
            name: FurtherArray(
                dtype=spec.dtype, axes=spec.axes[2:], lengths=tuple(found[name].shape[2:])
            )
            for name, spec in declared.items()
        },
        read=read,
        names=_names(file),
        checkpoint=str(file.attrs["checkpoint"]),
        about=_about(file, path),
    )


def _recipe(file, path: Path) -> dict:
    recipe, name = parse_json(file.attrs["recipe"]), file.attrs["id"]
    if not isinstance(recipe, dict) or recipe_id(recipe) != name:
        raise DamagedError(
            f"{path} says it is feature set {name}, but its recipe is another's; export it again"
        )
    return recipe


def _names(file) -> tuple[str, ...]:
    if not isinstance(names := parse_json(file.attrs["names"]), list):
        raise TypeError(f"its names are {names!r:.40}")
    return tuple(check_name("feature set", name) for name in names)


def _about(file, path: Path) -> dict:
    about = parse_json(file.attrs.get("about", "{}"))
    if not isinstance(about, dict) or not about.keys() <= {*DERIVED_FIELDS, SCHEMA}:
        raise DamagedError(f"{path} says {about} of itself, which is unknown; export it again")
    if (schema := about.pop(SCHEMA, SCHEMA_VERSION)) != SCHEMA_VERSION:
        raise UsageError(f"{path} has schema {schema!r:.20}; read it with a newer vifistore")
    return about


def _dataset(file, name: str, path: Path):
    """The dataset of that name, whose numbers lie in this very file."""
    import h5py

    parts = name.split("/")
    for depth in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:depth]), getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise UsageError(f"{path}: {name} is missing or lies elsewhere; export it again")
    data = file[name]
    if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external:
        raise UsageError(f"{path}: {name} is not a dataset of this file; export it again")
    # A text is a reference of 16 bytes to its letters.
    item_bytes = 16 if data.dtype.kind == "O" else data.dtype.itemsize
    is_compressed = data.compression is not None or data.scaleoffset is not None
    require_possible(math.prod(data.shape) * item_bytes, path, is_compressed=is_compressed)
    return data


def _read(data, start: int = 0, stop: int | None = None) -> np.ndarray:
    is_text = data.dtype.kind == "O"
    return data.asstr()[start:stop] if is_text else data[start:stop]


def _shape(found: dict, specs: dict[str, ArraySpec], num_videos: int, path: Path) -> Shape:
    for name in ("view_mean", "status", "content_digest", "reason", "message", "attempts"):
        if name not in found:
            raise UsageError(f"{path} has no {name}; export it again")
    if "frames" in found and not {"view_consensus", "timestamps"} <= found.keys():
        raise UsageError(f"{path} has frames but no view_consensus or timestamps; export it again")
    mean = found["view_mean"].shape
    frame = found["frames"].shape[2] if "frames" in found and found["frames"].ndim == 4 else 0
    shape = Shape(video=num_videos, view=mean[1], frame=frame, dim=mean[-1])
    for name, data in found.items():
        spec, lengths = specs[name], vars(shape)
        # Those of further axes are what they are.
        pairs = zip(spec.axes, data.shape, strict=False)
        expected = tuple(lengths.get(axis, length) for axis, length in pairs)
        if data.ndim != len(spec.axes) or data.shape != expected:
            raise UsageError(f"{path}: {name} has shape {data.shape}, not {expected}; export again")
        if spec.dtype == "str":
            data.asstr()
        elif data.dtype.kind == "f":
            check_float(data.dtype, path)
            check_lengths(data.shape, path)
        if spec.dtype != "str" and data.dtype != np.dtype(spec.dtype):
            raise UsageError(
                f"{path}: {name} holds {data.dtype}, not {spec.dtype}; export it again"
            )
    return shape


def _check_columns(columns: dict[str, np.ndarray], num_videos: int, path: Path) -> None:
    for name, values in columns.items():
        dtype = {**VIDEO_COLUMNS, **STRETCH_COLUMNS}[name].dtype
        kind = "O" if dtype == "str" else np.dtype(dtype).kind
        if values.shape != (num_videos,) or values.dtype.kind != kind:
            raise UsageError(
                f"{path}: column {name} has shape {values.shape} of {values.dtype}; export it again"
            )
