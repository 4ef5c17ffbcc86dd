"""`vifi train --system actionclip`, and what is made of its checkpoints, from the command line."""

import json
from pathlib import Path

import pytest

from tests.vifi.test_train import arguments_of
from vifi.__main__ import run
from vifi.demo.clips import class_names, write_clips
from vifistore.errors import UsageError
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store
from vifistore.training.systems.known_systems import published_settings

TINY = (
    *("--frames", "4", "--batch-size", "4", "--epochs", "1", "--warmup-epochs", "0"),
    *("--learning-rate", "1e-3", "--decoder", "pyav", "--workers", "1", "--crop-scales", "1.0"),
    *("--jitter", "0", "--grayscale", "0"),
)


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Path:
    """A store with a run of few_shot on four classes, and one of base_to_novel."""
    folder = tmp_path_factory.mktemp("systems")
    write_clips(folder / "videos", class_names()[:4], {"train": 2, "test": 1}, seed=0)
    store = str(folder / "s.zarr")
    splits = ("--split-by", "^(train|test)/", "--halves", "train", "test")
    assert run(["scan", store, str(folder / "videos"), "--dataset", "d", *splits]) == 0
    model = ("--dataset", "d", "--model", "vifi-tiny", "--pretrained")
    for preset, split in (("few_shot", "train"), ("base_to_novel", "base_train")):
        out, own = folder / split, ("--split", split, "--shots", "2", "--system", "actionclip")
        train = ("train", preset, store, *model, "none", *own, "--out", str(out), *TINY)
        assert run([*train, "--name", "actionclip-transf"]) == 0
        (weights,) = out.glob("step-*.safetensors")
        extract = ("extract", store, *model, str(weights), "--decoder", "pyav", "--workers", "1")
        assert run([*extract, "--precision", "fp32", "--name", f"actionclip-transf-{split}"]) == 0
    return folder


def values_of(story: Path, results: Path, *words: str) -> dict[tuple[str, str], float]:
    """Metrics of the rows that a protocol gives, by fusion and metric."""
    protocol, features, *further = words
    evaluate = ("evaluate", str(story / "s.zarr"), protocol, "--dataset", "d")
    given = ("--features", features, "--results", str(results), *further)
    assert run([*evaluate, *given, "--fusion", "embedding", "each-template"]) == 0
    rows = [json.loads(line) for line in (results / "results.jsonl").read_text().splitlines()]
    for row in rows:
        assert row["template"].count(" | ") == 15
        assert row["num_frames"] == 4
    return {(row["fusion"], row["subset"], row["metric"]): row["value"] for row in rows}


def test_views_are_in_the_store_with_their_texts(story):
    store = open_store(story / "s.zarr")
    features = store.features("d", "actionclip-transf-train")
    assert (features.recipe["kind"], features.recipe["outputs"]) == ("clip", 4)
    assert features.frames.shape == (12, 1, 4, 64)
    checkpoint = store.checkpoint(features.checkpoint)
    assert (checkpoint["logit_scale"], checkpoint["num_frames"]) == (100.0, 4)
    assert checkpoint["settings"]["system"] == "actionclip"
    assert list(verify_store(store)) == []


def test_scored_zero_shot_and_few_shot(story, tmp_path):
    for protocol, further in (("zero-shot", ()), ("few-shot", ("--shots", "2"))):
        results, split = tmp_path / protocol, ("--split", "test")
        found = values_of(story, results, protocol, "actionclip-transf-train", *split, *further)
        assert 0 <= found["each-template", "all", "top1"] <= 1
        # Probabilities that are averaged are others than those of averaged texts.
        pair = [found[rule, "all", "calibration_error"] for rule in ("embedding", "each-template")]
        assert pair[0] != pair[1]


def test_scored_base_to_novel(story, tmp_path):
    found = values_of(story, tmp_path / "r", "base-to-novel", "actionclip-transf-base_train")
    assert ("each-template", "all", "harmonic_mean") in found
    assert {subset for _, subset, _ in found} >= {"base", "novel", "joint"}


def test_a_run_is_bridged_from_another_one_and_followed(story, tmp_path):
    (weights,) = (story / "base_train").glob("step-*.safetensors")
    train = ("train", "few_shot", str(story / "s.zarr"), "--dataset", "d", "--split", "train")
    start = ("--model", "vifi-tiny", "--pretrained", str(weights), "--system", "actionclip")
    own = ("--shots", "2", "--out", str(tmp_path / "bridged"), *TINY)
    assert run([*train, *start, *own, "--extract-every", "checkpoint"]) == 0
    (said,) = (tmp_path / "bridged").glob("step-*.json")
    tuned = json.loads(said.read_text())["tuned_on"]
    assert [entry["split"] for entry in tuned] == ["base_train", "train"]
    # Its follower extracted what it left.
    features = open_store(story / "s.zarr").features("d", "bridged@step-2")
    assert (features.frames.shape, features.recipe["kind"]) == ((12, 1, 4, 64), "clip")


def test_settings_of_the_command_are_those_of_the_system():
    wanted = arguments_of("few_shot", "--system", "actionclip", "--shots", "4").settings
    assert wanted == published_settings("few_shot", "actionclip", dataset="d", shots=4)
    assert (
        arguments_of("few_shot", "--system", "actionclip", "--batch-size", "8").settings != wanted
    )
    with pytest.raises(UsageError, match="is of ViFi-CLIP alone"):
        arguments_of("prompt_few_shot", "--system", "actionclip")
    with pytest.raises(UsageError, match="system"):
        arguments_of("few_shot", "--system", "action")


def test_what_cannot_be_is_told_in_one_line(story, tmp_path, capsys):
    train = ("train", "few_shot", str(story / "s.zarr"), "--dataset", "d", "--split", "train")
    start = ("--model", "vifi-tiny", "--pretrained", "none", "--out", str(tmp_path / "o"))
    own = ("--system", "actionclip", "--trains", "text", "--shots", "2")
    assert run([*train, *start, *own]) == 2
    assert "leave out --trains" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
