"""A folder as clip-retrieval writes it, for `clip-retrieval index`, autofaiss, embedding-reader."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vifistore.store.exporting.stream import FeatureStream
from vifistore.store.importing.arrow import load_parquet
from vifistore.store.schema import STRETCH_COLUMNS
from vifistore.store.zarr_format.block_ranges import num_blocks

# Videos of one part; readers hold a part's metadata in memory.
PART_ROWS = 100_000


def write_clip_retrieval(stream: FeatureStream, path: Path, part_rows: int = PART_ROWS) -> None:
    """Write `img_emb/img_emb_{i}.npy` float16 [video dim], L2-normalised, and
    `metadata/metadata_{i}.parquet` in the same order, of the videos that are done.

    An embedding is the mean over views and frames. `caption` is the label.
    """
    load_parquet()
    stream.require_done()
    for folder in ("img_emb", "metadata"):
        (path / folder).mkdir(parents=True)
    num_parts = num_blocks(len(stream.done), part_rows)
    digits = len(str(num_parts))
    dim = stream.features.view_mean.shape[-1]
    vectors = _one_by_one(stream)
    for part in range(num_parts):
        rows = stream.done[part * part_rows : (part + 1) * part_rows]
        file = path / "img_emb" / f"img_emb_{part:0{digits}d}.npy"
        embeddings = np.lib.format.open_memmap(
            file, mode="w+", dtype=np.float16, shape=(len(rows), dim)
        )
        for position in range(len(rows)):
            embeddings[position] = next(vectors)
        embeddings.flush()
        _write_metadata(stream, rows, path / "metadata" / f"metadata_{part:0{digits}d}.parquet")


def _one_by_one(stream: FeatureStream) -> Iterator[np.ndarray]:
    for _, vectors in stream.video_vectors():
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        yield from np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)


def _write_metadata(stream: FeatureStream, rows: np.ndarray, file: Path) -> None:
    pyarrow, parquet = load_parquet()
    videos = stream.videos.iloc[rows]
    text = pyarrow.string()
    columns = {
        "image_path": pyarrow.array(videos["id"].tolist(), text),
        "caption": pyarrow.array(videos["label"].tolist(), text),
        "video_id": pyarrow.array(videos["id"].tolist(), text),
        "video_path": pyarrow.array(videos["path"].tolist(), text),
        "dataset": pyarrow.array([stream.features.dataset.name] * len(rows), text),
        "row": pyarrow.array(rows, pyarrow.int64()),
        **{
            name: pyarrow.array(videos[name].to_numpy())
            for name in ("duration_seconds", *STRETCH_COLUMNS)
            if name in videos
        },
    }
    parquet.write_table(pyarrow.table(columns), file)
