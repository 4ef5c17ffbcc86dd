"""The page's server: the same search as the command, and nothing else to read."""

import json

import pytest
from fastapi.testclient import TestClient

from vifi.__main__ import run
from vifi.serving.app import make_app


def row_of(client, name: str) -> int:
    """Row of a video by its id."""
    hits = client.get("/api/search", params={"q": "any", "k": 100}).json()["hits"]
    return next(hit["row"] for hit in hits if hit["id"] == name)


def test_the_same_search_as_the_command(client, searchable, capsys):
    for flags, parameters in (
        ([], {}),
        (["--label", "red run"], {"label": "red run"}),
        (["--frames"], {"frames": "true"}),
    ):
        assert run(["search", str(searchable), "a red run", "-k", "4", "--json", *flags]) == 0
        expected = json.loads(capsys.readouterr().out)
        found = client.get("/api/search", params={"q": "a red run", "k": 4, **parameters}).json()
        playable = [hit.pop("is_playable") for hit in found["hits"]]
        assert {hit.pop("duration_seconds") for hit in found["hits"]} == {0.48}
        assert [hit.pop("is_part") for hit in found["hits"]] == [False] * 4
        rows = [hit.pop("row") for hit in found["hits"]]
        assert found == expected
        assert len(rows) == len(playable) == 4


