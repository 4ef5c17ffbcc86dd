"""A Parquet file, or a folder of them, with columns `id` and `embedding`, as NeMo Curator's."""

from pathlib import Path

import numpy as np

from vifistore.errors import UsageError
from vifistore.store.importing.arrow import clear_parquet_errors, read_parquet, warn_of_stretches
from vifistore.store.importing.import_source import (
    ImportSource,
    check_float,
    check_ids,
    check_lengths,
    digest_of_files,
    foreign_source,
)
from vifistore.store.writer import Shape


def open_parquet(path: Path) -> ImportSource:
    """Open mean embeddings, one per video; all of them are held in memory, `[video dim]`.

    Raises UsageError if columns, types or lengths do not fit.
    """
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    ids: list[str] = []
    parts = [_read_file(file, ids) for file in files]
    for file in files[:1]:
        warn_of_stretches(file)
    check_ids(ids, path)
    dims = {part.shape[1] for part in parts if len(part)}
    if len(dims) != 1:
        raise UsageError(f"{path} has embeddings of lengths {sorted(dims)}; give one length")
    means = np.concatenate([part for part in parts if len(part)])
    check_lengths(means.shape, path)
    shape = Shape(video=len(means), view=1, frame=0, dim=means.shape[1])
    base = path if path.is_dir() else path.parent
    return foreign_source(
        "parquet",
        *(path, digest_of_files(files, base), shape, ids),
        read=lambda start, stop: {"view_mean": means[start:stop, None]},
    )


def _read_file(file: Path, ids: list[str]) -> np.ndarray:
    """Embeddings `[video dim]` of one file; its ids are appended to `ids`."""
    told = "columns id and embedding; write them as text and list<float>"
    with clear_parquet_errors(file, told) as pyarrow:
        table = read_parquet(file, ["id", "embedding"])
        embedding = table.column("embedding").combine_chunks()
        ids += table.column("id").cast(pyarrow.string()).to_pylist()
    kind = embedding.type
    is_list = pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind)
    if not is_list and not pyarrow.types.is_fixed_size_list(kind):
        raise UsageError(f"{file}: embedding is {kind}; write it as list<float>")
    return _matrix(embedding, file)


def _matrix(embedding, file: Path) -> np.ndarray:
    values = embedding.flatten()
    if embedding.null_count or values.null_count:
        raise UsageError(f"{file} has embeddings that are null; leave those videos out")
    flat = values.to_numpy(zero_copy_only=False)
    check_float(flat.dtype, file)
    lengths = set(embedding.value_lengths().to_pylist()) if len(embedding) else {1}
    if len(lengths) != 1:
        raise UsageError(f"{file} has embeddings of lengths {sorted(lengths)}; give one length")
    (length,) = lengths
    if length == 0:
        raise UsageError(f"{file} has empty embeddings; leave those videos out")
    return flat.reshape(-1, length)
