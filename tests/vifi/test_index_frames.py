"""`vifi index --frames`: what it prints, and what it refuses."""

import json

from harness.retrieval.indexing.bundle_index import frames_folder
from vifi.__main__ import run
from vifistore.store import open_store


def test_frames_are_indexed_and_added_to(searchable, capsys):
    assert run(["index", str(searchable), "--frames", "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)["indexes"]
    features = open_store(searchable).features("d", "tiny")
    folder = frames_folder(features.store.cache_folder, features)
    assert document["path"] == str(folder)
    assert document["frames"] == 10 * features.frames.shape[2]
    assert document["blocks_read"] == 1
    assert document["frame_recall"] == document["text_recall"] == 1
    assert document["bytes"] == sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    assert run(["index", str(searchable), "--frames"]) == 0
    out = capsys.readouterr().out
    assert "0 blocks read" in out
    assert "recall as when it was built" in out


def test_a_kind_is_of_videos_alone(searchable, capsys):
    assert run(["index", str(searchable), "--frames", "--kind", "ivf"]) == 2
    assert "leave out --frames" in capsys.readouterr().err