def test_more_like_a_video(client, searchable, capsys):
    row = row_of(client, "red run/1.mp4")
    found = client.get("/api/search", params={"of": "d", "row": row, "k": 5}).json()
    assert run(["search", str(searchable), "--like", "red run/1.mp4", "-k", "5", "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)["hits"]
    assert [hit["id"] for hit in found["hits"]] == [hit["id"] for hit in expected]
    # Those of the other class are like it too, though it is none of them.
    narrow = {"of": "d", "row": row, "label": "blue jump"}
    hits = client.get("/api/search", params=narrow).json()["hits"]
    assert {hit["label"] for hit in hits} == {"blue jump"}


def test_what_the_menus_offer(client):
    found = client.get("/api/store").json()
    assert found["features"] == "tiny"
    (dataset,) = found["datasets"]
    assert dataset == {
        "name": "d",
        "splits": [],
        "labels": ["blue jump", "red run"],
        "features": ["tiny"],
    }


def test_videos_are_sent_in_parts(client, searchable):
    row = row_of(client, "red run/1.mp4")
    whole = client.get(f"/video/d/{row}")
    assert whole.content == (searchable.parent / "videos/red run/1.mp4").read_bytes()
    assert whole.headers["content-type"] == "video/mp4"
    part = client.get(f"/video/d/{row}", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert client.get(f"/video/d/{row}", headers={"Range": "bytes=99999999-"}).status_code == 416


def test_ranges_never_send_more_than_the_video(client, searchable):
    row = row_of(client, "red run/1.mp4")
    size = (searchable.parent / "videos/red run/1.mp4").stat().st_size
    for ranges in (
        ",".join(["0-"] * 50),
        ",".join(["0-"] * 100_000),
        ",".join(f"{start}-" for start in range(500)),
        f"0-{10**30}",
        f"-{10**30}",
        "5-1",
        "x-",
        "--",
        "",
    ):
        answer = client.get(f"/video/d/{row}", headers={"Range": f"bytes={ranges}"})
        assert answer.status_code in (200, 206, 400, 416)
        assert len(answer.content) <= size


def test_pictures_are_made_once(client, library):
    row = row_of(client, "red run/2.mp4")
    for address in (
        f"/thumbnail/d/{row}",
        f"/thumbnail/d/{row}?at=0.2",
        f"/thumbnail/d/{row}?at=99",
    ):
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.content[:2] == b"\xff\xd8"
    folder = library.store.backend.cache_folder / "thumbnails/d"
    # A moment behind the end is the end.
    names = [path.stem.partition("-") for path in folder.iterdir()]
    of_each: dict[str, list[str]] = {}
    for name, _, moment in names:
        of_each.setdefault(name, []).append(moment)
    assert ["", "200", "480"] in [sorted(moments) for moments in of_each.values()]


def test_the_map_holds_every_video_that_can_be_found(client):
    points = client.get("/api/map", params={"dataset": "d"}).json()
    assert len(points["row"]) == len(points["x"]) == len(points["y"]) == 10
    assert "red run/broken.mp4" not in points["id"]
    assert client.get("/api/map", params={"dataset": "d"}).json() == points


def test_a_map_that_cannot_be_read_is_drawn_again(client, library, caplog):
    points = client.get("/api/map", params={"dataset": "d"}).json()
    (kept,) = (library.store.backend.cache_folder / "maps/d").iterdir()
    usual = kept.with_name("usual")
    usual.touch()
    assert kept.stat().st_mode == usual.stat().st_mode
    usual.unlink()
    for damage in (b"row,x,y\nfirst,1,2\n", b"", b"\xff\xfe", b"row,x\n1,2\n"):
        kept.write_bytes(damage)
        assert client.get("/api/map", params={"dataset": "d"}).json() == points
        assert "is drawn again" in caplog.text
        caplog.clear()


def test_a_disk_that_fails_is_said(client, library, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "/cache")

    monkeypatch.setattr(library, "words_vector", fail)
    answer = client.get("/api/search", params={"q": "a"})
    assert answer.status_code == 500
    assert "Permission denied" in answer.json()["error"]


def test_the_map_of_a_results_folder_is_taken(library, tmp_path):
    (tmp_path / "artefacts").mkdir()
    lines = ["panel,dataset,row,id,label,x,y", "tiny,d,3,a,b,1.5,2.5"]
    # Of another feature set, a row that is not there, and one without a place.
    lines += ["other,d,4,a,b,0,0", "tiny,d,999,a,b,0,0", "tiny,d,5,a,b,,0"]
    (tmp_path / "artefacts/tsne.csv").write_text("\n".join(lines))
    client = TestClient(make_app(library, tmp_path), base_url="http://localhost:1")
    points = client.get("/api/map", params={"dataset": "d"}).json()
    assert (points["row"], points["x"], points["y"]) == ([3], [1.5], [2.5])


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/api/search", 400),
        ("/api/search?q=", 400),
        ("/api/search?q=a&k=0", 422),
        ("/api/search?q=a&k=1000000", 422),
        ("/api/search?q=a&k=x", 422),
        (f"/api/search?q={'a' * 3000}", 422),
        ("/api/search?q=a&features=nope", 404),
        ("/api/search?q=a&features=..%2F..%2Fx", 404),
        ("/api/search?q=a&dataset=..%2Fd", 404),
        ("/api/search?q=a&label=nope", 404),
        ("/api/search?q=a&split=nope", 404),
        ("/api/search?of=d&row=99", 404),
        ("/api/search?of=d&row=-1", 422),
        ("/api/search?of=d&row=99999999999999999999999", 422),
        ("/api/search?of=e&row=0", 404),
        ("/api/map?dataset=nope", 404),
        ("/video/d/-1", 404),
        ("/video/d/99", 404),
        ("/video/d/x", 422),
        ("/video/d/1e3", 422),
        ("/video/nope/0", 404),
        ("/video/d/0/../../../etc/passwd", 404),
        ("/video/..%2F..%2Fetc/0", 404),
        ("/video/%2Fetc%2Fpasswd", 404),
        ("/thumbnail/d/99", 404),
        ("/thumbnail/d/0?at=nan", 422),
        ("/thumbnail/d/0?at=inf", 422),
        ("/thumbnail/d/0?at=-1", 422),
        ("/video/d/" + "9" * 5000, 422),
        ("/video/d%00/0", 404),
        ("/thumbnail/d/0?at=1e400", 422),
        ("/api/map?dataset=%3Cscript%3E", 404),
        (f"/api/map?dataset={'a' * 501}", 422),
        ("/api/search?q=%00&split=d%2F..%2Fd", 404),
        ("/page.html", 404),
        ("/..%2f..%2fpyproject.toml", 404),
        ("/docs", 404),
        ("/openapi.json", 404),
    ],
)
def test_hostile_requests_are_refused(client, address, status):
    answer = client.get(address)
    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nothing_can_be_written(client, method):
    for address in ("/api/search?q=a", "/video/d/0", "/", "/api/store"):
        assert getattr(client, method)(address).status_code == 405


def test_other_hosts_and_other_sites_are_refused(client):
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:8765", ""):
        assert client.get("/api/store", headers={"Host": host}).status_code == 400
    for host in ("127.0.0.1:8765", "localhost:8765", "localhost"):
        assert client.get("/api/store", headers={"Host": host}).status_code == 200
    for site in ("cross-site", "same-site"):
        for address in ("/", "/api/store", "/video/d/0"):
            answer = client.get(address, headers={"Sec-Fetch-Site": site})
            assert answer.status_code == 403
    asked = client.get("/api/store", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in asked.headers


@pytest.mark.parametrize("address", ["/", "/page.js", "/page.css", "/plotly.js", "/api/store"])
def test_every_answer_forbids_what_the_page_does_not_need(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
