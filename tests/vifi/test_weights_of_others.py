"""Checkpoints of others through the verbs: extracted, scored and found again by what was taken."""

import json
import shlex

import numpy as np
import pandas as pd
import pytest
import torch

from harness.fusion import unit
from harness.results import read_rows
from tests.vifistore.extract.conftest import write_clip
from tests.vifistore.models.tiny_models import register
from vifi.__main__ import run
from vifistore.models import openclip_model
from vifistore.models.checkpoint_files import read_header
from vifistore.models.skeletons import new_model
from vifistore.models.towers import load_model
from vifistore.store import open_store
from vifistore.store.problems import extract_command

TINY = "vifi-tiny"


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    register(tmp_path_factory.mktemp("configs"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(4):
        write_clip(folder / ("run", "jump")[number % 2] / f"{number}.mp4", seed=number)
    return folder


@pytest.fixture
def store(tmp_path, videos, monkeypatch):
    """An empty folder with `S.zarr`, and `run.pt`: weights, and their average."""
    monkeypatch.chdir(tmp_path)
    assert vifi(f"scan S.zarr {videos} --dataset d") == 0
    state, average = (new_model(TINY, seed).state_dict() for seed in (3, 4))
    torch.save({"model": state, "model_ema": average}, "run.pt")
    return tmp_path / "S.zarr"


def vifi(line: str) -> int:
    return run(line.split())


FAST = "--frames 2 --workers 1 --device cpu --precision fp32"
EXTRACT = f"extract S.zarr --dataset d {FAST}"


def names(store) -> list[str]:
    opened = open_store(store)
    return sorted(
        n for f in opened.dataset("d").feature_ids() for n in opened.features("d", f).names
    )


def test_an_average_is_another_checkpoint_and_is_found_again(store, capsys):
    for flag in ("", "--ema-weights"):
        assert vifi(f"{EXTRACT} --model {TINY} --pretrained run.pt {flag}") == 0
    assert names(store) == [f"{TINY}@run-ema.2f", f"{TINY}@run.2f"]
    found = {c["names"][0]: c for c in open_store(store).checkpoints()}
    torch.save(new_model(TINY, 4).state_dict(), "average.pt")
    assert found["run-ema"]["digest"] == load_model(TINY, "average.pt").digest
    # A template that is not there yet has the text tower loaded again, from the average.
    score = f"evaluate S.zarr zero-shot --dataset d --features {TINY}@run-ema.2f --template"
    assert run([*score.split(), "a {}"]) == 0
    assert vifi(f"texts S.zarr --dataset d --model {TINY} --pretrained run.pt --ema-weights") == 0
    digest = found["run-ema"]["text_digest"]
    assert len(open_store(store).find_texts(text_digest=digest)) == 2


def test_an_average_that_was_converted_is_a_file_like_any_other(store, capsys):
    assert vifi(f"convert run.pt own.safetensors --model {TINY} --ema-weights") == 0
    assert read_header(store.parent / "own.safetensors").name == "run-ema"
    assert vifi(f"{EXTRACT} --model {TINY} --pretrained own.safetensors") == 0
    score = f"evaluate S.zarr zero-shot --dataset d --features {TINY}@run-ema.2f --template"
    assert run([*score.split(), "a {}"]) == 0


def test_another_picture_size_is_another_set_and_is_found_again(store, videos, capsys):
    for size in (0, 32, 48):
        name = f"--name of-{size}"
        code = vifi(f"{EXTRACT} --model {TINY} --pretrained run.pt --image-size {size} {name}")
        assert code == 0
    ids = {n: open_store(store).features("d", f"of-{n}").id for n in (0, 32, 48)}
    assert ids[0] == ids[32] != ids[48]
    recipe = open_store(store).features("d", "of-48").recipe
    assert recipe["preprocessing"]["size"] == 48
    from PIL import Image

    Image.new("RGB", (64, 48), (200, 30, 30)).save("red.png")
    capsys.readouterr()
    assert vifi("search S.zarr --features of-48 --image red.png -k 2 --json") == 0
    assert len(json.loads(capsys.readouterr().out)["hits"]) == 2


@pytest.mark.parametrize(
    "flags",
    [
        *("", "--ema-weights --image-size 48", "--preprocess paper"),
        *("--preprocess paper --mean 0.4 0.5 0.6", "--std 0.2 0.25 0.3 --resize-mode squash"),
    ],
)
def test_the_command_that_mends_a_set_makes_the_same_set(store, flags):
    """Else verify would have another one made, and leave the damaged one."""
    assert vifi(f"{EXTRACT} --model {TINY} --pretrained run.pt {flags}") == 0
    opened = open_store(store)
    (made,) = opened.dataset("d").feature_ids()
    _, *words = shlex.split(extract_command(opened.dataset("d"), opened.features("d", made).recipe))
    assert run(words) == 0
    assert open_store(store).dataset("d").feature_ids() == [made]


def test_a_folder_of_others_is_followed_with_the_same_flags(store, capsys):
    (store.parent / "runs").mkdir()
    state = new_model(TINY, 5).state_dict()
    lightning = {"state_dict": {f"model.{key}": value for key, value in state.items()}}
    torch.save(lightning, store.parent / "runs" / "last.ckpt")
    watch = f"watch runs S.zarr --dataset d --once --model {TINY} {FAST} --image-size 48"
    assert vifi(watch) == 0
    (found,) = open_store(store).checkpoints()
    assert (found["names"], found["config"]["vision_cfg"]["image_size"]) == (["last"], 48)
    assert "1 reused" not in capsys.readouterr().out


@pytest.mark.parametrize("model", ["vifi-test-hub", "vifi-test-siglip"])
def test_pictures_are_encoded_where_texts_cannot_be(store, capsys, model):
    assert vifi(f"{EXTRACT} --model {model} --pretrained none") == 0
    said = capsys.readouterr()
    assert "sealed" in said.out
    (line,) = [line for line in said.err.splitlines() if "no text embeddings of d" in line]
    assert f"pictures are encoded: the texts of {model} need " in line
    features = open_store(store).features("d", f"{model}@random.2f")
    assert features.counts()["done"] == 4
    score = f"evaluate S.zarr zero-shot --dataset d --features {model}@random.2f"
    for line in (score, f"texts S.zarr --dataset d --model {model} --pretrained none"):
        assert vifi(line) == 1
        told = capsys.readouterr().err.strip().splitlines()[-1]
        assert told.startswith(f"vifi: the texts of {model} need ")
        assert len(told) <= 406
    assert vifi(f"search S.zarr --features {model}@random.2f --like run/0.mp4 -k 1") == 0


def test_coca_is_extracted_and_scored(store, capsys):
    assert vifi(f"{EXTRACT} --model vifi-test-coca --pretrained none") == 0
    features = "vifi-test-coca@random.2f"
    assert vifi(f"evaluate S.zarr zero-shot --dataset d --features {features}") == 0
    assert f"{features} d all embedding top1" in capsys.readouterr().out


def test_a_model_is_trained_for_pictures_of_another_size(store, capsys):
    train = f"train few_shot S.zarr --dataset d --model {TINY} --pretrained run.pt --image-size 48"
    sizes = "--epochs 1 --warmup-epochs 0 --frames 2 --candidate-frames 2 --shots 0"
    sizes += " --batch-size 4 --micro-batch 4 --workers 1 --decoder pyav"
    assert vifi(f"{train} --out out {sizes} --device cpu --json") == 0
    last = json.loads("{" + capsys.readouterr().out.partition("{")[2])["checkpoint"]
    assert read_header(store.parent / last).config["vision_cfg"]["image_size"] == 48
    assert vifi(f"{EXTRACT} --model {TINY} --pretrained {last}") == 0


SIGLIP = f"{EXTRACT} --model {TINY} --pretrained siglip.pt"


@pytest.fixture
def siglip(store):
    """Weights of a CLIP with the bias of a sigmoid; the scale is that of random weights, 14.3."""
    state = new_model(TINY, 3).state_dict()
    torch.save({**state, "logit_bias": torch.tensor(-10.0)}, "siglip.pt")
    return store


def scored(name: str, template: str = "a.video.of.{}"):
    """The rows of a new results folder."""
    score = f"evaluate S.zarr zero-shot --dataset d --features {name} --fusion image"
    words = shlex.join(["--template", template.replace(".", " ")])
    options = f"--results {name}-{template} --predictions {name}.csv"
    assert run(shlex.split(f"{score} {words} {options}")) == 0
    return read_rows(f"{name}-{template}")


def test_a_sigmoid_is_scored_as_such(siglip, capsys):
    assert vifi(f"{SIGLIP} --name siglip") == 0
    rows = scored("siglip")
    assert "the checkpoint was trained with a sigmoid" not in capsys.readouterr().err
    assert {row.provenance["link"] for row in rows} == {"sigmoid"}
    features = open_store(siglip).features("d", "siglip")
    checkpoint = features.store.checkpoint(features.checkpoint)
    assert checkpoint["logit_bias"] == -10.0
    (texts,) = features.store.find_texts(logit_bias=-10.0, templates=["a video of {}"])
    classes = unit(features.store.texts(texts["id"]).embeddings[:, 0])
    cosines = unit(features.frames[:, 0].astype(np.float64)) @ classes.T
    logits = checkpoint["logit_scale"] * cosines - 10
    expected = np.sort((1 / (1 + np.exp(-logits))).mean(axis=1), axis=1)[:, ::-1]
    table = pd.read_csv("siglip.csv").sort_values("id")
    order = features.dataset.videos()["id"].argsort()
    np.testing.assert_allclose(table[["score_1", "score_2"]], expected[order], rtol=1e-3)


def test_a_set_of_before_goes_on_with_its_softmax(siglip, capsys, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(openclip_model, "_logit_bias", lambda *_: None)
        assert vifi(SIGLIP) == 0
    name = f"{TINY}@siglip.2f"
    capsys.readouterr()
    assert vifi(SIGLIP) == 0
    assert f"{name} goes on with the softmax that it was named for" in capsys.readouterr().err
    assert all("sigmoid" in row.provenance["probabilities"] for row in scored(name))
    told = capsys.readouterr().err
    assert "for its sigmoid run vifi extract with another --name" in told
    assert vifi(f"{SIGLIP} --name siglip --json") == 0
    assert json.loads(capsys.readouterr().out)["encoded"] == 0
    assert {row.provenance["link"] for row in scored("siglip")} == {"sigmoid"}
    assert all("sigmoid" in row.provenance["probabilities"] for row in scored(name, "see.{}"))
    features = [open_store(siglip).features("d", n) for n in (name, "siglip")]
    assert features[0].id == features[1].id
    assert features[0].checkpoint != features[1].checkpoint
    assert vifi("verify S.zarr") == 0
