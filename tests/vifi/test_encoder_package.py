"""An encoder of another package, as docs/EXTENDING.md shows it: from extract to serve's search."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image
from safetensors.torch import save_file

from tests.vifistore.extract.clips_of_colour import write_colour_clip
from tests.vifistore.models.plugins_package import install_package
from vifi.__main__ import run
from vifi.serving.app import make_app
from vifi.serving.library import Library
from vifistore.models.plugins import plugin_names
from vifistore.store import open_store

CPU = ("--precision", "fp32", "--device", "cpu", "--workers", "1", "--decoder", "pyav")
CLASSES = ("red run", "green run", "blue run")
NONE = ("--model", "moving-colours", "--pretrained", "none")
CLIP, FRAME = "moving-colours@none.8f", "moving_colours-Colours@none.3f"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return install_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Three clips of each of three colours."""
    folder = tmp_path_factory.mktemp("videos")
    for place, name in enumerate(CLASSES):
        for number in range(3):
            write_colour_clip(folder / name / f"{number}.mp4", place, seed=number)
    return folder


@pytest.fixture(scope="module", autouse=True)
def installed(site):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        yield
    sys.modules.pop("moving_colours", None)


@pytest.fixture(scope="module")
def made(tmp_path_factory, videos, installed) -> Path:
    """A store with the sets of both kinds."""
    place = tmp_path_factory.mktemp("made") / "S.zarr"
    assert run(["scan", str(place), str(videos), "--dataset", "d"]) == 0
    common = ("--dataset", "d", "--pretrained", "none", *CPU)
    assert run(["extract", str(place), "--model", "moving-colours", *common]) == 0
    frames = ("--model", "moving_colours:Colours", "--frames", "3")
    assert run(["extract", str(place), *frames, *common]) == 0
    return place


