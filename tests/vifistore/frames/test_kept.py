"""Large frames become squares one by one, with the very levels that all of them together give."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.vifistore.frames.conftest import write_video
from vifistore.errors import DecodeError
from vifistore.extract.clock import Clock
from vifistore.extract.transfer import Pixels
from vifistore.frames.decoders import by_number
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.decoders.kept import WHOLE, Keep, KeptFrames
from vifistore.frames.preprocess import preprocess, preprocessing_of, squares_of
from vifistore.frames.processes import memory_limits
from vifistore.frames.processes.memory_limits import machine_bytes, worker_bytes
from vifistore.frames.processes.pool import DecodePool
from vifistore.frames.squares import Squares

TOWER = {
    "size": 16,
    "mean": (0.4, 0.5, 0.6),
    "std": (0.2, 0.3, 0.25),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
SQUARES = Squares(size=16, short_side=16, interpolation="bicubic", crops=3)
RNG = np.random.default_rng(0)
SAMPLING = {"frames": 6, "clips": 1}


def random_frames(count: int, height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def kept(keep: Keep, frames: np.ndarray, groups: list[int]) -> KeptFrames:
    found, start = KeptFrames(keep, len(frames)), 0
    for size in groups:
        found.add(frames[start : start + size])
        start += size
    return found


@pytest.mark.parametrize("groups", [[5], [1] * 5, [2, 3]])
@pytest.mark.parametrize("crops", [1, 3])
def test_they_are_those_of_all_frames_together(groups, crops):
    frames = random_frames(5, 40, 50)
    squares = Squares(size=16, short_side=16, interpolation="bicubic", crops=crops)
    found = kept(Keep(squares=squares), frames, groups)
    assert found.are_squares
    np.testing.assert_array_equal(found.frames, np.concatenate(squares.cut(frames)))
    assert (found.height, found.width) == (40, 50)
    assert found.cut_seconds > 0
    whole = kept(WHOLE, frames, groups)
    np.testing.assert_array_equal(whole.frames, frames)
    assert not whole.are_squares
    assert whole.cut_seconds == 0


@pytest.mark.parametrize(
    ("height", "width", "is_cut"),
    [
        (16, 16, False),
        (32, 32, False),
        (32, 100, False),
        (33, 33, True),
        (100, 33, True),
        # A panorama is large however narrow it is.
        (32, 200, True),
    ],
)
def test_only_large_frames_are_cut_where_that_is_asked_for(height, width, is_cut):
    keep = Keep(squares=SQUARES, only_large=True)
    frames = random_frames(2, height, width)
    assert keep.cuts(height, width) == is_cut
    assert kept(keep, frames, [1, 1]).are_squares == is_cut
    assert Keep(squares=SQUARES).cuts(height, width)
    assert not WHOLE.cuts(height, width)


def test_frames_of_other_sizes_are_refused():
    found = KeptFrames(WHOLE, 2)
    found.add(random_frames(1, 8, 8))
    with pytest.raises(DecodeError, match="different sizes"):
        found.add(random_frames(1, 8, 9))


def test_frames_that_are_missing_are_not_made_up():
    found = KeptFrames(WHOLE, 2)
    found.add(random_frames(1, 8, 8))
    with pytest.raises(AssertionError, match="missing"):
        _ = found.frames


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
@pytest.mark.parametrize("name", ["h264.mp4", "open-gop.mp4", "xvid.avi", "mpeg1.mpg"])
def test_reading_frame_by_frame_gives_the_same_frames(videos, name, decoder, monkeypatch):
    sampling = {"frames": 9, "clips": 2, "decoder": decoder}
    together = decode_video(videos[name], **sampling)
    monkeypatch.setattr(by_number, "_GROUP_BYTES", 1)
    alone = decode_video(videos[name], **sampling)
    np.testing.assert_array_equal(alone.frames, together.frames)
    assert alone.decoder == together.decoder
    cut = decode_video(videos[name], **sampling, keep=Keep(squares=SQUARES))
    np.testing.assert_array_equal(cut.frames, np.concatenate(SQUARES.cut(together.frames)))
    assert (cut.width, cut.height) == (together.width, together.height)


def test_large_frames_that_are_cut_are_read_in_order(videos, monkeypatch):
    """decord decodes ahead without a bound; the pixels are the same."""
    sampling = {"frames": 9, "clips": 2, "decoder": "decord"}
    monkeypatch.setattr(by_number, "_LARGE_BYTES", 64 * 48 * 3 - 1)
    monkeypatch.setattr(by_number, "order_of", lambda scan: None)
    whole = decode_video(videos["h264.mp4"], **sampling)
    cut = decode_video(videos["h264.mp4"], **sampling, keep=Keep(squares=SQUARES))
    assert (whole.decoder, cut.decoder) == ("decord", "pyav")
    np.testing.assert_array_equal(cut.frames, np.concatenate(SQUARES.cut(whole.frames)))
    np.testing.assert_array_equal(cut.timestamps, whole.timestamps)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory) -> dict[str, Path]:
    """A folder of frames, and files, smaller and larger than twice what the tower wants."""
    folder = tmp_path_factory.mktemp("sizes")
    found = {
        "small": write_video(folder / "small.mp4", size=(32, 32), num_frames=8),
        "large": write_video(folder / "large.mp4", size=(96, 64), num_frames=8),
        "turned": write_video(folder / "turned.mp4", size=(96, 64), num_frames=8, rotation=90),
    }
    (folder / "frames").mkdir()
    for number, frame in enumerate(random_frames(6, 70, 50)):
        Image.fromarray(frame).save(folder / "frames" / f"{number}.png")
    return found | {"frames": folder / "frames"}


@pytest.mark.parametrize("crops", [1, 3])
@pytest.mark.parametrize("preprocess_name", ["openclip", "paper"])
def test_the_tower_sees_the_same_numbers_whoever_cuts(sizes, crops, preprocess_name):
    """As on a GPU, where workers cut the large frames alone."""
    recipe = preprocessing_of(preprocess_name, TOWER, crops)
    squares = squares_of(recipe, crops)
    device = torch.device("cpu")
    pixels = Pixels(recipe, crops=crops, device=device, dtype=torch.float32, clock=Clock())
    with DecodePool(1, **SAMPLING, squares=squares, only_large=True) as pool:
        found = dict(pool.decode(sizes.items()))
    for name, path in sizes.items():
        whole = decode_video(path, **SAMPLING, decoder="decord")
        expected = preprocess(torch.from_numpy(whole.frames), recipe, crops).flatten(0, 1)
        assert torch.equal(pixels.of(found[name]), expected), name
        assert found[name].are_squares == (squares is not None and name != "small"), name
        assert (found[name].width, found[name].height) == (whole.width, whole.height)


def peak_bytes(pid: int) -> int:
    (line,) = [
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) * 1024


@pytest.fixture(scope="module")
def huge(tmp_path_factory) -> Path:
    """32 frames of 2048 x 2048, 400 MB together."""
    path = tmp_path_factory.mktemp("huge") / "huge.mp4"
    options = {"preset": "ultrafast"}
    return write_video(path, size=(2048, 2048), num_frames=32, options=options)


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_a_worker_holds_one_large_frame_at_a_time(huge, videos, decoder):
    squares = Squares(size=16, short_side=16, interpolation="bicubic", crops=1)
    whole_bytes = 32 * 3 * 2048**2
    with DecodePool(1, frames=32, clips=1, decoder=decoder, squares=squares) as pool:
        ((_, small),) = pool.decode([(0, videos["h264.mp4"])])
        before = peak_bytes(pool.worker_pids[0])
        ((_, video),) = pool.decode([(0, huge)])
        after = peak_bytes(pool.worker_pids[0])
    assert len(small.frames) == len(video.frames) == 32
    # A frame, those that the decoder holds to refer to, and no more.
    assert after - before < whole_bytes / 2


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_what_needs_more_memory_than_it_may_costs_that_video_alone(huge, videos, decoder):
    """Frames that nothing cuts: 400 MB, and the decoder's own."""
    limit = 300 * 2**20
    jobs = [("a", videos["h264.mp4"]), ("huge", huge), ("b", videos["h264.mkv"])]
    with DecodePool(1, frames=32, clips=1, decoder=decoder, worker_bytes=limit) as pool:
        found = dict(pool.decode(jobs))
    error = found["huge"]
    assert isinstance(error, DecodeError)
    assert error.reason in ("memory", "worker crashed")
    if error.reason == "memory":
        assert "0.3 GB that a worker may take; raise --worker-memory-gb" in str(error)
    for name in "ab":
        assert len(found[name].frames) == 32
    with DecodePool(1, frames=32, clips=1, decoder=decoder) as pool:
        ((_, video),) = pool.decode([(0, huge)])
    assert video.frames.shape == (32, 2048, 2048, 3)


def test_a_worker_may_take_its_share_of_the_machine(monkeypatch, tmp_path):
    gigabyte = 2**30
    monkeypatch.setattr(memory_limits, "machine_bytes", lambda: 64 * gigabyte)
    assert worker_bytes(8) == 6 * gigabyte
    assert worker_bytes(64) == 2 * gigabyte
    monkeypatch.undo()
    assert 2**28 < machine_bytes() < 2**50
    for text, limit in (("1073741824\n", gigabyte), ("max\n", None), ("9223372036854771712", None)):
        (tmp_path / "limit").write_text(text)
        monkeypatch.setattr(memory_limits, "_LIMIT_FILES", (str(tmp_path / "limit"), "/none"))
        assert (machine_bytes() == gigabyte) == (limit is not None)
