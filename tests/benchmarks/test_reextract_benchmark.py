"""The benchmarks of the frame cache run, on two small clips."""

import csv

import pytest

from benchmarks import frame_formats, reencode, reextract
from tests.vifistore.extract.conftest import write_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for number in range(2):
        write_clip(folder / "run" / f"{number}.mp4", seed=number)
    return folder


def read(path) -> list[dict]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_reextraction_is_measured_and_exact(folder, tmp_path):
    results = tmp_path / "out" / "rows.csv"
    reextract.main(reextract.Reextract(folder=folder, frames=2, device="cpu", results=results))
    (row,) = read(results)
    assert (row["videos"], row["is_bit_equal"]) == ("2", "True")
    assert float(row["ratio"]) > 0


def test_the_tower_alone_is_measured_beside_an_extraction(folder, tmp_path):
    results = tmp_path / "rows.csv"
    tiny = {"model": "vifi-tiny", "frames": 2, "device": "cpu", "pairs": 2}
    reencode.main(reencode.Reencode(folder=folder, results=results, **tiny))
    (row,) = read(results)
    assert (row["videos"], row["clip_frames"], row["pairs"]) == ("2", "2", "2")
    assert 0 < float(row["ratio"]) <= float(row["largest_ratio"])
    assert float(row["seconds_encoding"]) >= 0


def test_formats_are_measured_and_raw_is_exact(folder, tmp_path):
    results = tmp_path / "rows.csv"
    settings = frame_formats.Formats(folder=folder, frames=2, size=32, results=results)
    frame_formats.main(settings)
    frame_formats.main(settings)
    rows = read(results)
    assert [row["format"] for row in rows] == ["raw", "zstd-1", "png-1", "jpeg-95"] * 2
    exact = {row["format"] for row in rows if row["is_exact"] == "True"}
    assert exact == {"raw", "zstd-1", "png-1"}
