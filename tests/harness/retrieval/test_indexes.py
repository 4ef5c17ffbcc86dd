"""Indexes: exact or nearly so, kept whole, and never older than the feature set."""

import json
import threading
import time
from typing import Any

import faiss
import numpy as np
import pytest

from harness.fusion import unit
from harness.retrieval.indexing.indexes import (
    Index,
    build_index,
    index_folder,
    open_index,
    save_index,
)
from harness.retrieval.quality import measure, recall, sample_queries, tune
from harness.vector_reading import done_rows, video_vectors
from vifistore.errors import StoreError, UsageError
from vifistore.store.schema import QUARANTINED
from vifistore.temporaries import writing_in


def clustered(num_vectors=2000, dim=32) -> np.ndarray:
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(40, dim))
    return unit(centres[np.arange(num_vectors) % 40] + generator.normal(size=(num_vectors, dim)))


def flat_of(vectors) -> Index:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return Index(faiss=index, rows=3 * np.arange(len(vectors)), kind="flat")


@pytest.fixture
def features(make_store):
    maker = make_store(num_videos=70)
    status = np.ones(70, np.uint8)
    status[[3, 65]] = QUARANTINED
    maker.features(maker.frames(num_views=2), status=status)
    return maker.store.features("toy", "tiny")


def test_flat_is_the_matrix_product():
    vectors = clustered()
    allowed = np.arange(len(vectors)) % 2 == 0
    for count in (1, 7, 100):
        queries = unit(np.random.default_rng(count).normal(size=(count, 32)))
        for mask in (None, allowed):
            cosines, rows = flat_of(vectors).search(queries, 5, mask)
            scores = queries @ vectors.T
            scores[:, [] if mask is None else ~mask] = -np.inf
            expected = np.argsort(-scores, axis=1)[:, :5]
            np.testing.assert_array_equal(rows, 3 * expected)
            np.testing.assert_allclose(cosines, np.take_along_axis(scores, expected, 1), atol=1e-5)


def test_fewer_videos_than_asked_for():
    cosines, rows = flat_of(clustered(3)).search(clustered(1), 5)
    assert sorted(rows[0]) == [-1, -1, 0, 3, 6]
    assert np.isneginf(cosines[0][rows[0] < 0]).all()


def test_one_query_finds_what_faiss_finds():
    index, query = flat_of(clustered()), clustered()[5:6]
    cosines, places = index.faiss.search(query, 7)
    found, rows = index.search(query, 7)
    np.testing.assert_allclose(found, cosines, atol=1e-6)
    np.testing.assert_array_equal(rows, 3 * places)


