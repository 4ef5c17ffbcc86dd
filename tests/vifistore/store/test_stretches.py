"""Rows that are stretches of videos: kept, told apart, carried along, and never taken for whole."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from harness.leaks import copies_within
from harness.scoring import load_videos
from tests.support import block_data, plain_recipe, video_table
from vifistore.errors import StoreError, UsageError
from vifistore.store import open_store
from vifistore.store import store as store_module
from vifistore.store.dataset import write_videos
from vifistore.store.exporting.formats import ExportSettings, export_features
from vifistore.store.importing.formats import ImportSettings, import_features
from vifistore.store.names import set_name
from vifistore.store.splits import Split, write_split
from vifistore.store.store import create_store
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import FeatureWriter, Shape

CLASSES = ["run", "jump"]
STARTS = [0.0, 0.0, 2.5, 5.0]
ENDS = [np.nan, 2.5, 5.0, np.nan]


def table(starts=STARTS, ends=ENDS):
    """Four rows of one file."""
    videos = video_table(4, CLASSES).assign(path="a.mp4")
    return videos.assign(start_seconds=starts, end_seconds=ends)


@pytest.fixture
def folder(tmp_path):
    """A store whose dataset `d` has four stretches of one file, with a sealed set `mine`."""
    store = create_store(tmp_path / "s.zarr")
    write_videos(store.new_dataset("d"), table(), CLASSES, "/videos")
    dataset = store.dataset("d")
    writer = FeatureWriter(
        dataset, plain_recipe().as_dict(), Shape(video=4, view=1, frame=4, dim=8), {"host": "test"}
    )
    data = block_data(np.random.default_rng(0).normal(size=(4, 1, 4, 8)))
    data["content_digest"][:] = "f" * 64
    writer.write_block(0, [0, 1, 2, 3], data)
    writer.seal()
    set_name(dataset, "mine", writer.id, "", force=False)
    writer.release()
    return tmp_path / "s.zarr"


def stretches(dataset):
    """Start and end of every row."""
    return dataset.start_seconds.tolist(), np.nan_to_num(dataset.end_seconds, nan=-1).tolist()


EXPECTED = STARTS, [-1.0, 2.5, 5.0, -1.0]


def test_rows_come_back_and_the_store_says_that_readers_must_know_them(folder, monkeypatch):
    store = open_store(folder)
    assert stretches(store.dataset("d")) == EXPECTED
    assert store.videos("d")["start_seconds"].tolist() == STARTS
    assert store.schema == 2
    assert list(verify_store(store)) == []
    # As a vifistore of before takes it.
    monkeypatch.setattr(store_module, "SCHEMA_VERSION", 1)
    with pytest.raises(StoreError, match=r"has schema 2, .* install the vifistore that wrote it"):
        open_store(folder)


def test_a_store_of_whole_videos_stays_as_it_was(make_store):
    store = make_store(3)
    dataset = store.dataset("d")
    assert stretches(dataset) == ([0.0] * 3, [-1.0] * 3)
    assert "start_seconds" not in store.videos("d")
    whole = store.videos("d").assign(start_seconds=0.0, end_seconds=np.nan)
    write_videos(dataset, whole, CLASSES, "/videos", anew=True)
    assert store.schema == 1
    assert not (store.path / "videos" / "d" / "start_seconds").exists()
    digests = np.array(["a", "b", "c"], object)
    assert dataset.content_keys(digests, np.arange(3)) is digests
    dataset.require_whole_videos("nothing else is read")


def test_a_dataset_grows_and_keeps_them(folder):
    dataset = open_store(folder, mode="a").dataset("d")
    more = video_table(6, CLASSES).iloc[4:]
    write_videos(dataset, pd.concat([dataset.videos(), more]), CLASSES, "/videos")
    assert stretches(dataset) == ([*STARTS, 0.0, 0.0], [*EXPECTED[1], -1.0, -1.0])
    assert list(verify_store(open_store(folder))) == []


def test_whole_videos_gain_stretches_behind_them(make_store):
    store = make_store(3)
    more = video_table(4, CLASSES).iloc[3:].assign(start_seconds=1.0, end_seconds=2.0)
    both = pd.concat([store.videos("d"), more])
    write_videos(store.dataset("d"), both, CLASSES, "/videos")
    assert stretches(store.dataset("d")) == ([0.0] * 3 + [1.0], [-1.0] * 3 + [2.0])
    assert list(verify_store(open_store(store.path))) == []


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 3), (4, 3), (np.inf, np.nan), (0, np.inf)])
def test_what_is_no_stretch_is_refused_and_found(folder, tmp_path, start, end, monkeypatch):
    wrong = table([0, 0, start, 0], [np.nan, np.nan, end, np.nan])
    new = create_store(tmp_path / "new.zarr").new_dataset("d")
    with pytest.raises(UsageError, match="row 2 is from"):
        write_videos(new, wrong, CLASSES, "/videos")
    name = "vifistore.store.stretch_times.wrong_stretches"
    monkeypatch.setattr(name, lambda *_: np.zeros(4, bool))
    write_videos(open_store(folder, "a").dataset("d"), wrong, CLASSES, "/videos", anew=True)
    (problem,) = verify_store(open_store(folder))
    assert "row 2" in problem.what
    assert "no stretch" in problem.what


def test_a_lost_column_is_found(folder):
    shutil.rmtree(folder / "videos" / "d" / "end_seconds")
    problems = [problem.where for problem in verify_store(open_store(folder))]
    assert "videos/d" in problems


def test_two_stretches_of_one_file_are_two_videos(folder):
    store = open_store(folder, mode="a")
    features = store.features("d", "mine")
    keys = features.content_keys()
    # The first row is all of the file.
    assert keys[0] == "f" * 64
    assert len(set(keys)) == 4
    assert features.content_keys(np.array([2, 0])).tolist() == [keys[2], keys[0]]
    rows, labels = np.arange(4), np.array([0, 1, 0, 1], np.int32)
    split = Split(
        name="test", rows=rows, labels=labels, class_names=CLASSES, source="list", digest=""
    )
    write_split(store.dataset("d"), split)
    assert copies_within(load_videos(features, "test")) == []


def test_keys_of_equal_stretches_are_equal_and_of_unread_files_empty(folder):
    dataset = open_store(folder).dataset("d")
    rows = np.array([1, 1, 2])
    first, second, unread = dataset.content_keys(np.array(["a", "a", ""], object), rows)
    assert first == second != "a"
    assert unread == ""


def test_zero_has_no_sign(folder, tmp_path):
    store = create_store(tmp_path / "signed.zarr")
    write_videos(store.new_dataset("d"), table(starts=[-0.0, -0.0, 2.5, 5.0]), CLASSES, "/videos")
    store = open_store(store.path, mode="a")
    dataset, digests = store.dataset("d"), np.array(["f" * 64] * 4, object)
    assert not np.signbit(dataset.start_seconds).any()
    expected = open_store(folder).features("d", "mine").content_keys()
    assert dataset.content_keys(digests, np.arange(4)).tolist() == expected.tolist()


@pytest.mark.parametrize("starts", [["soon", 0, 2.5, 5], [np.nan, np.nan, 2.5, 5.0]])
def test_times_that_are_none_are_refused(tmp_path, starts):
    store = create_store(tmp_path / "new.zarr")
    with pytest.raises(UsageError, match=r"^[^\n]*(is not a number|is from nan to 2.5)[^\n]*$"):
        write_videos(store.new_dataset("d"), table(starts=starts), CLASSES, "/videos")
    assert store.datasets() == []


def test_whole_videos_are_not_decoded_in_their_stead(folder):
    told = r"3 rows of d are stretches .* row 1, from 0 to 2\.5 seconds\), and maps show whole"
    # Of the first row all is there.
    open_store(folder).dataset("d").require_whole_videos("nothing else is read", np.array([0]))
    with pytest.raises(UsageError, match=told):
        open_store(folder).dataset("d").require_whole_videos("maps show whole videos")


@pytest.mark.parametrize("format", ["zarr", "hdf5"])
def test_they_are_exported_and_imported(folder, tmp_path, format):
    out = tmp_path / "out"
    settings = ExportSettings(dataset="d", features="mine", format=format, out=out)
    export_features(open_store(folder), settings)
    import_features(tmp_path / "new.zarr", out, ImportSettings(dataset="d", format=format))
    new = open_store(tmp_path / "new.zarr")
    assert stretches(new.dataset("d")) == EXPECTED
    assert new.schema == 2
    assert list(verify_store(new)) == []


@pytest.mark.parametrize("format", ["parquet", "clip-retrieval"])
def test_tables_for_other_tools_say_where_a_row_lies(folder, tmp_path, format, caplog):
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "out"
    settings = ExportSettings(dataset="d", features="mine", format=format, out=out)
    export_features(open_store(folder), settings)
    file = out if format == "parquet" else out / "metadata" / "metadata_0.parquet"
    read = parquet.read_table(file)
    assert read.column("start_seconds").to_pylist() == STARTS
    np.testing.assert_array_equal(read.column("end_seconds").to_numpy(), ENDS)
    assert caplog.text == ""
    import_features(tmp_path / "new.zarr", out, ImportSettings(dataset="d", format=format))
    told = [line for line in caplog.messages if "start_seconds and end_seconds, which are" in line]
    assert len(told) == 1
    assert stretches(open_store(tmp_path / "new.zarr").dataset("d"))[0] == [0, 0, 0, 0]


def test_npy_files_say_that_they_do_not_tell(folder, tmp_path, caplog):
    settings = ExportSettings(dataset="d", features="mine", format="npy", out=tmp_path / "npy")
    export_features(open_store(folder), settings)
    assert caplog.messages == [
        "npy files hold no times of parts of videos; export as hdf5 or zarr to keep all"
    ]


def test_an_export_that_an_earlier_vifistore_would_misread_is_refused_by_it(folder, tmp_path):
    h5py = pytest.importorskip("h5py")
    settings = ExportSettings(dataset="d", features="mine", format="hdf5", out=tmp_path / "e.h5")
    export_features(open_store(folder), settings)
    with h5py.File(settings.out, "a") as file:
        # It knows what a derived set says, and refuses all else.
        assert json.loads(file.attrs["about"]) == {"schema": 2}
        file.attrs["about"] = json.dumps({"schema": 3})
    with pytest.raises(UsageError, match="schema 3; read it with a newer"):
        import_features(
            tmp_path / "new.zarr", settings.out, ImportSettings(dataset="d", format="hdf5")
        )


def test_embeddings_of_another_stretch_are_not_taken(folder, tmp_path):
    other = create_store(tmp_path / "other.zarr")
    write_videos(other.new_dataset("d"), table([0, 0, 2.5, 6.0]), CLASSES, "/videos")
    with pytest.raises(UsageError, match=r"start_seconds of 'v3\.mp4' is another"):
        import_features(tmp_path / "other.zarr", folder, ImportSettings(dataset="d", format="zarr"))
