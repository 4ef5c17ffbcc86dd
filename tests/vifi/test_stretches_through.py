"""Stretches from the folder to the hit: scanned, encoded, grown, searched, scored."""

import json

import numpy as np

from tests.vifistore.extract.conftest import write_clip
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store

EXTRACT = ("--dataset", "d", "--model", "vifi-tiny", "--pretrained", "none", "--frames", "2")
SCAN = ("--dataset", "d", "--window", "0.2")


def test_a_folder_of_long_videos_grows_and_every_stretch_is_itself(vifi, tmp_path):
    folder = tmp_path / "v"
    write_clip(folder / "run" / "1.mp4", seed=1, num_frames=15)
    write_clip(folder / "jump" / "2.mp4", seed=2, num_frames=10)
    assert vifi("scan", folder, *SCAN)[0] == 0
    assert vifi("extract", *EXTRACT, "--name", "mine")[0] == 0
    dataset = open_store(tmp_path / "s.zarr").dataset("d")
    features = dataset.features("mine")
    ids = [
        *("jump/2.mp4@0-0.2", "jump/2.mp4@0.2-end"),
        *("run/1.mp4@0-0.2", "run/1.mp4@0.2-0.4", "run/1.mp4@0.4-end"),
    ]
    assert list(dataset.column("id")) == ids
    before = features.view_mean[:]
    # No two of one file share embeddings.
    assert len(np.unique(before, axis=0)) == 5
    assert len(set(features.content_digests(np.arange(5)))) == 2
    assert len(set(features.content_keys())) == 5
    times, ends = features.read("timestamps")[:, 0], np.nan_to_num(dataset.end_seconds, nan=1)
    assert (times >= dataset.start_seconds[:, None]).all()
    assert (times < ends[:, None]).all()
    # A copy of a file under another name: its stretches are encoded once.
    (folder / "run" / "3.mp4").write_bytes((folder / "run" / "1.mp4").read_bytes())
    write_clip(folder / "swim" / "4.mp4", seed=4, num_frames=9)
    assert vifi("scan", folder, *SCAN, "--append")[0] == 0
    code, out, _ = vifi("extract", *EXTRACT, "--name", "mine", "--json")
    told = json.loads(out)
    assert (code, told["encoded"], told["reused"]) == (0, 2, 3)
    features = open_store(tmp_path / "s.zarr").features("d", "mine")
    after = features.view_mean[:]
    np.testing.assert_array_equal(after[:5], before)
    np.testing.assert_array_equal(after[5:8], before[2:])
    code, out, _ = vifi("search", "swim", "--features", "mine", "-k", "10", "--json")
    hits = json.loads(out)["hits"]
    assert any(hit["id"].startswith("swim/4.mp4@") for hit in hits)
    rows = dict(zip(dataset.column("id"), dataset.start_seconds, strict=True))
    assert all(hit["start_seconds"] == rows[hit["id"]] for hit in hits)
    assert list(verify_store(open_store(tmp_path / "s.zarr"))) == []


def test_accuracy_counts_every_stretch(vifi, tmp_path):
    for number, label in enumerate(("run", "jump")):
        write_clip(tmp_path / "v" / label / "1.mp4", seed=number, num_frames=10 + 5 * number)
    assert vifi("scan", tmp_path / "v", *SCAN, "--split", "test")[0] == 0
    assert vifi("extract", *EXTRACT, "--name", "mine")[0] == 0
    words = ("--dataset", "d", "--split", "test", "--features", "mine", "--json")
    code, out, _ = vifi("evaluate", "zero-shot", *words)
    assert code == 0
    assert {row["num_videos"] for row in json.loads(out)["rows"]} == {5}
