"""The benchmark of long videos runs, on two files of a minute."""

import av
import numpy as np

from benchmarks import long_videos


def test_long_files_are_measured_beside_decoding_and_short_ones():
    settings = long_videos.LongVideos(
        files=1, minutes=2, short_minutes=1, window=10, pairs=1, workers=1
    )
    speed, short, long = long_videos.run(settings)
    assert (speed["rows"], speed["frames"], speed["quarantined"]) == (12, 120, 0)
    assert speed["share_of_decoding"] > 0
    assert (short["minutes"], long["minutes"]) == (1, 2)
    assert short["times_short"] == 1
    assert long["worker_mebibytes"] > 0


def test_a_minute_comes_again_and_again(tmp_path):
    long_videos.write_long(tmp_path / "v.mp4", 2, seed=0)
    with av.open(str(tmp_path / "v.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(1200) / 10)
