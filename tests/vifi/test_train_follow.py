"""A run and its follower share what they decode: each video once, and the numbers of an extraction.

Decoding workers of both processes count: Python runs the program below in each of them.
"""

import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.vifi.test_train import call
from vifi.__main__ import run
from vifi.command_line.console import parse
from vifi.demo.clips import draw_clip, write_clips, write_mp4
from vifi.verbs.train import _parse
from vifi.verbs.watch import WatchArguments
from vifistore.extract.trainer_frames import trainer_of
from vifistore.store import open_store
from vifistore.training.follower import watch_arguments

COUNTING = """
import os, sys

if "vifistore.frames.processes.worker" in sys.orig_argv:
    import vifistore.frames.decoders.decoding as decoding

    decode = decoding.decode_stretches

    def counted(footage, *plans, **named):
        with open(os.environ["DECODES"], "a") as file:
            file.write(footage.path.name + chr(10))
        return decode(footage, *plans, **named)

    decoding.decode_stretches = counted
"""
CLASSES = ["cross sliding sideways", "circle growing and shrinking"]


@pytest.fixture(scope="module")
def scanned(tmp_path_factory) -> Path:
    """A store of six videos to train on, and one without a class."""
    folder = tmp_path_factory.mktemp("follow")
    write_clips(folder / "videos", CLASSES, {"train": 3}, seed=0)
    for number, path in enumerate(sorted((folder / "videos").rglob("*.mp4"))):
        path.rename(path.with_name(f"clip{number}.mp4"))
    clip = draw_clip(CLASSES[0], split="test", number=0, seed=1)
    write_mp4(folder / "videos" / "alone.mp4", clip)
    assert run(["scan", str(folder / "s.zarr"), str(folder / "videos"), "--dataset", "d"]) == 0
    return folder / "s.zarr"


@pytest.fixture
def store(scanned, tmp_path) -> Path:
    """The same, to write in."""
    return Path(shutil.copytree(scanned, tmp_path / "s.zarr"))


