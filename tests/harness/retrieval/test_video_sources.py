"""Which videos are of one source."""

from types import SimpleNamespace

import numpy as np
import pytest

from harness.retrieval.video_sources import sources_of
from vifistore.errors import UsageError


def found(paths, pattern=""):
    dataset = SimpleNamespace(column=lambda name: np.array(paths, object))
    numbers, told = sources_of(dataset, np.arange(len(paths)), pattern)
    return numbers.tolist(), told


@pytest.mark.parametrize(
    ("paths", "numbers", "told"),
    [
        (["a.mp4", "b.mp4", "a.mp4"], [0, 1, 0], "file"),
        (["x/v_Run_g01_c01.avi", "v_Run_g01_c02.avi", "v_Run_g02_c01.avi"], [0, 0, 1], "UCF group"),
        (["v_Run_g01_c01.avi", "v_Hop_g01_c01.avi"], [0, 1], "UCF group"),
        (["v_Run_g01_c01.avi", "b.avi", "v_Run_g01_c02.avi"], [0, 1, 0], "UCF group or file"),
        (
            ["-4wsuPCjDBc_5_15.avi", "-4wsuPCjDBc_20_25.avi", "0hyZ__3YhZc_000352_000356.mp4"],
            [0, 0, 1],
            "YouTube video",
        ),
        (
            [
                "April_09_brush_hair_u_nm_np1_ba_goo_0.avi",
                "April_09_brush_hair_u_nm_np1_ba_goo_1.avi",
                "x/April_09_run_f_cm_np2_le_med_4.avi",
                "April_09_climb_stairs_f_cm_np1_fr_med_2.avi",
                "April_10_climb_f_cm_np1_fr_med_2.avi",
                "April_10_juggle_f_cm_np1_fr_med_2.avi",
            ],
            # Of a class that HMDB51 has not the film is not known.
            [0, 0, 0, 0, 1, 2],
            "HMDB film",
        ),
    ],
)
def test_names_tell(paths, numbers, told):
    assert found(paths) == (numbers, told)


def test_patterns_tell():
    paths = ["film1/a.mp4", "film1/b.mp4", "film2/a.mp4", "loose.mp4"]
    assert found(paths, "^(.+)/") == ([0, 0, 1, 2], "^(.+)/")
    assert found(paths, "[ab][.]mp4") == ([0, 1, 0, 2], "[ab][.]mp4")
    with pytest.raises(UsageError, match="matches no path"):
        found(paths, "nothing")
    with pytest.raises(UsageError, match="is no regular expression"):
        found(paths, "(")
