"""A reader of stores that knows what docs/FORMAT.md says, and nothing of vifistore or zarr."""

import hashlib
import json
import math
import struct
from pathlib import Path

import google_crc32c
import numpy as np


def metadata(path: Path) -> dict:
    """The zarr.json of the group or array at `path`."""
    return json.loads((path / "zarr.json").read_text())


def decoded(data: bytes, array: dict) -> np.ndarray:
    """A whole chunk, [row ...], of its bytes without their checksum."""
    shape = array["chunk_grid"]["configuration"]["chunk_shape"]
    if array["data_type"] != "string":
        return np.frombuffer(data, np.dtype(array["data_type"]).newbyteorder("<")).reshape(shape)
    texts, at = [], 4
    for _ in range(struct.unpack_from("<I", data)[0]):
        (length,) = struct.unpack_from("<I", data, at)
        texts.append(data[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return np.array(texts, object).reshape(shape)


def encoded(values: np.ndarray) -> bytes:
    """Values as they are stored: a column to be digested, or a chunk without its checksum."""
    if values.dtype != object:
        return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    parts = [struct.pack("<I", len(text)) + text for text in map(str.encode, values)]
    return struct.pack("<I", len(parts)) + b"".join(parts)


def chunk_bytes(path: Path, number: int) -> bytes:
    """What the file of a chunk of the array at `path` holds, checksum verified and left out."""
    axes = len(metadata(path)["shape"])
    content = (path / ".".join(["c", str(number), *["0"] * (axes - 1)])).read_bytes()
    if google_crc32c.value(content[:-4]) != struct.unpack("<I", content[-4:])[0]:
        raise ValueError(f"chunk {number} of {path} is damaged")
    return content[:-4]


def read_array(path: Path, rows: int) -> np.ndarray:
    """The first `rows` of the array at `path`."""
    array = metadata(path)
    size = array["chunk_grid"]["configuration"]["chunk_shape"][0]
    chunks = [decoded(chunk_bytes(path, k), array) for k in range(math.ceil(rows / size))]
    return np.concatenate(chunks)[:rows] if chunks else np.empty((0, *array["shape"][1:]))


def read_table(path: Path) -> dict[str, np.ndarray]:
    """The committed rows of a table, by column; digests verified, where it has any."""
    told = metadata(path)["attributes"]
    kept = told.get("digests") or {file.parent.name: None for file in path.glob("*/zarr.json")}
    columns = {n: read_array(path / n, told["rows"]) for n in kept if n != "class_names"}
    for name, values in columns.items():
        kind = "str" if values.dtype == object else values.dtype.name
        header = f"{kind} [{len(values)}]\n".encode()
        if kept.get(name) not in (None, hashlib.sha256(header + encoded(values)).hexdigest()):
            raise ValueError(f"{path / name} is not what was written")
    return columns


def find_features(store: Path, dataset: str, name: str) -> Path:
    """Folder of the feature set that a name stands for."""
    named = metadata(store / "names" / dataset / name)["attributes"]
    return store / "features" / dataset / named["id"]


def counted(features: Path, rows: int) -> np.ndarray:
    """Which frames of a set count, bool [video view frame]; the others pad their view."""
    _, views, frames, _ = metadata(features / "frames")["shape"]
    is_kept = "num_valid" in metadata(features)["attributes"].get("arrays", {})
    valid = read_array(features / "num_valid", rows) if is_kept else np.full((rows, views), frames)
    return np.arange(frames) < valid[..., None]


def manifest(features: Path, rows: int) -> str:
    """What `sealed` must say of the first `rows` videos of a feature set."""
    digest = hashlib.sha256()
    arrays = [inner.parent for inner in features.glob("*/zarr.json")]
    for path in sorted(path for path in arrays if metadata(path)["node_type"] == "array"):
        array = metadata(path)
        fill = np.nan if array["fill_value"] == "NaN" else array["fill_value"]
        for block in range(math.ceil(rows / 64)):
            chunk = decoded(chunk_bytes(path, block), array).copy()
            chunk[max(rows - block * 64, 0) :] = fill
            checksum = struct.pack("<I", google_crc32c.value(encoded(chunk)))
            digest.update(f"{path.name} {block} ".encode() + checksum)
    return digest.hexdigest()
