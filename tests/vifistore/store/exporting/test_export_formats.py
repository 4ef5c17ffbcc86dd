"""Export: each format as its own readers expect it, whole or not there."""

import importlib
import json

import numpy as np
import pytest

from tests.support import block_data, plain_recipe, write_features
from vifistore.errors import DamagedError, IncompleteError, StoreError, UsageError
from vifistore.store import open_store
from vifistore.store.exporting.clip_retrieval import write_clip_retrieval
from vifistore.store.exporting.formats import ExportSettings, export_features
from vifistore.store.exporting.fresh import fresh_path
from vifistore.store.exporting.stream import FeatureStream
from vifistore.store.importing.formats import ImportSettings, import_features
from vifistore.store.names import set_name
from vifistore.store.schema import FEATURE_ARRAYS, QUARANTINED
from vifistore.store.splits import Split, write_split
from vifistore.store.writer import FeatureWriter, Shape

FRAMES = np.random.default_rng(0).normal(size=(70, 2, 4, 8)).astype(np.float16)
BAD = 3


@pytest.fixture
def store(make_store):
    """A store with one sealed set `mine` of 70 videos, one of them quarantined."""
    store = make_store(70)
    shape = Shape(video=70, view=2, frame=4, dim=8)
    writer = FeatureWriter(store.dataset("d"), plain_recipe(clips=2).as_dict(), shape, {})
    for block in writer.todo_blocks():
        rows = writer.todo_rows(block)
        data = block_data(FRAMES[rows])
        if BAD in rows:
            _quarantine(data, rows.index(BAD))
        writer.write_block(block, rows, data)
    writer.seal()
    set_name(store.dataset("d"), "mine", writer.id, "", force=False)
    return open_store(store.path)


def _quarantine(data, position):
    for name, spec in FEATURE_ARRAYS.items():
        data[name][position] = spec.fill
    data["status"][position] = QUARANTINED
    data["reason"][position] = "decode error"


def export(store, format, out, **settings):
    """Export the set `mine`."""
    wanted = {"dataset": "d", "features": "mine", **settings}
    return export_features(store, ExportSettings(format=format, out=out, **wanted))


def test_hdf5_holds_every_array_and_the_recipe(store, tmp_path):
    h5py = pytest.importorskip("h5py")
    report = export(store, "hdf5", tmp_path / "new" / "x.h5")
    assert (report.done, report.quarantined, report.todo) == (69, 1, 0)
    features = store.features("d", "mine")
    with h5py.File(tmp_path / "new" / "x.h5") as file:
        for name in FEATURE_ARRAYS:
            values = file[name].asstr()[:] if file[name].dtype.kind == "O" else file[name][:]
            np.testing.assert_array_equal(values, features.read(name))
        assert list(file["frames"].attrs["axes"]) == ["video", "view", "frame", "dim"]
        assert json.loads(file.attrs["recipe"]) == features.recipe
        assert file.attrs["id"] == features.id
        assert file["videos/id"].asstr()[:].tolist() == store.videos("d")["id"].tolist()
        assert file["class_names"].asstr()[:].tolist() == ["run", "jump"]


def test_npy_folder_has_the_three_files_of_every_video_done(store, tmp_path):
    export(store, "npy", tmp_path / "x")
    assert len(list((tmp_path / "x").iterdir())) == 3 * 69
    assert not (tmp_path / "x" / f"v{BAD}_clip.npy").exists()
    embeddings = np.load(tmp_path / "x" / "v66_clip.npy")
    assert embeddings.dtype == np.float32
    np.testing.assert_array_equal(embeddings, FRAMES[66].reshape(8, 8).astype(np.float32))
    assert np.load(tmp_path / "x" / "v66_timestamps_ms.npy").shape == (8,)
    assert np.load(tmp_path / "x" / "v66_fps.npy") == 25


def expected_vectors():
    """Mean over views and frames of the videos done, [video dim]."""
    return np.delete(FRAMES.astype(np.float32).mean(axis=(1, 2)), BAD, axis=0)


