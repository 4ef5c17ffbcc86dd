"""Cosines beside a feature set: written, grown, sealed, verified, copied, removed."""

import json
import shutil

import numpy as np
import pytest

from tests.support import block_data, plain_recipe, video_table
from vifi.__main__ import run
from vifistore.errors import DamagedError, UnknownNameError, UsageError
from vifistore.store import open_store
from vifistore.store.claims.claiming import open_claims
from vifistore.store.dataset import write_videos
from vifistore.store.exporting.formats import ExportSettings, export_features
from vifistore.store.importing.formats import ImportSettings, import_features
from vifistore.store.info import describe_store
from vifistore.store.names import set_name
from vifistore.store.removing.garbage import find_garbage
from vifistore.store.schema import QUARANTINED
from vifistore.store.similarities import Similarities, similarity_ids
from vifistore.store.similarity_writer import SimilarityWriter
from vifistore.store.store import create_store
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import FeatureWriter, Shape

NUM_VIDEOS, VIEWS = 70, 2
CLASSES = ["run", "jump"]
RECORD = {
    **{"name": "x", "model": "m", "config": {}, "weights_path": "", "parent": "", "step": 0},
    **{"image_digest": "0" * 64, "text_digest": "t", "logit_scale": 10.0, "settings": {}},
}


def cosines_of(rows) -> np.ndarray:
    """float32 [video view class], always the same."""
    values = np.random.default_rng(5).uniform(-1, 1, size=(200, VIEWS, len(CLASSES)))
    return values[np.asarray(rows)].astype(np.float32)


def write_set(store, num_videos: int = NUM_VIDEOS, others=()) -> FeatureWriter:
    """The feature set, sealed; row 3 is quarantined. Rows of `others` are other files."""
    if num_videos > len(store.videos("d") if store.datasets() else ()):
        table = video_table(num_videos, CLASSES)
        write_videos(store.new_dataset("d"), table, CLASSES, "/videos")
    shape = Shape(video=num_videos, view=VIEWS, frame=1, dim=4)
    recipe = plain_recipe(clips=VIEWS, frames=1).as_dict()
    writer = FeatureWriter(store.dataset("d"), recipe, shape, {"host": "test"})
    frames = np.random.default_rng(0).normal(size=(200, VIEWS, 1, 4))
    for block in writer.todo_blocks():
        rows = writer.todo_rows(block)
        data = block_data(frames[rows])
        digests = [f"{'other' if row in others else 'digest'} {row}" for row in rows]
        data["content_digest"] = np.array(digests, object)
        for i in [i for i, row in enumerate(rows) if row == 3]:
            data["status"][i], data["reason"][i] = QUARANTINED, "empty"
            for name in ("frames", "view_mean", "view_consensus", "timestamps"):
                data[name][i] = np.nan
        writer.write_block(block, rows, data)
    writer.seal()
    return writer


