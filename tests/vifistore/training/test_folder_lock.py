"""A folder has one trainer: a second is refused, and one that is killed leaves nothing stuck."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vifistore.training.conftest import losses_of
from vifistore.errors import LockedError
from vifistore.training.folder_lock import only_trainer, refuse_second

ROOT = Path(__file__).parents[3]

# Trains two steps, says so, and waits to be killed.
PROGRAM = """
import sys, time
from pathlib import Path

from tests.vifistore.training.conftest import CLASSES, SETTINGS, bright_set, tiny_model
from vifistore.training.options import RunOptions
from vifistore.training.run import Run, train


def stop(done):
    if done == 2:
        print("here", flush=True)
        time.sleep(600)


train(
    Run(
        start=tiny_model(), videos=bright_set(), settings=SETTINGS,
        out=Path(sys.argv[1]), after_step=stop, options=RunOptions(checkpoint_every=1),
    )
)
"""


@pytest.fixture
def first(tmp_path):
    """A trainer at work in tmp_path/out."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"here\n"
        yield process
        process.kill()


def test_a_second_trainer_is_refused_until_the_first_is_killed(first, trained, tmp_path):
    out = tmp_path / "out"
    words = f"the run in {out} is being written by process {first.pid} on {os.uname()[1]}; wait"
    before = sorted(path.name for path in out.rglob("*"))
    with pytest.raises(LockedError, match=words):
        refuse_second(out)
    with pytest.raises(LockedError, match=words):
        trained()
    assert sorted(path.name for path in out.rglob("*")) == before
    first.kill()
    first.wait()
    refuse_second(out)
    _, report = trained()
    assert report.step == 4
    assert len(losses_of(out)) == 4


def test_nothing_is_written_where_nobody_trains(tmp_path):
    refuse_second(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_locks_the_user_is_told(tmp_path, monkeypatch, caplog):
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("vifistore.store.key_value.locks.fcntl.lockf", no_locks)
    with only_trainer(tmp_path / "out"):
        assert "put --out on a file system with locks" in caplog.text
    monkeypatch.undo()
    refuse_second(tmp_path / "out")
