"""Which files the page may send: a dataset's own videos, whatever a table of videos says."""

import os
from pathlib import Path

import pytest
from PIL import Image

from tests.support import video_table
from vifi.serving.library import ForbiddenError, Library, NotThereError
from vifistore.errors import UsageError
from vifistore.store.store import create_store
from vifistore.store.tables import write_videos


@pytest.fixture
def library_of(tmp_path):
    """A library whose videos have these paths below `tmp_path/videos`."""

    def make(*paths: str, root: Path | None = None) -> Library:
        root = root or tmp_path / "videos"
        root.mkdir(exist_ok=True)
        store = create_store(tmp_path / "s.zarr")
        table = video_table(len(paths), ["a"])
        table["path"] = list(paths)
        write_videos(store.backend, "d", table, ["a"], str(root))
        return Library(store)

    return make


def test_a_video_of_the_folder(library_of, tmp_path):
    library = library_of("v.mp4")
    (tmp_path / "videos/v.mp4").touch()
    assert library.video_path("d", 0) == tmp_path / "videos/v.mp4"


@pytest.mark.parametrize("name", ["../secret.mp4", "a/../../secret.mp4", "{}/secret.mp4"])
def test_paths_that_leave_the_folder(library_of, tmp_path, name):
    (tmp_path / "secret.mp4").touch()
    library = library_of(name.format(tmp_path))
    (tmp_path / "videos/a").mkdir()
    with pytest.raises(ForbiddenError, match="no video in the folder of d"):
        library.video_path("d", 0)
    with pytest.raises(ForbiddenError):
        library.thumbnail("d", 0, None)


def test_links_count_as_what_they_point_to(library_of, tmp_path):
    library = library_of("out.mp4", "in.mp4", "folder/v.mp4")
    (tmp_path / "secret.mp4").touch()
    (tmp_path / "videos/v.mp4").touch()
    os.symlink(tmp_path / "secret.mp4", tmp_path / "videos/out.mp4")
    os.symlink(tmp_path / "videos/v.mp4", tmp_path / "videos/in.mp4")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/v.mp4").touch()
    os.symlink(tmp_path / "elsewhere", tmp_path / "videos/folder")
    assert library.video_path("d", 1).name == "v.mp4"
    for row in (0, 2):
        with pytest.raises(ForbiddenError):
            library.video_path("d", row)


def test_frames_that_are_links(library_of, tmp_path):
    library = library_of("out", "in", "round.mp4")
    for number, name in enumerate(("secret.png", "videos/inside.png")):
        (tmp_path / "videos" / ("out", "in")[number]).mkdir()
        Image.new("RGB", (8, 6)).save(tmp_path / name)
        os.symlink(tmp_path / name, tmp_path / "videos" / ("out", "in")[number] / "0.png")
    os.symlink("round.mp4", tmp_path / "videos/round.mp4")
    with pytest.raises(ForbiddenError):
        library.thumbnail("d", 0, None)
    assert library.thumbnail("d", 1, None).is_file()
    with pytest.raises(NotThereError, match="is gone"):
        library.video_path("d", 2)


def test_a_folder_that_is_a_link_itself(library_of, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/v.mp4").touch()
    os.symlink(tmp_path / "real", tmp_path / "link")
    library = library_of("v.mp4", root=tmp_path / "link")
    assert library.video_path("d", 0) == tmp_path / "real/v.mp4"


def test_files_that_are_no_videos(library_of):
    # A store from elsewhere can name any root.
    library = library_of("etc/hostname", "etc/passwd\0.mp4", "", root=Path("/"))
    with pytest.raises(ForbiddenError):
        library.video_path("d", 0)
    with pytest.raises(NotThereError):
        library.video_path("d", 1)
    with pytest.raises(ForbiddenError):
        library.video_path("d", 2)


def test_what_is_gone_and_what_cannot_be_decoded(library_of, tmp_path):
    library = library_of("gone.mp4", "broken.mp4")
    (tmp_path / "videos/broken.mp4").write_text("no video")
    with pytest.raises(NotThereError, match="is gone; scan d again"):
        library.video_path("d", 0)
    with pytest.raises(UsageError, match="has no picture"):
        library.thumbnail("d", 1, None)
    with pytest.raises(NotThereError, match="there is no video 7"):
        library.video_path("d", 7)


def test_only_what_browsers_know_is_playable(library_of):
    library = library_of("v.mp4")
    assert [library.is_playable(name) for name in ("a.MP4", "b.webm", "c.avi", "d")] == [
        *(True, True, False, False)
    ]
