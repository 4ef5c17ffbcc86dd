"""One Parquet file with a row per video, as NeMo Curator's deduplication reads it."""

from pathlib import Path

from vifistore.store.exporting.stream import FeatureStream
from vifistore.store.importing.arrow import load_parquet
from vifistore.store.recipe import canonical_json


def write_parquet(stream: FeatureStream, path: Path) -> None:
    """Write `id` and `embedding` list<float> (mean over views and frames, un-normalised) of each
    video that is done; the recipe lies in the schema's metadata."""
    pyarrow, parquet = load_parquet()
    stream.require_done()
    schema = pyarrow.schema(
        [("id", pyarrow.string()), ("embedding", pyarrow.list_(pyarrow.float32()))],
        metadata={
            "vifistore_id": stream.features.id,
            "vifistore_recipe": canonical_json(stream.features.recipe),
        },
    )
    ids = stream.videos["id"].to_numpy()
    with parquet.ParquetWriter(path, schema) as writer:
        for rows, vectors in stream.video_vectors():
            values = pyarrow.array(vectors.reshape(-1))
            offsets = pyarrow.array(range(0, vectors.size + 1, vectors.shape[1]), pyarrow.int32())
            embeddings = pyarrow.ListArray.from_arrays(offsets, values)
            writer.write_table(
                pyarrow.table([pyarrow.array(ids[rows].tolist()), embeddings], schema=schema)
            )
