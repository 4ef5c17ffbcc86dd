"""What the page asks beside its hits: scores over time, files to keep, pictures that it sends."""

import csv
import io
import json
import struct
import zlib

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from harness.retrieval.combined_queries import JoinedQuery
from harness.timelines import ScoreCurve
from tests.vifi.serving.test_app import row_of
from vifi.__main__ import run
from vifi.searching.read_pictures import read_picture
from vifi.serving import sent_pictures
from vifi.serving.score_strips import strip_of
from vifistore.errors import UsageError


def png(colour: int = 90) -> bytes:
    """A small grey picture."""
    data = io.BytesIO()
    Image.fromarray(np.full((48, 64, 3), colour, np.uint8)).save(data, "png")
    return data.getvalue()


def token(client: TestClient) -> dict[str, str]:
    """What the page's own requests carry."""
    return {"X-Vifi-Token": client.get("/api/token").json()["token"]}


def test_the_scores_of_a_video_over_time(client, library):
    row = row_of(client, "red run/1.mp4")
    strip = client.get(f"/api/timeline/d/{row}", params={"q": "a red run"}).json()
    (part,) = strip["parts"]
    # Four frames, and the edges of what the outer ones stand for.
    assert part["times"] == sorted(part["times"])
    assert len(part["times"]) == len(part["scores"]) == 6
    assert part["times"][0] == 0
    features = library.store.features("d", "tiny")
    frames = features.frames[row][0].astype(np.float32)
    frames /= np.linalg.norm(frames, axis=1, keepdims=True)
    query = library.words_vector(library.scope("", ""), "a red run")[0]
    expected = frames @ query / np.linalg.norm(query)
    assert part["scores"][1:-1] == pytest.approx(expected.tolist(), abs=1e-3)
    assert strip["best"] == part["times"][1 + int(expected.argmax())]
    # The frame that is likest to a video's mean, and a row without frames.
    like = {"of": "d", "row": row}
    assert client.get(f"/api/timeline/d/{row}", params=like).json()["best"] in part["times"]
    broken = row_of_broken(library)
    assert client.get(f"/api/timeline/d/{broken}", params=like).json()["parts"] == []


def row_of_broken(library) -> int:
    """Row of the video that cannot be decoded."""
    return library.store.videos("d")["id"].tolist().index("red run/broken.mp4")


ONE = JoinedQuery(terms=np.ones((1, 4), np.float32), num_wanted=1)


class OneCurve:
    """Stands for timelines of one file."""

    def __init__(self, times: np.ndarray, ends: np.ndarray) -> None:
        self.file_of = np.zeros(1, np.int64)
        cosines = np.linspace(0, 1, len(times), dtype=np.float32)[None]
        rows = np.zeros(len(times), np.int64)
        self.curve = ScoreCurve(times=times, cosines=cosines, rows=rows, begins=times, ends=ends)

    def curves(self, files: list[int], queries: np.ndarray, **_: object) -> list:
        """The one."""
        return [(files[0], self.curve)]


def test_holes_stay_holes_and_long_curves_keep_their_peaks():
    times = np.array([0.0, 1.0, 2.0, 10.0, 11.0])
    strip = strip_of(OneCurve(times, times + 1), 0, ONE)
    assert [part["times"] for part in strip["parts"]] == [
        [0.0, 0.0, 1.0, 2.0, 3.0],
        [10.0, 10.0, 11.0, 12.0],
    ]
    assert strip["best"] == 11.0
    many = np.arange(100_000.0)
    strip = strip_of(OneCurve(many, many + 1), 0, ONE)
    (part,) = strip["parts"]
    assert len(part["times"]) < 700
    assert max(part["scores"]) == 1.0


@pytest.mark.parametrize(
    ("parameters", "flags"),
    [
        ({"also": "a jump", "unwanted": "blue"}, ["--and", "a jump", "--not", "blue"]),
        ({"rerank": "topk"}, ["--rerank", "topk"]),
        ({"hybrid": True}, ["--hybrid"]),
        ({"frames": True, "also": "a jump"}, ["--frames", "--and", "a jump"]),
        ({"frames": True, "rerank": "topk"}, ["--frames", "--rerank", "topk"]),
        ({"frames": True, "hybrid": True}, ["--frames", "--hybrid"]),
        ({"begin": 0.1, "longest": 0.5, "label": "red run"}, None),
    ],
)
def test_joined_and_narrowed_as_by_the_command(client, searchable, capsys, parameters, flags):
    flags = flags or ["--from", "0.1", "--max-seconds", "0.5", "--label", "red run"]
    answer = client.get("/api/search", params={"q": "a red run", "k": 4, **parameters}).json()
    assert run(["search", str(searchable), "a red run", "-k", "4", "--json", *flags]) == 0
    expected = json.loads(capsys.readouterr().out)["hits"]
    assert [hit["id"] for hit in answer["hits"]] == [hit["id"] for hit in expected]
    assert [h["score"] for h in answer["hits"]] == pytest.approx([h["score"] for h in expected])


