"""Which files the page may send: a dataset's own videos, whatever a table of videos says."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import plain_recipe, video_table, write_features
from tests.vifistore.extract.conftest import write_clip
from vifi.searching.video_files import ForbiddenError, NotThereError
from vifi.serving.library import Library, Scope
from vifistore.errors import UsageError
from vifistore.store.dataset import write_videos
from vifistore.store.names import set_name
from vifistore.store.store import create_store


@pytest.fixture
def library_of(tmp_path):
    """A library whose videos have these paths below `tmp_path/videos`."""

    def make(*paths: str, root: Path | None = None) -> Library:
        root = root or tmp_path / "videos"
        root.mkdir(exist_ok=True)
        store = create_store(tmp_path / "s.zarr")
        table = video_table(len(paths), ["a"])
        table["path"] = list(paths)
        write_videos(store.new_dataset("d"), table, ["a"], str(root))
        return Library(store)

    return make


def test_a_video_of_the_folder(library_of, tmp_path):
    library = library_of("v.mp4")
    (tmp_path / "videos/v.mp4").touch()
    assert library.footage("d", 0).address == str(tmp_path / "videos/v.mp4")


@pytest.mark.parametrize("name", ["../secret.mp4", "a/../../secret.mp4", "{}/secret.mp4"])
def test_paths_that_leave_the_folder(library_of, tmp_path, name):
    (tmp_path / "secret.mp4").touch()
    library = library_of(name.format(tmp_path))
    (tmp_path / "videos/a").mkdir()
    with pytest.raises(ForbiddenError, match="no video in the folder of d"):
        library.footage("d", 0)
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
    assert library.footage("d", 1).name == "v.mp4"
    for row in (0, 2):
        with pytest.raises(ForbiddenError):
            library.footage("d", row)


def test_frames_that_are_links(library_of, tmp_path):
    library = library_of("out", "in", "round.mp4")
    for number, name in enumerate(("secret.png", "videos/inside.png")):
        (tmp_path / "videos" / ("out", "in")[number]).mkdir()
        Image.new("RGB", (8, 6)).save(tmp_path / name)
        os.symlink(tmp_path / name, tmp_path / "videos" / ("out", "in")[number] / "0.png")
    os.symlink("round.mp4", tmp_path / "videos/round.mp4")
    with pytest.raises(ForbiddenError):
        library.thumbnail("d", 0, None)
    assert library.thumbnail("d", 1, None)[:2] == b"\xff\xd8"
    with pytest.raises(NotThereError, match="is gone"):
        library.footage("d", 2)


def test_a_folder_that_is_a_link_itself(library_of, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/v.mp4").touch()
    os.symlink(tmp_path / "real", tmp_path / "link")
    library = library_of("v.mp4", root=tmp_path / "link")
    assert library.footage("d", 0).address == str(tmp_path / "real/v.mp4")


def test_files_that_are_no_videos(library_of):
    # A store from elsewhere can name any root.
    library = library_of("etc/hostname", "etc/passwd\0.mp4", "", root=Path("/"))
    with pytest.raises(ForbiddenError):
        library.footage("d", 0)
    with pytest.raises(NotThereError):
        library.footage("d", 1)
    with pytest.raises(ForbiddenError):
        library.footage("d", 2)


def test_what_is_gone_and_what_cannot_be_decoded(library_of, tmp_path):
    library = library_of("gone.mp4", "broken.mp4")
    (tmp_path / "videos/broken.mp4").write_text("no video")
    with pytest.raises(NotThereError, match="is gone; scan d again"):
        library.footage("d", 0)
    with pytest.raises(UsageError, match="has no picture"):
        library.thumbnail("d", 1, None)
    with pytest.raises(NotThereError, match="there is no video 7"):
        library.footage("d", 7)


def test_only_what_browsers_know_is_playable(library_of):
    library = library_of("v.mp4")
    assert [library.is_playable(name) for name in ("a.MP4", "b.webm", "c.avi", "d")] == [
        *(True, True, False, False)
    ]


def brightness(data: bytes) -> float:
    """Mean grey level of a picture."""
    return float(np.asarray(Image.open(io.BytesIO(data))).mean())


def test_videos_of_an_unknown_folder_are_not_looked_for_here(library_of, tmp_path, monkeypatch):
    library = library_of("v.mp4")
    (tmp_path / "videos/v.mp4").touch()
    monkeypatch.chdir(tmp_path / "videos")
    write_videos(library.store.new_dataset("imported"), video_table(1, ["a"]), ["a"], "")
    library._table("imported").__dict__["paths"] = np.array(["v.mp4"], object)
    with pytest.raises(NotThereError, match="is not known; scan them"):
        library.footage("imported", 0)


def test_a_pipe_named_as_a_video_is_none(library_of, tmp_path):
    library = library_of("v.mp4")
    os.mkfifo(tmp_path / "videos/v.mp4")
    with pytest.raises(ForbiddenError):
        library.footage("d", 0)


def test_a_moment_of_a_video_whose_length_is_not_known(library_of, tmp_path, monkeypatch):
    library = library_of("frames")
    (tmp_path / "videos/frames").mkdir()
    for number in range(5):
        picture = Image.new("RGB", (40, 30), (50 * number,) * 3)
        picture.save(tmp_path / f"videos/frames/{number}.png")
    library._table("d").__dict__["stretches"] = np.array([[0, np.nan]])
    assert brightness(library.thumbnail("d", 0, 0.1)) == pytest.approx(100, abs=2)
    assert brightness(library.thumbnail("d", 0, 1e9)) == pytest.approx(200, abs=2)


def test_a_picture_is_of_the_video_that_is_there_now(library_of, tmp_path):
    library = library_of("a.mp4")
    write_clip(tmp_path / "videos/a.mp4", seed=0)
    first = library.thumbnail("d", 0, None)
    assert library.thumbnail("d", 0, None) == first
    (folder,) = (tmp_path / "s.zarr.cache/thumbnails").iterdir()
    assert len(list(folder.iterdir())) == 1
    write_clip(tmp_path / "videos/a.mp4", seed=1)
    assert library.thumbnail("d", 0, None) != first


def test_pictures_of_a_store_beside_which_nothing_can_be_written(library_of, tmp_path):
    library = library_of("a.mp4")
    write_clip(tmp_path / "videos/a.mp4", seed=0)
    (tmp_path / "s.zarr.cache").write_text("no folder")
    assert library.thumbnail("d", 0, None)[:2] == b"\xff\xd8"


def test_filters_read_no_index_of_their_own(library):
    whole = library.searcher(Scope(features="tiny"))
    narrow = library.searcher(Scope(features="tiny", label="red run"))
    assert narrow.indexes is whole.indexes
    assert narrow.num_videos == 4 < whole.num_videos


def test_a_name_that_stands_for_other_embeddings_in_each_dataset(library_of, tmp_path):
    store = library_of("a.mp4").store
    for dataset, frames in {"d": 2, "e": 4}.items():
        if dataset == "e":
            write_videos(store.new_dataset("e"), video_table(1, ["a"]), ["a"], str(tmp_path))
        generator = np.random.default_rng(frames)
        embeddings = generator.normal(size=(1, 1, frames, 8))
        writer = write_features(store, dataset, plain_recipe(frames=frames), embeddings)
        writer.seal()
        set_name(store.dataset(dataset), "same", writer.id, "0" * 12, force=False)
    library = Library(store)
    library.start("same")
    assert (library.describe()["features"], library.describe()["dataset"]) == ("same", "d")
    assert library.searcher(Scope(features="same", dataset="e")).num_videos == 1
    # Also by its id, which is then one of those that the page offers.
    other = Library(store)
    other.start(writer.id)
    assert [writer.id in d["features"] for d in other.describe()["datasets"]] == [False, True]
    with pytest.raises(UsageError, match="unknown feature set"):
        Library(store).start("none")


def test_the_picture_of_a_stretch_is_of_its_middle(library_of, tmp_path):
    library = library_of("frames", "frames")
    (tmp_path / "videos/frames").mkdir()
    for number in range(10):
        picture = Image.new("RGB", (40, 30), (25 * number,) * 3)
        picture.save(tmp_path / f"videos/frames/{number}.png")
    table = video_table(2, ["a"]).assign(path="frames")
    table = table.assign(start_seconds=[0.0, 0.24], end_seconds=[np.nan, 0.36])
    write_videos(library.store.dataset("d"), table, ["a"], str(tmp_path / "videos"), anew=True)
    assert brightness(library.thumbnail("d", 0, None)) == pytest.approx(125, abs=2)
    assert brightness(library.thumbnail("d", 1, None)) == pytest.approx(175, abs=2)
    assert brightness(library.thumbnail("d", 1, 0.0)) == pytest.approx(150, abs=2)
