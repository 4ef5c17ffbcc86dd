"""`vifi scan --window` of videos on servers and in shards, whose headers tell how long they are."""

import shutil
import tarfile

import pytest

from vifi.__main__ import run
from vifistore.store import open_store


@pytest.fixture
def cut(tmp_path, capsys):
    """Call scan with a window of a fifth of a second; the ids that come of it."""

    def call(source, *flags):
        store = tmp_path / "s.zarr"
        words = ["scan", store, source, "--dataset", "d", "--window", "0.2", *flags]
        assert run([str(word) for word in words]) == 0, capsys.readouterr().err
        return list(open_store(store).videos("d")["id"])

    return call


PARTS = ("@0-0.2", "@0.2-0.4", "@0.4-end")


def test_videos_of_a_web_server_are_cut(web, clips, cut, tmp_path):
    shutil.copytree(clips, web.folder / "v")
    (tmp_path / "list.csv").write_text("path,label\nblue jump/0.mp4,jump\nred run/1.mp4,run\n")
    ids = cut(tmp_path / "list.csv", "--root", f"{web.url}/v")
    assert ids == [
        *(f"blue jump/0.mp4{part}" for part in PARTS),
        *(f"red run/1.mp4{part}" for part in PARTS),
    ]
    web.asked.clear()
    assert cut(tmp_path / "list.csv", "--root", f"{web.url}/v", "--append") == ids
    assert web.asked == []


def test_videos_of_shards_are_cut(clips, cut, tmp_path):
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "0.tar", "w") as shard:
        shard.add(clips / "red run" / "1.mp4", "red run/1.mp4")
    assert cut(tmp_path / "shards") == [f"0.tar/red run/1.mp4{part}" for part in PARTS]
