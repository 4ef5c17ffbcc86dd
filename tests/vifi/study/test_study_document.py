"""A study is read over its base, and values stand where they are named."""

import pytest

from vifi.study.study_document import over, read_document
from vifistore.errors import UsageError


@pytest.fixture
def written(tmp_path):
    def write(name: str, text: str):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_study_changes_its_base_entry_by_entry(written):
    written("a.toml", 'title = "a"\n[train]\nepochs = "{n}"\nlist = [1, 2]\n[values]\nn = 5\nm = 1')
    path = written("b.toml", 'base = "a.toml"\n[values]\nn = 8\n[train]\nlist = ["{m}"]')
    assert read_document(path) == {"title": "a", "train": {"epochs": 8, "list": ["1"]}}


def test_a_base_lies_beside_the_file_that_a_link_means(written, tmp_path):
    written("a.toml", 'title = "a"')
    path = written("b.toml", 'base = "a.toml"')
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "b.toml"
    link.symlink_to(path)
    assert read_document(link) == {"title": "a"}


def test_what_is_no_table_is_changed_as_a_whole():
    assert over({"a": {"b": 1}, "c": 1}, {"a": 2, "d": {}}) == {"a": 2, "c": 1, "d": {}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('base = "a.toml"', "more than 8 bases"),
        ("base = 3", "give the path of a study"),
        ('base = "none.toml"', "cannot be read"),
        ("values = 3", "no table of texts and numbers"),
        ("[values]\na = [1]", "no table of texts and numbers"),
        ("base = ", "is no TOML"),
    ],
)
def test_what_is_wrong_is_said(written, text, told):
    with pytest.raises(UsageError, match=told):
        read_document(written("a.toml", text))
