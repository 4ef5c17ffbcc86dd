"""What the zarr.json files of groups and arrays of ours say."""

import json
from collections.abc import Mapping

import zarr
from zarr.codecs import Crc32cCodec

from vifistore.store.schema import ArraySpec

_FILE = "zarr.json"


def metadata_key(path: str) -> str:
    """Key of the zarr.json of the group or array at `path`."""
    return f"{path}/{_FILE}" if path else _FILE


def group_files(groups: Mapping[str, Mapping]) -> dict[str, list[bytes]]:
    """Files, by their keys, of groups that are given as their attributes by path."""
    return {
        metadata_key(path): json_file(
            {"attributes": dict(attributes), "zarr_format": 3, "node_type": "group"}
        )
        for path, attributes in groups.items()
    }


def json_file(document: Mapping) -> list[bytes]:
    """Content of a zarr.json."""
    return [json.dumps(document, indent=2).encode()]


def array_file(spec: ArraySpec, shape: tuple[int, ...], chunks: tuple[int, ...]) -> list[bytes]:
    """Content of the zarr.json of a new array, as zarr itself writes it."""
    memory: dict = {}
    zarr.create_array(
        memory,
        shape=shape,
        chunks=chunks,
        dtype=str if spec.dtype == "str" else spec.dtype,
        # Embeddings hardly compress; the checksum notices a flipped bit.
        compressors=[Crc32cCodec()],
        fill_value=spec.fill,
        dimension_names=list(spec.axes),
        # One file name instead of a folder per axis: a third of the inodes.
        chunk_key_encoding={"name": "default", "separator": "."},
    )
    return [memory[_FILE].to_bytes()]
