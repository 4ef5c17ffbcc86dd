"""What a run took is measured, kept beside the store, and used to estimate the next one."""

import json
from types import SimpleNamespace

import pytest
from PIL import Image

from tests.vifistore.extract.conftest import scan, write_clip
from tests.vifistore.extract.test_pipeline import SETTINGS
from vifi.__main__ import run
from vifistore.extract import clock as clock_of_runs
from vifistore.extract.clock import Clock
from vifistore.extract.job import extract_dataset, plan_dataset
from vifistore.extract.run_figures import RUNS_FILE, SAME, figures, kept_runs, last_run, summary
from vifistore.store.info import describe_store

COUNTS = {"encoded": 9, "copied": 1, "quarantined": 2}
FLAGS = ("--dataset", "d", "--model", "vifi-tiny", "--pretrained", "none", "--frames", "2")


def test_shares_of_the_clock_add_up_to_one(monkeypatch):
    told = [0.0]
    monkeypatch.setattr(clock_of_runs, "time", SimpleNamespace(perf_counter=lambda: told[0]))
    clock = Clock()
    for name in ("decode", "encode", "encode"):
        with clock.stage(name):
            told[0] += 2
    told[0] += 2
    told_shares = {"decode": 0.25, "preprocess": 0, "encode": 0.5, "write": 0, "idle": 0.25}
    assert clock.shares() == told_shares
    clock.restart()
    assert clock.shares()["encode"] == 0


def test_numbers_of_a_run():
    class Stopped(Clock):
        seconds = 6

        def shares(self):
            return {"decode": 0.1, "preprocess": 0.0, "encode": 0.8, "write": 0.05, "idle": 0.05}

    row = figures(COUNTS, 300, Stopped())
    assert (row["videos_per_second"], row["frames_per_second"]) == (2, 50)
    assert summary(row) == (
        "6.0 s: 2.0 videos/s, 50.0 frames/s; "
        "decode 10%, preprocess 0%, encode 80%, write 5%, idle 5%"
    )


def test_the_last_run_made_the_same_way(tmp_path):
    wanted = dict.fromkeys(SAME, "x")
    assert last_run(tmp_path, wanted) is None
    rows = [
        {**wanted, "frames_encoded": 5, "n": 1},
        {**wanted, "frames_encoded": 0, "n": 2},
        {**wanted, "model": "y", "frames_encoded": 5, "n": 3},
    ]
    lines = [*map(json.dumps, rows), '{"half a row']
    (tmp_path / RUNS_FILE).write_text("\n".join(lines))
    assert last_run(tmp_path, wanted)["n"] == 1
    assert [run["n"] for run in kept_runs(tmp_path)] == [1, 2, 3]


def test_a_run_leaves_its_row_and_the_next_plan_uses_it(store, tiny, monkeypatch):
    monkeypatch.setattr("vifistore.extract.prepare.load_model", lambda *_, **options: tiny)
    plan = plan_dataset(store.dataset("d"), SETTINGS)
    assert plan["estimated_from"] == "decoding 4 videos and encoding one batch just now"
    assert 0 <= plan["estimated_seconds"] < 60
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, limit=4)
    row = report.figures
    assert (row["encoded"], row["frames_encoded"], row["workers"]) == (4, 16, 1)
    assert row["worker_decode_seconds"] > 0
    assert sum(row[f"{name}_share"] for name in ("decode", "encode", "idle")) <= 1.001
    (line,) = (store.backend.cache_folder / RUNS_FILE).read_text().splitlines()
    assert json.loads(line) == row
    plan = plan_dataset(store.dataset("d"), SETTINGS)
    assert plan["estimated_from"] == f"the run of {row['time']} on this machine"
    assert plan["estimated_seconds"] == pytest.approx(8 / row["frames_per_second"], abs=0.06)
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert plan_dataset(store.dataset("d"), SETTINGS)["estimated_from"] == "nothing to do"
    assert extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny).figures == {}


def test_what_is_done_needs_no_encoder(store, tiny, monkeypatch):
    """On a GPU it would be compiled, for a minute, to encode nothing."""
    first = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)

    def compiled(*_, **__):
        raise AssertionError("an encoder was made")

    monkeypatch.setattr("vifistore.extract.encoded_rows.Encoder", compiled)
    again = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (again.id, again.encoded, again.sealed) == (first.id, 0, True)


def test_a_run_over_some_blocks_says_what_is_left(store, capsys):
    command = ["extract", str(store.path), *FLAGS, "--device", "cpu", "--limit", "4"]
    assert run(command) == 0
    said = capsys.readouterr().out
    assert "not complete, 2 videos to do; run the same command to go on" in said
    assert run([*command[:-1], "1", "--blocks", "0:1"]) == 0
    said = capsys.readouterr().out
    assert "not complete, 1 videos to do; run it for the other blocks" in said


def test_a_plan_of_videos_that_cannot_be_read_has_no_time(tmp_path, tiny, monkeypatch):
    write_clip(tmp_path / "v" / "a.mp4", seed=1)
    store = scan(tmp_path / "s.zarr", tmp_path / "v")
    (tmp_path / "v" / "a.mp4").write_text("no video")
    monkeypatch.setattr("vifistore.extract.prepare.load_model", lambda *_, **options: tiny)
    plan = plan_dataset(store.dataset("d"), SETTINGS, blocks=range(1), limit=5)
    assert (plan["todo"], plan["estimated_seconds"]) == (1, None)
    assert plan["estimated_from"] == "none of 1 videos tried can be decoded"


def test_a_plan_where_the_place_has_no_limit(store, tiny, monkeypatch, capsys):
    monkeypatch.setattr(
        "vifistore.store.key_value.storage.LocalStorage.free_bytes", lambda self: None
    )
    assert run(["extract", str(store.path), *FLAGS, "--device", "cpu", "--dry-run"]) == 0
    assert "no limit of space is known; about " in capsys.readouterr().out


def test_one_line_and_one_row_at_the_end(store, monkeypatch, capsys):
    assert run(["extract", str(store.path), *FLAGS, "--device", "cpu", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["figures"]["frames_encoded"] == 12
    assert "frames/s" in shown.err
    assert "idle" in shown.err


def test_rows_and_runs_name_what_read_their_videos(tmp_path, tiny):
    for name in ("a", "b"):
        write_clip(tmp_path / "v" / "x" / f"{name}.mp4", seed=ord(name))
    pictures = tmp_path / "v" / "x" / "c"
    pictures.mkdir()
    Image.new("RGB", (32, 32), "red").save(pictures / "0.png")
    store = scan(tmp_path / "s.zarr", tmp_path / "v")
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert report.figures["readers"] == {"pillow": 1, "pyav wanted-only": 2}
    features = store.features("d", report.id)
    ids = store.videos("d")["id"]
    assert dict(zip(ids, features.readers(), strict=True)) == {
        **{"x/a.mp4": "pyav wanted-only", "x/b.mp4": "pyav wanted-only", "x/c": "pillow"}
    }
    (described,) = describe_store(store)["datasets"]["d"]["features"]
    assert described["readers"] == report.figures["readers"]
