"""A checkpoint file says how it was made, and loads as the model that was trained."""

from dataclasses import asdict

import pytest
import torch

from vifistore.models.checkpoints import CheckpointHeader, read_header
from vifistore.models.towers import describe, load_model, model_config, new_model
from vifistore.training.data import FrameData
from vifistore.training.run import train_checkpoint
from vifistore.training.settings import TrainSettings
from vifistore.training.targets import one_hot

MODEL = "vifi-tiny"
# Four videos in batches of two: six steps.
SETTINGS = TrainSettings(num_frames=1, batch_size=2, epochs=3, warmup_epochs=0, learning_rate=1e-3)


@pytest.fixture
def start():
    """A model that has done ten steps already."""
    header = CheckpointHeader(
        model=MODEL, config=model_config(MODEL), name="start", step=10, parent="", settings={}
    )
    return describe(new_model(MODEL, 0), header)


@pytest.fixture
def data() -> FrameData:
    return FrameData(
        frames=torch.randn(4, 2, 64, generator=torch.Generator().manual_seed(0)),
        targets=one_hot(torch.tensor([0, 1, 0, 1]), 2),
    )


def count_calls(monkeypatch, clip, tower: str) -> list:
    calls, encode = [], getattr(clip, tower)
    monkeypatch.setattr(clip, tower, lambda inputs: (calls.append(len(inputs)), encode(inputs))[1])
    return calls


def test_the_file_says_how_it_was_made_and_loads_as_what_was_trained(start, data, tmp_path):
    settings = TrainSettings(**{**asdict(SETTINGS), "trains": "text"})
    parent, path = start.digest, tmp_path / "new" / "tuned.safetensors"
    epochs = []
    said = train_checkpoint(
        start,
        data,
        ["run", "jump"],
        settings,
        name="tuned",
        parent=parent,
        path=path,
        after_epoch=epochs.append,
    )
    header = read_header(path)
    assert (header.model, header.name, header.step, header.parent) == (MODEL, "tuned", 16, parent)
    assert header.settings == {**asdict(settings), "betas": list(settings.betas)}
    assert (said.name, said.step) == (header.name, header.step)
    assert [(p.epoch, p.step, p.num_steps) for p in epochs] == [(1, 2, 6), (2, 4, 6), (3, 6, 6)]
    loaded = load_model(MODEL, str(path))
    assert loaded.image_digest == start.image_digest
    assert loaded.text_digest != start.text_digest
    trained = start.clip.state_dict()
    assert all(torch.equal(trained[key], value) for key, value in loaded.clip.state_dict().items())
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("trains", "texts", "images"), [("image", 1, 6), ("text", 6, 1), ("full", 6, 6)]
)
def test_a_frozen_tower_runs_once_and_texts_once_a_step(
    start, tmp_path, monkeypatch, trains, texts, images
):
    """Whatever the number of videos, a step encodes each distinct class once."""
    pixels = FrameData(
        frames=torch.randn(4, 2, 3, 32, 32), targets=one_hot(torch.tensor([0, 1, 0, 1]), 2)
    )
    text_calls = count_calls(monkeypatch, start.clip, "encode_text")
    image_calls = count_calls(monkeypatch, start.clip, "encode_image")
    settings = TrainSettings(**{**asdict(SETTINGS), "trains": trains})
    train_checkpoint(
        start,
        pixels,
        ["run", "jump"],
        settings,
        name="t",
        parent="",
        path=tmp_path / "t.safetensors",
    )
    assert text_calls == [2] * texts
    assert len(image_calls) == images
