"""Two ways to encode one checkpoint are two feature sets, also where their names would be one."""

from dataclasses import replace

import pytest

from tests.vifistore.following.test_follow import ENCODE, ONCE, write
from vifistore.following import follow_folder
from vifistore.following.follow import follow


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(follow_folder, "_SETTLED_SECONDS", 0.0)


def test_names_that_the_checkpoint_has_for_other_sets(store, tiny, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write(folder, tiny, 1, change="image")
    dataset = store.dataset("d")
    paper = replace(ENCODE, preprocess="paper")
    ways = [ENCODE, paper, replace(paper, mean=(0.5, 0.5, 0.5)), replace(paper, batch=3)]
    short, long, third, again = (next(follow(dataset, folder, way, ONCE)).report for way in ways)
    assert (short.name, long.name) == ("run@step-1", f"vifi-tiny@run@step-1.{ENCODE.frames}f")
    assert third.name == f"{long.name}.{third.id}"
    assert again.name == long.name