def test_parquet_has_id_and_embedding(store, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for name, rows in (("late", range(40, 70)), ("even", range(0, 70, 2))):
        listed = {"rows": np.array(rows), "labels": np.zeros(len(rows), np.int32)}
        split = Split(name=name, class_names=["run"], source="", digest="", **listed)
        write_split(open_store(store.path, mode="a").dataset("d"), split)
    export(store, "parquet", tmp_path / "x.parquet")
    table = parquet.read_table(tmp_path / "x.parquet")
    assert table.column_names == ["id", "embedding", "label", "split", "path"]
    videos = store.videos("d")
    done = [row for row in range(len(videos)) if row != BAD]
    for name in ("label", "path"):
        assert table[name].to_pylist() == videos[name].iloc[done].tolist()
    split_of = dict(zip(table["id"].to_pylist(), table["split"].to_pylist(), strict=True))
    assert [split_of[f"v{row}.mp4"] for row in (1, 2, 41, 42)] == ["", "even", "late", "even,late"]
    assert str(table.schema.field("embedding").type) in (
        "list<item: float>",
        "list<element: float>",
    )
    assert table["id"].to_pylist() == [f"v{i}.mp4" for i in range(70) if i != BAD]
    np.testing.assert_allclose(table["embedding"].to_pylist(), expected_vectors(), rtol=1e-5)


@pytest.mark.parametrize("part_rows", [1000, 20, 5])
def test_clip_retrieval_folder(store, tmp_path, part_rows):
    parquet = pytest.importorskip("pyarrow.parquet")
    stream = FeatureStream(store.features("d", "mine"), partial=False)
    write_clip_retrieval(stream, tmp_path / "x", part_rows=part_rows)
    files = sorted((tmp_path / "x" / "img_emb").iterdir())
    assert len(files) == -(-69 // part_rows)
    embeddings = np.concatenate([np.load(file) for file in files])
    vectors = expected_vectors()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert embeddings.dtype == np.float16
    np.testing.assert_allclose(embeddings, vectors, atol=1e-3)
    metadata = [parquet.read_table(f) for f in sorted((tmp_path / "x" / "metadata").iterdir())]
    assert [len(table) for table in metadata] == [len(np.load(file)) for file in files]
    rows = [row for table in metadata for row in table["row"].to_pylist()]
    assert rows == [i for i in range(70) if i != BAD]
    assert metadata[0]["caption"][:2].to_pylist() == ["run", "jump"]
    assert metadata[0]["image_path"][0].as_py() == "v0.mp4"


@pytest.mark.parametrize("with_metadata", [False, True])
def test_embedding_reader_reads_the_folder(store, tmp_path, with_metadata):
    pytest.importorskip("pyarrow")
    try:
        reader = importlib.import_module("embedding_reader").EmbeddingReader
    except ImportError:
        pytest.skip("embedding-reader is not installed (pip install --no-deps embedding-reader)")
    export(store, "clip-retrieval", tmp_path / "x")
    folders = {"embeddings_folder": str(tmp_path / "x" / "img_emb"), "file_format": "npy"}
    if with_metadata:
        metadata = {"metadata_folder": str(tmp_path / "x" / "metadata")}
        folders |= {**metadata, "file_format": "parquet_npy", "meta_columns": ["video_id", "row"]}
    found = reader(**folders)
    assert (found.count, found.dimension) == (69, 8)
    batches = list(found(batch_size=10, start=0, end=69, show_progress=False))
    embeddings = np.concatenate([batch for batch, _ in batches])
    np.testing.assert_array_equal(embeddings, np.load(tmp_path / "x/img_emb/img_emb_0.npy"))
    if with_metadata:
        rows = [row for _, meta in batches for row in meta["row"]]
        assert rows == [i for i in range(70) if i != BAD]


def test_zarr_is_a_sealed_store_with_the_same_bytes(store, tmp_path):
    export(store, "zarr", tmp_path / "x.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.zarr", "s.zarr.cache", "x.zarr"]
    original, copy = (
        store.features("d", "mine"),
        open_store(tmp_path / "x.zarr").features("d", "mine"),
    )
    assert copy.sealed == original.sealed
    assert (copy.recipe, copy.names, copy.id) == (original.recipe, original.names, original.id)
    assert open_store(tmp_path / "x.zarr").dataset("d").root() == store.dataset("d").root()


FORMATS = ("hdf5", "npy", "clip-retrieval", "parquet", "zarr")


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("format", FORMATS)
def test_damage_leaves_no_output(store, tmp_path, format, is_lost):
    if format in ("clip-retrieval", "parquet"):
        pytest.importorskip("pyarrow")
    features = store.features("d", "mine")
    for name in ("frames", "view_mean"):
        chunk = sorted((store.path / features.path / name).glob("c.1*"))[0]
        data = bytearray(chunk.read_bytes())
        data[len(data) // 3] ^= 4
        chunk.unlink() if is_lost else chunk.write_bytes(bytes(data))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DamagedError, match="vifi verify"):
        export(store, format, tmp_path / "x")
    assert sorted(tmp_path.iterdir()) == before


def test_unsealed_set_is_refused_unless_partial(make_store, tmp_path):
    h5py = pytest.importorskip("h5py")
    store = make_store(200)
    shape = Shape(video=200, view=1, frame=4, dim=8)
    writer = FeatureWriter(store.dataset("d"), plain_recipe().as_dict(), shape, {})
    writer.write_block(1, list(range(64, 120)), block_data(FRAMES[:56, :1]))
    with pytest.raises(IncompleteError, match="--partial"):
        export(store, "hdf5", tmp_path / "x.h5", features=writer.id)
    # A kill can tear the chunks of a block that is still to do.
    (store.path / writer.path / "frames" / "c.0.0.0.0").write_bytes(b"torn")
    for format, out in (("hdf5", "x.h5"), ("npy", "x"), ("zarr", "x.zarr")):
        report = export(store, format, tmp_path / out, features=writer.id, partial=True)
        assert (report.done, report.todo) == (56, 144)
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["frames"][64:120], FRAMES[:56, :1])
        assert np.isnan(file["frames"][:64]).all()
    assert len(list((tmp_path / "x").glob("*_clip.npy"))) == 56
    copy = open_store(tmp_path / "x.zarr").features("d", writer.id)
    assert (copy.sealed, copy.counts()["done"]) == (None, 56)
    again = ImportSettings(format="hdf5", dataset="d", name="again")
    report = import_features(tmp_path / "y.zarr", tmp_path / "x.h5", again)
    assert (report.sealed, report.done, report.id) == (False, 56, writer.id)


def test_output_that_is_taken_or_in_the_store_is_refused(store, tmp_path):
    (tmp_path / "taken").write_text("x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="exists; remove it"):
        export(store, "npy", tmp_path / "taken")
    with pytest.raises(UsageError, match="is a folder; give --out a file name"):
        export(store, "hdf5", tmp_path / "folder")
    with pytest.raises(UsageError, match="lies in the store itself"):
        export(store, "hdf5", store.path / "x.h5")
    with pytest.raises(StoreError, match="cannot be written"):
        export(store, "npy", tmp_path / "taken" / "x")
    assert (tmp_path / "taken").read_text() == "x"


def test_interrupted_output_is_not_there(tmp_path):
    def write():
        with fresh_path(tmp_path / "x") as path:
            path.mkdir()
            (path / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_set_without_any_video_done_has_nothing_to_export(make_store, tmp_path):
    store = make_store(2)
    shape = Shape(video=2, view=1, frame=4, dim=8)
    writer = FeatureWriter(store.dataset("d"), plain_recipe().as_dict(), shape, {})
    data = block_data(FRAMES[:2, :1])
    for position in range(2):
        _quarantine(data, position)
    writer.write_block(0, [0, 1], data)
    writer.seal()
    with pytest.raises(IncompleteError, match="no video that is done"):
        export(store, "npy", tmp_path / "x", features=writer.id)
    export(store, "hdf5", tmp_path / "x.h5", features=writer.id)
    wanted = ImportSettings(format="hdf5", dataset="d", name="again")
    report = import_features(tmp_path / "y.zarr", tmp_path / "x.h5", wanted)
    assert (report.done, report.quarantined, report.sealed) == (0, 2, True)


def test_writer_of_plain_sets_is_unchanged(make_store, tmp_path):
    """A copy of a set that the ordinary writer made has every array."""
    store = make_store(3)
    writer = write_features(store, "d", plain_recipe(), FRAMES[:3, :1])
    writer.seal()
    export(store, "zarr", tmp_path / "x.zarr", features=writer.id)
    copy = open_store(tmp_path / "x.zarr").features("d", writer.id)
    for name in FEATURE_ARRAYS:
        np.testing.assert_array_equal(copy.read(name), store.features("d", writer.id).read(name))
