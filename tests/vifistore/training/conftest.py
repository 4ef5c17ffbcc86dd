"""A tiny model, and twelve videos whose class is the half that is bright."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import one_hot

from vifistore.models.checkpoint_files import CheckpointHeader
from vifistore.models.openclip_model import OpenClipModel, describe
from vifistore.models.registry import model_config
from vifistore.models.skeletons import new_model
from vifistore.training.options import RunOptions
from vifistore.training.run import Run, TrainReport, train
from vifistore.training.training_data import FrameData, TrainingSet
from vifistore.training.training_settings import TrainSettings

MODEL = "vifi-tiny"
CLASSES = ["bright sun", "dark"]
SETTINGS = TrainSettings(
    num_frames=2, learning_rate=1e-3, batch_size=6, epochs=2, warmup_epochs=0.5, flip=0.0, seed=3
)


def tiny_model(seed: int = 0) -> OpenClipModel:
    """A model with random weights that has done ten steps already."""
    header = CheckpointHeader(
        model=MODEL, config=model_config(MODEL), name="start", step=10, parent="", settings={}
    )
    return describe(new_model(MODEL, seed), header)


def bright_halves() -> FrameData:
    """Twelve videos of four frames."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(12) % 2
    frames = torch.rand(12, 4, 3, 32, 32, generator=generator) - 0.5
    frames[labels == 1, :, :, :16] += 2
    frames[labels == 0, :, :, 16:] += 2
    return FrameData(frames=frames, targets=one_hot(labels, 2).float())


def bright_set() -> TrainingSet:
    """The same, with their classes."""
    return TrainingSet(source=bright_halves(), class_names=CLASSES)


@pytest.fixture(scope="session")
def data() -> FrameData:
    """Twelve videos of four frames, whose class is the half that is bright."""
    return bright_halves()


@pytest.fixture
def trained(data: FrameData, tmp_path: Path) -> Callable[..., tuple[OpenClipModel, TrainReport]]:
    """Train the tiny model with SETTINGS but for the changes; what is left is in `out`."""

    def run(out: str = "out", **changes: object) -> tuple[OpenClipModel, TrainReport]:
        start = changes.pop("start", None) or tiny_model()
        options = changes.pop("options", RunOptions())
        videos = TrainingSet(
            source=changes.pop("source", data),
            class_names=CLASSES,
            tuned_on=changes.pop("tuned_on", None),
        )
        settings = replace(SETTINGS, **changes)
        run = Run(
            start=start, videos=videos, settings=settings, out=tmp_path / out, options=options
        )
        return start, train(run)

    return run


def losses_of(folder: Path, column: str = "loss") -> list[float]:
    """The loss, or another column, of every step in a run's log."""
    lines = (folder / "log.csv").read_text().splitlines()
    column = lines[0].split(",").index(column)
    return [float(line.split(",")[column]) for line in lines[1:]]


def same_weights(first: dict, second: dict) -> bool:
    """Whether two state dicts are bit-equal."""
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)
