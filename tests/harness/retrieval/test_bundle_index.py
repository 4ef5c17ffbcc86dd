"""A frame index of bundles: what it finds, what it reads again, and what it refuses."""

import json

import numpy as np
import pytest

from harness.fusion import unit
from harness.retrieval.exact_frames import ExactFrames
from harness.retrieval.frame_quality import tune_frames
from harness.retrieval.indexing import bundle_building
from harness.retrieval.indexing.bundle_building import build_frame_index, keep_effort
from harness.retrieval.indexing.bundle_files import write_arrays, write_settings
from harness.retrieval.indexing.bundle_index import BundledFrames
from harness.retrieval.indexing.frame_index import open_frame_index
from tests.support import bounded
from tests.vifistore.store.padded_set import make_padded_store
from vifistore.errors import DamagedError, StoreError, UsageError
from vifistore.store.block_states import block_states
from vifistore.store.store import open_store
from vifistore.store.zarr_format.chunks import checksums, manifest_digest

QUERIES = unit(np.random.default_rng(3).normal(size=(5, 16)))


def opened(maker):
    """The set as a new process sees it."""
    return open_store(maker.store.path).features("toy", "tiny")


def check_found(maker, cache, kind="bundles"):
    """An index finds what comparing all frames finds."""
    features = opened(maker)
    index = open_frame_index(cache, features)
    assert index.kind == kind
    for method in ("search", "nearest_videos"):
        found = getattr(index, method)(QUERIES, 10)
        wanted = getattr(ExactFrames(features), method)(QUERIES, 10)
        np.testing.assert_allclose(found.cosines, wanted.cosines, atol=1e-6)
        np.testing.assert_array_equal(found.rows, wanted.rows)
        np.testing.assert_array_equal(found.positions, wanted.positions)
    return index


@pytest.fixture
def maker(make_store):
    """A sealed set of 200 videos in four blocks."""
    maker = make_store(num_videos=200)
    maker.features(maker.frames(num_views=2, noise=0.2))
    return maker


@pytest.fixture
def read_blocks(monkeypatch):
    """Numbers of the blocks that building reads, but for those that it trains with."""
    read, real = [], bundle_building._bundles

    def bundles(features, status, block):
        read.append(block)
        return real(features, status, block)

    trained = bundle_building._trained

    def train(features, status):
        found = trained(features, status)
        read.clear()
        return found

    monkeypatch.setattr(bundle_building, "_bundles", bundles)
    monkeypatch.setattr(bundle_building, "_trained", train)
    return read


def encode_again(maker, row):
    """Write other frames of a video and seal the set anew, as `vifi extract --retry` does."""
    features, backend = opened(maker), open_store(maker.store.path, mode="a").backend
    path = f"{features.path}/frames"
    frames = backend.read(path, row, row + 1)
    backend.write_rows(row, {path: -frames})
    manifest = manifest_digest(checksums(backend, features.path, 200))
    attributes = backend.attributes(features.path)
    backend.make_group(features.path, {**attributes, "sealed": {"rows": 200, "manifest": manifest}})


@pytest.mark.parametrize("part_frames", [1, 1024, 2**20])
def test_an_index_finds_what_comparing_all_frames_finds(maker, tmp_path, monkeypatch, part_frames):
    monkeypatch.setattr(bundle_building, "_PART_FRAMES", part_frames)
    built = build_frame_index(tmp_path, opened(maker))
    assert built.is_new
    assert built.num_bytes > len(built.kept.codes)
    check_found(maker, tmp_path)


def test_padding_is_not_found(tmp_path):
    features = open_store(make_padded_store(tmp_path / "S.zarr")).features("d", "mine")
    build_frame_index(tmp_path, features)
    queries = QUERIES[:, :8]
    found = open_frame_index(tmp_path, features).search(queries, 400)
    wanted = ExactFrames(features).search(queries, 400)
    np.testing.assert_array_equal(found.rows, wanted.rows)
    np.testing.assert_array_equal(found.positions, wanted.positions)


