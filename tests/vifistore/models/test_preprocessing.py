"""A tag's own pixels go with its weights: as a tag, as a file, and tuned from either."""

import logging
from dataclasses import replace

import pytest
import torch

from vifistore.errors import ModelError, UsageError
from vifistore.extract.extract_settings import ExtractSettings, PixelSettings
from vifistore.extract.origin import say_preprocessing
from vifistore.extract.recipes import preprocessing_for, resolve_recipe
from vifistore.models.registry import open_clip
from vifistore.models.skeletons import new_model
from vifistore.models.towers import load_model

TINY = "vifi-tiny"
OWN = {
    "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
    "interpolation": "bilinear",
    "resize_mode": "squash",
}
OTHER = {**OWN, "mean": (0.5, 0.5, 0.5)}
SETTINGS = ExtractSettings(model=TINY, pretrained="", precision="fp32", device="cpu")


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "bare.pt"
    torch.save(new_model(TINY, 1).state_dict(), path)
    return path


@pytest.fixture
def tags(monkeypatch, weights):
    """Give the tiny model tags of these entries, all with the same weights."""

    def call(**entries) -> None:
        known = {tag: {"url": "", "hf_hub": "", **entry} for tag, entry in entries.items()}
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, TINY, known)
        monkeypatch.setattr(open_clip.factory, "download_pretrained", lambda *_, **__: str(weights))

    return call


def config(loaded) -> dict:
    return {key: loaded.preprocess_config[key] for key in OWN}


def line(loaded, settings=SETTINGS) -> str:
    """What the log says of the preprocessing."""
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("vifi")
    logger.addHandler(handler)
    level, logger.level = logger.level, logging.INFO
    try:
        say_preprocessing(settings, preprocessing_for(settings, loaded, 1), loaded)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    (only,) = said
    return only


def test_of_a_tag_by_its_entry(tags):
    tags(own=OWN, other=OTHER)
    loaded = load_model(TINY, "own")
    assert config(loaded) == OWN
    assert loaded.identity.assumed == ()
    said = line(loaded)
    assert said.startswith("preprocessing openclip (mean 0 0 0, std 1 1 1, bilinear, squash, 32")
    assert f"OpenCLIP's entry for {TINY} own; --preprocess, --mean" in said
    recipe = resolve_recipe(SETTINGS, loaded)
    assert (recipe.preprocessing.resize_mode, recipe.preprocessing.mean) == ("squash", (0, 0, 0))


def test_of_a_bare_file_by_tags_that_agree(tags, weights):
    tags(own=OWN, again=OWN)
    loaded = load_model(TINY, str(weights))
    assert config(loaded) == OWN
    assert "which OpenCLIP has for every tag of vifi-tiny, since the file does not say" in line(
        loaded
    )
    # The same pixels by whatever way, and so one feature set.
    ids = {resolve_recipe(SETTINGS, load_model(TINY, name)).id for name in ("own", str(weights))}
    assert len(ids) == 1


def test_of_a_bare_file_it_is_assumed_where_tags_differ(tags, weights):
    default = config(load_model(TINY, "none"))
    tags(own=OWN, other=OTHER)
    loaded = load_model(TINY, str(weights))
    assert config(loaded) == default
    assert "assumed: OpenCLIP's default, since its tags of vifi-tiny differ; --preproc" in line(
        loaded
    )
    assert loaded.identity.assumed == ("preprocessing",)
    stated = PixelSettings(**OWN)
    assert "as asked for" in line(loaded, stated)
    # One image digest with two preprocessings is two recipes.
    plain, other = (
        resolve_recipe(ExtractSettings(**{**vars(SETTINGS), **vars(pixels)}), loaded)
        for pixels in (PixelSettings(), stated)
    )
    assert plain.image_digest == other.image_digest
    assert plain.id != other.id
    assert other.id == resolve_recipe(SETTINGS, load_model(TINY, "own")).id


