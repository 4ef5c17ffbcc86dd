"""A study is done to its end, goes on, and does again what changed and nothing else."""

import contextlib
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from harness.results import read_rows
from harness.results.json_artefacts import Summary
from vifi.__main__ import run

GAIN = """
[questions.gain]
ask = "evaluate zero-shot"
systems = ["full-s1"]
against = ["clip"]
headline = true
dataset = "d"
flags = { split = "test" }
"""


@pytest.fixture
def study(study_file, tmp_path, capsys):
    """Run the study; returns exit code, the steps that it began, and all that it said."""

    def call(*flags: str):
        code = run(["study", str(study_file), "--out", str(tmp_path / "o"), *flags])
        told = capsys.readouterr()
        begun = [line.split(" ", 1)[1][:-4] for line in told.out.splitlines() if line[:1] == "["]
        return code, begun, told.out + told.err

    return call


def scores(folder: Path) -> dict:
    return {row.key: row.value for row in read_rows(folder)}


def test_it_is_done_once_and_what_is_added_is_added(study, study_file, tmp_path):
    code, begun, told = study()
    assert code == 0, told
    assert len(begun) == 11
    assert begun[-1] == "report"
    assert (tmp_path / "o/index.html").is_file()
    first = scores(tmp_path / "o")
    assert study()[:2] == (0, [])

    text = study_file.read_text(encoding="utf-8") + GAIN
    study_file.write_text(text.replace("seed = [1, 2]", "seed = [1, 2, 3]"), encoding="utf-8")
    added = ["train full-s3", "extract full-s3 of d", "ask table of full-s3", "ask gain", "report"]
    assert study()[:2] == (0, added)
    assert first.items() < scores(tmp_path / "o").items()

    told, about, spent = Summary.read(tmp_path / "o").lines
    assert told.startswith("d test embedding: full-s1 ")
    assert "(paired bootstrap over 4 videos, 2 classes)" in told
    assert about == "Of clips."
    assert spent.startswith("4 extractions took ")
    assert "3 trainings took" in spent
    page = (tmp_path / "o/index.html").read_text(encoding="utf-8")
    assert "<summary>small.toml</summary>" in page
    assert "checkpoint-every = 2" in page
    # What is shown was made by commands that anybody can type.
    commands = {row.provenance["command"] for row in read_rows(tmp_path / "o")}
    assert all(command.startswith(("vifi evaluate ", "vifi ablate ")) for command in commands)

    code, begun, _ = study("--only", "fusions")
    assert (code, begun) == (0, [])


def test_the_page_alone_is_made_again_where_other_tables_are_wanted(study, study_file, tmp_path):
    text = study_file.read_text(encoding="utf-8")
    text += '\n[tables.zero-shot]\ntitle = "Mine"\n[tables.labels]\nclip = "CLIP"\n'
    study_file.write_text(text, encoding="utf-8")
    assert study("--only", "table")[0] == 0
    assert "CLIP" in (tmp_path / "o/zero-shot.md").read_text(encoding="utf-8")
    assert study("--only", "table")[:2] == (0, [])
    study_file.write_text(text.replace('"Mine"', '"Ours"'), encoding="utf-8")
    assert study("--only", "table")[:2] == (0, ["report"])
    assert "## Ours" in (tmp_path / "o/zero-shot.md").read_text(encoding="utf-8")


def test_a_step_that_fails_holds_up_only_what_needs_it(study, study_file, tmp_path):
    text = study_file.read_text(encoding="utf-8")
    study_file.write_text(text.replace('flags = { seed = "{seed}" }', ""), encoding="utf-8")
    (tmp_path / "o/runs").mkdir(parents=True)
    (tmp_path / "o/runs/full-s2").write_text("no folder")
    code, begun, told = study()
    assert code == 1
    assert "ask table of full-s1" in begun
    assert "│    failed: full-s2\n" in told
    assert "│    waiting for train full-s2 (failed): full-s2 of d\n" in told
    assert "│    waiting for extract full-s2 of d: table of full-s2\n" in told
    (tmp_path / "o/runs/full-s2").unlink()
    again = ["train full-s2", "extract full-s2 of d", "ask table of full-s2", "report"]
    assert study()[:2] == (0, again)


def test_the_page_alone_is_made_again_where_any_file_of_the_study_has_changed(
    study, study_file, tmp_path
):
    base = study_file.with_name("base.toml")
    base.write_text(study_file.read_text(encoding="utf-8"), encoding="utf-8")
    os.utime(base, (0, 0))
    study_file.write_text('base = "base.toml"\n[tables.fusion]\ntitle = "Mine"', encoding="utf-8")
    assert study("--only", "fusions")[0] == 0
    assert study("--only", "fusions")[:2] == (0, [])
    text = base.read_text(encoding="utf-8").replace("a small study", "<b>a title</b>")
    base.write_text(text + '[tables.labels]\nclip = "CLIP"\n', encoding="utf-8")
    # As a checkout of an earlier version leaves it.
    os.utime(base, (0, 0))
    assert study("--only", "fusions")[:2] == (0, ["report"])
    assert "&lt;b&gt;a title&lt;/b&gt;" in (tmp_path / "o/index.html").read_text(encoding="utf-8")
    table = (tmp_path / "o/fusion.md").read_text(encoding="utf-8")
    assert "## Mine" in table
    assert "| CLIP " in table