def test_what_does_not_go_together(client):
    asked = {"q": "a red run"}
    for more, word in (
        ({"begin": 2, "end": 1}, "no seconds between them"),
        ({"shortest": 2, "longest": 1}, "exchange them"),
    ):
        answer = client.get("/api/search", params={**asked, **more})
        assert (answer.status_code, word in answer.json()["error"]) == (400, True)
    for more in ({"rerank": "worst"}, {"begin": "nan"}, {"end": -1}, {"also": "x" * 3000}):
        assert client.get("/api/search", params={**asked, **more}).status_code == 422


def test_files_to_keep(client, searchable, capsys):
    asked = {"q": "a red run", "k": 4}
    answer = client.get("/api/saved/hits.json", params=asked)
    assert answer.headers["content-disposition"] == 'attachment; filename="hits.json"'
    assert run(["search", str(searchable), "a red run", "-k", "4", "--json"]) == 0
    assert answer.json() == json.loads(capsys.readouterr().out)
    table = client.get("/api/saved/hits.csv", params={**asked, "frames": True}).text
    assert len(list(csv.DictReader(io.StringIO(table)))) == 4
    script = client.get("/api/saved/hits.sh", params=asked).text
    assert script.count("ffmpeg -nostdin") == 4
    assert client.get("/api/saved/hits.exe", params=asked).status_code == 422
    assert client.get("/api/saved/hits.csv").status_code == 400


def test_a_picture_finds_what_the_command_finds(client, searchable, tmp_path, capsys):
    (tmp_path / "grey.png").write_bytes(png())
    sent = client.post("/api/picture", content=png(), headers=token(client)).json()
    hits = client.get("/api/search", params={**sent, "k": 5}).json()["hits"]
    arguments = ["--image", str(tmp_path / "grey.png"), "-k", "5", "--json"]
    assert run(["search", str(searchable), *arguments]) == 0
    expected = json.loads(capsys.readouterr().out)["hits"]
    assert [hit["id"] for hit in hits] == [hit["id"] for hit in expected]
    assert [hit["score"] for hit in hits] == pytest.approx([hit["score"] for hit in expected])
    assert client.get("/api/timeline/d/0", params=sent).status_code == 200
    gone = client.get("/api/search", params={"picture": "x" * 22})
    assert (gone.status_code, "give it again" in gone.json()["error"]) == (404, True)
    assert client.get("/api/search", params={**sent, "q": "both"}).status_code == 400


def test_only_the_last_pictures_are_held(client):
    first = client.post("/api/picture", content=png(), headers=token(client)).json()
    for colour in range(8):
        client.post("/api/picture", content=png(colour), headers=token(client))
    assert client.get("/api/search", params=first).status_code == 404


def test_pictures_are_taken_from_the_page_alone(client):
    ours = token(client)
    assert client.post("/api/picture", content=png()).status_code == 403
    other = {"X-Vifi-Token": "\u00e9".encode()}
    assert client.post("/api/picture", content=png(), headers=other).status_code == 403
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = client.post("/api/picture", content=png(), headers={**ours, **headers})
        assert answer.status_code == 403
    evil = client.post("/api/picture", content=png(), headers={**ours, "Host": "evil.example"})
    assert evil.status_code == 400
    same = {**ours, "Origin": "http://127.0.0.1:8765"}
    assert client.post("/api/picture", content=png(), headers=same).status_code == 200


def bomb(width: int, height: int) -> bytes:
    """A PNG of a kilobyte that says it has so many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_what_is_no_picture_or_too_large_a_one(client, monkeypatch):
    for content in (b"", b"no picture", png()[:100], bomb(20_000, 20_000), bomb(11_000, 11_000)):
        answer = client.post("/api/picture", content=content, headers=token(client))
        assert (answer.status_code, "not a picture" in answer.json()["error"]) == (400, True)
    with pytest.raises(UsageError, match=r"(121000000|11000 x 11000) pixels"):
        read_picture(bomb(11_000, 11_000))
    # Told as soon as it is too much, whatever the length that was said.
    monkeypatch.setattr("vifi.serving.query_routes.MOST_BYTES", 1000)
    answer = client.post("/api/picture", content=bytes(2000), headers=token(client))
    assert (answer.status_code, "give a smaller one" in answer.json()["error"]) == (400, True)
    assert sent_pictures.MOST_BYTES == 16 << 20


def test_a_strip_of_several_terms_is_of_all_of_them(client):
    asked = {"q": "a red run", "also": "a jump", "frames": True}
    (hit, *_) = client.get("/api/search", params=asked).json()["hits"]
    strip, alone = (
        client.get(f"/api/timeline/d/{hit['row']}", params=params).json()
        for params in (asked, {"q": "a red run"})
    )
    scores = {score for part in strip["parts"] for score in part["scores"]}
    assert max(scores) == pytest.approx(hit["score"], abs=1e-3)
    assert strip["parts"] != alone["parts"]
