"""Whatever is killed, the same bytes come out, and nothing is encoded oftener than it was lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from tests.vifistore.cluster.conftest import (
    ROOT,
    assert_as_undisturbed,
    finish,
    flags,
    num_done,
    raylets,
    wait_for,
)
from tests.vifistore.extract.conftest import scan, write_clip
from vifistore.store import open_store

pytestmark = pytest.mark.slow

# Of a batch, so that two actors take about ten seconds for five blocks.
SECONDS = 0.8


def times_encoded(store) -> int:
    """How many blocks were encoded, each as often as it was."""
    runs = open_store(store.path).features("d", "n").provenance
    return sum(end - first for run in runs for first, end in run["blocks"])


def parent_of(pid: int) -> int:
    """The process that started another one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def write_white_clip(path) -> None:
    """A clip that the encoder dies of."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        image = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 255, np.uint8), format="rgb24")
        for packet in (*stream.encode(image), *stream.encode()):
            output.mux(packet)


def test_an_actor_that_is_killed_costs_the_blocks_that_it_had(store, undisturbed):
    with raylets(1, 1) as cluster:
        process = cluster.start(store.path, seconds=SECONDS)
        wait_for(lambda: num_done(store) and cluster.decoders(), process)
        # One that is at work: the other may not have begun.
        os.kill(parent_of(cluster.decoders()[0]), signal.SIGKILL)
        report, said = finish(process)
    assert "is gone with" in said
    assert (report["encoded"], report["sealed"]) == (320, True)
    assert_as_undisturbed(store, undisturbed)
    assert times_encoded(store) <= 5 + 1


def test_a_decode_worker_that_is_killed_costs_a_video_at_most(store, undisturbed):
    with raylets(1, 1) as cluster:
        process = cluster.start(store.path, seconds=SECONDS)
        wait_for(lambda: num_done(store) and cluster.decoders(), process)
        os.kill(cluster.decoders()[0], signal.SIGKILL)
        report, _ = finish(process, 0, 3)
    assert report["quarantined"] <= 1
    assert report["sealed"]
    if not report["quarantined"]:
        assert_as_undisturbed(store, undisturbed)
        return
    retry = [sys.executable, "-m", "vifi", "extract", str(store.path), *flags(SECONDS), "--retry"]
    subprocess.run(retry, cwd=ROOT, check=True, capture_output=True)
    found = open_store(store.path).features("d", "n")
    np.testing.assert_array_equal(found.read("frames"), undisturbed.read("frames"))


def test_a_raylet_that_is_killed_leaves_its_blocks_to_others(store, undisturbed):
    with raylets(1, 1, 1) as cluster:
        process = cluster.start(store.path, seconds=SECONDS)
        wait_for(lambda: num_done(store), process)
        os.kill(cluster.raylets[0], signal.SIGKILL)
        report, _ = finish(process)
    assert (report["encoded"], report["sealed"]) == (320, True)
    assert_as_undisturbed(store, undisturbed)
    assert times_encoded(store) <= 5 + 2


def test_after_a_driver_that_was_killed_the_same_command_goes_on(store, undisturbed):
    with raylets(1, 1) as cluster:
        process = cluster.start(store.path, seconds=SECONDS)
        wait_for(lambda: num_done(store), process)
        process.kill()
        process.communicate()
        # Its actors are ended by Ray.
        report, _ = finish(cluster.start(store.path))
    assert 0 < report["encoded"] < 320
    assert_as_undisturbed(store, undisturbed)
    assert times_encoded(store) <= 5 + 2


def test_a_driver_that_is_told_to_end_lets_encoders_finish(store, undisturbed):
    with raylets(1, 1) as cluster:
        process = cluster.start(store.path, seconds=SECONDS)
        wait_for(lambda: num_done(store), process)
        process.send_signal(signal.SIGTERM)
        _, said = finish(process, 128 + signal.SIGTERM)
        assert "encoders finish the blocks that they have begun" in said
        done = num_done(store)
        report, _ = finish(cluster.start(store.path))
    assert report["encoded"] == sum(64 for _ in range(5 - done))
    assert_as_undisturbed(store, undisturbed)
    assert times_encoded(store) == 5


def test_an_actor_that_is_told_to_end_finishes_what_it_has_begun(store, undisturbed):
    with raylets(1, 1) as cluster:
        process = cluster.start(store.path, seconds=SECONDS)
        wait_for(lambda: num_done(store), process)
        os.kill(cluster.encoders()[0], signal.SIGTERM)
        report, said = finish(process)
    assert "is gone with" not in said
    assert (report["encoded"], report["sealed"]) == (320, True)
    assert_as_undisturbed(store, undisturbed)
    assert times_encoded(store) == 5


def test_two_drivers_share_a_set(store, undisturbed):
    with raylets(1, 1) as cluster:
        both = [cluster.start(store.path, "--actors", "1", seconds=SECONDS) for _ in range(2)]
        reports = [finish(process)[0] for process in both]
    assert sum(report["encoded"] for report in reports) == 320
    assert_as_undisturbed(store, undisturbed)
    assert times_encoded(store) == 5


def test_a_machine_with_other_weights_is_left_out_by_name(store, undisturbed):
    with raylets("1", "1:VIFI_TEST_SHIFT=0.5") as cluster:
        report, said = finish(cluster.start(store.path))
    assert f"{os.uname()[1]} is left out: it has image_digest" in said
    assert (report["encoded"], report["sealed"]) == (320, True)
    assert_as_undisturbed(store, undisturbed)


def test_a_video_that_encoders_die_of_is_quarantined_and_the_rest_done(tmp_path):
    folder = tmp_path / "v"
    for number in range(1, 3):
        write_clip(folder / f"{number}.mp4", seed=number, num_frames=4, size=(32, 32))
    write_white_clip(folder / "0.mp4")
    store = scan(tmp_path / "s.zarr", folder)
    with raylets(1) as cluster:
        report, said = finish(cluster.start(store.path), 3)
    assert (report["encoded"], report["quarantined"], report["sealed"]) == (2, 1, True)
    assert "0.mp4 is quarantined: 3 encoders ended while they had it" in said
    (entry,) = open_store(store.path).features("d", "n").quarantine()
    assert (entry["row"], entry["reason"]) == (0, "worker crashed")
