"""The videos of a dataset, and which of them are different files."""

from pathlib import Path

import numpy as np

from vifistore.sources.roots import VideoFiles


def files(*paths: str) -> VideoFiles:
    return VideoFiles(Path("/v"), np.array(paths, object), np.arange(len(paths)))


def test_stretches_of_one_file_are_one_and_whole_videos_stay():
    assert list(files("a", "b", "c").different(9).paths) == ["a", "b", "c"]
    found = files("a", "b", "a", "c", "b").different(9)
    assert (list(found.paths), list(found.sizes)) == (["a", "b", "c"], [0, 1, 3])
    assert len(files().different(9)) == 0


def test_of_many_some_are_taken_evenly():
    names = [f"{number:03}" for number in range(101)]
    assert list(files(*names).different(3).paths) == ["000", "050", "100"]
    assert list(files(*names, *names).different(3).paths) == ["000", "050", "100"]
