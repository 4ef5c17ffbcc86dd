"""Every file of a folder gets a verdict by every decoder."""

import csv

from benchmarks.decode_verdicts import Verdicts, run
from tests.vifistore.extract.conftest import write_clip


def test_verdicts_are_written_by_file_and_decoder(tmp_path):
    folder = tmp_path / "videos"
    write_clip(folder / "a.mp4", seed=0)
    (folder / "bad.mp4").write_bytes(b"no video")
    rows = list(run(Verdicts(folder=folder, frames=2, out=tmp_path)))
    assert {"decoder": "decord", "verdict": "ok", "files": 1} in rows
    assert {"decoder": "pyav", "verdict": "not a video", "files": 1} in rows
    with (tmp_path / "decode_verdicts.csv").open(newline="") as file:
        found = {(row["file"], row["decoder"]): row for row in csv.DictReader(file)}
    assert found["a.mp4", "decord"]["read_by"] == "pyav"
    assert found["a.mp4", "decord"]["num_frames"] == "12"
    assert (found["bad.mp4", "pyav"]["verdict"], found["bad.mp4", "pyav"]["read_by"]) == (
        *("not a video", ""),
    )