def test_only_what_is_allowed_is_found(maker, tmp_path):
    features = opened(maker)
    build_frame_index(tmp_path, features)
    index = open_frame_index(tmp_path, features)
    for allowed in (np.arange(200) % 3 == 1, np.arange(200) == 7, np.zeros(200, bool)):
        found = index.search(QUERIES, 20, allowed)
        wanted = ExactFrames(features).search(QUERIES, 20, allowed)
        np.testing.assert_array_equal(found.rows, wanted.rows)


def test_what_did_not_change_is_not_read_again(maker, tmp_path, read_blocks, caplog, monkeypatch):
    monkeypatch.setattr(bundle_building, "_PART_FRAMES", 1024)
    build_frame_index(tmp_path, opened(maker))
    assert read_blocks == [0, 1, 2, 3]
    read_blocks.clear()
    assert build_frame_index(tmp_path, opened(maker)).num_read == 0
    assert read_blocks == []
    encode_again(maker, 69)
    with caplog.at_level("INFO", logger="vifi"):
        index = check_found(maker, tmp_path)
    assert index.num_fresh == 64
    assert "64 videos are newer than the frame index" in caplog.text
    assert "vifi index S --dataset toy --features tiny --frames" in caplog.text
    caplog.clear()
    built = build_frame_index(tmp_path, opened(maker))
    assert read_blocks == [1]
    assert not built.is_new
    assert check_found(maker, tmp_path).num_fresh == 0
    assert caplog.text == ""
    # Of each part there is one folder, whatever was there before.
    folders = [path.name for path in built.folder.iterdir() if path.is_dir()]
    assert len(folders) == len(built.kept.settings["parts"]) + 1 == 3


def test_videos_that_were_added_are_seen_before_and_after_the_index_is_updated(
    make_store, tmp_path, read_blocks
):
    maker = make_store(num_videos=150)
    status = np.ones(150, np.uint8)
    status[64:] = 0
    frames = maker.frames(noise=0.2)
    maker.features(frames, status=status, seal=False)
    build_frame_index(tmp_path, opened(maker))
    read_blocks.clear()
    maker.features(frames)
    assert check_found(maker, tmp_path).num_fresh == 150 - 64
    build_frame_index(tmp_path, opened(maker))
    assert read_blocks == [1, 2]
    assert check_found(maker, tmp_path).num_fresh == 0


def test_effort_is_tuned_to_the_worse_kind_of_query_and_kept(maker, tmp_path):
    maker.texts()
    features = opened(maker)
    built = build_frame_index(tmp_path, features)
    index = open_frame_index(tmp_path, features)
    assert isinstance(index, BundledFrames)
    index.effort = 1
    low = index.nearest_videos(QUERIES, 10).rows
    assert (low == -1).any()
    quality = tune_frames(features, index, 0.98)
    assert 0.98 <= quality.recall <= quality.frame_recall <= 1
    assert quality.recall <= quality.text_recall
    assert 1 < index.effort <= index.num_bundles
    assert quality.milliseconds > 0
    keep_effort(built, index.effort)
    assert open_frame_index(tmp_path, features).effort == index.effort
    # An update keeps it.
    assert build_frame_index(tmp_path, features).kept.effort == index.effort


