"""Previews: made once, kept up to a limit, and never half of one."""

import os
from concurrent.futures import Future
from threading import Barrier, Thread

import pytest
from fastapi.testclient import TestClient

from tests.vifistore.extract.conftest import write_clip
from vifi.serving.app import make_app
from vifi.serving.preview_cache import PreviewCache, Previews
from vifistore.errors import DecodeError, UsageError
from vifistore.frames.previews.preview_pool import PreviewPool
from vifistore.sources.footage import LocalFile


class SlowPool:
    """Stands for a pool that makes a piece when it is told to."""

    def __init__(self) -> None:
        self.futures: list[Future[bytes]] = []

    def submit(self, *_: object) -> "Future[bytes]":
        """A future that nobody has given a result."""
        self.futures.append(Future())
        return self.futures[-1]


@pytest.fixture
def clip(tmp_path) -> LocalFile:
    """A video of half a second."""
    write_clip(tmp_path / "clip.avi", seed=0)
    return LocalFile(tmp_path / "clip.avi")


def name(number: int) -> str:
    """Of a piece in the cache."""
    return f"{'0' * 16}-{number}.mp4"


def test_what_was_watched_longest_ago_goes_first(tmp_path):
    cache = PreviewCache(tmp_path / "previews", 1000)
    for number in range(3):
        cache.put(name(number), bytes(300))
        os.utime(tmp_path / "previews" / name(number), (number, number))
    (tmp_path / "previews/mine.mp4").write_bytes(bytes(5000))
    assert cache.get(name(0)) == bytes(300)
    cache.put(name(3), bytes(300))
    kept = sorted(path.name for path in (tmp_path / "previews").iterdir())
    assert kept == [name(0), name(2), name(3), "mine.mp4"]
    # Another page beside the same store knows of these.
    other = PreviewCache(tmp_path / "previews", 1000)
    other.put(name(4), bytes(900))
    assert [other.get(name(number)) for number in (0, 2, 3)] == [None] * 3
    assert other.get(name(4)) == bytes(900)
    other.put(name(5), bytes(1001))
    assert other.get(name(5)) is None
    assert other.get(name(4)) is not None


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    cache = PreviewCache(tmp_path / "file" / "previews", 1000)
    cache.put(name(0), b"x")
    assert cache.get(name(0)) is None
    none = PreviewCache(tmp_path / "none", 0)
    none.put(name(0), b"x")
    assert not (tmp_path / "none").exists()


def test_a_piece_is_made_once_for_all_who_ask(tmp_path, clip):
    pool = SlowPool()
    previews = Previews(PreviewCache(tmp_path / "previews", 10**6), pool)
    barrier, given = Barrier(6), []

    def ask() -> None:
        barrier.wait()
        given.append(previews.piece(clip, 0, "mp4"))

    threads = [Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    barrier.wait()
    while not pool.futures:
        pass
    pool.futures[0].set_result(b"piece")
    for thread in threads:
        thread.join()
    assert given == [b"piece"] * 5
    assert len(pool.futures) == 1
    assert [path.read_bytes() for path in (tmp_path / "previews").iterdir()] == [b"piece"]
    # From the cache, by whoever serves next.
    again = Previews(PreviewCache(tmp_path / "previews", 10**6), SlowPool())
    assert again.piece(clip, 0, "mp4") == b"piece"
    # Another video under the same name is another preview.
    os.utime(clip.path, (1, 1))
    Thread(target=previews.piece, args=(clip, 0, "mp4"), daemon=True).start()
    while len(pool.futures) < 2:
        pass
    pool.futures[1].set_result(b"other")


def test_one_that_cannot_be_made_is_tried_again(tmp_path, clip):
    pool = SlowPool()
    previews = Previews(PreviewCache(tmp_path / "previews", 10**6), pool)
    for _ in range(2):
        failed: Future[bytes] = Future()
        failed.set_exception(DecodeError("timeout", "too slow"))
        pool.submit = lambda *_, failed=failed: failed
        with pytest.raises(UsageError, match=r"clip\.avi has no preview: too slow"):
            previews.piece(clip, 0, "mp4")
    assert not (tmp_path / "previews").exists()


def test_the_page_asks_for_pieces(library, tmp_path):
    hits = TestClient(make_app(library), base_url="http://localhost")
    assert hits.get("/api/previews").json()["kinds"] == []
    assert hits.get("/preview/d/0/0.mp4").status_code == 404
    with PreviewPool(1) as pool:
        previews = Previews(PreviewCache(tmp_path, 10**6), pool)
        client = TestClient(make_app(library, None, previews), base_url="http://localhost")
        assert [kind for kind, _ in client.get("/api/previews").json()["kinds"]] == ["mp4", "webm"]
        found = client.get("/api/search?q=a&k=20").json()["hits"]
        rows = {hit["id"]: hit["row"] for hit in found}
        assert {hit["duration_seconds"] for hit in found} == {0.48}
        row = rows["blue jump/old.avi"]
        for kind, head in (("mp4", b"ftyp"), ("webm", b"\x1a\x45\xdf\xa3")):
            answer = client.get(f"/preview/d/{row}/0.{kind}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, f"video/{kind}")
            assert head in answer.content[:8]
        assert client.get(f"/preview/d/{row}/1.mp4").status_code == 204
        for address, status in (
            (f"/preview/d/{row}/-1.mp4", 422),
            (f"/preview/d/{row}/43200.mp4", 422),
            (f"/preview/d/{row}/0.exe", 422),
            ("/preview/d/99/0.mp4", 404),
            ("/preview/nope/0/0.mp4", 404),
            ("/preview/..%2F..%2Fetc/0/0.mp4", 404),
        ):
            assert client.get(address).status_code == status
        assert (
            client.get(
                f"/preview/d/{row}/0.mp4", headers={"Sec-Fetch-Site": "cross-site"}
            ).status_code
            == 403
        )
