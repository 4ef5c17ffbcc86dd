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


def test_bit_equality_is_that_of_a_run_that_reads_the_cache(folder, monkeypatch):
    made, compared = [], []
    extract = reextract.extract_dataset

    def extracted(dataset, how, **further):
        report = extract(dataset, how, **further)
        made.append((dataset, how.frame_cache))
        return report

    monkeypatch.setattr(reextract, "extract_dataset", extracted)
    monkeypatch.setattr(reextract, "are_equal", lambda *pair: compared.extend(pair) or True)
    next(reextract.run(reextract.Reextract(folder=folder, frames=2, device="cpu", pairs=1)))
    caches = [next(cache for one, cache in made if one is dataset) for dataset in compared]
    assert [cache is None for cache in caches] == [True, False]
    first_cached = next(one for one, cache in made if cache is not None)
    assert compared[1] is not first_cached


def test_formats_are_measured_and_raw_is_exact(folder):
    rows = list(frame_formats.run(frame_formats.Formats(folder=folder, frames=2, size=32)))
    assert [row["format"] for row in rows] == ["raw", "zstd-1", "png-1", "jpeg-95"]
    assert {row["format"] for row in rows if row["is_exact"]} == {"raw", "zstd-1", "png-1"}
