"""Encoders of transformers through the verbs: extracted, gone on with, scored, found, drawn."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from harness.results import read_rows
from tests.vifistore.extract.conftest import write_clip
from tests.vifistore.models.hf_folders import write_folder
from vifi.__main__ import run
from vifi.serving.app import make_app
from vifi.serving.library import Library
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.preprocess import preprocess, preprocessing_of
from vifistore.models.towers import load_model
from vifistore.store import open_store

pytest.importorskip("transformers")
FAST = "--frames 4 --workers 1 --device cpu --precision fp32"


def vifi(line: str) -> int:
    return run(shlex.split(line))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    top = tmp_path_factory.mktemp("world")
    for name in ("siglip", "videoprism"):
        write_folder(top / name, name)
    for number in range(6):
        write_clip(top / "videos" / ("run", "jump")[number % 2] / f"{number}.mp4", seed=number)
    return top


@pytest.mark.parametrize("name", ["siglip", "videoprism"])
def test_from_videos_to_numbers(world, tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    assert vifi(f"scan S.zarr {world / 'videos'} --dataset d") == 0
    extract = f"extract S.zarr --dataset d --model hf:{world / name} --name m {FAST}"
    assert vifi(f"{extract} --limit 1 --json") in (0, 2, 3)
    assert vifi(f"{extract} --json") == 0
    capsys.readouterr()
    assert vifi(f"{extract} --json") == 0
    assert json.loads(capsys.readouterr().out)["encoded"] == 0
    features = open_store("S.zarr").features("d", "m")
    loaded = load_model(f"hf:{world / name}", "")
    check_embeddings(features, loaded)
    score = "--dataset d --features m --results out"
    assert vifi(f"evaluate S.zarr zero-shot {score}") == 0
    assert vifi(f"ablate S.zarr {score}") == 0
    assert vifi(f"evaluate S.zarr zero-shot {score} --template 'a video of {{}}'") == 0
    rows = [row for row in read_rows("out") if row.metric == "top1"]
    rows = [row for row in rows if row.protocol == "zero-shot"]
    assert {row.provenance.get("link") for row in rows} == {{"siglip": "sigmoid"}.get(name)}
    assert {row.template for row in rows} == {"a photo of a {}.", "a video of {}"}
    assert vifi("search S.zarr 'the red run' --dataset d --features m -k 2") == 0
    assert vifi("search S.zarr --dataset d --features m --like run/0.mp4 -k 2") == 0
    assert vifi("tsne S.zarr --dataset d --features m --out tsne.png") == 0
    assert vifi("verify S.zarr") == 0
    check_page()


def check_page():
    """The page finds by words and by a video."""
    library = Library(open_store("S.zarr"))
    client = TestClient(make_app(library), base_url="http://127.0.0.1:8765")
    # Behind it: what loads in its thread has warnings silenced, which are the process's.
    library.start()
    for asked in ({"q": "the red run"}, {"of": "d", "row": 0}):
        found = client.get("/api/search", params={**asked, "k": 2}).json()
        assert len(found.get("hits", [])) == 2, found


def check_embeddings(features, loaded):
    """What the store holds is what the model makes of these frames' pixels."""
    videos = features.dataset.videos()
    recipe = preprocessing_of("openclip", loaded.preprocess_config, 1)
    for row, path in enumerate(videos["path"]):
        file, decoder = Path(features.dataset.root()) / path, features.recipe["decoder"]
        video = decode_video(file, frames=4, clips=1, decoder=decoder)
        pixels = preprocess(torch.from_numpy(video.frames), recipe, 1)[0]
        with torch.inference_mode():
            expected = loaded.image_tower(pixels[None] if loaded.kind == "clip" else pixels)
        np.testing.assert_allclose(features.frames[row, 0], expected, atol=2e-3)
