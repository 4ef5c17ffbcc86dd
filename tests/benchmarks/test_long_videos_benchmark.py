"""The benchmark of long videos runs, on a file of a minute."""

import av
import numpy as np

from benchmarks import long_videos

SETTINGS = long_videos.LongVideos(files=1, minutes=1, window=10, pairs=1, workers=1)


def test_long_files_are_measured_beside_decoding(tmp_path):
    (tmp_path / "v").mkdir()
    long_videos.write_long(tmp_path / "v" / "0.mp4", 1, seed=0)
    speed = long_videos._speed(SETTINGS, tmp_path / "v", tmp_path)
    assert (speed["rows"], speed["frames"], speed["quarantined"]) == (6, 60, 0)
    assert speed["share_of_decoding"] > 0


def test_memory_is_that_of_this_process_and_of_all_workers(monkeypatch, tmp_path):
    peaks = iter([(100.0, 50.0), (105.0, 60.0)])

    class InThisProcess:
        """Has found what it is asked for."""

        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, function, *_):
            assert function is long_videos.peak_mebibytes
            return self

        def result(self):
            return next(peaks)

    monkeypatch.setattr(long_videos, "ProcessPoolExecutor", InThisProcess)
    short, long = long_videos._memory(SETTINGS, {10: tmp_path, 120: tmp_path})
    assert (short["minutes"], short["times_short"], long["minutes"]) == (10, 1.0, 120)
    assert (long["times_short"], long["worker_times_short"]) == (1.1, 1.2)


def test_a_minute_comes_again_and_again(tmp_path):
    long_videos.write_long(tmp_path / "v.mp4", 2, seed=0)
    with av.open(str(tmp_path / "v.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(3000) / 25, atol=1e-3)
