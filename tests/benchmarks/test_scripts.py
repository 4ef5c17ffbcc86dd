"""Every script explains its options, and every committed file holds rows of its benchmark."""

import runpy
from pathlib import Path

import pytest

from vifi.bench.recording import read_rows

FOLDER = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = [p.stem for p in sorted(FOLDER.glob("*.py")) if "script(" in p.read_text("utf-8")]
FILES = sorted((FOLDER / "results").glob("*.jsonl"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_explains_itself(name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [name, "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "Claim" in text
    assert "--out" in text
    assert "--note" in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_committed_rows_are_read(path):
    rows = read_rows(path)
    assert rows
    for row in rows:
        assert row["benchmark"] == path.stem
        assert row["machine"]
        assert row["time"]


def test_there_are_scripts_and_rows():
    assert len(SCRIPTS) > 10
    assert len(FILES) > 10
