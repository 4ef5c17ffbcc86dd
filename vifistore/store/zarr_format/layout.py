"""How an array is cut into chunks, and which file holds each: read from its zarr.json.

Any zarr program may have laid an array out. Ours are cut along the first axis alone, are raw
little-endian bytes or strings with a CRC32C behind them, and have one file name a chunk; only those
are read and written without zarr.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vifistore.store.zarr_format.block_ranges import num_blocks

_SEPARATORS = (".", "/")
# What zarr takes where the key encoding does not name a separator.
_DEFAULT_SEPARATOR = {"default": "/", "v2": "."}
_LENGTH_BYTES = 4
_TYPES = ("float16", "float32", "float64", "uint8", "uint16", "int32", "int64")


@dataclass(frozen=True, kw_only=True)
class Grid:
    """An array as some zarr program has laid it out."""

    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    """Of a decoded chunk, the last one too."""
    prefix: str = "c"
    """What the name of a chunk begins with; empty in the encoding of zarr 2."""
    separator: str = "."
    """Between the numbers of a chunk's name."""

    @property
    def size(self) -> int:
        """Rows of a chunk."""
        return self.chunk_shape[0]

    def key(self, path: str, block: int) -> str:
        """Key of the first file of chunk `block` along the first axis of the array at `path`."""
        numbers = [str(block), *("0" for _ in self.shape[1:])]
        return f"{path}/{self.separator.join([self.prefix, *numbers] if self.prefix else numbers)}"

    def holds(self, name: str) -> bool:
        """Whether a file of that name, relative to the array's folder, is one of its chunks."""
        numbers = name.split(self.separator)
        if self.prefix and numbers.pop(0) != self.prefix:
            return False
        counts = list(map(num_blocks, self.shape, self.chunk_shape))
        return len(numbers) == len(counts) and all(
            re.fullmatch(r"0|[1-9]\d{0,18}", number) and int(number) < count
            for number, count in zip(numbers, counts, strict=True)
        )

    def holds_folder(self, name: str) -> bool:
        """Whether a folder of that name, relative to the array's, has chunks in it."""
        parts = name.split("/")
        if self.separator != "/" or (self.prefix and parts.pop(0) != self.prefix):
            return False
        return len(parts) < len(self.shape) and all(part.isdecimal() for part in parts)


@dataclass(frozen=True, kw_only=True)
class Layout(Grid):
    """An array as ours are."""

    dtype: np.dtype
    """`object` for strings."""
    fill: float | str
    """What rows of a chunk that was never written hold."""

    @property
    def row_bytes(self) -> int:
        """Bytes of a row; of its reference, where it is a string."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def least_row_bytes(self) -> int:
        """Bytes of a row in a file, at least: those of a string are its length and no letter."""
        return _LENGTH_BYTES if self.dtype.hasobject else self.row_bytes


def parse_layout(metadata: Mapping) -> Grid:
    """Return what a zarr.json describes, a Layout if the array is laid out as ours are.

    Raises LookupError, TypeError or ValueError if it is not the zarr.json of an array.
    """
    shape = _lengths(metadata["shape"], least=0)
    chunk_shape = _lengths(metadata["chunk_grid"]["configuration"]["chunk_shape"], least=1)
    if len(shape) != len(chunk_shape):
        raise ValueError("its chunks have other axes than itself")
    if metadata["chunk_grid"]["name"] != "regular":
        raise ValueError(f"its chunks lie in a grid that is {metadata['chunk_grid']['name']!r}")
    prefix, separator = _key_encoding(_named(metadata["chunk_key_encoding"]))
    grid = Grid(shape=shape, chunk_shape=chunk_shape, prefix=prefix, separator=separator)
    is_string = metadata["data_type"] == "string"
    # An endianness is not given where an item is one byte.
    codecs = [
        (codec["name"], dict(codec.get("configuration") or {}).get("endian", "little"))
        for codec in map(_named, metadata["codecs"])
    ]
    ours = (
        codecs == [("vlen-utf8" if is_string else "bytes", "little"), ("crc32c", "little")]
        and (is_string or metadata["data_type"] in _TYPES)
        and (prefix, separator) == ("c", ".")
        and not metadata.get("storage_transformers")
        and chunk_shape[1:] == shape[1:]
    )
    if not ours:
        return grid
    dtype = np.dtype(object if is_string else metadata["data_type"]).newbyteorder("<")
    # NaN is a string in JSON.
    fill = metadata["fill_value"] if is_string else float(metadata["fill_value"])
    return Layout(**vars(grid), dtype=dtype, fill=fill)


def _named(extension: Mapping | str) -> Mapping:
    """What is named in zarr.json; one without a configuration may be its name alone."""
    return {"name": extension} if isinstance(extension, str) else extension


def _key_encoding(encoding: Mapping) -> tuple[str, str]:
    """Prefix and separator of chunk names. Raises ValueError for an encoding that is unknown."""
    name = encoding["name"]
    default = _DEFAULT_SEPARATOR.get(name)
    separator = dict(encoding.get("configuration") or {}).get("separator", default)
    if default is None or separator not in _SEPARATORS:
        raise ValueError(f"its chunks are named by {encoding!r:.80}")
    return "c" if name == "default" else "", separator


def _lengths(values: Sequence, *, least: int) -> tuple[int, ...]:
    """Lengths of the axes of an array that has some. Raises ValueError if they are none."""
    if not values or any(type(length) is not int or length < least for length in values):
        raise ValueError(f"{values!r:.80} are no lengths of axes")
    return tuple(values)
