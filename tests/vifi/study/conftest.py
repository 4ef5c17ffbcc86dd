"""A study of a dozen clips and a tiny CLIP."""

from pathlib import Path

import pytest

from tests.vifi.conftest import save_tiny
from tests.vifistore.extract.conftest import write_clip

STUDY = """
title = "a small study"
about = ["Of clips."]

[train]
frames = 2
candidate-frames = 4
epochs = 2
batch-size = 4
micro-batch = 4
crop-scales = []
mixing = false
device = "cpu"
precision = "fp32"
checkpoint-every = 2

[extract]
frames = 2
device = "cpu"
precision = "fp32"
workers = 1

[datasets.d]
scan = [["VIDEOS", "--split-by", '(?P<test>[01]\\.mp4)|(?P<train>\\.mp4)']]

[systems.clip]
model = "vifi-tiny"
pretrained = "VIDEOS/../tiny.safetensors"

[systems."full-s{seed}"]
each = { seed = [1, 2] }
start = "clip"
preset = "supervised_k400"
dataset = "d"
split = "train"
flags = { seed = "{seed}" }

[questions.table]
ask = "evaluate zero-shot"
systems = ["clip", "full-*"]
dataset = "d"
flags = { split = "test" }

[questions.fusions]
ask = "ablate"
systems = ["clip", "full-s1"]
dataset = "d"
flags = { split = "test" }
"""


@pytest.fixture
def study_file(tmp_path) -> Path:
    """A study in a file, with its clips beside it."""
    videos = tmp_path / "videos"
    for label in ("run", "jump"):
        for number in range(6):
            write_clip(videos / label / f"{number}.mp4", seed=number + 10 * (label == "run"))
    save_tiny(tmp_path / "tiny.safetensors")
    path = tmp_path / "small.toml"
    path.write_text(STUDY.replace("VIDEOS", str(videos)), encoding="utf-8")
    return path
