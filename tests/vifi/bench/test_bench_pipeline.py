"""The pipeline's benchmark runs, on clips made for it, and its ratios are those of its times."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from vifi.bench import pipeline
from vifi.bench.bench_settings import Pipeline
from vifi.bench.timing import Quantiles


def test_speed_and_memory_are_measured(monkeypatch):
    # Processes of their own, which the peaks of a real run need, import for seconds.
    threads = lambda count, mp_context: ThreadPoolExecutor(count)  # noqa: E731
    monkeypatch.setattr(pipeline, "ProcessPoolExecutor", threads)
    speed, clip, few, many = pipeline.run(Pipeline(tiny=True, device="cpu"))
    assert (speed["case"], speed["model"], speed["videos"], speed["frames"]) == (
        *("speed", "vifi-tiny"),
        *(3, 6),
    )
    assert speed["lowest_cosine_with_fp32"] > 0.99
    assert speed["pipeline_frames_per_second"] == pytest.approx(6e3 / speed["p50_ms"], rel=0.01)
    assert (clip["case"], clip["model"], clip["frames"]) == ("clip-speed", "vifi-tiny+time", 6)
    alone = clip["decode_only_seconds"] + clip["encode_only_seconds"]
    assert clip["times_their_sum"] == pytest.approx(clip["p50_ms"] / 1e3 / alone, rel=0.05)
    assert [(row["case"], row["videos"], row["encoded"]) for row in (few, many)] == [
        ("memory", 2, 2),
        ("memory", 4, 4),
    ]
    assert few["peak_mebibytes"] > 0


def test_the_share_of_a_matrix_product_by_hand(monkeypatch):
    """A tower of 6 operations a frame, 10^12 frames in 2 s, on a device that can 4 x 10^12."""
    monkeypatch.setattr(pipeline, "image_flops", lambda loaded: 6)
    monkeypatch.setattr(pipeline, "measure_matmul", lambda *_: 4e12)
    run = {"frames_encoded": 10**12, "seconds": 2.0}
    found = pipeline._arithmetic(None, run, None, "bf16")
    assert found == {"matmul_share": 0.75, "tflops": 3.0}


def test_ratios_by_hand():
    """A loop of 12 s and a pipeline of 4 s over 8 frames, whose parts take 3 s and 2 s alone."""
    found = pipeline._ratios(8, 12.0, Quantiles(3.0, 4.0, 5.0), 3.0, 2.0)
    assert found["times_the_loop"] == 3
    assert found["times_their_sum"] == 0.8
    assert found["times_the_larger"] == 1.333
    assert found["loop_frames_per_second"] == 0.67
    assert (found["p20_ms"], found["pipeline_frames_per_second"]) == (3000, 2)
