"""Checkpoints say what they were trained with, and on exactly those videos that had been read."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.vifistore.training.conftest import CLASSES, MODEL, tiny_model
from tests.vifistore.training.test_run import Stopped, stopping
from tests.vifistore.training.test_training_split import OPTIONS, SETTINGS, run_of, store  # noqa: F401
from vifistore.frames.digests import content_digest
from vifistore.models.checkpoint_files import read_header
from vifistore.models.registry import open_clip
from vifistore.models.towers import load_model
from vifistore.store.identity import Identity, TunedOn, packed
from vifistore.training.run import Run, train
from vifistore.training.training_data import TrainingSet

TRAIN = TunedOn(dataset="d", split="train")
LAST = "step-00000004.safetensors"


def identity_of(folder: Path, name: str = LAST) -> Identity:
    return read_header(folder / name).identity


@pytest.mark.parametrize("way", ["videos", "all frames", "cache", "cached", "memory", "store"])
def test_what_was_read_by_whatever_way(store, tmp_path, way):  # noqa: F811
    settings, options, kinds = SETTINGS, OPTIONS, {}
    if way == "all frames":
        settings = replace(SETTINGS, candidate_frames=0)
    elif way.startswith("cache"):
        options = replace(OPTIONS, frame_cache=tmp_path / "frames")
    elif way == "memory":
        options = replace(OPTIONS, in_memory=True)
    elif way == "store":
        kinds = {"features": "six"}
    if way == "cached":
        # The second run finds every frame in the cache.
        train(run_of(store, tmp_path / "first", settings, options))
    train(run_of(store, tmp_path / "out", settings, options, **kinds))
    found = identity_of(tmp_path / "out")
    paths = [store.dataset("d").root() / path for path in store.videos("d")["path"]]
    readable = [path for path in paths if path.read_bytes() != b"not a video"]
    assert len(readable) == 5
    names = tuple(store.dataset("d").class_names())
    own = replace(TRAIN, class_names=names, videos=packed(map(content_digest, readable)))
    assert found.tuned_on == (own,)
    assert (found.templates, found.cleaning) == (("a photo of a {}.",), "as-is")
    assert found.sampling == {"rule": "segment-centre", "frames": 3}
    assert found.preprocessing["family"] == "openclip"
    assert found.assumed == ()
    # The JSON beside it is for readers.
    said = json.loads((tmp_path / "out" / LAST).with_suffix(".json").read_text())
    assert said["tuned_on"] == [own.summary]
    assert said["digest"] == read_header(tmp_path / "out" / LAST).digest
    assert load_model(MODEL, str(tmp_path / "out" / LAST)).identity == found


def test_a_stopped_run_says_the_same(trained, data, tmp_path):
    known = replace(data, digests={row: f"{row:016x}" for row in range(12)})
    trained(out="whole", source=known, tuned_on=TRAIN)
    with pytest.raises(Stopped):
        trained(out="parts", source=stopping(known, 2), tuned_on=TRAIN)
    halfway = identity_of(tmp_path / "parts", "step-00000002.safetensors")
    # Two steps of six videos are an epoch; the run goes on from a checkpoint that knows them all.
    assert halfway.tuned_on[0].num_videos == 12
    later = replace(known, digests={})
    trained(out="parts", source=later, tuned_on=TRAIN)
    assert identity_of(tmp_path / "parts") == identity_of(tmp_path / "whole")


def test_a_checkpoint_amid_an_epoch_was_trained_on_what_it_has_seen(trained, data, tmp_path):
    known = replace(data, digests={row: f"{row:016x}" for row in range(12)})
    options = replace(OPTIONS, checkpoint_every=1)
    trained(source=known, tuned_on=TRAIN, options=options, warmup_epochs=0.0)
    counts = [
        identity_of(tmp_path / "out", f"step-0000000{step}.safetensors").tuned_on[0].num_videos
        for step in (1, 2, 3, 4)
    ]
    assert counts == [6, 12, 12, 12]


def test_weights_that_are_still_the_start_have_learned_nothing(trained, data, tmp_path):
    """Warm-up begins at a rate of 0: else the start would be known as tuned, for its digest."""
    known = replace(data, digests={row: f"{row:016x}" for row in range(12)})
    options = replace(OPTIONS, checkpoint_every=1)
    start, _ = trained(source=known, tuned_on=TRAIN, options=options)
    first, second = (
        read_header(tmp_path / "out" / f"step-0000000{step}.safetensors") for step in (1, 2)
    )
    assert (first.digest, first.identity) == (start.digest, start.identity)
    assert second.digest != start.digest
    assert second.identity.tuned_on[0].num_videos == 12


def test_a_line_of_trainings_keeps_all_it_was_tuned_on(trained, data, tmp_path):
    known = replace(data, digests={row: f"{row:016x}" for row in range(12)})
    trained(out="first", source=known, tuned_on=TRAIN, num_frames=1)
    start = load_model(MODEL, str(tmp_path / "first" / LAST))
    other = replace(TRAIN, dataset="other")
    trained(out="second", source=known, tuned_on=other, start=start, template="{}")
    found = identity_of(tmp_path / "second")
    assert [entry.name for entry in found.tuned_on] == ["d/train", "other/train"]
    assert (found.templates, found.frames) == (("{}",), 2)
    again = load_model(MODEL, str(tmp_path / "second" / LAST))
    trained(out="third", source=known, tuned_on=TRAIN, start=again)
    assert len(identity_of(tmp_path / "third").tuned_on) == 2


def test_the_preprocessing_of_the_start_is_kept(data, tmp_path):
    start = tiny_model()
    own = {"mean": (0.0, 0.1, 0.2), "std": (1.0, 1.0, 0.5), "interpolation": "bilinear"}
    known = {**start.preprocess_config, **own, "resize_mode": "squash"}
    open_clip.set_model_preprocess_cfg(start.clip, known)
    for family in ("openclip", "paper"):
        settings = replace(SETTINGS, trains="full", preprocess=family, candidate_frames=0)
        videos = TrainingSet(source=data, class_names=CLASSES)
        train(Run(start=start, videos=videos, settings=settings, out=tmp_path / family))
    last = "step-00000006.safetensors"
    plain = load_model(MODEL, str(tmp_path / "openclip" / last))
    assert plain.identity.preprocessing["resize_mode"] == "squash"
    paper = load_model(MODEL, str(tmp_path / "paper" / last))
    assert paper.identity.preprocessing["family"] == "paper"
    assert paper.identity.preprocessing["mean"] == pytest.approx([0.485, 0.456, 0.406], abs=1e-3)
    for loaded in (plain, paper):
        # What the tower itself was made for is not lost by training it on others.
        assert {key: tuple(loaded.preprocess_config[key]) for key in ("mean", "std")} == {
            key: own[key] for key in ("mean", "std")
        }
    # What are no videos of a dataset is no tuning, and has neither frames nor names of classes.
    assert plain.identity.tuned_on == ()
    assert (plain.identity.templates, plain.identity.frames) == ((), 0)
