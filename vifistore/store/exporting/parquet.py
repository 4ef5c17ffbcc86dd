"""One Parquet file with a row per video, as NeMo Curator's deduplication reads it."""

from pathlib import Path

from vifistore.store.exporting.stream import FeatureStream
from vifistore.store.importing.arrow import load_parquet
from vifistore.store.recipe import canonical_json
from vifistore.store.schema import STRETCH_COLUMNS


def write_parquet(stream: FeatureStream, path: Path) -> None:
    """Write `id`, `embedding` list<float> (mean over views and frames, un-normalised), `label`,
    `split` (of several, commas between them) and `path` of each video that is done, and where in it
    a stretch lies; the recipe lies in the schema's metadata."""
    pyarrow, parquet = load_parquet()
    stream.require_done()
    text = pyarrow.string()
    texts = ("label", "split", "path")
    stretches = [name for name in STRETCH_COLUMNS if name in stream.videos]
    schema = pyarrow.schema(
        [
            *(("id", text), ("embedding", pyarrow.list_(pyarrow.float32()))),
            *((name, text) for name in texts),
            *((name, pyarrow.float64()) for name in stretches),
        ],
        metadata={
            "vifistore_id": stream.features.id,
            "vifistore_recipe": canonical_json(stream.features.recipe),
        },
    )
    videos = stream.videos.assign(split=_splits(stream))
    with parquet.ParquetWriter(path, schema) as writer:
        for rows, vectors in stream.video_vectors():
            values = pyarrow.array(vectors.reshape(-1))
            offsets = pyarrow.array(range(0, vectors.size + 1, vectors.shape[1]), pyarrow.int32())
            embeddings = pyarrow.ListArray.from_arrays(offsets, values)
            ids, *others = (
                pyarrow.array(videos[name].to_numpy()[rows].tolist())
                for name in ("id", *texts, *stretches)
            )
            writer.write_table(pyarrow.table([ids, embeddings, *others], schema=schema))


def _splits(stream: FeatureStream) -> list[str]:
    """Names of the splits that each video is in, [video]."""
    dataset = stream.features.dataset
    found: list[list[str]] = [[] for _ in range(len(stream.videos))]
    for name in dataset.splits():
        for row in dataset.split(name).rows:
            # A set that is not sealed may cover fewer videos than the dataset has.
            if row < len(found):
                found[row].append(name)
    return [",".join(names) for names in found]
