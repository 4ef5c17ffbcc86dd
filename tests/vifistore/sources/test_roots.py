"""The videos of a dataset, and which of them are different files."""

from pathlib import Path

import numpy as np
import pytest

from vifistore.sources.roots import VideoFiles


@pytest.mark.parametrize("is_alike", [False, True])
def test_stretches_of_one_file_are_one_and_whole_videos_stay(is_alike, monkeypatch):
    def files(*paths: str) -> VideoFiles:
        sizes = np.arange(len(paths))
        return VideoFiles(Path("/v"), np.array(paths, object), sizes)

    if is_alike:
        # Of different paths that have one hash none is lost.
        monkeypatch.setattr("vifistore.sources.roots.hash", lambda path: 0, raising=False)
    assert list(files("a", "b", "c").different().paths) == ["a", "b", "c"]
    found = files("a", "b", "a", "c", "b").different()
    assert (list(found.paths), list(found.sizes)) == (["a", "b", "c"], [0, 1, 3])
    assert len(files().different()) == 0
