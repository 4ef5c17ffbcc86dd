"""One HDF5 file: every array of a feature set, its videos and its recipe.

Datasets are named as in the store; `videos/id`, `videos/label`, ... hold the table of videos.
"""

from pathlib import Path

import numpy as np

from vifistore.store.exporting.stream import FeatureStream
from vifistore.store.feature_record import ARRAYS, declaration
from vifistore.store.features import Features
from vifistore.store.importing.hdf5 import CLASS_NAMES, SCHEMA, VIDEOS
from vifistore.store.recipe import canonical_json
from vifistore.store.schema import BLOCK_SIZE, SCHEMA_VERSION

_CHUNK_BYTES = 2**20


def write_hdf5(stream: FeatureStream, path: Path) -> None:
    """Write a feature set to the file `path`, some MB at a time."""
    # h5py takes a third of a second to import.
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs.update(_attributes(stream))
        for name, spec in stream.features.dataset.columns.items():
            values = stream.videos[name].to_numpy()
            file.create_dataset(f"{VIDEOS}/{name}", data=values, dtype=_kind(h5py, spec.dtype))
        class_names = stream.features.dataset.class_names()
        file.create_dataset(CLASS_NAMES, data=class_names, dtype=h5py.string_dtype())
        for name in stream.arrays:
            _write_array(h5py, file, stream, name)


def _kind(h5py, dtype: str):
    return h5py.string_dtype() if dtype == "str" else np.dtype(dtype)


def _attributes(stream: FeatureStream) -> dict:
    features = stream.features
    return {
        "id": features.id,
        "recipe": canonical_json(features.recipe),
        "dataset": features.dataset.name,
        "names": canonical_json(sorted(features.names, key=lambda name: name != features.name)),
        "checkpoint": features.checkpoint,
        "manifest": features.sealed["manifest"] if features.sealed else "",
        "about": canonical_json({**features.about, **_schema(features)}),
        ARRAYS: canonical_json(declaration(features.declared)),
    }


def _schema(features: Features) -> dict:
    """What has readers refuse the file that would misread it; nothing for any other."""
    is_new = bool(features.declared) or "start_seconds" in features.dataset.columns
    return {SCHEMA: SCHEMA_VERSION} if is_new else {}


def _write_array(h5py, file, stream: FeatureStream, name: str) -> None:
    spec = stream.features.specs[name]
    array = stream.features.array(name) if len(spec.axes) > 1 else None
    axes = () if array is None else array.shape[1:]
    is_text = spec.dtype == "str"
    data = file.create_dataset(
        name,
        shape=(len(stream.status), *axes),
        dtype=_kind(h5py, spec.dtype),
        chunks=None if is_text else _chunks(spec.dtype, len(stream.status), axes),
        fillvalue=None if is_text else spec.fill,
        # HDF5's own checksum: without it a flipped bit would be read as a number.
        fletcher32=not is_text,
    )
    data.attrs["axes"] = list(spec.axes)
    if name == "status":
        data[:] = stream.status
        return
    for start, stop in stream.spans("frames" if "frames" in stream.arrays else "view_mean"):
        data[start:stop] = stream.read(name, start, stop)


def _chunks(dtype: str, num_videos: int, axes: tuple[int, ...]) -> tuple[int, ...]:
    """About 1 MB, and a whole part of a block."""
    row_bytes = np.dtype(dtype).itemsize * int(np.prod(axes))
    rows = BLOCK_SIZE
    while rows > 1 and rows * row_bytes > _CHUNK_BYTES:
        rows //= 2
    return (min(rows, num_videos), *axes)
