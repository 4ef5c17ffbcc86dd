"""The pool with real processes: order, bounds, and workers that hang, crash or are killed."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest

from vifistore.errors import DecodeError, UsageError
from vifistore.frames.decoders.decoding import DecodedVideo, decode_video
from vifistore.frames.processes.pool import DecodePool

Obedient = Callable[[str], Path]


def open_pool(num_workers: int = 1, timeout_seconds: float = 20, **settings) -> DecodePool:
    """A pool whose decoder is the stand-in."""
    settings = {"frames": 4, "clips": 1, "decoder": "torchcodec"} | settings
    return DecodePool(num_workers, timeout_seconds=timeout_seconds, **settings)


def verdicts(pool: DecodePool, paths: list[Path]) -> list[str]:
    """`ok` or the reason, for each path."""
    results = list(pool.decode(enumerate(paths)))
    assert [key for key, _ in results] == list(range(len(paths)))
    return [getattr(result, "reason", "ok") for _, result in results]


def wait_until(happened: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.01)
    return happened()


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_results_are_those_of_the_plain_call(videos: dict[str, Path], decoder: str) -> None:
    settings = {"frames": 8, "clips": 2, "decoder": decoder}
    with DecodePool(2, **settings) as pool:
        results = dict(pool.decode(videos.items()))
    assert list(results) == list(videos)
    for name, path in videos.items():
        expected = decode_video(path, **settings)
        assert isinstance(results[name], DecodedVideo)
        for field, value in vars(expected).items():
            if field.endswith("_seconds"):
                continue
            found = getattr(results[name], field)
            assert np.array_equal(found, value), field
            assert getattr(found, "dtype", None) == getattr(value, "dtype", None)


def test_results_keep_the_order_of_the_jobs(obedient: Obedient) -> None:
    slow, quick = obedient("slow 0.3"), obedient("count 40")
    with open_pool(2) as pool:
        assert verdicts(pool, [slow, quick, quick, slow, quick]) == ["ok"] * 5


def test_no_more_is_read_ahead_than_promised(obedient: Obedient) -> None:
    path, drawn = obedient("count 40"), []

    def endless() -> Iterator[tuple[int, Path]]:
        for number in count():
            drawn.append(number)
            yield number, path

    with open_pool(2) as pool:
        results = pool.decode(endless())
        for taken, (key, _) in enumerate(islice(results, 8)):
            assert key == taken
            assert len(drawn) - taken <= 4
        results.close()
        assert verdicts(pool, [path]) == ["ok"]


def test_workers_go_on_while_the_caller_is_busy(obedient: Obedient) -> None:
    with open_pool(1) as pool:
        results = pool.decode(enumerate([obedient("slow 0.2"), obedient("slow 0.2")]))
        next(results)
        time.sleep(0.6)
        start = time.monotonic()
        next(results)
        assert time.monotonic() - start < 0.15


@pytest.mark.parametrize(
    ("command", "reason", "words"),
    [
        ("hang", "timeout", "not decoded within 1 seconds"),
        ("crash", "worker crashed", "killed by SIGSEGV"),
        ("bug", "worker crashed", "KeyError: 'nobody expects this'"),
    ],
)
def test_a_bad_video_costs_only_itself(
    obedient: Obedient, command: str, reason: str, words: str
) -> None:
    good, bad = obedient("count 40"), obedient(command)
    with open_pool(1, timeout_seconds=1) as pool:
        results = [result for _, result in pool.decode(enumerate([good, bad, good, bad, good]))]
    assert [getattr(result, "reason", "ok") for result in results] == ["ok", reason] * 2 + ["ok"]
    assert words in str(results[1])
    assert str(bad) in str(results[1])


def test_what_a_decoder_prints_never_blocks_nor_shows(
    obedient: Obedient, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_pool(1) as pool:
        assert verdicts(pool, [obedient("noise"), obedient("count 40")]) == ["ok", "ok"]
    assert capfd.readouterr() == ("", "")


def test_an_idle_worker_that_is_killed_costs_nothing(obedient: Obedient) -> None:
    path = obedient("count 40")
    with open_pool(1) as pool:
        assert verdicts(pool, [path]) == ["ok"]
        (pid,) = pool.worker_pids
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not pool.worker_pids)
        assert verdicts(pool, [path, path]) == ["ok", "ok"]


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_killed_at_work_costs_one_video(obedient: Obedient, sign: int) -> None:
    good, slow = obedient("count 40"), obedient("slow 30")
    with open_pool(1) as pool:
        results = pool.decode(enumerate([good, slow, good]))
        assert isinstance(next(results)[1], DecodedVideo)
        time.sleep(0.2)
        os.kill(pool.worker_pids[0], sign)
        error = next(results)[1]
        assert isinstance(error, DecodeError)
        assert error.reason == "worker crashed"
        assert sign.name in str(error)
        assert isinstance(next(results)[1], DecodedVideo)


def test_a_worker_killed_before_it_reads_its_job_costs_one_video(obedient: Obedient) -> None:
    path = obedient("count 40")
    with open_pool(1) as pool:
        assert verdicts(pool, [path]) == ["ok"]
        (pid,) = pool.worker_pids
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
        assert verdicts(pool, [path, path]) == ["worker crashed", "ok"]


def test_a_worker_that_stands_still_is_replaced(obedient: Obedient) -> None:
    path = obedient("count 40")
    with open_pool(1, timeout_seconds=0.5) as pool:
        assert verdicts(pool, [path]) == ["ok"]
        os.kill(pool.worker_pids[0], signal.SIGSTOP)
        assert verdicts(pool, [path, path]) == ["timeout", "ok"]


def test_kills_at_any_moment_cost_at_most_one_video_each(videos: dict[str, Path]) -> None:
    path, kills, done = videos["h264.mp4"], [], threading.Event()
    expected = decode_video(path, frames=8, clips=1, decoder="pyav").frames
    generator = random.Random(0)

    def kill_around() -> None:
        while not done.wait(generator.uniform(0.0, 0.3)) and len(kills) < 6:
            for pid in pool.worker_pids[:1]:
                os.kill(pid, signal.SIGKILL)
                kills.append(pid)

    with DecodePool(2, frames=8, clips=1, decoder="pyav") as pool:
        killer = threading.Thread(target=kill_around, daemon=True)
        killer.start()
        results = list(pool.decode((number, path) for number in range(80)))
        done.set()
        killer.join()
    assert kills
    assert [key for key, _ in results] == list(range(80))
    failed = [result for _, result in results if isinstance(result, DecodeError)]
    assert {error.reason for error in failed} <= {"worker crashed"}
    assert len(failed) <= len(kills)
    assert all(
        np.array_equal(result.frames, expected)
        for _, result in results
        if isinstance(result, DecodedVideo)
    )


def test_nothing_is_left_behind(
    obedient: Obedient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    files = open_files()
    with open_pool(2, timeout_seconds=1) as pool:
        paths = [obedient(command) for command in ("count 40", "crash", "count 40", "hang")]
        kept = next(pool.decode(enumerate(paths)))[1]
        verdicts(pool, paths)
        pids = pool.worker_pids
    assert not any(is_running(pid) for pid in pids)
    assert os.listdir(tmp_path / "temporary") == []
    assert kept.frames.shape == (4, 4, 6, 3)
    assert open_files() == files + 1
    del kept
    assert open_files() == files


def test_a_video_that_is_done_with_holds_no_file(obedient: Obedient) -> None:
    with open_pool(1, arena_bytes=0) as pool:
        results = pool.decode(enumerate([obedient("count 40")]))
        result = next(results)
        held = open_files()
        del result
        assert open_files() == held - 1
        results.close()


def test_workers_end_when_the_parent_is_killed(obedient: Obedient) -> None:
    script = (
        "import sys, time\n"
        "from vifistore.frames.processes.pool import DecodePool\n"
        "pool = DecodePool(2, frames=4, clips=1, decoder='torchcodec').__enter__()\n"
        "results = pool.decode(enumerate(sys.argv[1:]))\n"
        "next(results)\n"
        "print(*pool.worker_pids, flush=True)\n"
        "next(results)\n"
    )
    paths = [str(obedient("count 40")), str(obedient("hang"))]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script, *paths],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
    assert wait_until(lambda: not any(is_running(pid) for pid in pids), seconds=5)


def test_closing_does_not_wait_for_a_video(obedient: Obedient) -> None:
    start = time.monotonic()
    with open_pool(1, timeout_seconds=60) as pool:
        results = pool.decode(enumerate([obedient("count 40"), obedient("hang")]))
        next(results)
        time.sleep(0.1)
    assert time.monotonic() - start < 10
    with pytest.raises(UsageError, match="closed"):
        list(pool.decode([(0, "x.mp4")]))


def test_a_worker_loads_no_torch(videos: dict[str, Path]) -> None:
    with DecodePool(1, frames=4, clips=1, decoder="decord") as pool:
        list(pool.decode(videos.items()))
        memory = Path(f"/proc/{pool.worker_pids[0]}/maps").read_text()
    assert "libdecord" in memory
    assert "libtorch" not in memory


def test_a_decoder_that_cannot_be_loaded_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, videos: dict[str, Path]
) -> None:
    (tmp_path / "torchcodec").mkdir()
    (tmp_path / "torchcodec/__init__.py").write_text("raise RuntimeError('no FFmpeg here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with (
        open_pool(1) as pool,
        pytest.raises(UsageError, match=r"cannot be loaded \(no FFmpeg here\): pip install"),
    ):
        list(pool.decode(videos.items()))


def test_a_pool_needs_a_worker_and_a_decoder() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        open_pool(0)
    with pytest.raises(UsageError, match="unknown decoder"):
        open_pool(1, decoder="decor")