def write_cosines(store, features, texts: str, rows=None) -> SimilarityWriter:
    status = features.read_status()
    shape = (len(status), VIEWS, len(CLASSES))
    locks = open_claims(store.backend, "d", features.id)
    writer = SimilarityWriter(store.backend, features.path, texts, shape, locks)
    missing = writer.missing(status)
    missing = missing if rows is None else [row for row in missing if row in rows]
    for block in sorted({row // 64 for row in missing}):
        own = [int(row) for row in missing if row // 64 == block]
        writer.write({block: (own, cosines_of(own))})
    return writer


def add_texts(store, names=CLASSES) -> str:
    fields = {"text_digest": "t", "logit_scale": 10.0, "class_names": list(names)}
    fields |= {"templates": ["{}"], "context_length": 77, "precision": "fp32"}
    return store.add_texts(fields, np.ones((len(names), 1, 4), np.float32))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder of a store with a feature set and its cosines, sealed; read it only."""
    store = create_store(tmp_path_factory.mktemp("cosines") / "s.zarr")
    writer = write_set(store)
    checkpoint = store.add_checkpoint(RECORD)
    set_name(store.dataset("d"), "mine", writer.id, checkpoint, force=False)
    writer.release()
    features = store.features("d", "mine")
    assert write_cosines(store, features, add_texts(store)).seal(features.read_status())
    return store.path


@pytest.fixture
def folder(made, tmp_path):
    """A copy, to be changed."""
    return shutil.copytree(made, tmp_path / "s.zarr")


def only(store, name: str = "mine") -> Similarities:
    features = store.features("d", name)
    (texts,) = similarity_ids(store.backend, features.path)
    return Similarities(store.backend, features.path, texts)


def sealed_rows(found: Similarities) -> int:
    assert found.sealed
    return found.sealed["rows"]


def expected(rows) -> np.ndarray:
    values = cosines_of(rows)
    values[np.asarray(rows) == 3] = np.nan
    return values


def test_they_come_back_and_are_verified(made):
    store = open_store(made)
    found = only(store)
    assert list(verify_store(store)) == []
    assert store.schema == 2
    assert found.shape == (NUM_VIDEOS, VIEWS, 2)
    assert sealed_rows(found) == NUM_VIDEOS
    np.testing.assert_array_equal(found.read(60, 70), expected(range(60, 70)))
    chosen = np.array([69, 3, -1, 0])
    values = found.chosen(chosen)
    np.testing.assert_array_equal(values[[0, 1, 3]], expected(chosen[[0, 1, 3]]))
    assert np.isnan(values[2]).all()
    told = json.loads((made / found.array_path / "zarr.json").read_text())
    assert told["dimension_names"] == ["video", "view", "class"]


def test_info_lists_them(made):
    store = open_store(made)
    (told,) = describe_store(store)["datasets"]["d"]["features"]
    assert told["similarities"] == {only(store).texts: True}


def test_unknown_texts_are_named(made):
    features = open_store(made).features("d", "mine")
    with pytest.raises(UnknownNameError, match="cosines of feature set"):
        Similarities(features.dataset.backend, features.path, "nothing")


def test_a_stopped_run_goes_on_where_it_was(folder):
    store = open_store(folder, mode="a")
    features, texts = store.features("d", "mine"), add_texts(store, ["a", "b"])
    status = features.read_status()
    writer = write_cosines(store, features, texts, rows=range(40))
    assert not writer.seal(status)
    assert list(verify_store(store)) == []
    assert writer.missing(status).tolist() == list(range(40, 70))
    writer = write_cosines(store, features, texts)
    assert writer.seal(status)
    found = Similarities(store.backend, features.path, texts)
    np.testing.assert_array_equal(found.read(0, 70), expected(range(70)))
    assert list(verify_store(store)) == []


def test_they_grow_with_the_dataset(folder):
    store = open_store(folder, mode="a")
    write_videos(store.dataset("d"), video_table(140, CLASSES), CLASSES, "/videos")
    write_set(store, 140).release()
    features = store.features("d", "mine")
    assert list(verify_store(store)) == []
    # What is not there yet reads as missing.
    assert np.isnan(only(store).read(64, 140)[6:]).all()
    writer = write_cosines(store, features, only(store).texts)
    assert writer.seal(features.read_status())
    np.testing.assert_array_equal(only(store).read(0, 140), expected(range(140)))
    assert sealed_rows(only(store)) == 140
    assert list(verify_store(store)) == []


def test_others_of_the_same_texts_are_refused(folder):
    store = open_store(folder, mode="a")
    found, features = only(store), store.features("d", "mine")
    locks = open_claims(store.backend, "d", features.id)
    with pytest.raises(UsageError, match=r"has cosines \[2, 2\] and not \[2, 3\] of a video"):
        SimilarityWriter(store.backend, features.path, found.texts, (70, 2, 3), locks)


def damage(folder, what: str) -> str:
    found = only(open_store(folder))
    chunk = folder / found.array_path / "c.0.0.0"
    if what == "torn":
        data = bytearray(chunk.read_bytes())
        data[9] ^= 1
        chunk.write_bytes(bytes(data))
    elif what == "lost":
        chunk.unlink()
    elif what == "swapped":
        shutil.copy(folder / found.array_path / "c.1.0.0", chunk)
    elif what == "texts":
        shutil.rmtree(folder / "texts")
    else:
        (folder / found.path / "zarr.json").unlink()
    return found.path


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("torn", "does not match"),
        ("lost", "gone"),
        ("swapped", "not those that were sealed"),
        ("texts", "there is no text set"),
        ("group", "without a zarr.json"),
    ],
)
def test_damage_is_found_and_its_remedy_named(folder, what, words):
    path = damage(folder, what)
    problems = [p for p in verify_store(open_store(folder)) if p.where.startswith(path)]
    assert any(words in p.what for p in problems), problems
    assert all("vifi texts" in p.remedy or "vifi gc" in p.remedy for p in problems)


def test_damage_is_no_number(folder):
    damage(folder, "torn")
    with pytest.raises(DamagedError):
        only(open_store(folder)).read(0, 10)
    damage(folder, "lost")
    with pytest.raises(DamagedError):
        only(open_store(folder)).chosen(np.array([1, 2]))


def test_what_was_cut_short_is_garbage(folder):
    path = damage(folder, "group")
    (found,) = find_garbage(open_store(folder))
    assert (found.where, found.what) == (path, "cosines cut short")
    assert run(["gc", str(folder), "--delete"]) == 0
    assert not (folder / path).exists()
    assert list(verify_store(open_store(folder))) == []


def test_texts_stay_while_cosines_need_them(folder, capsys):
    texts = only(open_store(folder)).texts
    assert run(["rm", str(folder), f"texts/{texts}"]) == 2
    assert "cosines of d/mine" in capsys.readouterr().err
    assert run(["rm", str(folder), "d/mine", "--yes"]) == 0
    assert run(["rm", str(folder), f"texts/{texts}", "--yes"]) == 0
    assert list(verify_store(open_store(folder))) == []


def test_they_go_where_their_set_goes(made, tmp_path):
    out = tmp_path / "e.zarr"
    export_features(
        open_store(made), ExportSettings(dataset="d", features="mine", format="zarr", out=out)
    )
    copied = open_store(tmp_path / "e.zarr")
    assert list(verify_store(copied)) == []
    np.testing.assert_array_equal(only(copied).read(0, 70), expected(range(70)))
    settings = ImportSettings(format="zarr", dataset="d")
    import_features(tmp_path / "i.zarr", tmp_path / "e.zarr", settings)
    again = open_store(tmp_path / "i.zarr")
    assert only(again).sealed == only(open_store(made)).sealed
    assert list(verify_store(again)) == []


def test_those_of_another_file_are_not_taken_under_its_id(made, tmp_path):
    store = create_store(tmp_path / "i.zarr")
    write_set(store, others=(5,)).release()
    import_features(store.path, made, ImportSettings(format="zarr", dataset="d"))
    found = only(open_store(store.path))
    values = found.read(0, 70)
    assert np.isnan(values[5]).all()
    rows = [row for row in range(70) if row != 5]
    np.testing.assert_array_equal(values[rows], expected(rows))
    assert found.sealed is None


def test_a_sealed_set_that_lost_numbers_is_told(folder):
    store = open_store(folder, mode="a")
    found = only(store)
    values = found.read(0, 70)
    values[7] = np.nan
    store.backend.write_rows(0, {found.array_path: values})
    attributes = store.backend.attributes(found.path)
    sealed = {"rows": 70, "manifest": found.manifest(70)}
    store.backend.make_group(found.path, {**attributes, "sealed": sealed})
    (problem,) = verify_store(open_store(folder))
    assert "row 7 is not finite" in problem.what
    values[7] = 2
    store.backend.write_rows(0, {found.array_path: values})
    assert any("no cosine" in problem.what for problem in verify_store(open_store(folder)))
