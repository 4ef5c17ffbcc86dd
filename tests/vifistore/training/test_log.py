"""The log has a row per step; a run that goes on forgets what it will do again."""

import csv
import logging
import sys
from pathlib import Path

import pytest

from vifistore.errors import UsageError
from vifistore.training.log import Log, StepRecord


def record(step: int, **changes: float) -> StepRecord:
    fields = {
        "epoch": step / 2,
        "loss": 0.1 + step,
        "accuracy": 0.5,
        "learning_rate": 1e-3,
        "gradient_norm": 1.0,
        "num_views": 4,
        "seconds": 2.0,
        "data_seconds": 0.5,
    }
    return StepRecord(step=step, **{**fields, **changes})


def write(path: Path, steps: range, first: int) -> Log:
    log = Log(path, num_steps=9, first_step=first, tensorboard=False)
    for step in steps:
        log.write(record(step), num_skipped=0)
    log.close()
    return log


def test_where_no_bar_is_shown_checkpoints_are_said(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    caplog.set_level(logging.INFO, "vifi")
    log = write(tmp_path / "log.csv", range(1, 4), 0)
    log.at_checkpoint(3, {"loss": 1.5, "accuracy": 0.25})
    # Four videos in two seconds.
    assert "step 3 of 9: loss 1.500, accuracy 25.0%, 2.0 videos/s, about 1 s left" in caplog.text
    caplog.clear()
    log._bar.disable = False
    log.at_checkpoint(3, {"loss": 1.5, "accuracy": 0.25})
    log._bar.disable = True
    assert caplog.text == ""


def test_numbers_come_back_as_they_were(tmp_path):
    log = write(tmp_path / "log.csv", range(1, 4), 0)
    assert log.data_share == 0.25
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [1, 2, 3]
    assert [float(row["loss"]) for row in rows] == [0.1 + 1, 0.1 + 2, 0.1 + 3]


def test_going_on_forgets_the_rows_behind(tmp_path):
    path = tmp_path / "log.csv"
    write(path, range(1, 6), 0)
    write(path, range(3, 5), 2)
    with open(path, newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_the_bar_shows_what_matters(tmp_path, monkeypatch):
    log = Log(tmp_path / "log.csv", num_steps=9, first_step=0, tensorboard=False)
    words = log._words(record(1), 2)
    assert words == {
        "loss": "1.100",
        "accuracy": "50.0%",
        "videos/s": "2.0",
        "waiting": "0%",
        "skipped": "2",
    }
    log.close()


def test_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match="leave out --tensorboard"):
        Log(tmp_path / "log.csv", num_steps=1, first_step=0, tensorboard=True)
