"""Training and frame caches over videos that lie on a server or in a shard."""

import shutil
import tarfile
from dataclasses import replace

import pytest
import torch

from tests.vifistore.extract.conftest import scan
from tests.vifistore.extract.sets import SETTINGS as EXTRACTION
from tests.vifistore.extract.sets import arrays, assert_equal
from tests.vifistore.training.test_videos import OPTIONS, SETTINGS, clips, source_of, views_of
from vifistore.extract.job import extract_dataset
from vifistore.scanning.scan import scan_new
from vifistore.sources.roots import footage_at, root_of
from vifistore.store.store import create_store
from vifistore.videos.listing import read_source

__all__ = ["clips"]


@pytest.fixture
def roots(web, clips):
    """Text of roots and what stands before the names of clips there."""
    for path in clips:
        shutil.copy(path, web.folder)
    with tarfile.open(web.folder / "a.tar", "w") as tar:
        for path in clips:
            tar.add(path, path.name)
    return (web.url, ""), (str(web.folder), "a.tar/"), (web.url, "a.tar/")


@pytest.mark.parametrize("kept", [False, True])
def test_steps_draw_the_same_frames_wherever_they_lie(roots, clips, tmp_path, kept):
    local = source_of(clips)
    expected = views_of(local, SETTINGS)
    for number, (root, before) in enumerate(roots):
        files = [footage_at(root_of(root), before + path.name) for path in clips]
        folder = tmp_path / str(number) if kept else None
        source = replace(local, files=files, options=replace(OPTIONS, frame_cache=folder))
        found = views_of(source, SETTINGS)
        assert found.keys() == expected.keys() == {0, 1, 3}
        assert all(torch.equal(found[row], expected[row]) for row in found)


def test_frames_of_a_server_are_cached_by_their_content(roots, clips, tmp_path, tiny, web):
    folder = tmp_path / "v"
    folder.mkdir()
    shutil.copy(clips[0], folder)
    there = scan(tmp_path / "there.zarr", folder)
    settings = replace(EXTRACTION, frame_cache=tmp_path / "frames")
    extract_dataset(there.dataset("d"), settings, loaded=tiny)
    (tmp_path / "list.csv").write_text("path\n0.mp4\n")
    listing = read_source(tmp_path / "list.csv", root=root_of(web.url))
    store = create_store(tmp_path / "s.zarr")
    scan_new(store.new_dataset("d"), listing)
    kept = sorted((tmp_path / "frames").rglob("*"))
    assert extract_dataset(store.dataset("d"), settings, loaded=tiny).encoded == 1
    assert sorted((tmp_path / "frames").rglob("*")) == kept
    assert_equal(arrays(store), arrays(there))
