"""A small store to search: clips in two classes, one without a label, one AVI, one broken; and one
of planted features to score."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.harness.conftest import planted_store
from tests.vifistore.extract.conftest import write_clip
from vifi.__main__ import run
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.registry import model_config
from vifistore.models.skeletons import new_model
from vifistore.models.system_modules import attach_added


@pytest.fixture
def said(capsys):
    """Run a command line; return its exit code, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.strip()

    return call


@pytest.fixture
def searching(said, searchable):
    """Call a verb on the store to search; as `said`."""

    def call(verb: str, *arguments: object) -> tuple[int, str, str]:
        return said(verb, searchable, *arguments)

    return call


@pytest.fixture
def found(searching):
    """Run `vifi search ... --json` and return its document."""

    def call(*arguments: object) -> dict:
        code, out, error = searching("search", *arguments, "--json")
        assert code == 0, error
        return json.loads(out)

    return call


@pytest.fixture
def vifi(tmp_path, capsys):
    """Call a verb on a store of the test; returns exit code, output and error lines."""

    def call(verb, *words):
        code = run([verb, str(tmp_path / "s.zarr"), *map(str, words)])
        told = capsys.readouterr()
        return code, told.out, told.err.strip().splitlines()

    return call


@pytest.fixture(scope="session")
def searchable(tmp_path_factory) -> Path:
    """Path of a store with the feature set `tiny` of the dataset `d`; its videos lie in `videos`
    beside it. Read it only."""
    folder = tmp_path_factory.mktemp("searchable")
    videos = folder / "videos"
    for number in range(4):
        write_clip(videos / "red run" / f"{number}.mp4", seed=number)
        write_clip(videos / "blue jump" / f"{number}.mp4", seed=10 + number)
    write_clip(videos / "blue jump" / "old.avi", seed=20)
    write_clip(videos / "alone.mp4", seed=21)
    (videos / "red run" / "broken.mp4").write_text("no video")
    weights = folder / "tiny.safetensors"
    save_tiny(weights)
    store = str(folder / "s.zarr")
    assert run(["scan", store, str(videos), "--dataset", "d"]) == 0
    model = ["--model", "vifi-tiny", "--pretrained", str(weights), "--name", "tiny"]
    # 3: the broken one is quarantined.
    command = ["extract", store, "--dataset", "d", *model, "--frames", "4", "--device", "cpu"]
    assert run([*command, "--precision", "fp32", "--workers", "1"]) == 3
    return Path(store)


def save_tiny(path: Path, seed: int = 0, system: dict | None = None) -> None:
    """Write the tiny model, with random weights, as a checkpoint of ours."""
    config, clip = model_config("vifi-tiny"), new_model("vifi-tiny", seed)
    attach_added(clip, system or {})
    told = {"model": "vifi-tiny", "config": config, "name": "tiny", "step": 0, "parent": ""}
    header = CheckpointHeader(**told, settings={}, system=system or {})
    save_checkpoint(path, clip.state_dict(), header)


@pytest.fixture
def maker(tmp_path, monkeypatch):
    """Two feature sets of 120 videos in six classes; halves, a training and a test split."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    maker = planted_store(tmp_path, num_videos=120)
    rows = np.arange(120)
    base, novel = rows[maker.labels < 4], rows[maker.labels >= 4]
    maker.split("base_val", base, class_names=maker.class_names[:4])
    maker.split("novel_val", novel, maker.labels[novel] - 4, maker.class_names[4:])
    maker.split("train1", rows[:60])
    maker.split("val1", rows[60:])
    maker.split("val2", rows[30:90])
    status = np.ones(120, np.uint8)
    status[100] = 2
    maker.features(maker.frames(noise=1.0), name="good", status=status)
    maker.features(maker.frames(noise=6.0), name="bad")
    maker.texts()
    return maker


@pytest.fixture
def evaluate(maker, tmp_path, capsys):
    """Call with a protocol and flags; returns exit code, standard output and error lines."""

    def call(protocol, *flags):
        words = ["evaluate", tmp_path / "S.zarr", protocol, "--dataset", "toy", *flags]
        code = run([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err.strip().splitlines()

    return call
