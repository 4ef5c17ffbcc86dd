"""Datasets whose videos lie on servers: scanned, extracted, tried again, found elsewhere."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.vifistore.extract.conftest import scan
from tests.vifistore.extract.sets import NAME, SETTINGS, arrays
from vifi.__main__ import run
from vifi.searching.video_files import ForbiddenError, NotThereError, video_file
from vifi.serving.streaming import video_response
from vifistore.errors import StoreError
from vifistore.extract.job import extract_dataset
from vifistore.frames.previews.thumbnails import thumbnail
from vifistore.scanning.relocate import find_videos, relocate
from vifistore.sources import asking
from vifistore.sources.roots import root_of
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(asking, "_FIRST_WAIT_SECONDS", 0.001)


@pytest.fixture
def local(tmp_path, clips, tiny):
    """What the clips give from a folder."""
    store = scan(tmp_path / "local.zarr", clips)
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    return arrays(store)


@pytest.fixture
def served(web, clips):
    """The web server with the clips."""
    shutil.copytree(clips, web.folder / "v" / "clips")
    return web


@pytest.fixture
def listed(tmp_path, clips) -> Path:
    """A list of the clips."""
    paths = sorted(path.relative_to(clips) for path in clips.rglob("*.mp4"))
    lines = (f"clips/{path},{path.parent.name}\n" for path in paths)
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(lines))
    return tmp_path / "list.csv"


@pytest.fixture
def objects(bucket, clips):
    """URL of a prefix with the clips, and a client."""
    import boto3

    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    # Other tests may have left objects there.
    for left in client.list_objects_v2(Bucket="bucket", Prefix="v/").get("Contents", ()):
        client.delete_object(Bucket="bucket", Key=left["Key"])
    for path in clips.rglob("*.mp4"):
        key = f"v/{path.relative_to(clips).as_posix()}"
        client.upload_file(str(path), "bucket", key)
    return f"{bucket}/v", client


def vifi_scan(store: Path, *words: object) -> int:
    return run(["scan", str(store), *map(str, words), "--dataset", "d"])


def assert_same(found: dict, local: dict) -> None:
    for name in ("frames", "timestamps", "content_digest", "status", "reason"):
        np.testing.assert_array_equal(found[name], local[name])


def test_videos_of_a_web_server(served, listed, tmp_path, local, tiny, monkeypatch):
    path = tmp_path / "s.zarr"
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "empty"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "empty"))
    served.faults["v/clips/blue jump/0.mp4"] = [503]
    assert vifi_scan(path, listed, "--root", f"{served.url}/v") == 0
    store = open_store(path, mode="a")
    videos, there = store.videos("d"), open_store(tmp_path / "local.zarr").videos("d")
    for name in ("label", "num_frames", "fps", "width", "size_bytes"):
        assert videos[name].tolist() == there[name].tolist()
    assert (videos["mtime_ns"] == there["mtime_ns"] // 10**9 * 10**9).all()
    served.faults["v/clips/blue jump/2.mp4"] = [503, "cut"]
    served.faults["v/clips/red run/1.mp4"] = ["cut", 500]
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.quarantined) == (6, 0)
    assert_same(arrays(store), local)
    assert list(verify_store(open_store(path))) == []
    assert os.listdir(tmp_path / "empty") == []
    # Nothing is left to do, and nothing asked for.
    asked = len(served.asked)
    assert extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny).encoded == 0
    assert len(served.asked) == asked


def test_what_a_server_does_not_give_is_tried_again(served, listed, clips, tmp_path, local, tiny):
    path = tmp_path / "s.zarr"
    vifi_scan(path, listed, "--root", f"{served.url}/v")
    dataset = open_store(path, mode="a").dataset("d")
    served.always["v/clips/red run/3.mp4"] = "cut"
    (served.folder / "v/clips/red run/5.mp4").unlink()
    report = extract_dataset(dataset, SETTINGS, loaded=tiny)
    assert (report.encoded, report.quarantined) == (4, 2)
    entries = dataset.features(NAME).quarantine()
    assert [entry["reason"] for entry in entries] == ["network", "missing"]
    assert entries[0]["message"] == "the connection was cut, after 3 tries"
    del served.always["v/clips/red run/3.mp4"]
    shutil.copy(clips / "red run/5.mp4", served.folder / "v/clips/red run/5.mp4")
    report = extract_dataset(dataset, SETTINGS, loaded=tiny, retry=True)
    assert (report.encoded, report.num_quarantined) == (2, 0)
    assert_same(arrays(dataset.store), local)


def test_a_server_that_is_gone_quarantines_nothing(served, listed, tmp_path, tiny):
    path = tmp_path / "s.zarr"
    vifi_scan(path, listed, "--root", f"{served.url}/v")
    dataset = open_store(path, mode="a").dataset("d")
    for file in (served.folder / "v").rglob("*.mp4"):
        served.always[str(file.relative_to(served.folder))] = 503
    with pytest.raises(StoreError, match=r"cannot be fetched .*503, after 3 tries.*same command"):
        extract_dataset(dataset, SETTINGS, loaded=tiny)
    assert dataset.feature_ids() == []


def test_most_that_fail_end_the_run(served, listed, tmp_path, tiny, monkeypatch):
    monkeypatch.setattr("vifistore.scanning.presence._MOST_FAILED", 3)
    vifi_scan(tmp_path / "s.zarr", listed, "--root", f"{served.url}/v")
    dataset = open_store(tmp_path / "s.zarr", mode="a").dataset("d")
    for file in (served.folder / "v/clips/red run").glob("*.mp4"):
        served.always[str(file.relative_to(served.folder))] = "cut"
    with pytest.raises(StoreError, match="3 videos of d could not be fetched"):
        extract_dataset(dataset, SETTINGS, loaded=tiny)
    served.always.clear()
    assert extract_dataset(dataset, SETTINGS, loaded=tiny).num_todo == 0


def test_a_web_server_needs_a_list(served, tmp_path, capsys):
    assert vifi_scan(tmp_path / "s.zarr", f"{served.url}/v") == 2
    assert "give a list" in capsys.readouterr().err
    (tmp_path / "signed.csv").write_text(f"path\n{served.url}/v/clips/a.mp4?sig=hush\n")
    assert vifi_scan(tmp_path / "s.zarr", tmp_path / "signed.csv", "--root", served.url) == 2
    told = capsys.readouterr().err
    assert "signed.csv line 2" in told
    assert "hush" not in told
    (tmp_path / "far.csv").write_text("path\nhttps://elsewhere/a.mp4\n")
    assert vifi_scan(tmp_path / "s.zarr", tmp_path / "far.csv", "--root", served.url) == 2
    assert "--map-prefix" in capsys.readouterr().err
    assert not (tmp_path / "s.zarr").exists()


def test_the_file_that_a_server_does_not_tell_of_is_named(served, listed, tmp_path, capsys):
    served.always["v/clips/b.mp4"] = 403
    with listed.open("a") as file:
        file.write("clips/b.mp4,red run\n")
    assert vifi_scan(tmp_path / "s.zarr", listed, "--root", f"{served.url}/v") == 1
    assert "(of clips/b.mp4: the server answers 403; check who" in capsys.readouterr().err
    assert not (tmp_path / "s.zarr").exists()


def test_missing_videos_of_a_list_are_told(served, listed, tmp_path, capsys):
    with listed.open("a") as file:
        # Whole addresses are paths below the root, too.
        file.write(f"{served.url}/v/clips/none.mp4,red run\n")
    assert vifi_scan(tmp_path / "s.zarr", listed, "--root", f"{served.url}/v") == 0
    assert "1 listed videos are missing: clips/none.mp4" in capsys.readouterr().err
    assert open_store(tmp_path / "s.zarr").dataset("d").num_videos == 6


def test_videos_of_a_bucket(objects, tmp_path, local, tiny, log):
    url, client = objects
    path = tmp_path / "s.zarr"
    assert vifi_scan(path, url) == 0
    store = open_store(path, mode="a")
    dataset = store.dataset("d")
    assert str(dataset.root()) == url
    assert store.videos("d")["id"].tolist()[0] == "blue jump/0.mp4"
    assert sorted(set(store.videos("d")["label"])) == ["blue jump", "red run"]
    report = extract_dataset(dataset, SETTINGS, loaded=tiny)
    assert (report.encoded, report.quarantined) == (6, 0)
    assert_same(arrays(store), local)
    assert not [line for line in log if "changed" in line]
    # Later another object has its name, of the same length.
    body = client.get_object(Bucket="bucket", Key="v/red run/1.mp4")["Body"].read()
    client.put_object(Bucket="bucket", Key="v/red run/1.mp4", Body=body + b"\0")
    settings = replace(SETTINGS, frames=SETTINGS.frames + 1, name="more")
    assert extract_dataset(dataset, settings, loaded=tiny).encoded == 6
    assert any("changed" in line and "red run/1.mp4" in line for line in log)
    client.put_object(Bucket="bucket", Key="v/red run/1.mp4", Body=body)


def test_embeddings_are_reused_wherever_the_bytes_lie(objects, clips, tmp_path, tiny):
    store = scan(tmp_path / "s.zarr", clips, "here")
    extract_dataset(store.dataset("here"), SETTINGS, loaded=tiny)
    assert vifi_scan(tmp_path / "s.zarr", objects[0]) == 0
    report = extract_dataset(open_store(store.path, mode="a").dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.reused) == (0, 6)


def test_videos_move_to_a_bucket_and_on_to_a_web_server(objects, served, clips, tmp_path):
    dataset = scan(tmp_path / "s.zarr", clips).dataset("d")
    for root in (objects[0], f"{served.url}/v/clips", str(clips)):
        found = find_videos(dataset, root_of(root))
        assert (found.found, found.lost) == (6, [])
        relocate(dataset, found)
        assert str(dataset.root()) == root
        files = dataset.files()
        picture = thumbnail(video_file(files, 0, "d"), 0.2)
        assert picture == thumbnail(clips / str(files.paths[0]), 0.2)


def test_only_videos_below_the_root_are_shown(served, listed, tmp_path):
    vifi_scan(tmp_path / "s.zarr", listed, "--root", f"{served.url}/v")
    files = open_store(tmp_path / "s.zarr").dataset("d").files()
    (served.folder / "v/clips/blue jump/0.mp4").unlink()
    with pytest.raises(NotThereError, match="is gone"):
        video_file(files, 0, "d")
    for path in ("../secret.mp4", "clips/list.csv"):
        files.paths[0] = path
        with pytest.raises(ForbiddenError):
            video_file(files, 0, "d")


def test_browsers_play_what_lies_on_a_server(served, listed, clips, tmp_path):
    vifi_scan(tmp_path / "s.zarr", listed, "--root", f"{served.url}/v")
    footage = open_store(tmp_path / "s.zarr").dataset("d").files()[0]
    content = (clips / "blue jump/0.mp4").read_bytes()
    for asked, status, part in (
        ("", 200, content),
        ("bytes=0-", 206, content),
        ("bytes=10-19", 206, content[10:20]),
        ("bytes=-7", 206, content[-7:]),
    ):
        route = Route("/v", lambda _, asked=asked: video_response(footage, asked))
        answer = TestClient(FastAPI(routes=[route])).get("/v")
        assert (answer.status_code, answer.content) == (status, part)
    assert video_response(footage, "bytes=99999999-").status_code == 416


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(served, listed, tmp_path, local):
    vifi_scan(tmp_path / "s.zarr", listed, "--root", f"{served.url}/v")
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "vifi", "extract", str(tmp_path / "s.zarr"), "--dataset", "d"]
    command += ["--model", "vifi-tiny", "--pretrained", "none", "--frames", "2"]
    command += ["--precision", "fp32", "--workers", "1"]
    asked = len(served.asked)
    served.always["v/clips/red run/3.mp4"] = "cut"
    environment = os.environ | {"TMPDIR": str(tmp_path / "empty"), "VIFI_NETWORK_TRIES": "50"}
    running = subprocess.Popen(command, env=environment)
    try:
        # It comes again and again in half, while those before it wait for the block to be full.
        torn = ("v/clips/red run/3.mp4", "bytes=0-0")
        while sum(a[0] == torn[0] and a != torn for a in served.asked[asked:]) < 3:
            assert running.poll() is None
            time.sleep(0.05)
    finally:
        running.kill()
    assert running.wait() == -signal.SIGKILL
    assert os.listdir(tmp_path / "empty") == []
    served.always.clear()
    assert subprocess.run(command, env=environment, check=True).returncode == 0
    assert_same(arrays(open_store(tmp_path / "s.zarr")), local)
