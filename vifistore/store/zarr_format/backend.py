"""The groups and arrays of a store: opened, made and made durable, wherever their files lie.

Metadata are small JSON files (`metadata.py`) and chunks are coded here (`coding.py`); zarr-python
says how an array of ours is described, and opens arrays for those who want a zarr array, then
reading through `zarrs`, which is 2-4 times faster. Neither writes: a kill would leave a part.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import zarr

from vifistore.errors import DamagedError, StoreError, UsageError, shell
from vifistore.files import parse_json_object
from vifistore.store.key_value.durable import parallel
from vifistore.store.key_value.object_address import object_url
from vifistore.store.key_value.object_storage import ObjectStorage
from vifistore.store.key_value.storage import LocalStorage, Storage
from vifistore.store.schema import ArraySpec
from vifistore.store.zarr_format.block_ranges import blocks_of, num_blocks
from vifistore.store.zarr_format.coding import encode_chunk, read_chosen, read_rows
from vifistore.store.zarr_format.layout import Grid, Layout, parse_layout
from vifistore.store.zarr_format.metadata import array_file, group_files, json_file, metadata_key

_WRITE = {"codec_pipeline.path": "zarr.core.codec_pipeline.BatchedCodecPipeline"}
_READ = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}

# What zarr and zarrs raise for a chunk or a zarr.json whose bytes are not what they should be.
DAMAGE = (
    *(RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError),
    *(FileNotFoundError, NotADirectoryError),
)


# Bytes of a file's name, wherever the store lies.
_LONGEST_NAME = 255


class Backend:
    """One zarr hierarchy in a folder or an object store."""

    def __init__(self, location: str | Path, *, writable: bool) -> None:
        url = object_url(location)
        self.writable = writable
        self.place: Storage = (
            ObjectStorage(url, writable=writable)
            if url
            else LocalStorage(Path(location), writable=writable)
        )

    @property
    def folder(self) -> Path | str:
        """Folder of the store; its URL, as a string, in an object store."""
        return self.place.folder if isinstance(self.place, LocalStorage) else self.place.location

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
        return self.place.exists(metadata_key(path))

    def children(self, path: str) -> list[str]:
        """Names of the groups and arrays directly below `path`, sorted."""
        names = sorted(self.place.folders(path))
        paths = [f"{path}/{name}" for name in names]
        found = parallel(self.exists, paths, self.place.threads(0))
        return [name for name, is_there in zip(names, found, strict=True) if is_there]

    def has_child(self, path: str, name: str) -> bool:
        """Whether `children` has that name, without asking for the others."""
        if (
            "/" in name
            or name in ("", ".", "..")
            or len(name.encode(errors="replace")) > _LONGEST_NAME
        ):
            return False
        return self.exists(f"{path}/{name}")

    def attributes(self, path: str) -> dict:
        """Attributes of the group at `path`. Raises DamagedError if its zarr.json is unreadable."""
        try:
            return dict(self._metadata(path, "group").get("attributes", {}))
        except DAMAGE as error:
            raise DamagedError(
                f"{self.folder}/{metadata_key(path)} cannot be read ({error}); "
                "restore it from a copy, or remove that folder and run the command again"
            ) from error

    def require_schema(self, version: int) -> None:
        """Have the store say that its readers must know this schema, before what came with it is
        written: an older vifistore then refuses the store, and misreads nothing."""
        with self.place.writing():
            attributes = self.attributes("")
            told = attributes["vifistore"]
            if told["schema"] < version:
                self.make_group("", {**attributes, "vifistore": {**told, "schema": version}})

    def make_group(self, path: str, attributes: Mapping) -> None:
        """Make the group at `path`, the root being "", or replace its attributes; arrays below it
        stay. Raises UsageError if the store is read-only.
        """
        self.put(self.group_files(path, attributes))

    def _missing_parents(self, path: str) -> dict[str, dict]:
        parts = path.split("/")
        parents = ["/".join(parts[:count]) for count in range(1, len(parts))]
        return {parent: {} for parent in parents if not self.exists(parent)}

    def group_files(self, path: str, attributes: Mapping) -> dict[str, list[bytes]]:
        """Files, by their keys, that make the group at `path` or replace its attributes."""
        return group_files({**self._missing_parents(path), path: attributes})

    def put(self, *stages: Mapping[str, Sequence]) -> None:
        """Write files by their keys; those of a stage last before one of the next has its name.

        Raises UsageError if the store is read-only.
        """
        self._require_writable()
        self.place.put(*stages)

    def putting(self, put: Callable[..., None]) -> "Backend":
        """The same, with files written by `put`."""
        other = copy.copy(self)
        other.put = put
        return other

    def _require_writable(self) -> None:
        if not self.writable:
            raise UsageError(f"{self.folder} was opened read-only; open it with mode='a'")

    def _metadata(self, path: str, node_type: str) -> dict:
        metadata = parse_json_object(self.place.get(metadata_key(path)))
        if metadata["node_type"] != node_type or metadata["zarr_format"] != 3:
            raise ValueError(f"it is not the zarr.json of a zarr v3 {node_type}")
        return metadata

    def make_arrays(self, wanted: Mapping[str, tuple[ArraySpec, tuple, tuple]]) -> None:
        """Make arrays, or change the length of those that are there; it lasts when it returns.

        By path: what the array is, its shape and the shape of its chunks. Raises UsageError if the
        store is read-only, StoreError for one to change that another program laid out.
        """
        files, lost = {}, []
        for path, (spec, shape, chunks) in wanted.items():
            if not self.exists(path):
                files[metadata_key(path)] = array_file(spec, shape, chunks)
            elif (grid := self.layout(path)).shape != shape:
                size = self.own_layout(path).size
                gone = range(num_blocks(shape[0], size), num_blocks(grid.shape[0], size))
                lost += [grid.key(path, block) for block in gone]
                document = self._metadata(path, "array")
                files[metadata_key(path)] = json_file({**document, "shape": list(shape)})
        if files:
            self.put(files)
        for key in lost:
            self.place.remove(key)

    def open_array(self, path: str) -> zarr.Array:
        """Open the array at `path` for reading. Raises DamagedError if it is not there.

        Reading part of a chunk through it leaves that chunk's checksum unverified: see `read`.
        """
        is_local = isinstance(self.place, LocalStorage)
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

    def layout(self, path: str) -> Grid:
        """How the array at `path` is laid out: a Layout, unless another program did so in its own
        way. Raises DamagedError if it is not there.
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
        if not isinstance(layout, Layout):
            _, _, below = path.partition("/")
            dataset = "DATASET" if path.startswith("texts/") else below.partition("/")[0]
            words = ("vifi", "import", "NEW.zarr", self.folder, "--format", "zarr", "--dataset")
            raise StoreError(
                f"{self.folder}/{path} was laid out by another program, and can be read but not "
                f"written; go on in a copy: {shell(*words, dataset)}"
            )
        return layout

    def read(
        self, path: str, start: int = 0, stop: int | None = None, *, may_lack: bool = True
    ) -> np.ndarray:
        """Read rows [start, stop) of the array at `path`, [row ...], every checksum verified.

        Strings come as an array of objects. A chunk that is not there holds the fill value, unless
        `may_lack` is False: each was written then. Raises DamagedError if a chunk does not match
        its checksum, or is lost.
        """
        layout = self.layout(path)
        stop = layout.shape[0] if stop is None else min(stop, layout.shape[0])
        if isinstance(layout, Layout):
            return read_rows(self.place, path, layout, start, stop, may_lack=may_lack)
        return self._read_through_zarr(path, slice(start, stop))

    def read_chosen(
        self, path: str, rows: np.ndarray, *, verify: bool = True, may_lack: bool = True
    ) -> np.ndarray:
        """Read `rows`, [row], of the array at `path`, [row ...], in the given order.

        Without `verify` only those rows are read, not their whole chunks, and damage to them goes
        unnoticed. `may_lack` is that of `read`. Raises DamagedError if a chunk does not match its
        checksum, or is lost.
        """
        layout = self.layout(path)
        if isinstance(layout, Layout):
            return read_chosen(self.place, path, layout, rows, verify=verify, may_lack=may_lack)
        return self._read_through_zarr(path, rows)

    def _read_through_zarr(self, path: str, rows: slice | np.ndarray) -> np.ndarray:
        # Not `zarrs`: asked for a part of a chunk, it does not verify the checksum.
        array = self._open_array(path, _WRITE)
        try:
            values = np.asarray(array.oindex[rows])
        except DAMAGE as error:
            raise DamagedError(
                f"{self.folder}/{path} is damaged ({error}); run: {self.verify_command}"
            ) from error
        return values.astype(object) if values.dtype.kind in "OTU" else values

    def write_rows(self, start: int, columns: Mapping[str, np.ndarray]) -> None:
        """Write rows from `start` on into each of these arrays; they last when it returns.

        `columns` maps the paths of arrays, which must be long enough, to their new rows [row ...].
        Rows of the same chunks that are not given stay as they are. A chunk is replaced whole or
        not at all. Raises UsageError if the store is read-only, StoreError if another program laid
        out an array, and DamagedError if a chunk that is kept in part is damaged.
        """
        self._require_writable()
        files = {}
        for path, values in columns.items():
            layout = self.own_layout(path)
            stop = start + len(values)
            for block in blocks_of(start, stop, layout.size):
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
