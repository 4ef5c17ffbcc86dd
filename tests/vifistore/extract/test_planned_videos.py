"""Which files may be equal, and where their digests were met, is known in a few numbers each."""

import tracemalloc

import numpy as np
import pytest

from tests.support import video_table
from vifistore.extract import digest_places
from vifistore.extract.digest_places import DigestPlaces, hashes_of
from vifistore.extract.planned_videos import PlannedVideos, are_among, repeated
from vifistore.store.dataset import write_videos
from vifistore.store.store import create_store


def test_files_of_several_rows_and_sizes_of_several_files_are_known(tmp_path):
    dataset = create_store(tmp_path / "s.zarr").new_dataset("d")
    table = video_table(6, ["a"]).assign(
        path=["a", "a", "b", "c", "d", "e"],
        size_bytes=[5, 5, 7, 7, 9, 9],
        start_seconds=[0.0, 2, 0, 0, 0, 0],
        end_seconds=[2.0, 4, *[np.nan] * 4],
    )
    write_videos(dataset, table, ["a"], "/videos")
    videos = PlannedVideos(dataset, [0, 1, 2, 3, 4])
    assert [videos.is_shared(path) for path in "abcde"] == [True, *[False] * 4]
    # Two stretches of one file are no twins, and of 9 bytes one file alone is planned.
    assert videos.repeated_sizes.tolist() == [7]
    assert videos.sizes.tolist() == [5, 7, 9]
    assert str(videos.files[3]).endswith("/videos/c")
    assert (videos.starts[1], videos.ends[1]) == (2, 4)
    nothing = PlannedVideos(dataset, [])
    assert (nothing.repeated_sizes.tolist(), nothing.is_shared("a")) == ([], False)


def test_what_is_repeated_and_what_is_among_others():
    assert repeated(np.array([3, 1, 3, 2, 1, 3])).tolist() == [1, 3]
    assert repeated(np.array([], np.int64)).tolist() == []
    assert are_among(np.array([0, 3, 9]), np.array([1, 3])).tolist() == [False, True, False]
    assert are_among(np.array([1]), np.array([], np.int64)).tolist() == [False]


@pytest.mark.parametrize("aside", [1, 7, 10_000])
def test_the_place_that_was_put_last_is_found(monkeypatch, aside):
    monkeypatch.setattr(digest_places, "_ASIDE", aside)
    places, known = DigestPlaces(), {}
    assert places.find("a") is None
    digests = [f"many {number}" for number in range(50)]
    parts = [
        (hashes_of(part), np.arange(len(part)) + first) for first, part in enumerate([digests])
    ]
    places.put_all(parts)
    places.put_all([])
    known |= {digest: number for number, digest in enumerate(digests)}
    for number in np.random.default_rng(0).integers(0, 40, 300).tolist():
        digest = f"{'many' if number % 2 else 'one'} {number}"
        places.put(digest, known.setdefault(digest, 0) + 1000)
        known[digest] += 1000
        assert places.find(digest) == known[digest]
    assert {digest: places.find(digest) for digest in known} == known
    assert places.find("never") is None


def test_a_digest_takes_few_bytes():
    places, count = DigestPlaces(), 300_000
    tracemalloc.start()
    for number in range(count):
        places.put(f"{number:064x}", number)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert places.find(f"{77:064x}") == 77
    # 16, and as much again as waits aside.
    assert held < 16 * count + 160 * 2**16
