"""A small store to search: clips in two classes, one without a label, one AVI, one broken."""

from pathlib import Path

import pytest

from tests.vifistore.extract.conftest import write_clip
from vifi.__main__ import run
from vifistore.models.checkpoints import CheckpointHeader, save_checkpoint
from vifistore.models.registry import model_config
from vifistore.models.skeletons import new_model


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


def save_tiny(path: Path, seed: int = 0) -> None:
    """Write the tiny model, with random weights, as a checkpoint of ours."""
    config = model_config("vifi-tiny")
    header = CheckpointHeader(
        model="vifi-tiny", config=config, name="tiny", step=0, parent="", settings={}
    )
    save_checkpoint(path, new_model("vifi-tiny", seed).state_dict(), header)