@pytest.fixture
def store(made, tmp_path, monkeypatch) -> Path:
    """A copy of it."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(made, tmp_path / "S.zarr")


def rows_of(capsys, *words: str) -> list[dict]:
    capsys.readouterr()
    assert run([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    return found.get("rows", found)


def test_both_kinds_are_scored_searched_and_drawn(store, tmp_path, capsys):
    dataset = open_store(store).dataset("d")
    assert dataset.features(CLIP).frames.shape == (9, 1, 1, 6)
    assert dataset.features(FRAME).frames.shape == (9, 1, 3, 6)
    assert dataset.features(CLIP).recipe["kind"] == "clip"
    for name in (CLIP, FRAME):
        words = ("evaluate", str(store), "zero-shot", "--dataset", "d", "--features", name)
        rows = rows_of(capsys, *words)
        top1 = [row for row in rows if row["metric"] == "top1"]
        assert [row["value"] for row in top1] == [1.0]
        ablated = rows_of(capsys, "ablate", str(store), "--dataset", "d", "--features", name)
        assert {row["metric"] for row in ablated} >= {"top1"}
        found = rows_of(capsys, "search", str(store), "something blue", "--features", name)
        assert "blue run" in json.dumps(found)
    out = tmp_path / "map"
    words = ("tsne", str(store), "--dataset", "d", "--features", CLIP, "--out", str(out))
    assert run([*words, "--perplexity", "2"]) == 0
    assert list(tmp_path.glob("map*"))
    assert run(["verify", str(store)]) == 0


def test_fusions_that_are_equal_are_refused_or_left_out(store, capsys):
    words = (str(store), "--dataset", "d", "--features")
    assert run(["evaluate", words[0], "zero-shot", *words[1:], CLIP, "--fusion", "decision"]) == 2
    said = capsys.readouterr().err
    assert "gives one of each, so that all fusions are equal; give --fusion embedding" in said
    assert len(said.strip().splitlines()[-1]) < 400
    each = ("--fusion", "each-template")
    assert run(["evaluate", words[0], "zero-shot", *words[1:], CLIP, *each]) == 0
    scored = rows_of(capsys, "ablate", *words, CLIP)
    assert {row["fusion"] for row in scored} == {"embedding"}
    assert all(row["provenance"]["one_embedding"] for row in scored)
    assert run(["ablate", *words, CLIP, "--fusion", "image"]) == 2
    assert run(["ablate", *words, CLIP]) == 0
    assert "fusions are equal, so embedding alone is scored" in capsys.readouterr().err
    scored = rows_of(capsys, "ablate", *words, FRAME)
    assert {row["fusion"] for row in scored} == {"embedding", "decision", "image"}


def test_a_view_of_one_embedding_has_no_moments(store, capsys):
    words = ("classify", str(store), "--labels", "red run,blue jumps far", "--features")
    assert run([*words, CLIP, "--frames"]) == 2
    assert "which has no moments; leave out --frames" in capsys.readouterr().err
    assert run([*words, CLIP]) == 0


def test_frames_that_were_seen_together_cannot_be_left_out(store, capsys):
    words = ("ablate", str(store), "--dataset", "d", "--frames", "1", "--features")
    assert run([*words, CLIP]) == 2
    assert "sees 8 frames of a view together" in capsys.readouterr().err
    assert run([*words, FRAME]) == 0


def test_info_tells_the_kind(store, capsys):
    assert run(["info", str(store)]) == 0
    said = capsys.readouterr().out
    assert "8 frames seen together (kind clip), an embedding of them, 6 dimensions" in said
    assert ", 3 frames, 6 dimensions" in said


@pytest.mark.parametrize("name", [CLIP, FRAME])
def test_a_picture_finds_videos_of_its_colour(store, tmp_path, capsys, monkeypatch, name):
    monkeypatch.setenv("VIFI_ENCODERS", "moving_colours:Colours")
    Image.new("RGB", (64, 48), (10, 200, 10)).save(tmp_path / "green.png")
    hits = rows_of(capsys, "search", str(store), "--image", "green.png", "--features", name)
    assert "green run" in json.dumps(hits["hits"][0])


def test_the_page_of_serve_finds_by_words(store):
    library = Library(open_store(store))
    library.features, library.dataset = CLIP, "d"
    client = TestClient(make_app(library), base_url="http://127.0.0.1:8765")
    library.start()
    found = client.get("/api/search", params={"q": "something blue"})
    assert found.status_code == 200
    assert "blue run" in json.dumps(found.json()["hits"][0])


def test_the_default_texts_are_encoded_once_and_found(store, capsys):
    found = list(open_store(store).find_texts(class_names=sorted(CLASSES)))
    assert len(found) == 2
    assert {texts["context_length"] for texts in found} == {0}


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(store, tmp_path, videos, site):
    place = tmp_path / "killed.zarr"
    assert run(["scan", str(place), str(videos), "--dataset", "d"]) == 0
    words = ("--dataset", "d", "--model", "moving-colours", "--pretrained", "none", *CPU)
    path = os.pathsep.join([str(site), str(Path(__file__).parents[2])])
    command = [sys.executable, "-m", "vifi", "extract", str(place), *words]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
    deadline = time.monotonic() + 60
    # Its checkpoint is in the store once it begins to encode.
    while not list(place.glob("checkpoints/*/zarr.json")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run(["extract", str(place), *words]) == 0
    first, second = (open_store(p).features("d", CLIP) for p in (store, place))
    assert second.sealed == first.sealed
    for name in ("frames", "view_mean", "timestamps"):
        np.testing.assert_array_equal(first.read(name), second.read(name))


def test_other_weights_are_another_set(store, tmp_path, capsys):
    generator = torch.Generator().manual_seed(0)
    weight = torch.eye(6) + 0.01 * torch.randn(6, 6, generator=generator)
    save_file({"weight": weight, "bias": torch.full((6,), 0.1)}, tmp_path / "tuned.safetensors")
    words = ("extract", str(store), "--dataset", "d", "--model", "moving-colours", *CPU)
    assert run([*words, "--pretrained", "tuned.safetensors"]) == 0
    tuned = open_store(store).features("d", "moving-colours@tuned.8f")
    assert tuned.id != open_store(store).features("d", CLIP).id
    # It is found again from another folder.
    checkpoint = open_store(store).checkpoint(tuned.checkpoint)
    assert checkpoint["weights_path"] == str(tmp_path / "tuned.safetensors")
    assert (checkpoint["kind"], checkpoint["num_frames"]) == ("clip", 8)


def test_classes_that_it_cannot_tell_apart_are_refused(tmp_path, videos, capsys):
    folder = tmp_path / "videos"
    for name in ("slow walk", "fast walk"):
        write_colour_clip(folder / name / "a.mp4", 0, seed=len(name))
    place = tmp_path / "S.zarr"
    assert run(["scan", str(place), str(folder), "--dataset", "d"]) == 0
    words = ("--dataset", "d", *NONE)
    assert run(["texts", str(place), *words]) == 2
    assert "'fast walk' and 'slow walk' are read as the same" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("train", "few_shot", "--split", "all", "--out", "run", "--shots", "0", *NONE),
        ("train-head", "--split", "all", "--head", "actionclip-transf", "--features", FRAME),
        ("attention", "--checkpoints", CLIP, "--videos", "red run/0.mp4", "--out", "maps"),
    ],
)
def test_what_only_openclips_models_can_do_refuses_it(store, capsys, monkeypatch, words):
    monkeypatch.setenv("VIFI_ENCODERS", "moving_colours:Colours")
    verb, *flags = words
    place = (*flags[:1], "S.zarr") if verb == "train" else ("S.zarr", flags[0])
    assert run([verb, *place, *flags[1:], "--dataset", "d"]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "models of OpenCLIP that see frames one by one" in said
    assert len(said) < 400


def test_a_folder_of_its_weights_is_followed(store, tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    weight = torch.eye(6) + 0.02 * torch.ones(6, 6)
    save_file({"weight": weight, "bias": torch.full((6,), 0.1)}, folder / "step-1.safetensors")
    words = ("watch", str(folder), str(store), "--dataset", "d", "--model", "moving-colours")
    assert run([*words, "--once", *CPU]) == 0
    found = open_store(store).features("d", "moving-colours@step-1.8f")
    assert found.frames.shape == (9, 1, 1, 6)
    assert found.id != open_store(store).features("d", CLIP).id


def test_a_store_alone_has_no_code_run(store, capsys, monkeypatch):
    """Not that of an encoder that it names, nor any other that could be imported."""
    monkeypatch.setattr(plugin_names, "_called", set())
    words = ["search", str(store), "red", "--features", FRAME]
    assert run(words) == 1
    said = capsys.readouterr().err
    assert "code that a file names is not run" in said
    assert len(said.strip().splitlines()[-1]) < 400
    monkeypatch.setenv("VIFI_ENCODERS", "others:make, moving_colours:Colours")
    assert run(words) == 0
    # An entry point is installed to be used.
    assert run(["search", str(store), "red", "--features", CLIP]) == 0


def test_a_name_that_does_not_exist_is_told_with_those_of_packages(store, capsys):
    words = ("extract", str(store), "--dataset", "d", "--pretrained", "none")
    assert run([*words, "--model", "moving-colour"]) == 2
    assert "moving-colours" in capsys.readouterr().err