@pytest.mark.parametrize(
    ("model", "own"),
    [
        ("MobileCLIP-S1", ("bilinear", "shortest", 0.0)),
        ("ViT-B-16-SigLIP", ("bicubic", "squash", 0.5)),
        ("ViT-L-14-CLIPA", ("bilinear", "squash", 0.485)),
        ("ViT-B-32", ("bicubic", "shortest", 0.48145466)),
    ],
)
def test_what_openclip_knows_of_models_that_people_have(model, own):
    """All tags of these models agree."""
    entries = [
        open_clip.get_pretrained_cfg(model, tag)
        for tag in open_clip.list_pretrained_tags_by_model(model)
    ]
    assert {(e["interpolation"], e["resize_mode"], e["mean"][0]) for e in entries} == {own}


def test_tags_of_vit_l_14_differ():
    tags = open_clip.list_pretrained_tags_by_model("ViT-L-14")
    assert len({open_clip.get_pretrained_cfg("ViT-L-14", tag)["mean"] for tag in tags}) == 2


def test_vifi_clips_files_are_of_the_papers_pixels(tmp_path, monkeypatch):
    """Its code trains on nothing else; which names its texts had depends on learned prompts."""
    state = new_model(TINY, 1).state_dict()
    torch.save(state, tmp_path / "tokens.pt")
    del state["token_embedding.weight"]
    renamed = {
        (f"image_encoder.{key[7:]}" if key.startswith("visual.") else f"text_encoder.{key}"): value
        for key, value in state.items()
        if key != "logit_scale"
    }
    path = tmp_path / "vifi.pth"
    torch.save({"model": {**renamed, "logit_scale": state["logit_scale"]}}, path)
    with pytest.raises(ModelError, match="were trained with QuickGELU"):
        load_model(TINY, str(path))
    quick = {**open_clip.get_model_config(TINY), "quick_gelu": True}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "quick", quick)
    loaded = load_model("quick", str(path), token_embedding=str(tmp_path / "tokens.pt"))
    assert loaded.identity.preprocessing["family"] == "paper"
    assert (loaded.identity.templates, loaded.identity.cleaning) == (
        ("a photo of a {}.",),
        "as-is",
    )
    assert preprocessing_for(PixelSettings(), loaded, 1).name == "paper"
    assert preprocessing_for(PixelSettings(preprocess="openclip"), loaded, 1).name == "openclip"
    assert "ViFi-CLIP's; --preprocess" in line(loaded, PixelSettings())


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"preprocess": "mine"}, "--preprocess is 'mine'; give one of openclip, paper"),
        ({"std": (0.5, 0.0, 0.5)}, "--std is"),
        ({"mean": (float("nan"), 0.0, 0.0)}, "--mean is"),
        ({"interpolation": "nearest"}, "give one of bicubic, bilinear"),
        ({"resize_mode": "longest"}, "give one of shortest, squash"),
        ({"preprocess": "paper", "resize_mode": "squash"}, "has no meaning for --preprocess paper"),
    ],
)
def test_wrong_parts_are_refused(flags, told):
    with pytest.raises(ValueError, match=told):
        PixelSettings(**flags)


def test_parts_of_the_papers_own():
    loaded = load_model(TINY, "none")
    mean = (0.1, 0.2, 0.3)
    found = preprocessing_for(PixelSettings(preprocess="paper", mean=mean), loaded, 1)
    assert (found.name, found.mean, found.antialias) == ("paper", mean, False)
    assert found.short_side > found.size
    with pytest.raises(UsageError, match="paper resizes bilinear"):
        preprocessing_for(PixelSettings(preprocess="paper", interpolation="bicubic"), loaded, 1)
    # And as a header would say it, whose word they then are.
    loaded.identity = replace(loaded.identity, preprocessing=found.for_identity(OWN))
    assert preprocessing_for(PixelSettings(), loaded, 1) == found
    assert preprocessing_for(PixelSettings(preprocess="openclip"), loaded, 1).mean != mean
