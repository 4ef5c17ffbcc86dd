"""The benchmarks of the frame cache run, on two small clips."""

import pytest

from benchmarks import frame_formats, reextract
from tests.vifistore.extract.conftest import write_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for number in range(2):
        write_clip(folder / "run" / f"{number}.mp4", seed=number)
    return folder


def test_reextraction_is_measured_and_exact_beside_decoding_and_the_tower(folder):
    settings = reextract.Reextract(folder=folder, frames=2, device="cpu", pairs=1)
    decoding, tower = reextract.run(settings)
    assert (decoding["beside"], decoding["videos"], decoding["is_bit_equal"]) == (
        "without",
        2,
        True,
    )
    assert decoding["speed_up"] > 0
    assert decoding["cache_megabytes"] >= 0
    assert (tower["beside"], tower["videos"], tower["clip_frames"]) == ("tower", 2, 2)
    assert 0 < tower["ratio"] <= tower["ratio_p80"]
    assert tower["reference_p50_ms"] > 0


def test_formats_are_measured_and_raw_is_exact(folder):
    rows = list(frame_formats.run(frame_formats.Formats(folder=folder, frames=2, size=32)))
    assert [row["format"] for row in rows] == ["raw", "zstd-1", "png-1", "jpeg-95"]
    assert {row["format"] for row in rows if row["is_exact"]} == {"raw", "zstd-1", "png-1"}
