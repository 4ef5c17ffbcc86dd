import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.errors import UsageError
from vifistore.videos.text_lines import (
    files_in,
    read_text,
    relative_path,
    some,
)

ROOT = Path("/data/root")


@pytest.mark.parametrize(
    ("listed", "path"),
    [
        ("a/b.mp4", "a/b.mp4"),
        ("./a//b.mp4", "a/b.mp4"),
        ("a/./b.mp4", "a/b.mp4"),
        ("/data/root/a.mp4", "a.mp4"),
        ("a./b...mp4", "a./b...mp4"),
        ("frames/", "frames"),
        ("#1 (a)!.avi", "#1 (a)!.avi"),
    ],
)
def test_path_below_the_root_is_made_plain(listed, path):
    assert relative_path(listed, ROOT, "list line 1") == path


@pytest.mark.parametrize(
    "listed",
    [
        "../a.mp4",
        "a/../b.mp4",
        "a/..",
        "..",
        ".",
        "",
        "/",
        "//",
        "/etc/passwd",
        "/data/root2/a",
        "\0",
    ],
)
def test_path_that_leaves_the_root_is_refused_with_its_line(listed):
    with pytest.raises(UsageError, match="list line 7: "):
        relative_path(listed, ROOT, "list line 7")


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet="ab./\0", max_size=12))
def test_no_path_leaves_the_root(listed):
    try:
        path = relative_path(listed, ROOT, "x")
    except UsageError:
        return
    assert os.path.normpath(path) == path
    assert os.path.normpath(ROOT / path).startswith(f"{ROOT}/")


def test_absolute_path_may_go_through_a_link_to_the_root(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    listed = str(tmp_path / "real" / "a.mp4")
    assert relative_path(listed, tmp_path / "link", "x") == "a.mp4"


def test_text_is_read_with_its_digest_and_without_byte_order_mark(write):
    content = "\ufeffa.mp4 1\r\n".encode()
    text, digest = read_text(write("list.txt", content))
    assert text == "a.mp4 1\r\n"
    assert digest == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_text_of_a_spreadsheet_is_read_by_its_mark(write, encoding):
    text, _ = read_text(write("list.csv", "caf\u00e9.mp4,0\r\n".encode(encoding)))
    assert text == "caf\u00e9.mp4,0\r\n"


def test_carriage_returns_alone_end_lines_too(write):
    assert read_text(write("list.txt", b"a.mp4 1\rb.mp4 2\r"))[0] == "a.mp4 1\nb.mp4 2\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a.mp4 1\n".encode("utf-16-le"), r"line 1 holds a NUL character; save it as UTF-8"),
        (b"\xff\xfea\0\n", "list.txt line 1 is not UTF-16; save it as UTF-8"),
        (b"version https://git-lfs.github.com/spec/v1\noid", r"Git LFS pointer .* `git lfs pull`"),
    ],
)
def test_text_that_is_none_is_refused_with_the_remedy(write, content, told):
    with pytest.raises(UsageError, match=told):
        read_text(write("list.txt", content))


def test_bytes_that_are_not_utf8_name_their_line(write):
    with pytest.raises(UsageError, match=r"list\.txt line 3 is not UTF-8; save it as UTF-8"):
        read_text(write("list.txt", b"a\nb\nc\xff\n"))


def test_unreadable_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        read_text(tmp_path / "absent.txt")


def test_some_names_the_first_and_counts_the_rest():
    assert some("edcba") == "a, b, c and 2 more"
    assert some(["b", "a", "a"]) == "a, b"


def test_files_by_suffix_leave_out_folders_and_hidden_files(make_files):
    root = make_files("b.txt", "A.TXT", ".c.txt", "d.csv", "e.txt/x")
    assert [path.name for path in files_in(root, ".txt")] == ["A.TXT", "b.txt"]
