"""A folder as clip-retrieval writes it: `img_emb/img_emb_{i}.npy`, `metadata/...parquet`."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np

from vifistore.errors import UsageError
from vifistore.store.importing.arrow import clear_parquet_errors, read_parquet, warn_of_stretches
from vifistore.store.importing.import_source import (
    ImportSource,
    check_ids,
    digest_of_files,
    foreign_source,
    open_embeddings,
)
from vifistore.store.writer import Shape


def open_clip_retrieval(path: Path) -> ImportSource:
    """Open L2-normalised mean embeddings, one per video, with ids from the metadata.

    The id is the column `video_id`, else `image_path`; the label is `caption`. Raises UsageError
    if parts, rows, dtypes or lengths do not fit each other.
    """
    pairs = _parts(path)
    arrays = [open_embeddings(file, [2], "[video dim]") for file, _ in pairs]
    dims = {array.shape[1] for array in arrays}
    if len(dims) != 1:
        raise UsageError(f"{path} has embeddings of lengths {sorted(dims)}; give one length")
    ids, labels = [], []
    for array, (embeddings, metadata) in zip(arrays, pairs, strict=True):
        found_ids, found_labels = _metadata(metadata)
        if len(found_ids) != len(array):
            raise UsageError(
                f"{embeddings} has {len(array)} rows but {metadata} {len(found_ids)}; write both "
                "again"
            )
        ids += found_ids
        labels += found_labels
    warn_of_stretches(pairs[0][1])
    check_ids(ids, path)
    shape = Shape(video=len(ids), view=1, frame=0, dim=dims.pop())
    files = [file for pair in pairs for file in pair]
    return foreign_source(
        "clip-retrieval",
        *(path, digest_of_files(files, path), shape, ids),
        read=lambda start, stop: {"view_mean": _rows(arrays, start, stop)[:, None]},
        labels=labels,
    )


def _parts(path: Path) -> list[tuple[Path, Path]]:
    numbers = {}
    for file in (path / "img_emb").glob("img_emb_*.npy"):
        if match := re.fullmatch(r"img_emb_(\d+)\.npy", file.name):
            numbers[match[1]] = file
    if not numbers:
        raise UsageError(f"{path} has no img_emb/img_emb_0.npy; give a folder of clip-retrieval")
    pairs = []
    for number in sorted(numbers, key=int):
        metadata = path / "metadata" / f"metadata_{number}.parquet"
        if not metadata.is_file():
            raise UsageError(f"{metadata} is missing, so ids are unknown; run with enable_metadata")
        pairs.append((numbers[number], metadata))
    return pairs


def _metadata(file: Path) -> tuple[list[str], list[str]]:
    with clear_parquet_errors(file, "column image_path; write it as text") as pyarrow:
        table = read_parquet(file)
        names = [name for name in ("video_id", "image_path") if name in table.column_names]
        ids = table.column(names[0] if names else "image_path").cast(pyarrow.string())
        has_labels = "caption" in table.column_names
        labels = table.column("caption").cast(pyarrow.string()).to_pylist() if has_labels else []
    return ids.to_pylist(), [label or "" for label in labels] or [""] * len(ids)


def _rows(arrays: list[np.ndarray], start: int, stop: int) -> np.ndarray:
    """Rows [start, stop) of the arrays laid end to end."""
    offsets = np.cumsum([0, *map(len, arrays)]).tolist()
    parts = [
        array[max(start - first, 0) : stop - first]
        for array, (first, last) in zip(arrays, pairwise(offsets), strict=True)
        if first < stop and start < last
    ]
    return np.concatenate(parts)
