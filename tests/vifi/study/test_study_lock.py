"""The steps of a study are done by one process; a second is refused in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vifi.__main__ import run
from vifi.demo.verb import run_demo
from vifistore.errors import LockedError

HOLD = """
import sys
from pathlib import Path

from vifi.study.study_lock import only_study

with only_study(Path(sys.argv[1])):
    print("here", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Have another process hold the study in a folder; returns that process."""
    held: list[subprocess.Popen] = []

    def call(out: Path) -> subprocess.Popen:
        command = [sys.executable, "-c", HOLD, str(out)]
        held.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        told = held[-1].stdout
        assert told is not None
        assert told.readline() == b"here\n"
        return held[-1]

    yield call
    for process in held:
        process.communicate()


def test_a_second_study_is_refused_and_changes_nothing(study_file, tmp_path, hold, capsys):
    out = tmp_path / "o"
    words = ["study", str(study_file), "--out", str(out), "--only", "fusions"]
    first = hold(out)
    before = sorted(out.rglob("*"))
    assert run(words) == 1
    told = capsys.readouterr().err
    assert told == (
        f"vifi: the study in {out} is being written by process {first.pid} on {os.uname()[1]}; "
        "wait for it, or give another --out\n"
    )
    assert sorted(out.rglob("*")) == before
    # What it would do is told all the same.
    assert run([*words, "--dry-run"]) == 0
    first.kill()
    first.wait()
    assert run(words) == 0
    # Where nothing is left to do nobody is in the way.
    hold(out)
    assert run(words) == 0


def test_a_demo_at_work_is_not_cleared_away_for_one_of_another_size(tmp_path, hold):
    out = tmp_path / "o"
    out.mkdir()
    (out / ".vifi-demo").write_text("demo", encoding="utf-8")
    (out / "kept").write_text("", encoding="utf-8")
    hold(out)
    size = Path(__file__).parents[3] / "vifi/demo/demo-quick.toml"
    with pytest.raises(LockedError, match="is being written by process"):
        run_demo(size, out)
    assert (out / "kept").is_file()
