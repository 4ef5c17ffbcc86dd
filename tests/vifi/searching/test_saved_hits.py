"""Hits as files: what a spreadsheet, a program and a shell make of them, whatever names say."""

import csv
import io
import json
import os
import subprocess
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from harness.retrieval.hits import Hit, VideoTable
from tests.support import video_table
from tests.vifistore.extract.conftest import write_clip
from vifi.__main__ import run
from vifi.searching.answers import Answer
from vifi.searching.saved_hits import hits_as_csv, hits_as_cuts, hits_as_json
from vifistore.store.dataset import write_videos
from vifistore.store.store import create_store

NASTY = "a b'; touch ran #$(touch ran)\n.mp4"


def hit(row: int, path: str, start: float | None = None, end: float | None = None) -> Hit:
    """A hit whose id is its path."""
    names = {"dataset": "d", "row": row, "id": path, "path": path, "label": "=1+1"}
    return Hit(rank=row + 1, score=0.5, start_seconds=start, end_seconds=end, **names)


@pytest.fixture
def table_of(tmp_path):
    """Of a dataset with the videos `NASTY`, `gone.mp4` and `web.mp4` below `tmp_path/videos`."""
    (tmp_path / "videos").mkdir()
    write_clip(tmp_path / "videos" / NASTY, seed=0)
    store = create_store(tmp_path / "s.zarr")
    table = video_table(2, ["a"]).assign(path=[NASTY, "gone.mp4"])
    write_videos(store.new_dataset("d"), table, ["a"], str(tmp_path / "videos"))
    return lambda name: VideoTable(store.dataset(name))


def answers(*hits: Hit) -> list[Answer]:
    """Of one query."""
    return [Answer(query="-run", kind="text", hits=list(hits))]


def test_a_table_runs_nothing(table_of):
    text = hits_as_csv(answers(hit(0, NASTY, 1.0, 2.5), hit(1, "gone.mp4")), "f", table_of)
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert (first["query"], first["label"], first["path"]) == ("'-run", "'=1+1", NASTY)
    assert (first["start_seconds"], first["end_seconds"]) == ("1.0", "2.5")
    assert second["end_seconds"] == ""
    assert hits_as_csv(answers(), "f", table_of).startswith('"query","features","rank"')


def test_a_document_is_that_of_the_command():
    told = json.loads(hits_as_json(answers(hit(0, "a")), "f", SimpleNamespace))
    assert (told["query"], told["features"], told["hits"][0]["id"]) == ("-run", "f", "a")
    both = json.loads(hits_as_json(answers(hit(0, "a")) * 2, "f", SimpleNamespace))
    assert len(both["queries"]) == 2


def test_a_script_calls_ffmpeg_alone(table_of, tmp_path):
    script = hits_as_cuts(
        answers(hit(0, NASTY, 0.1, 0.4), hit(1, "gone.mp4"), hit(0, NASTY)), "f", table_of
    )
    # One that tells what it was called with, and fails for the last.
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@" END >> told\n'
        'for last; do :; done\n: > "$last"\n[ "$5" = -ss ] && [ -n "$9" ]'
    )
    program.chmod(0o755)
    (tmp_path / "cuts.sh").write_text(script)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    command = ["sh", str(tmp_path / "cuts.sh"), "-out"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    first, last, _ = (tmp_path / "-out" / "told").read_text().split("END\n")
    made = sorted(path.name for path in (tmp_path / "-out").glob("*.mp4"))
    assert [name[:4] for name in made] == ["001-", "003-"]
    assert not [name for name in made if ".part." in name]
    video = str(tmp_path / "videos" / NASTY)
    assert f"-ss\n0.100\n-to\n0.400\n-i\n{video}\n./001-d-a-b-touch-ran-" in first
    assert f"-ss\n0.000\n-i\n{video}\n./003-" in last
    assert [path.name for path in tmp_path.rglob("ran")] == []
    assert "# 2: " in script
    assert "gone" in script
    for name in made:
        (tmp_path / "-out" / name).unlink()
    program.write_text('#!/bin/sh\nfor last; do :; done\necho half > "$last"\nexit 3')
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    # Half a cut is none, and is made again.
    assert not [n for n in os.listdir(tmp_path / "-out") if n.endswith("mp4") and "part" not in n]


def test_a_video_whose_sound_begins_first_is_cut_where_it_shows_the_moment(tmp_path, table_of):
    """ffmpeg counts from the start of the file, moments from the first frame."""
    path = tmp_path / "videos" / NASTY
    with av.open(str(path), "w", format="matroska") as container:
        sound = container.add_stream("pcm_s16le", rate=8000)
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 32000), np.int16), "s16", "mono")
        silence.rate, silence.pts = 8000, 0
        container.mux(sound.encode(silence))
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
            frame.pts, frame.time_base = number + 50, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    script = hits_as_cuts(answers(hit(0, NASTY, 0.4, 0.8)), "f", table_of)
    assert "-ss 2.400 -to 2.800 -i" in script


def test_saving_from_the_command_line(searchable, tmp_path, capsys):
    saved = [tmp_path / "new" / f"hits.{kind}" for kind in ("csv", "json", "sh")]
    flags = [word for path in saved for word in ("--save", str(path))]
    assert run(["search", str(searchable), "a red run", "-k", "3", "--json", *flags]) == 0
    told = json.loads(capsys.readouterr().out)
    assert json.loads(saved[1].read_text()) == told
    assert len(saved[0].read_text().splitlines()) == 4
    assert saved[2].read_text().count("ffmpeg -nostdin") == 3
    assert run(["search", str(searchable), "a", "--save", "hits.txt"]) == 2
    assert "--save hits.txt ends in none of .csv, .json, .sh" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert run(["search", str(searchable), "a", "--save", str(tmp_path / "file/x.csv")]) == 1
    assert "cannot be written" in capsys.readouterr().err
