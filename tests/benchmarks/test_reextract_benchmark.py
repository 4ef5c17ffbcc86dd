"""The benchmarks of the frame cache run, on two small clips."""

import pytest

from benchmarks import frame_formats, reencode, reextract
from tests.vifistore.extract.conftest import write_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for number in range(2):
        write_clip(folder / "run" / f"{number}.mp4", seed=number)
    return folder


def test_reextraction_is_measured_and_exact(folder):
    (row,) = reextract.run(reextract.Reextract(folder=folder, frames=2, device="cpu"))
    assert (row["videos"], row["is_bit_equal"]) == (2, True)
    assert row["speed_up"] > 0
    assert row["cache_megabytes"] >= 0


def test_the_tower_alone_is_measured_beside_an_extraction(folder):
    tiny = {"model": "vifi-tiny", "frames": 2, "device": "cpu", "pairs": 2}
    (row,) = reencode.run(reencode.Reencode(folder=folder, **tiny))
    assert (row["videos"], row["clip_frames"], row["pairs"]) == (2, 2, 2)
    assert 0 < row["ratio"] <= row["ratio_p80"]
    assert row["reference_p50_ms"] > 0


def test_formats_are_measured_and_raw_is_exact(folder):
    rows = list(frame_formats.run(frame_formats.Formats(folder=folder, frames=2, size=32)))
    assert [row["format"] for row in rows] == ["raw", "zstd-1", "png-1", "jpeg-95"]
    assert {row["format"] for row in rows if row["is_exact"]} == {"raw", "zstd-1", "png-1"}
