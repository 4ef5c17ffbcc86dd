"""Where a store lives, and how its groups and arrays are opened, made and made durable.

Arrays are written by zarr-python (a temporary name, then a rename) and read through `zarrs`:
the latter is 2-4 times faster, but writes chunks in place, so that a kill tears them.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import zarr
from zarr.abc.store import Store as ZarrStore
from zarr.codecs import Crc32cCodec
from zarr.errors import ContainsArrayError, ContainsGroupError
from zarr.storage import LocalStore

from vifistore.errors import DamagedError, StoreError
from vifistore.store.schema import ArraySpec

_WRITE = {"codec_pipeline.path": "zarr.core.codec_pipeline.BatchedCodecPipeline"}
_READ = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}

# Else a chunk equal to the fill value would not be written, and look like a lost one.
_ARRAY_CONFIG = {"write_empty_chunks": True}

# What zarr and zarrs raise for a chunk or a zarr.json whose bytes are not what they should be.
DAMAGE = (RuntimeError, ValueError, LookupError, TypeError, FileNotFoundError)


class Backend:
    """One zarr hierarchy in a folder."""

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self.folder = folder
        self.writable = writable
        self._store: ZarrStore = LocalStore(folder, read_only=not writable)

    @property
    def cache_folder(self) -> Path:
        """Folder beside the store for what is safe to delete: locks, indexes, thumbnails."""
        return self.folder.with_name(self.folder.name + ".cache")

    def exists(self, path: str) -> bool:
        """Whether a group or an array lies at `path`."""
        return (self.folder / path / "zarr.json").is_file()

    def children(self, path: str) -> list[str]:
        """Names of the groups and arrays directly below `path`, sorted."""
        folder = self.folder / path
        if not folder.is_dir():
            return []
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
        return sorted(name for name in names if self.exists(f"{path}/{name}"))

    def attributes(self, path: str) -> dict:
        """Attributes of the group at `path`. Raises DamagedError if its zarr.json is unreadable."""
        try:
            return dict(zarr.open_group(self._store, path=path, mode="r").attrs)
        except DAMAGE as error:
            raise DamagedError(
                f"{self.folder / path}/zarr.json cannot be read ({error}); "
                "restore it from a copy, or remove that folder and run the command again"
            ) from error

    def make_root(self, attributes: Mapping) -> None:
        """Make the store's root group; the folder must not exist yet."""
        zarr.create_group(self._store, attributes=dict(attributes))
        self.sync(["zarr.json"])

    def make_group(self, path: str, attributes: Mapping) -> None:
        """Make the group at `path`, or replace its attributes; arrays below it stay."""
        with zarr.config.set(_WRITE):
            try:
                zarr.open_group(self._store, mode="r+").create_group(
                    path, attributes=dict(attributes)
                )
            except ContainsGroupError:
                group = zarr.open_group(self._store, path=path, mode="r+")
                group.attrs.put(dict(attributes))
        self.sync([f"{path}/zarr.json"])

    def make_array(
        self, path: str, spec: ArraySpec, *, shape: tuple[int, ...], chunks: tuple[int, ...]
    ) -> zarr.Array:
        """Return the array at `path` for writing; make it, or lengthen its first axis."""
        with zarr.config.set(_WRITE):
            try:
                return zarr.create_array(
                    self._store,
                    name=path,
                    shape=shape,
                    chunks=chunks,
                    dtype=str if spec.dtype == "str" else spec.dtype,
                    # Embeddings hardly compress; the checksum notices a flipped bit.
                    compressors=[Crc32cCodec()],
                    fill_value=spec.fill,
                    dimension_names=list(spec.axes),
                    # One file name instead of a folder per axis: a third of the inodes.
                    chunk_key_encoding={"name": "default", "separator": "."},
                    config=_ARRAY_CONFIG,
                )
            except ContainsArrayError:
                array = zarr.open_array(self._store, path=path, mode="r+")
        array = array.with_config(_ARRAY_CONFIG)
        if array.shape != shape:
            array.resize(shape)
        return array

    def open_array(self, path: str, config: Mapping = _READ) -> zarr.Array:
        """Open the array at `path` for reading. Raises DamagedError if it is not there."""
        with zarr.config.set(config):
            try:
                return zarr.open_array(self._store, path=path, mode="r")
            except DAMAGE as error:
                raise DamagedError(
                    f"{self.folder / path} cannot be opened ({error}); run: "
                    f"vifi verify {self.folder}"
                ) from error

    def read(self, path: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read rows [start, stop) of the array at `path`, every checksum verified.

        `zarrs` checks a chunk only when all of it is asked for, so rows of a chunk that is cut, or
        that the array's end cuts, are read by zarr-python, which decodes whole chunks.

        Raises DamagedError if a chunk does not match its checksum.
        """
        array = self.open_array(path)
        stop = array.shape[0] if stop is None else min(stop, array.shape[0])
        size = array.chunks[0]
        first, last = -(-start // size) * size, stop // size * size
        try:
            if first >= last:
                return self.open_array(path, _WRITE)[start:stop]
            if (first, last) == (start, stop):
                return array[start:stop]
            whole = self.open_array(path, _WRITE)
            parts = [whole[start:first], array[first:last], whole[last:stop]]
            return np.concatenate([part for part in parts if len(part)])
        except DAMAGE as error:
            raise DamagedError(
                f"{self.folder / path} is damaged ({error}); run: vifi verify {self.folder}"
            ) from error

    def sync(self, keys: Iterable[str]) -> None:
        """Force the files of `keys`, and the folders that name them, to the disk."""
        folders = set()
        for key in keys:
            file = self.folder / key
            _fsync(file)
            folders.add(file.parent)
        for folder in folders:
            _fsync(folder)

    def tail(self, key: str, num_bytes: int) -> bytes:
        """Last bytes of the file at `key`. Raises DamagedError if it is gone or too short."""
        try:
            with open(self.folder / key, "rb") as file:
                file.seek(-num_bytes, os.SEEK_END)
                return file.read()
        except OSError as error:
            raise DamagedError(
                f"{self.folder / key} cannot be read ({error}); run: vifi verify {self.folder}"
            ) from error

    def chunk_key(self, path: str, array: zarr.Array, block: int) -> str:
        """Key of the file that holds chunk `block` along the first axis of `array`."""
        coordinates = (block,) + (0,) * (array.ndim - 1)
        return f"{path}/{array.metadata.encode_chunk_key(coordinates)}"


def _fsync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"{path} vanished while it was written: {error}") from error
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
