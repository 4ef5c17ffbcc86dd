"""A study that is killed again and again ends as one that nobody disturbed."""

import os
import random
import subprocess
import sys

import pytest

from harness.results import read_rows
from vifi.__main__ import run
from vifistore.store import open_store

_KILLS = 10


@pytest.mark.slow
def test_killed_at_ten_moments_it_gives_the_same(study_file, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(["study", str(study_file), "--out", str(whole)]) == 0
    command = [sys.executable, "-m", "vifi", "study", str(study_file), "--out", str(killed)]
    moments = random.Random(0)
    num_killed = 0
    for _ in range(_KILLS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(moments.uniform(1, 8))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            num_killed += 1
    assert num_killed >= 2, "the machine was too fast for this test to say anything"
    assert subprocess.run(command, check=False, env=os.environ).returncode == 0
    assert scores(killed) == scores(whole)
    assert seals(killed) == seals(whole)


def scores(out) -> dict:
    return {row.key: row.value for row in read_rows(out)}


def seals(out) -> dict:
    """What is stored of each feature set, by its name."""
    dataset = open_store(out / "store.zarr").dataset("d")
    sets = {name: dataset.features(name) for name in ("clip", "full-s1", "full-s2")}
    return {name: features.sealed for name, features in sets.items()}
