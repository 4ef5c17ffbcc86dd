"""Two ways to encode one checkpoint are two feature sets, also where their names would be one."""

from dataclasses import replace

import pytest

from tests.vifistore.extract.test_follow import ENCODE, ONCE, write
from vifistore.extract import follow_folder
from vifistore.extract.follow import follow


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(follow_folder, "_SETTLED_SECONDS", 0.0)


def test_a_name_that_the_checkpoint_has_for_another_set(store, tiny, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write(folder, tiny, 1, change="image")
    (plain,) = follow(store.dataset("d"), folder, ENCODE, ONCE)
    (paper,) = follow(store.dataset("d"), folder, replace(ENCODE, preprocess="paper"), ONCE)
    assert paper.error == ""
    assert paper.report.name == f"{plain.report.name}.{paper.report.id}"
    (again,) = follow(
        store.dataset("d"), folder, replace(ENCODE, preprocess="paper", batch=3), ONCE
    )
    assert again.report.name == paper.report.name
