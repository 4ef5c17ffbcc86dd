"""The benchmark of Ray's overhead gives a row of the start, and one of two encoders."""

import pytest

from benchmarks import ray_overhead
from vifistore.errors import StoreError


def by_length(seconds_a_video: dict[bool, float], start: dict[bool, float]):
    """Times a command by whether it has Ray, of a start and of each video."""

    def timed(scratch, videos, command) -> float:
        on_ray = "--on" in command
        return start[on_ray] + videos * seconds_a_video[on_ray]

    return timed


def test_rows_tell_the_start_from_the_work(monkeypatch):
    timed = by_length({True: 0.2, False: 0.1}, {True: 13.0, False: 4.0})
    monkeypatch.setattr(ray_overhead, "timed", timed)
    start, encoders = ray_overhead.run(ray_overhead.RayOverhead(videos=10, more=(2, 6)))
    assert start["extra_seconds"] == 10.0
    assert (start["ray_seconds"], start["plain_seconds"]) == (15.0, 5.0)
    assert encoders["ray_videos_per_second"] == pytest.approx(5)
    assert encoders["times_plain"] == pytest.approx(0.5)


def test_both_ways_have_as_many_decode_workers():
    for flags, encoders in (((), 1), (("--cores", "1", "--actors", "2"), 2)):
        with_ray, plain = ray_overhead.both_ways("m", 4, *flags)
        workers = [int(way[way.index("--workers") + 1]) for way in (with_ray, plain)]
        assert [workers[0] * encoders, workers[1]] == [2, 2]


def test_an_extraction_is_timed_and_one_that_fails_is_none(tmp_path):
    _, plain = ray_overhead.both_ways("vifi-tiny", 2)
    assert 0 < ray_overhead.timed(tmp_path, 3, plain) < 100
    assert not (tmp_path / "run").exists()
    with pytest.raises(StoreError, match="did not do all of 3 videos"):
        ray_overhead.timed(tmp_path, 3, [*plain, "--limit", "1"])


@pytest.mark.slow
def test_it_runs_on_ray():
    pytest.importorskip("ray", reason="Ray is not installed")
    tiny = {"videos": 3, "more": (3, 200), "model": "vifi-tiny", "frames": 2, "repeats": 1}
    start, encoders = ray_overhead.run(ray_overhead.RayOverhead(**tiny))
    assert start["extra_seconds"] > 0
    assert encoders["times_plain"] > 0
