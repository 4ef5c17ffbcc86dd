"""From `vifi train` to the number: without a flag, what is scored is what was trained."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.vifistore.extract.conftest import write_clip
from vifi.__main__ import run
from vifistore.frames.digests import content_digest
from vifistore.models.openclip_texts import OpenClipTextSide
from vifistore.models.towers import load_model
from vifistore.store import open_store
from vifistore.store.identity import packed

CLASSES = ["ApplyEyeMakeup", "brush_hair"]
TRAINED = ["a photo of a Apply Eye Makeup.", "a photo of a brush hair."]
LAST = "step-00000002.safetensors"
TINY = (
    *("--model", "vifi-tiny", "--pretrained", "none", "--shots", "0", "--frames", "3"),
    *("--batch-size", "4", "--micro-batch", "0", "--epochs", "2", "--warmup-epochs", "0"),
    *("--learning-rate", "1e-3", "--no-mixing", "--decoder", "pyav", "--workers", "1"),
)
CPU = ("--precision", "fp32", "--device", "cpu", "--workers", "1", "--decoder", "pyav")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A store of two clips a class, and two runs of training on them: `plain` and `exact`."""
    folder = tmp_path_factory.mktemp("world")
    for number, label in enumerate(CLASSES * 2):
        write_clip(folder / "videos" / label / f"{number}.mp4", seed=number)
    assert run(["scan", str(folder / "s.zarr"), str(folder / "videos"), "--dataset", "d"]) == 0
    call = ("train", "few_shot", str(folder / "s.zarr"), "--dataset", "d", *TINY)
    assert run([*call, "--out", str(folder / "plain")]) == 0
    assert run([*call, "--out", str(folder / "exact"), "--paper-exact", "--no-drop-last"]) == 0
    return folder


def extract(world: Path, out: str, *flags: str) -> list[str]:
    weights = str(world / out / LAST)
    model = ("--model", "vifi-tiny", "--pretrained", weights)
    return ["extract", str(world / "s.zarr"), "--dataset", "d", *model, *CPU, *flags]


def evaluate(world: Path, name: str, *flags: str) -> list[str]:
    return [
        "evaluate",
        str(world / "s.zarr"),
        "zero-shot",
        "--dataset",
        "d",
        "--features",
        name,
        *flags,
    ]


def texts_of(world: Path, name: str, capsys, *flags: str) -> tuple[dict, dict]:
    """The first row of an evaluation, and the texts that it was scored with."""
    capsys.readouterr()
    assert run(evaluate(world, name, "--json", *flags)) == 0
    row = json.loads(capsys.readouterr().out)["rows"][0]
    return row, open_store(world / "s.zarr").texts(row["text_set"])


def test_the_texts_scored_are_the_texts_trained(world, capsys, monkeypatch):
    assert run(extract(world, "plain", "--name", "plain")) == 0
    said = capsys.readouterr().err
    assert (
        "as plain@step-2 was trained: 3 frames, template “a photo of a {}.”, class names words"
        in said
    )
    row, texts = texts_of(world, "plain", capsys)
    loaded = load_model("vifi-tiny", str(world / "plain" / LAST))
    expected = loaded.text_side.encode(TRAINED)
    np.testing.assert_allclose(texts.embeddings[:, 0], expected, rtol=0, atol=1e-6)
    assert texts.attrs["class_names"] == CLASSES
    assert row["num_frames"] == 3
    assert "not_as_trained" not in row["provenance"]
    # And these are what training tokenised.
    seen = []
    monkeypatch.setattr(
        OpenClipTextSide, "check_lengths", lambda _, texts, tokens: seen.extend(texts)
    )
    call = ("train", "few_shot", str(world / "s.zarr"), "--dataset", "d", *TINY)
    assert run([*call, "--out", str(world / "again"), "--epochs", "1"][:-2]) == 0
    assert seen == TRAINED


def test_it_was_tuned_on_what_is_scored_and_says_so(world, capsys):
    assert run(extract(world, "plain", "--name", "plain")) == 0
    row, _ = texts_of(world, "plain", capsys)
    assert (row["protocol"], row["tuned_on"]) == ("tuned", "d/all")
    assert row["provenance"]["shared_videos"] == row["num_videos"] == 4
    store = open_store(world / "s.zarr")
    (record,) = [c for c in store.checkpoints() if "plain@step-2" in c["names"]]
    (entry,) = store.identity(record["digest"]).tuned_on
    paths = [store.dataset("d").root() / path for path in store.videos("d")["path"]]
    assert entry.videos == packed(map(content_digest, paths))
    assert run(evaluate(world, "plain")) == 0
    captured = capsys.readouterr()
    assert "plain was tuned on 4 of the 4 videos of all (d/all): " in captured.err
    assert (
        "; tuned on d/all, not zero-shot; 4 of the videos are its training videos" in captured.out
    )
    assert run(["info", str(world / "s.zarr")]) == 0
    said = capsys.readouterr().out
    assert (
        ", tuned on d/all (4 videos), 3 frames, preprocessing openclip, “a photo of a {}.”" in said
    )


