"""`vifi scan` of lists with times: what is a part, what is a clip already, and what is there."""

import json
from unittest import mock

import numpy as np
import pytest

from tests.vifistore.extract.conftest import write_clip
from vifi.__main__ import run
from vifistore.store import open_store
from vifistore.videos import probe as probing

RAW, CUT, NAMED = "-aNccq2jvUA", "0bk_zXtqOTQ", "3caPS4FHFF8"
HEADER = "label,youtube_id,time_start,time_end,split\n"
TABLE = (
    HEADER + f"yoga,{RAW},0.1,0.3,train\nhop,{RAW},0.3,0.4,train\n"
    f"yoga,{CUT},5.0,5.2,train\nhop,{NAMED},10,20,test\n"
)


@pytest.fixture
def folder(tmp_path):
    """A whole download of 0.48 seconds, one that was cut to 0.2, and a clip with times."""
    write_clip(tmp_path / "v" / f"{RAW}.mp4", seed=0, num_frames=12)
    write_clip(tmp_path / "v" / f"{CUT}.mp4", seed=1, num_frames=5)
    write_clip(tmp_path / "v" / f"{NAMED}_000010_000020.mp4", seed=2, num_frames=5)
    return tmp_path / "v"


@pytest.fixture
def scan(tmp_path, folder, capsys):
    """Call with a table and flags; returns exit code, output, error lines, and headers read."""

    def call(table, *flags):
        (tmp_path / "k.csv").write_text(table)
        words = ["scan", tmp_path / "s.zarr", tmp_path / "k.csv", "--dataset", "d"]
        words += ["--root", folder, *flags]
        with mock.patch.object(probing, "probe", wraps=probing.probe) as probed:
            code = run([str(word) for word in words])
        told = capsys.readouterr()
        return code, told.out, told.err.strip().splitlines(), probed.call_count

    return call


def rows(tmp_path):
    table = open_store(tmp_path / "s.zarr").videos("d")
    ends = np.nan_to_num(table["end_seconds"], nan=-1).tolist()
    return [*zip(table["id"], table["start_seconds"], ends, strict=True)]


WHOLE = [(f"{CUT}.mp4", 0.0, -1.0), (f"{NAMED}_000010_000020.mp4", 0.0, -1.0)]
PARTS = [(f"{RAW}.mp4@0.1-0.3", 0.1, 0.3), (f"{RAW}.mp4@0.3-0.4", 0.3, 0.4)]


def test_kinetics_rows_are_parts_of_whole_downloads_and_clips_are_whole(scan, tmp_path):
    code, _, errors, headers = scan(TABLE)
    assert (code, headers) == (0, 3)
    assert rows(tmp_path) == PARTS + WHOLE
    assert "2 videos are stretches of their files, by the times that are listed" in errors
    told = "1 listed stretches are taken as all of their files, which are as long as they"
    assert f"{told}: {CUT}.mp4" in errors
    split = open_store(tmp_path / "s.zarr").dataset("d").split("train")
    assert [split.class_names[label] for label in split.labels] == ["yoga", "hop", "yoga"]


def test_the_same_list_adds_nothing_and_a_further_stretch_opens_no_file(scan, tmp_path):
    assert scan(TABLE)[0] == 0
    code, out, _, headers = scan(TABLE, "--append", "--json")
    assert (code, json.loads(out)["added"], headers) == (0, 0, 0)
    code, out, _, headers = scan(TABLE + f"hop,{RAW},0.1,0.2,train\n", "--append", "--json")
    assert (code, json.loads(out)["added"], headers) == (0, 1, 0)
    assert rows(tmp_path) == [*PARTS, *WHOLE, (f"{RAW}.mp4@0.1-0.2", 0.1, 0.2)]
    # A length that the first scan has found.
    durations = open_store(tmp_path / "s.zarr").videos("d")["duration_seconds"].tolist()
    assert durations[-1] == durations[0] == pytest.approx(0.48)


def test_a_video_is_not_listed_in_training_and_test_as_a_clip_of_other_times(scan, tmp_path):
    assert scan(TABLE)[0] == 0
    code, _, errors, _ = scan(HEADER + f"yoga,{CUT},5.1,5.3,test\n", "--append", "--replace")
    assert code == 2
    assert f"train and test share 1 videos ({CUT}.mp4)" in errors[-1]


def test_nor_in_one_list(scan, tmp_path):
    code, _, errors, _ = scan(TABLE + f"yoga,{CUT},5.1,5.3,test\n")
    assert code == 2
    assert f"train and test share 1 videos ({CUT}.mp4)" in errors[-1]
    assert not (tmp_path / "s.zarr").exists()


def test_whole_ignores_times(scan, tmp_path):
    assert scan(TABLE.replace("hop", "yoga"), "--whole")[0] == 0
    table = open_store(tmp_path / "s.zarr").videos("d")
    assert list(table["id"]) == [f"{RAW}.mp4", *(name for name, *_ in WHOLE)]
    assert "start_seconds" not in table


def test_listed_stretches_are_cut_further(scan, tmp_path):
    assert scan(HEADER + f"yoga,{RAW},0.1,0.4,train\n", "--window", "0.1")[0] == 0
    assert [name for name, *_ in rows(tmp_path)] == [
        *(f"{RAW}.mp4@0.1-0.2", f"{RAW}.mp4@0.2-0.3", f"{RAW}.mp4@0.3-0.4")
    ]