def test_vectors_are_of_unit_length_and_of_done_videos_alone(features):
    rows = done_rows(features)
    assert set(range(70)) - set(rows) == {3, 65}
    expected = features.read("view_mean")[rows].mean(axis=1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(video_vectors(features, rows), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_what_is_opened_is_what_was_saved(features, tmp_path, kind):
    index = build_index(features, kind)
    folder = save_index(tmp_path, features, index)
    opened = open_index(tmp_path, features, kind)
    query = video_vectors(features, np.array([5]))
    assert opened.search(query, 3)[1].tolist() == index.search(query, 3)[1].tolist()
    assert opened.search(query, 1)[1].tolist() == [[5]]
    np.testing.assert_array_equal(opened.rows, index.rows)
    assert {path.name for path in folder.iterdir()} == {
        "index.faiss",
        "rows.npy",
        "settings.json",
    }
    # Nothing half done is left.
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    allowed = opened.rows % 3 == 0
    _, rows = open_index(tmp_path, features, kind).search(query, 5, allowed)
    assert set(rows[0]) - {-1} <= set(range(0, 70, 3))
    # A second one of the same state takes its place.
    assert save_index(tmp_path, features, index) == folder


def test_flat_is_made_when_it_is_needed_and_the_others_are_not(features, tmp_path):
    assert not (tmp_path / "indexes").exists()
    open_index(tmp_path, features)
    assert index_folder(tmp_path, features, "flat").is_dir()
    with pytest.raises(UsageError, match="vifi index S --dataset toy --features tiny --kind hnsw"):
        open_index(tmp_path, features, "hnsw")


def test_a_video_without_an_embedding_has_no_vector(features, tmp_path):
    index = open_index(tmp_path, features)
    np.testing.assert_allclose(index.vector(4), video_vectors(features, np.array([4]))[0])
    for row in (3, 65, 70):
        with pytest.raises(UsageError, match="has no embedding"):
            index.vector(row)


def test_an_index_of_an_earlier_state_is_never_opened(features, tmp_path):
    old = save_index(tmp_path, features, build_index(features, "flat"))
    features._attributes["sealed"] = {"rows": 70, "manifest": "f" * 64}
    assert index_folder(tmp_path, features, "flat") != old
    open_index(tmp_path, features)
    assert not old.exists()


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_a_damaged_index_is_made_again_or_refused(features, tmp_path, caplog, kind):
    expected = build_index(features, kind).search(queries_of(features), 10)
    folder = save_index(tmp_path, features, build_index(features, kind))
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, content in DAMAGE:
        for other, bytes_before in whole.items():
            (folder / other).write_bytes(bytes_before)
        (folder / name).write_bytes(content(whole[name]))
        if kind != "flat":
            words = r"cannot be used \(.*\); make it again with: vifi index S .* --kind hnsw"
            with pytest.raises(StoreError, match=words):
                open_index(tmp_path, features, kind)
            continue
        with caplog.at_level("WARNING", logger="vifi"):
            found = open_index(tmp_path, features).search(queries_of(features), 10)
        assert "cannot be used" in caplog.text
        caplog.clear()
        np.testing.assert_array_equal(found[1], expected[1])
        # What was made again is whole.
        open_index(tmp_path, features)
        assert caplog.text == ""


def queries_of(features) -> np.ndarray:
    """Vectors of five videos."""
    return video_vectors(features, np.array([4, 8, 15, 16, 23]))


def flipped_signs(data: bytes) -> bytes:
    """The numbers of the vectors, which lie at the end, with other signs."""
    vectors = np.frombuffer(data[-64 * 16 :], np.uint8).copy()
    vectors[3::4] ^= 0x80
    return data[: -64 * 16] + vectors.tobytes()


DAMAGE = [
    ("index.faiss", flipped_signs),
    ("index.faiss", lambda data: data[:-9]),
    ("index.faiss", lambda data: b"no index"),
    ("rows.npy", lambda data: data[:-8] + bytes(8)),
    ("rows.npy", lambda data: data[:-8]),
    *(("settings.json", lambda _, text=text: text) for text in (b"{}", b"[]", b"{", b"[" * 9999)),
    ("settings.json", lambda data: data.replace(b'"effort": 1', b'"effort": 1000000000000')),
    ("settings.json", lambda data: data.replace(b'"effort": 1', b'"effort": null')),
    # As an earlier version wrote it.
    ("settings.json", lambda data: data.replace(b"checksums", b"sums")),
]


def test_an_unsealed_set_is_searched_without_a_file(make_store, tmp_path):
    maker = make_store(num_videos=70)
    status = np.ones(70, np.uint8)
    status[64:] = 0
    maker.features(maker.frames(), status=status, seal=False)
    index = open_index(tmp_path / "cache", maker.store.features("toy", "tiny"))
    assert len(index.rows) == 64
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_no_failure(features, tmp_path):
    (tmp_path / "cache").write_text("a file")
    assert len(open_index(tmp_path / "cache", features).rows) == 68


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_effort_is_tuned_to_the_wanted_recall(kind):
    vectors = clustered()
    flat = flat_of(vectors)
    queries = vectors[:100]
    found = faiss.IndexHNSWFlat(32, 8, faiss.METRIC_INNER_PRODUCT)
    if kind == "ivf":
        found = faiss.index_factory(32, "IVF32,Flat", faiss.METRIC_INNER_PRODUCT)
        found.train(vectors)
    found.add(vectors)
    index = Index(faiss=found, rows=flat.rows, kind=kind, effort=1)
    low, high = tune(index, flat, queries, 0.5), tune(index, flat, queries, 0.95)
    assert low.effort <= high.effort
    quality = measure(high, flat, queries)
    assert 0.95 <= quality.recall <= 1
    assert quality.milliseconds > 0
    assert recall(flat, flat, queries) == 1.0


def test_recall_at_k_looks_at_k_hits():
    """What an index has as its eleventh is no hit, whether a query is a video of the set or not."""
    vectors = clustered()
    flat = flat_of(vectors)
    texts = unit(vectors[:50] + 0.3 * np.random.default_rng(1).normal(size=(50, 32)))

    class Late:
        """Finds the wanted ones, and one that is not among them."""

        def __init__(self, place):
            self.place = place

        def search(self, queries, k):
            cosines, rows = flat.search(queries, k)
            return cosines, np.insert(rows, self.place, -7, axis=1)[:, :k]

    def found(place, queries):
        late: Any = Late(place)
        return recall(late, flat, queries.astype(np.float32))

    for queries, place in ((texts, 0), (texts, 9), (vectors[:50], 1), (vectors[:50], 10)):
        assert found(place, queries) == pytest.approx(0.9)
    # Itself is not among the ten, wherever it is found.
    assert found(0, vectors[:50]) == pytest.approx(0.9)
    assert found(11, vectors[:50]) == 1.0


def test_queries_to_try_an_index_with_are_videos_and_texts(make_store, tmp_path):
    maker = make_store(num_videos=70, num_classes=6)
    maker.features(maker.frames())
    maker.texts()
    features = maker.store.features("toy", "tiny")
    queries = sample_queries(features, open_index(tmp_path, features))
    assert queries.shape == (76, 16)
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)


def test_settings_are_kept_with_the_index(features, tmp_path):
    index = Index(**{**vars(build_index(features, "hnsw")), "effort": 64})
    folder = save_index(tmp_path, features, index)
    kept = json.loads((folder / "settings.json").read_text())
    assert (kept["kind"], kept["effort"]) == ("hnsw", 64)
    assert open_index(tmp_path, features, "hnsw").effort == 64


def test_a_gpu_takes_what_it_can(monkeypatch):
    """FAISS's GPU build is not here: what would go there, and what would not."""
    taken = []

    def to_gpu(resources, device, index):
        taken.append((resources, device))
        return index

    monkeypatch.setattr(faiss, "StandardGpuResources", lambda: "resources", raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", to_gpu, raising=False)
    index, queries = flat_of(clustered(50)), clustered(2)
    index.search(queries, 3, np.ones(50, bool))
    assert taken == []
    index.search(queries, 3)
    index.search(queries, 3)
    assert taken == [("resources", 0)]
    graph = faiss.IndexHNSWFlat(32, 8, faiss.METRIC_INNER_PRODUCT)
    graph.add(clustered(50))
    Index(faiss=graph, rows=index.rows, kind="hnsw", effort=16).search(queries, 3)
    assert len(taken) == 1


def test_others_may_read_an_index(features, tmp_path):
    usual = tmp_path / "usual"
    usual.mkdir()
    folder = save_index(tmp_path, features, build_index(features, "flat"))
    assert folder.stat().st_mode == usual.stat().st_mode


def test_what_a_killed_run_left_goes_and_what_another_is_writing_stays(features, tmp_path):
    parent = index_folder(tmp_path, features, "flat").parent
    left = parent / f"0-flat.{'a' * 32}.partial"
    left.mkdir(parents=True)
    (left / "index.faiss").touch()
    with writing_in(parent):
        folder = save_index(tmp_path, features, build_index(features, "flat"))
        assert {path.name for path in parent.iterdir()} == {left.name, folder.name}
    save_index(tmp_path, features, build_index(features, "flat"))
    assert [path.name for path in parent.iterdir()] == [folder.name]


def test_videos_that_there_are_not_are_not_found():
    """Of three videos an index that holds one finds nothing near to it."""
    vectors = clustered(3)
    flat, half = flat_of(vectors), flat_of(vectors[:1])
    assert recall(half, flat, vectors[:1]) == 0.0
    assert recall(flat, flat, vectors[:1]) == 1.0
    # An only video has no neighbours to miss.
    assert recall(half, half, vectors[:1]) == 1.0


@pytest.fixture
def gpu(monkeypatch):
    """A stand-in for FAISS's GPU build; its index notes how many threads were in it at once."""

    class OnGpu:
        ntotal, threads, most = 0, 0, 0

        def search(self, queries, k, params=None):
            OnGpu.threads += 1
            OnGpu.most = max(OnGpu.most, OnGpu.threads)
            time.sleep(0.01)
            OnGpu.threads -= 1
            return np.ones((len(queries), k), np.float32), np.zeros((len(queries), k), np.int64)

    monkeypatch.setattr(faiss, "StandardGpuResources", lambda: "resources", raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", lambda *_: OnGpu(), raising=False)
    return OnGpu


def test_one_thread_at_a_time_uses_a_gpu(gpu):
    index, queries = flat_of(clustered(50)), clustered(1)
    threads = [threading.Thread(target=index.search, args=(queries, 3)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gpu.most == 1


def test_more_neighbours_than_a_gpu_finds_are_found_without_it(gpu):
    vectors = clustered(50)
    index = flat_of(vectors)
    index.search(vectors[:2], 2048)
    assert gpu.most == 1
    gpu.most = 0
    for count in (1, 2):
        assert set(index.search(vectors[:count], 2049)[1][0]) == {-1, *range(0, 150, 3)}
    assert gpu.most == 0