def test_a_paper_exact_run_is_extracted_with_the_papers_pixels(world, capsys):
    assert run(extract(world, "exact", "--name", "exact")) == 0
    assert "preprocessing paper (mean 0.485 0.456 0.406" in capsys.readouterr().err
    recipe = open_store(world / "s.zarr").features("d", "exact").recipe
    assert (recipe["preprocessing"]["name"], recipe["frames"]) == ("paper", 3)
    assert recipe["preprocessing"]["short_side"] > recipe["preprocessing"]["size"]
    row, texts = texts_of(world, "exact", capsys)
    loaded = load_model("vifi-tiny", str(world / "exact" / LAST))
    # The released code reads names as they are, unless it learns prompts.
    expected = loaded.text_side.encode([f"a photo of a {name}." for name in CLASSES])
    np.testing.assert_allclose(texts.embeddings[:, 0], expected, rtol=0, atol=1e-6)
    assert "not_as_trained" not in row["provenance"]


def test_another_choice_takes_a_flag_and_every_row_says_so(world, capsys):
    flags = ("--frames", "2", "--preprocess", "paper", "--template", "{}", "--class-names", "as-is")
    assert run(extract(world, "plain", "--name", "other", *flags)) == 0
    said = capsys.readouterr().err
    assert "not as plain@step-2 was trained: preprocessing paper, trained with openclip; fr" in said
    # Texts are those of the training again, for evaluation has no flag.
    row, texts = texts_of(world, "other", capsys)
    assert set(row["provenance"]["not_as_trained"]) == {"preprocessing", "frames"}
    assert (row["num_frames"], texts.attrs["cleaning"]) == (2, "words")
    row, texts = texts_of(world, "other", capsys, "--template", "{}", "--class-names", "as-is")
    told = row["provenance"]["not_as_trained"]
    assert told["template"] == "“{}”, trained with “a photo of a {}.”"
    assert told["class_names"] == "as-is, trained with words"
    assert "cleaning" not in texts.attrs
    assert run(evaluate(world, "other", "--class-names", "as-is")) == 0
    assert "; other preprocessing, frames, class names than trained with" in capsys.readouterr().out
    provenance = open_store(world / "s.zarr").features("d", "other").provenance
    assert provenance[0]["not_as_trained"] == {
        "preprocessing": "paper, trained with openclip",
        "frames": "2, trained with 3",
    }


def test_texts_watch_and_search_take_it_too(world, tmp_path, capsys):
    store, weights = str(tmp_path / "s.zarr"), str(world / "plain" / LAST)
    assert run(["scan", store, str(world / "videos"), "--dataset", "d"]) == 0
    model = ("--dataset", "d", "--model", "vifi-tiny", "--pretrained", weights)
    capsys.readouterr()
    assert run(["texts", store, *model]) == 0
    assert ": 2 classes, a photo of a {}., class names words" in capsys.readouterr().out
    (texts,) = open_store(store).find_texts()
    assert texts["cleaning"] == "words"
    watch = ("watch", str(world / "exact"), store, "--dataset", "d", "--once", *CPU)
    assert run(list(watch)) == 0
    sets = [
        open_store(store).features("d", n) for n in open_store(store).dataset("d").feature_ids()
    ]
    assert {s.recipe["preprocessing"]["name"] for s in sets} == {"paper"}
    assert {s.recipe["frames"] for s in sets} == {3}
    # Started again, it knows what it made and loads nothing.
    assert run(list(watch)) == 0
    capsys.readouterr()
    name = "exact@step-2"
    query = ("search", store, "a brush", "--features", name)
    assert run([*query, "--json"]) == 0
    captured = capsys.readouterr()
    assert "asked as “a photo of a a brush.”, as exact@step-2 was trained" in captured.err
    found = {}
    for template in ((), ("--template", "paper"), ("--template", "bare")):
        assert run([*query, "--json", *template]) == 0
        hits = json.loads(capsys.readouterr().out)["hits"]
        found[template] = {hit["id"]: hit["score"] for hit in hits}
    trained, paper, bare = found.values()
    assert trained == paper != bare
    assert run([*query[:2], "--like", "d/x", "--template", "bare", *query[3:]]) == 2
    assert "--template is for queries in words" in capsys.readouterr().err
