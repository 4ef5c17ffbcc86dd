import pytest

from harness.results.whole_files import write_text


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.md"
    assert write_text(path, "old") == path
    write_text(path, "né")
    assert path.read_text(encoding="utf-8") == "né"
    assert [child.name for child in tmp_path.iterdir()] == ["a.md"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="folder"):
        write_text(path, "new")
    assert [child.name for child in tmp_path.iterdir()] == ["folder"]
