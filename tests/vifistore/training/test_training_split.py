"""A split of a store is read as videos or as cached embeddings, with one loss curve."""

import logging
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.vifistore.training.conftest import MODEL, losses_of
from vifi.demo.clips import write_clips
from vifistore.errors import UsageError
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.frames.decoders.decoding import decoder_version
from vifistore.models.towers import load_model
from vifistore.scanning.scan import scan_new
from vifistore.store.store import Store, create_store
from vifistore.training.options import RunOptions
from vifistore.training.presets import few_shot
from vifistore.training.run import Run, train
from vifistore.training.training_settings import TrainSettings
from vifistore.training.training_split import _warn_of_sides, open_training_set
from vifistore.videos.listing import read_source

SETTINGS = TrainSettings(
    trains="text",
    num_frames=3,
    candidate_frames=6,
    batch_size=4,
    epochs=2,
    warmup_epochs=0,
    learning_rate=1e-3,
    flip=0.0,
)
OPTIONS = RunOptions(decoder="pyav", workers=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """Six clips of two classes, one of them broken, extracted with random weights."""
    folder = tmp_path_factory.mktemp("store")
    classes = ["cross sliding sideways", "circle growing and shrinking"]
    written = write_clips(folder / "videos", classes, {"train": 3}, seed=0)
    written[1].write_bytes(b"not a video")
    listing = read_source(folder / "videos" / "train", split="train")
    store = create_store(folder / "s.zarr")
    scan_new(store.new_dataset("d"), listing)
    for name, model_frames in (("six", 6), ("two", 2)):
        settings = ExtractSettings(
            model=MODEL,
            pretrained="none",
            frames=model_frames,
            precision="fp32",
            decoder="pyav",
            workers=1,
            name=name,
        )
        extract_dataset(store.dataset("d"), settings)
    return store


def run_of(store, out, settings=SETTINGS, options=OPTIONS, **kinds) -> Run:
    start = load_model(MODEL, "none")
    dataset = store.dataset("d")
    if "features" in kinds:
        kinds["features"] = dataset.features(kinds["features"])
    opened = open_training_set(dataset, "train", start, settings, options, **kinds)
    return Run(
        start=start,
        videos=opened,
        settings=settings,
        out=out,
        options=options,
    )


def test_training_from_the_store_gives_the_curve_of_training_from_pixels(
    store, tmp_path, monkeypatch
):
    train(run_of(store, tmp_path / "pixels"))
    in_memory = replace(OPTIONS, in_memory=True)
    train(run_of(store, tmp_path / "memory", options=in_memory))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a video is decoded")

    monkeypatch.setattr("vifistore.frames.processes.pool.DecodePool.__init__", refuse)
    report = train(run_of(store, tmp_path / "store", features="six"))
    curves = [losses_of(tmp_path / name) for name in ("pixels", "memory", "store")]
    assert len(curves[0]) == 4
    assert curves[1] == pytest.approx(curves[0], abs=1e-5)
    assert curves[2] == pytest.approx(curves[0], abs=1e-5)
    assert len(set(curves[0])) == 4
    (skipped,) = report.skipped
    assert "001.mp4" in skipped


def test_presets_train_from_the_store_as_they_are(store, tmp_path):
    """What they change in pixels has no meaning there."""
    changes = {"trains": "text", "num_frames": 3, "batch_size": 4, "epochs": 2, "shots": 0}
    settings = replace(few_shot(), **changes, warmup_epochs=0)
    assert settings.crop_scales
    assert settings.jitter
    plain = replace(settings, crop_scales=(), jitter=0.0, grayscale=0.0, flip=0.0, mixing=False)
    for name, chosen in (("preset", settings), ("plain", plain)):
        train(run_of(store, tmp_path / name, chosen, features="six"))
    assert losses_of(tmp_path / "preset") == losses_of(tmp_path / "plain")


def test_prompts_of_the_text_tower_train_from_the_store_too(store, tmp_path):
    changes = {"trains": "prompts", "image_prompts": 0, "text_prompts": 2, "text_depth": 2}
    settings = replace(SETTINGS, **changes, template="{}.")
    train(run_of(store, tmp_path / "pixels", settings))
    report = train(run_of(store, tmp_path / "store", settings, features="six"))
    assert losses_of(tmp_path / "store") == pytest.approx(losses_of(tmp_path / "pixels"), abs=1e-5)
    loaded = load_model(MODEL, str(report.path))
    assert loaded.image_digest == load_model(MODEL, "none").image_digest


def test_what_identifies_a_run(store, tmp_path):
    run = run_of(store, tmp_path, features="six")
    features = store.features("d", "six")
    assert run.videos.data["features"] == features.id
    assert run.videos.data["dataset"] == "d"
    assert "decoder" not in run.videos.data
    assert run_of(store, tmp_path).videos.data["decoder"] == f"pyav {decoder_version('pyav')}"
    assert "resizing" not in run_of(store, tmp_path).videos.data
    of_the_paper = run_of(store, tmp_path, replace(SETTINGS, preprocess="paper"))
    # One of before OpenCV resized for the paper had none either, and does not go on.
    assert of_the_paper.videos.data["resizing"] == "opencv-exact"
    assert run.videos.data["digest"] == store.dataset("d").split("train").digest
    assert np.array_equal(
        run.videos.source.targets.argmax(1), store.dataset("d").split("train").labels
    )


@pytest.mark.parametrize(
    ("changes", "kinds", "words"),
    [
        ({"trains": "full"}, {"features": "six"}, "give --trains text"),
        ({}, {"features": "two"}, "--frames 2 or fewer"),
        ({"shots": 2}, {}, "--shots 0"),
        (
            {"jitter": 0.5},
            {"options": replace(OPTIONS, in_memory=True)},
            "leave out --in-memory, or give --crop-scales --jitter 0",
        ),
        (
            {"candidate_frames": 0},
            {"options": replace(OPTIONS, in_memory=True)},
            "--candidate-frames 6, or leave out --in-memory",
        ),
    ],
)
def test_what_does_not_fit_is_refused(store, tmp_path, changes, kinds, words):
    with pytest.raises(UsageError, match=words):
        run_of(store, tmp_path, replace(SETTINGS, **changes), **kinds)


def test_mirroring_classes_that_tell_left_from_right_is_warned_of(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    _warn_of_sides(["Turning left", "leftover"], 0.5)
    assert "1 classes tell left from right, for instance 'Turning left'" in caplog.text
    caplog.clear()
    _warn_of_sides(["Turning left"], 0.0)
    assert not caplog.text


def test_what_has_nothing_to_do_is_told(store, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    idle = replace(OPTIONS, in_memory=True, frame_cache=tmp_path / "frames")
    run_of(store, tmp_path, options=idle, features="six")
    for flag in ("--in-memory", "--frame-cache"):
        assert f"{flag} has nothing to do" in caplog.text
    assert not (tmp_path / "frames").exists()


def test_embeddings_of_another_tower_are_refused(store, tmp_path, monkeypatch):
    start = load_model(MODEL, "none")
    with torch.no_grad():
        start.clip.visual.proj.mul_(2)
    start.image_digest = "0" * 64
    monkeypatch.setattr(sys.modules[__name__], "load_model", lambda *_: start)
    with pytest.raises(UsageError, match="another image tower"):
        run_of(store, tmp_path, features="six")


def test_a_split_without_a_readable_video(store, tmp_path):
    run = run_of(store, tmp_path)
    (broken,) = (
        file for file in run.videos.source.files if file.path.read_bytes() == b"not a video"
    )
    source = replace(run.videos.source, files=[broken] * 6)
    run.videos = replace(run.videos, source=source)
    with pytest.raises(UsageError, match="none of the 6 videos can be read"):
        train(run)