def test_the_page_says_which_numbers_are_of_no_question_any_more(study, study_file, tmp_path):
    assert study("--only", "fusions")[0] == 0
    assert len(Summary.read(tmp_path / "o").lines) == 2
    text = study_file.read_text(encoding="utf-8")
    study_file.write_text(text.replace('["clip", "full-s1"]', '["clip"]'), encoding="utf-8")
    assert study("--only", "fusions")[:2] == (0, ["ask fusions", "report"])
    told = Summary.read(tmp_path / "o").lines[-1]
    # Those of clip were scored again.
    assert told.startswith("9 numbers are not of the study as it is now, but of: vifi ablate ")
    assert "remove results.jsonl" in told
    (tmp_path / "o/results.jsonl").unlink()
    assert study("--only", "fusions")[:2] == (0, ["ask fusions", "report"])
    assert len(Summary.read(tmp_path / "o").lines) == 2


def test_what_no_verb_foresaw_holds_up_no_other_step_either(study, tmp_path, monkeypatch):
    def open_store(path):
        raise RuntimeError("CUDA error:\n  too far")

    monkeypatch.setattr("vifi.verbs.ablate.open_store", open_store)
    code, begun, told = study("--only", "fusions", "table")
    assert (code, begun[-1]) == (1, "report")
    log = tmp_path / "o/steps/ask_fusions.log"
    assert f"RuntimeError: CUDA error: too far; all of it is in {log}" in told
    assert "Traceback" not in told
    assert "Traceback" in log.read_text(encoding="utf-8")


def test_a_ctrl_c_that_python_drops_ends_the_study_all_the_same(study, monkeypatch):
    def drop(*_: object) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("vifi.verbs.scan.remember_command", drop)
    code, begun, told = study("--only", "fusions")
    assert (code, begun) == (130, ["scan d"])
    assert "stopped; run the same command again" in told
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.undo()
    assert study("--only", "fusions")[0] == 0


def test_without_a_page_none_is_named(study, study_file, tmp_path):
    shutil.rmtree(tmp_path / "videos")
    code, _, told = study("--only", "fusions")
    assert code == 1
    assert "0 steps done now\n" in told


def test_what_is_gone_is_made_again(study, tmp_path):
    assert study("--only", "fusions")[0] == 0
    (tmp_path / "o/runs/full-s1/finished.json").unlink()
    # The page tells its seconds.
    assert study("--only", "fusions")[:2] == (0, ["train full-s1", "report"])


def test_rows_that_are_gone_are_made_again_though_others_are_asked_for_first(
    study, study_file, tmp_path
):
    text = study_file.read_text(encoding="utf-8")
    for systems in ('["clip", "full-*"]', '["clip", "full-s1"]'):
        text = text.replace(systems, '["clip"]')
    study_file.write_text(text, encoding="utf-8")
    assert study()[0] == 0
    first = scores(tmp_path / "o")
    (tmp_path / "o/results.jsonl").unlink()
    assert study("--only", "fusions")[:2] == (0, ["ask fusions", "report"])
    assert study()[:2] == (0, ["ask table", "report"])
    assert scores(tmp_path / "o") == first
    # The store is there anew before its features are.
    shutil.rmtree(tmp_path / "o/store.zarr")
    weights = (tmp_path / "tiny.safetensors").rename(tmp_path / "elsewhere")
    assert study()[0] == 1
    weights.rename(tmp_path / "tiny.safetensors")
    assert study()[:2] == (0, ["extract clip of d", "report"])


def test_a_plan_tells_commands_and_costs_and_does_nothing(study, tmp_path):
    code, _, told = study("--dry-run")
    assert code == 0
    assert "11 steps, 11 to do, 2 of them trainings" in told
    assert "--on" not in told
    known = study("--dry-run", "--on", "ray")[2]
    assert known.count("--on ray") == known.count("vifi extract") == 3
    assert "num_videos = N in the study says so" in told
    assert not (tmp_path / "o").exists()
    document = json.loads(study("--dry-run", "--json")[2])
    assert document["steps"][0]["step"] == "scan d"
    assert document["steps"][0]["commands"][0].startswith("vifi scan ")
    assert study("--json")[0] == 2
    assert study("--on", "slurm")[0] == 2