def flipped(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def longer(data):
    """A header that says that there are a thousand million rows."""
    return data.replace(b"(", b"(1000000", 1)


def settings(**changes):
    def change(data):
        return json.dumps({**json.loads(data), **changes}).encode()

    return change


def every_part_many_times(data):
    return json.dumps({**json.loads(data), "parts": json.loads(data)["parts"] * 99_999}).encode()


DAMAGE = [
    ("frames.json", every_part_many_times),
    *((f"part-*/{name}.npy", flipped) for name in ("codes", "places", "states")),
    *((f"part-*/{name}.npy", longer) for name in ("codes", "places", "states")),
    *((f"codebook-*/{name}.npy", lambda data: data[:-9]) for name in ("centre", "centroids")),
    ("part-*/codes.npy", lambda data: b""),
    ("part-*/codes.npy", lambda data: b"no array"),
    *(
        ("frames.json", lambda _, text=text: text)
        for text in (b"", b"{}", b"[]", b"{", b"[" * 9999)
    ),
    ("frames.json", settings(shape=[2, 4, 10**12])),
    ("frames.json", settings(shape=[2, 4, 8])),
    ("frames.json", settings(format=2)),
    ("frames.json", settings(effort=10**12)),
    ("frames.json", settings(effort=True)),
    ("frames.json", settings(parts=[])),
    ("frames.json", settings(parts=[{"folder": "../..", "checksums": {}}])),
    ("frames.json", settings(parts=[7])),
    ("frames.json", settings(codebook=None)),
]


@pytest.mark.parametrize(("name", "change"), DAMAGE)
def test_a_damaged_index_is_refused_in_a_line_and_made_again(maker, tmp_path, name, change):
    features = opened(maker)
    folder = build_frame_index(tmp_path, features).folder
    (path,) = folder.glob(name)
    path.write_bytes(change(path.read_bytes()))
    words = r"^the frame index in \S+ cannot be used \(.+\); make it again with: vifi index S "
    with bounded(), pytest.raises(StoreError, match=words) as told:
        open_frame_index(tmp_path, features)
    assert len(str(told.value).splitlines()) == 1
    with bounded():
        assert build_frame_index(tmp_path, features).is_new
    check_found(maker, tmp_path)


@pytest.mark.parametrize("place", [(-1, 0, 1), (256, 0, 1), (3, 0, 0), (3, 7, 2), (3, -1, 2)])
def test_frames_that_there_are_not_are_refused(maker, tmp_path, place):
    """By files whose checksums are right."""
    features = opened(maker)
    built = build_frame_index(tmp_path, features)
    (part,) = built.kept.settings["parts"]
    kept = built.kept
    arrays = {"states": kept.states, "places": kept.places.copy(), "codes": kept.codes}
    arrays["places"][np.searchsorted(kept.places[:, 0], 3)] = place
    entry = write_arrays(built.folder, "part-0", arrays)
    assert entry != part
    write_settings(built.folder, {**kept.settings, "parts": [entry]})
    with pytest.raises(StoreError, match="speaks of frames that there are not"):
        open_frame_index(tmp_path, features)


def test_frames_that_are_lost_are_damage(maker, tmp_path):
    features = opened(maker)
    build_frame_index(tmp_path, features)
    index = open_frame_index(tmp_path, features)
    chunk = maker.store.path / features.path / "frames" / "c.0.0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:100])
    with pytest.raises(DamagedError, match="is too short; run: vifi verify"):
        index.search(QUERIES, 2)
    chunk.unlink()
    with pytest.raises(DamagedError, match="is gone; run: vifi verify"):
        index.search(QUERIES, 2)


def test_a_frame_of_zeros_is_damage(maker, tmp_path):
    """It was none when the index was made, and the set still says that it is sealed."""
    features = opened(maker)
    build_frame_index(tmp_path, features)
    backend, path = open_store(maker.store.path, mode="a").backend, f"{features.path}/frames"
    backend.write_rows(7, {path: backend.read(path, 7, 8) * 0})
    with pytest.raises(DamagedError, match="frames are zero or not finite; find out more"):
        open_frame_index(tmp_path, features).search(QUERIES, 2000)


def test_a_set_without_embeddings_has_no_index(make_store, tmp_path):
    maker = make_store(num_videos=3)
    maker.features(maker.frames(), status=np.full(3, 2, np.uint8))
    with pytest.raises(UsageError, match="has an embedding; run vifi extract"):
        build_frame_index(tmp_path, opened(maker))
    assert open_frame_index(tmp_path, opened(maker)).search(QUERIES, 2).rows.max() == -1


def test_a_chunk_that_was_cut_off_is_told_in_a_line_and_one_that_is_gone_is_none(maker):
    features = opened(maker)
    chunk = maker.store.path / features.path / "frames" / "c.1.0.0.0"
    chunk.write_bytes(b"")
    with pytest.raises(DamagedError, match=r"c\.1\.0\.0\.0 cannot be read .*; run: vifi verify"):
        block_states(features)
    chunk.unlink()
    assert (block_states(features)[:, 0] != 0).tolist() == [True, False, True, True]