@pytest.fixture
def decoded(tmp_path, monkeypatch):
    """How often each video was decoded since it was last asked."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(COUNTING)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), *sys.path]))
    monkeypatch.setenv("DECODES", str(tmp_path / "decodes"))

    def count() -> Counter:
        found = Counter((tmp_path / "decodes").read_text().split())
        (tmp_path / "decodes").unlink()
        return found

    return count


def followed(store: Path, out: Path, cache: Path, *further: str) -> None:
    """Train, with a follower that computes as exactly as what it is held against."""
    with_ = "--extract-with=--precision fp32 --poll 0.1"
    shared = ("--device", "cpu", "--frame-cache", str(cache), with_)
    assert run(call(store, out, *shared, *further)) == 0


def assert_as_extracted(store: Path, out: Path, tmp_path: Path, steps: list[int]) -> None:
    """Every array of the sets is bit-equal to what vifi extract makes of the checkpoint alone."""
    alone = shutil.copytree(store.parent.joinpath("plain.zarr"), tmp_path / "alone.zarr")
    for step in steps:
        weights = out / f"step-{step:08d}.safetensors"
        command = ["extract", str(alone), "--dataset", "d", "--model", "vifi-tiny"]
        command += ["--pretrained", str(weights), "--precision", "fp32", "--device", "cpu"]
        assert run([*command, "--decoder", "pyav", "--workers", "1"]) == 0
        name = f"{out.name}@step-{step}"
        found, expected = (open_store(path).features("d", name) for path in (store, alone))
        assert found.sealed
        assert found.id == expected.id
        for array in ("frames", "view_mean", "timestamps"):
            assert found.read(array).tobytes() == expected.read(array).tobytes(), array
        assert found.read("content_digest").tolist() == expected.read("content_digest").tolist()
        assert np.isfinite(found.read("frames").astype(np.float32)).all()


@pytest.mark.parametrize(
    ("every", "pixels"),
    [
        pytest.param("1", ("--crop-scales", "1.0", "0.5"), id="crops"),
        pytest.param("2", ("--preprocess", "paper"), id="paper", marks=pytest.mark.slow),
        pytest.param("1", (), id="squares", marks=pytest.mark.slow),
    ],
)
def test_each_video_is_decoded_once(store, scanned, tmp_path, decoded, every, pixels):
    """By the trainer or, within the first epoch, by the follower that comes first."""
    shutil.copytree(scanned, tmp_path / "plain.zarr")
    followed(store, tmp_path / "o", tmp_path / "frames", "--extract-every", every, *pixels)
    assert decoded() == dict.fromkeys(["alone.mp4", *(f"clip{n}.mp4" for n in range(6))], 1)
    assert_as_extracted(store, tmp_path / "o", tmp_path, [2, 4])


@pytest.mark.slow
def test_without_candidates_the_follower_adds_no_decoding(store, scanned, tmp_path, decoded):
    shutil.copytree(scanned, tmp_path / "plain.zarr")
    arguments = call(store, tmp_path / "o", "--device", "cpu", "--extract-every", "2")
    arguments[arguments.index("--candidate-frames") + 1] = "0"
    arguments += ["--frame-cache", str(tmp_path / "frames"), "--extract-with=--precision fp32"]
    assert run(arguments) == 0
    # Two epochs of new frames, and what is not trained on.
    expected = dict.fromkeys((f"clip{n}.mp4" for n in range(6)), 2)
    assert decoded() == expected | {"alone.mp4": 1}
    assert_as_extracted(store, tmp_path / "o", tmp_path, [2, 4])


@pytest.mark.slow
def test_who_comes_first_decodes_for_the_other(store, scanned, tmp_path, decoded):
    """Here a follower that was started by hand; what is not trained on it keeps for itself."""
    followed(store, tmp_path / "o", tmp_path / "frames", "--extract-every", "2")
    assert sum(decoded().values()) == 7
    plain, cache = str(shutil.copytree(scanned, tmp_path / "plain.zarr")), tmp_path / "new"
    watch = ["watch", str(tmp_path / "o"), plain, "--dataset", "d", "--once", "--decoder", "pyav"]
    assert run([*watch, "--device", "cpu", "--frame-cache", str(cache)]) == 0
    assert sum(decoded().values()) == 7
    assert len(list(cache.glob("*/*.frames"))) == 7 + 6
    alone = ("--device", "cpu", "--frame-cache", str(cache))
    assert run(call(store, tmp_path / "again", *alone)) == 0
    assert not (tmp_path / "decodes").exists()


def watch_of(*further: str) -> WatchArguments:
    """What the follower of a run is called with."""
    required = ["s", "--dataset", "d", "--model", "m", "--pretrained", "p", "--out", "o"]
    wanted = _parse("few_shot", [*required, *further])
    words = watch_arguments(wanted.follow, Path("o"), "s", "d", wanted.options)
    return parse("watch", WatchArguments, words)


def test_a_follower_computes_where_and_how_its_trainer_does(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    cache = ("--frame-cache", "a folder", "--frame-cache-gb", "7.5")
    further = ("--device", "cpu", "--decoder", "pyav", "--workers", "6", "--timeout", "30")
    encode = watch_of("--extract-every", "checkpoint", *cache, *further).encode
    assert (encode.device, encode.decoder, encode.timeout) == ("cpu", "pyav", 30)
    assert (encode.frame_cache, encode.frame_cache_gb) == (Path("a folder"), 7.5)
    # Half as many workers beside those of the trainer; what checkpoints say is left to them.
    assert encode.workers == 3
    assert (encode.frames, encode.preprocess, encode.template) == (None, "", ())
    assert watch_of("--extract-every", "checkpoint").encode.workers == 4
    own = "--extract-with=--device cuda:1 --frame_cache=own --workers 5"
    encode = watch_of("--extract-every", "checkpoint", own, *cache, *further).encode
    assert (encode.device, encode.workers, encode.decoder) == ("cuda:1", 5, "pyav")
    assert encode.frame_cache == Path("own")


@pytest.mark.parametrize(
    "said",
    ["", "[]", '{"decoder": "pyav"}', '{"decoder": "pyav", "dataset": "x", "split": "y"}'],
)
def test_what_no_trainer_wrote_is_told_and_left(scanned, tmp_path, caplog, said):
    (tmp_path / "reads.json").write_text(said)
    words = ["x", "s", "--dataset", "d", "--decoder", "pyav", "--frame-cache", "f"]
    encode = parse("watch", WatchArguments, words).encode
    assert trainer_of(tmp_path, open_store(scanned).dataset("d"), encode) is None
    assert "says nothing of use" in caplog.text
