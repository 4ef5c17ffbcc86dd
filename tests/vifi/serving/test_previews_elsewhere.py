"""Previews of what lies on servers, in shards and in stretches: those of the same local file."""

import os
import shutil
import tarfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.support import video_table
from tests.vifistore.extract.conftest import write_clip
from tests.vifistore.sources.web_server import serving
from tests.vifistore.store.conftest import bucket, bucket_server
from vifi.serving.app import make_app
from vifi.serving.library import Library
from vifi.serving.preview_cache import PreviewCache, Previews
from vifistore.frames.previews.preview_pool import PreviewPool
from vifistore.frames.previews.previews import PieceMaker
from vifistore.sources import asking
from vifistore.sources.footage import LocalFile
from vifistore.store import open_store
from vifistore.store.dataset import write_videos
from vifistore.store.store import create_store

__all__ = ["bucket", "bucket_server"]

# Three seconds: a whole piece and half of one.
FRAMES = 75


@pytest.fixture(autouse=True)
def few_tries(monkeypatch):
    monkeypatch.setenv("VIFI_NETWORK_TRIES", "2")
    monkeypatch.setattr(asking, "_FIRST_WAIT_SECONDS", 0.001)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "old.avi"
    write_clip(path, seed=3, num_frames=FRAMES)
    return path


@pytest.fixture(scope="module")
def pieces(clip) -> list[bytes]:
    """What is shown of the local file."""
    with PieceMaker(LocalFile(clip)) as maker:
        return [maker.piece(begin=2.0 * n, end=2.0 * n + 2, kind="mp4") for n in range(2)]


@pytest.fixture
def pool():
    with PreviewPool(1) as pool:
        yield pool


@pytest.fixture
def page(tmp_path, pool):
    """Call with a root and the rows of a dataset `d` below it: a client of its page."""

    def make(root: object, *paths: str, **columns: object) -> TestClient:
        store = create_store(tmp_path / "s.zarr")
        table = video_table(len(paths), []).assign(path=list(paths), size_bytes=0, **columns)
        write_videos(store.new_dataset("d"), table, [], str(root))
        previews = Previews(PreviewCache(tmp_path / "previews", 10**8), pool)
        app = make_app(Library(store), None, previews)
        return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)

    return make


def assert_shows(client: TestClient, pieces: list[bytes], row: int = 0) -> None:
    """Whether a row is shown as the local file, and ends where that ends."""
    for number, piece in enumerate(pieces):
        answer = client.get(f"/preview/d/{row}/{number}.mp4")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
        assert answer.content == piece
    assert client.get(f"/preview/d/{row}/{len(pieces)}.mp4").status_code == 204


@pytest.fixture
def web(tmp_path, clip):
    """A web server that has the clip as `v/old.avi`."""
    (tmp_path / "web" / "v").mkdir(parents=True)
    shutil.copy(clip, tmp_path / "web" / "v" / "old.avi")
    with serving(tmp_path / "web") as server:
        yield server


def test_of_a_web_server(web, page, pieces, tmp_path):
    client = page(f"{web.url}/v", "old.avi", "gone.avi", "../secret.avi")
    assert_shows(client, pieces)
    # What is kept goes by its size and date: nothing else is asked for again.
    fetched = len([asked for asked in web.asked if asked[1]])
    assert_shows(client, pieces)
    again = [asked for asked in web.asked if asked[1]][fetched:]
    assert all(span in ("bytes=0-0", "") for _, span in again), again
    gone = client.get("/preview/d/1/0.mp4")
    assert (gone.status_code, gone.json()["error"]) == (404, "gone.avi is gone; scan d again")
    assert client.get("/preview/d/2/0.mp4").status_code == 403
    # What the server has now is another video, and is shown as such.
    write_clip(tmp_path / "web/v/old.avi", seed=9, num_frames=30)
    other = client.get("/preview/d/0/0.mp4")
    assert other.status_code == 200
    assert other.content != pieces[0]


def test_of_a_web_server_that_fails(web, page, pieces):
    client = page(f"{web.url}/v", "old.avi")
    web.faults["v/old.avi"] = [503]
    assert_shows(client, pieces)
    web.always["v/old.avi"] = 503
    answer = client.get("/preview/d/0/0.mp4")
    assert answer.status_code == 500
    assert "old.avi cannot be fetched" in answer.json()["error"]
    del web.always["v/old.avi"]
    assert_shows(client, pieces)


def test_of_a_bucket(bucket, page, clip, pieces):
    import boto3

    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    client.upload_file(str(clip), "bucket", "v/old.avi")
    shown = page(f"{bucket}/v", "old.avi", "gone.avi")
    assert_shows(shown, pieces)
    assert shown.get("/preview/d/1/0.mp4").status_code == 404


@pytest.mark.parametrize("place", ["local", "web"])
def test_of_a_shard(place, tmp_path, web, page, clip, pieces):
    with tarfile.open(tmp_path / "web" / "v" / "0000.tar", "w") as tar:
        tar.add(clip, "key.avi")
        tar.add(clip, "second.avi")
    root = f"{web.url}/v" if place == "web" else tmp_path / "web" / "v"
    client = page(root, "0000.tar/second.avi", "0000.tar/none.avi", "0001.tar/key.avi")
    assert_shows(client, pieces)
    for row in (1, 2):
        assert client.get(f"/preview/d/{row}/0.mp4").status_code == 404


@pytest.mark.parametrize(("late", "status"), [(0.0, 200), (2.0, 415)])
def test_of_a_file_whose_sound_begins_first(page, tmp_path, late, status):
    """A browser counts from the start of the file, and so would show another moment."""
    with av.open(str(tmp_path / "late.mp4"), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 32000), np.float32), "fltp", "mono")
        silence.rate, silence.pts = 8000, 0
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 9 * number, np.uint8))
            frame.pts, frame.time_base = number + round(25 * late), Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    client = page(tmp_path, "late.mp4")
    for _ in range(2):
        assert client.get("/video/d/0").status_code == status
    assert client.get("/preview/d/0/0.mp4").status_code == 200
    plain = TestClient(
        make_app(Library(open_store(tmp_path / "s.zarr"))), base_url="http://localhost"
    )
    assert plain.get("/video/d/0").status_code == 200


def test_of_stretches(page, clip, pieces, tmp_path):
    """Pieces are those of the file, made once for all of its rows."""
    times = {"start_seconds": [0.0, 1.5, 90.0], "end_seconds": [1.5, np.nan, 95.0]}
    client = page(clip.parent, *[clip.name] * 3, **times)
    for row in range(3):
        assert_shows(client, pieces, row)
    kept = sorted(path.name for path in (tmp_path / "previews").iterdir())
    assert len({name.partition("-")[0] for name in kept}) == 1
    assert len([name for name in kept if name.endswith(("-0.mp4", "-1.mp4"))]) == 2
