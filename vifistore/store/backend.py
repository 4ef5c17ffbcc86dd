"""The groups and arrays of a store: opened, made and made durable, wherever their files lie.

Groups are small JSON files and chunks are coded here (`coding.py`); zarr-python lays out the
arrays, and opens them for those who want a zarr array, then reading through `zarrs`, which is 2-4
times faster. It never writes: it does so in place, and a kill would tear the chunk.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec
from zarr.errors import ContainsArrayError

from vifistore.errors import DamagedError, StoreError, UsageError, shell
from vifistore.files import parse_json
from vifistore.store.coding import Layout, encode_chunk, parse_layout, read_chosen, read_rows
from vifistore.store.durable import parallel
from vifistore.store.objects import ObjectPlace, object_url
from vifistore.store.places import LocalPlace, Place
from vifistore.store.schema import ArraySpec

_WRITE = {"codec_pipeline.path": "zarr.core.codec_pipeline.BatchedCodecPipeline"}
_READ = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}

# Else a chunk equal to the fill value would not be written, and look like a lost one.
_ARRAY_CONFIG = {"write_empty_chunks": True}

# What zarr and zarrs raise for a chunk or a zarr.json whose bytes are not what they should be.
DAMAGE = (
    *(RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError),
    *(FileNotFoundError, NotADirectoryError),
)


class Backend:
    """One zarr hierarchy in a folder or an object store."""

    def __init__(self, location: str | Path, *, writable: bool) -> None:
        url = object_url(location)
        self.writable = writable
        self.place: Place = (
            ObjectPlace(url, writable=writable)
            if url
            else LocalPlace(Path(location), writable=writable)
        )

    @property
    def folder(self) -> Path | str:
        """Folder of the store; its URL, as a string, in an object store."""
        return self.place.folder if isinstance(self.place, LocalPlace) else self.place.location

    @property
    def verify_command(self) -> str:
        """What finds out about damage, for a message."""
        return shell("vifi", "verify", self.folder)

    @property
    def cache_folder(self) -> Path:
        """Local folder for what is safe to delete: locks, indexes, thumbnails. It lies beside a
        store that is a folder."""
        return self.place.cache_folder

    def exists(self, path: str) -> bool:
        """Whether a group or an array lies at `path`."""
        return self.place.exists(_metadata_key(path))

    def children(self, path: str) -> list[str]:
        """Names of the groups and arrays directly below `path`, sorted."""
        names = sorted(self.place.folders(path))
        paths = [f"{path}/{name}" for name in names]
        found = parallel(self.exists, paths, self.place.threads(0))
        return [name for name, is_there in zip(names, found, strict=True) if is_there]

    def attributes(self, path: str) -> dict:
        """Attributes of the group at `path`. Raises DamagedError if its zarr.json is unreadable."""
        try:
            return dict(self._metadata(path, "group").get("attributes", {}))
        except DAMAGE as error:
            raise DamagedError(
                f"{self.folder}/{_metadata_key(path)} cannot be read ({error}); "
                "restore it from a copy, or remove that folder and run the command again"
            ) from error

    def make_root(self, attributes: Mapping) -> None:
        """Make the store's root group; there must be none yet."""
        self._put_groups({"": attributes})

    def make_group(self, path: str, attributes: Mapping) -> None:
        """Make the group at `path`, or replace its attributes; arrays below it stay.

        Raises UsageError if the store is read-only.
        """
        self.put(self.group_files(path, attributes))

    def _missing_parents(self, path: str) -> dict[str, dict]:
        parts = path.split("/")
        parents = ["/".join(parts[:count]) for count in range(1, len(parts))]
        return {parent: {} for parent in parents if not self.exists(parent)}

    def group_files(self, path: str, attributes: Mapping) -> dict[str, list[bytes]]:
        """Files, by their keys, that make the group at `path` or replace its attributes."""
        return _group_files({**self._missing_parents(path), path: attributes})

    def _put_groups(self, groups: Mapping[str, Mapping]) -> None:
        self.put(_group_files(groups))

    def put(self, *stages: Mapping[str, Sequence]) -> None:
        """Write files by their keys; those of a stage last before one of the next has its name.

        Raises UsageError if the store is read-only.
        """
        self._require_writable()
        self.place.put(*stages)

    def _require_writable(self) -> None:
        if not self.writable:
            raise UsageError(f"{self.folder} was opened read-only; open it with mode='a'")

    def _metadata(self, path: str, node_type: str) -> dict:
        metadata = parse_json(self.place.get(_metadata_key(path)))
        if metadata["node_type"] != node_type or metadata["zarr_format"] != 3:
            raise ValueError(f"it is not the zarr.json of a zarr v3 {node_type}")
        return metadata

    def make_array(
        self, path: str, spec: ArraySpec, *, shape: tuple[int, ...], chunks: tuple[int, ...]
    ) -> zarr.Array:
        """Return the array at `path` for writing; make it, or lengthen its first axis."""
        self._require_writable()
        with zarr.config.set(_WRITE):
            try:
                return zarr.create_array(
                    self.place.zarr_store,
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
                array = zarr.open_array(self.place.zarr_store, path=path, mode="r+", zarr_format=3)
        array = array.with_config(_ARRAY_CONFIG)
        if array.shape != shape:
            array.resize(shape)
        return array

    def open_array(self, path: str) -> zarr.Array:
        """Open the array at `path` for reading. Raises DamagedError if it is not there.

        Reading part of a chunk through it leaves that chunk's checksum unverified: see `read`.
        """
        is_local = isinstance(self.place, LocalPlace)
        return self._open_array(path, _READ if is_local else _WRITE)

    def _open_array(self, path: str, config: Mapping) -> zarr.Array:
        with zarr.config.set(config):
            try:
                return zarr.open_array(self.place.zarr_store, path=path, mode="r", zarr_format=3)
            except DAMAGE as error:
                raise self._cannot_open(path, error) from error

    def _cannot_open(self, path: str, error: Exception) -> DamagedError:
        return DamagedError(
            f"{self.folder}/{path} cannot be opened ({error}); run: {self.verify_command}"
        )

    def layout(self, path: str) -> Layout | None:
        """How the array at `path` is laid out; None if another program did so in its own way.

        Raises DamagedError if it is not there.
        """
        try:
            return parse_layout(self._metadata(path, "array"))
        except DAMAGE as error:
            raise self._cannot_open(path, error) from error

    def own_layout(self, path: str) -> Layout:
        """How the array at `path` is laid out, for writing chunks of it.

        Raises StoreError if another program did so, DamagedError if it is not there.
        """
        layout = self.layout(path)
        if layout is None:
            raise StoreError(
                f"{self.folder}/{path} was laid out by another program; export that dataset "
                "and import it into a new store"
            )
        return layout

    def read(
        self, path: str, start: int = 0, stop: int | None = None, *, may_lack: bool = True
    ) -> np.ndarray:
        """Read rows [start, stop) of the array at `path`, every checksum verified.

        Strings come as an array of objects. A chunk that is not there holds the fill value, unless
        `may_lack` is False: each was written then. Raises DamagedError if a chunk does not match
        its checksum, or is lost.
        """
        if layout := self.layout(path):
            stop = layout.shape[0] if stop is None else min(stop, layout.shape[0])
            return read_rows(self.place, path, layout, start, stop, may_lack=may_lack)
        return self._read_through_zarr(path, slice(start, stop))

    def read_chosen(
        self, path: str, rows: np.ndarray, *, verify: bool = True, may_lack: bool = True
    ) -> np.ndarray:
        """Read rows of the array at `path`, in the given order.

        Without `verify` only those rows are read, not their whole chunks, and damage to them goes
        unnoticed. `may_lack` is that of `read`. Raises DamagedError if a chunk does not match its
        checksum, or is lost.
        """
        if layout := self.layout(path):
            return read_chosen(self.place, path, layout, rows, verify=verify, may_lack=may_lack)
        return self._read_through_zarr(path, rows)

    def _read_through_zarr(self, path: str, rows: slice | np.ndarray) -> np.ndarray:
        # Not `zarrs`: asked for a part of a chunk, it does not verify the checksum.
        array = self._open_array(path, _WRITE)
        try:
            values = array.oindex[rows]
        except DAMAGE as error:
            raise DamagedError(
                f"{self.folder}/{path} is damaged ({error}); run: {self.verify_command}"
            ) from error
        return values.astype(object) if values.dtype.kind in "OTU" else values

    def write_rows(self, start: int, columns: Mapping[str, np.ndarray]) -> None:
        """Write rows from `start` on into each of these arrays; they last when it returns.

        `columns` maps the paths of arrays, which must be long enough, to their new rows. Rows of
        the same chunks that are not given stay as they are. A chunk is replaced whole or not at
        all. Raises UsageError if the store is read-only, StoreError if another program laid out
        an array, and DamagedError if a chunk that is kept in part is damaged.
        """
        self._require_writable()
        files = {}
        for path, values in columns.items():
            layout = self.own_layout(path)
            stop = start + len(values)
            for block in range(start // layout.size, -(-stop // layout.size)):
                chunk = self._changed_chunk(path, layout, block, start, values)
                files[layout.key(path, block)] = encode_chunk(chunk, layout)
        self.put(files)

    def _changed_chunk(
        self, path: str, layout: Layout, block: int, start: int, values: np.ndarray
    ) -> np.ndarray:
        """A whole chunk with those of `values` in it that belong there."""
        first, stop = block * layout.size, start + len(values)
        last = min(first + layout.size, layout.shape[0])
        chunk = np.full(layout.chunk_shape, layout.fill, layout.dtype)
        if start > first or stop < last:
            chunk[: last - first] = self.read(path, first, last)
        here = slice(max(start, first), min(stop, last))
        chunk[here.start - first : here.stop - first] = values[
            here.start - start : here.stop - start
        ]
        return chunk

    def sync(self, keys: Iterable[str]) -> None:
        """Force the files of `keys`, and the folders that name them, to the disk."""
        self.place.sync(keys)

    def tail(self, key: str, num_bytes: int) -> bytes:
        """Last bytes of the file at `key`. Raises DamagedError if it is gone or too short."""
        try:
            return self.place.tail(key, num_bytes)
        except StoreError:
            raise
        except OSError as error:
            raise DamagedError(
                f"{self.folder}/{key} cannot be read ({error}); run: {self.verify_command}"
            ) from error

    def chunk_key(self, path: str, array: zarr.Array, block: int) -> str:
        """Key of the file that holds chunk `block` along the first axis of `array`."""
        coordinates = (block,) + (0,) * (array.ndim - 1)
        return f"{path}/{array.metadata.encode_chunk_key(coordinates)}"


def _group_files(groups: Mapping[str, Mapping]) -> dict[str, list[bytes]]:
    documents = {
        path: {"attributes": dict(attributes), "zarr_format": 3, "node_type": "group"}
        for path, attributes in groups.items()
    }
    return {
        _metadata_key(path): [json.dumps(value, indent=2).encode()]
        for path, value in documents.items()
    }


def _metadata_key(path: str) -> str:
    return f"{path}/zarr.json" if path else "zarr.json"
