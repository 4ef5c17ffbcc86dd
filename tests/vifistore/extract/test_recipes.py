"""What makes another feature set, from the weights to the command line, and what does not."""

import copy
import dataclasses
import shutil

import open_clip
import pytest
import torch

from tests.support import plain_recipe
from tests.vifistore.extract.conftest import scan
from vifistore.extract import recipes
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.extract.prepare import default_names
from vifistore.extract.recipes import resolve_recipe
from vifistore.frames import preprocess
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.openclip_model import describe
from vifistore.models.towers import load_model
from vifistore.store import recipe as recipe_module

SETTINGS = ExtractSettings(
    model="vifi-tiny", pretrained="none", frames=2, precision="fp32", device="cpu", workers=1
)


VIT = {
    "size": 224,
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def id_of(loaded, **changes: object) -> str:
    """Id of the feature set of a model and settings."""
    return resolve_recipe(dataclasses.replace(SETTINGS, **changes), loaded).id


def described(clip, config: dict, name: str = "random", **header: object):
    """A model in memory with this config."""
    fields = {"step": 0, "parent": "", "settings": {}, **header}
    return describe(clip, CheckpointHeader(model="vifi-tiny", config=config, name=name, **fields))


def with_config(tiny, change):
    """The same weights, as far as they fit, under another config."""
    config = copy.deepcopy(tiny.config)
    change(config)
    clip = open_clip.model.CLIP(**config)
    fitting = {
        key: value
        for key, value in tiny.clip.state_dict().items()
        if key in (now := clip.state_dict()) and now[key].shape == value.shape
    }
    clip.load_state_dict(fitting, strict=False)
    clip.visual.preprocess_cfg = getattr(tiny.clip.visual, "preprocess_cfg", None)
    return described(clip, config)


def nudged(tiny, key: str):
    """The same model with one weight a little larger."""
    clip = copy.deepcopy(tiny.clip)
    with torch.no_grad():
        weight = clip.get_parameter(key).reshape(-1)
        weight[0] += 1e-3
    return described(clip, tiny.config)


def seen_through(tiny, **changes: object):
    """The same tower with another preprocessing of its own."""
    other = copy.copy(tiny)
    other.clip = copy.deepcopy(tiny.clip)
    open_clip.set_model_preprocess_cfg(
        other.clip, {**open_clip.get_model_preprocess_cfg(tiny.clip), **changes}
    )
    return other


MODELS = {
    "a weight": lambda tiny: nudged(tiny, "visual.conv1.weight"),
    "the last layer": lambda tiny: nudged(tiny, "visual.transformer.resblocks.3.mlp.c_proj.bias"),
    "one layer fewer": lambda tiny: with_config(
        tiny, lambda config: config["vision_cfg"].update(layers=3)
    ),
    "the activation": lambda tiny: with_config(tiny, lambda c: c.update(quick_gelu=True)),
    "the heads": lambda tiny: with_config(tiny, lambda c: c["vision_cfg"].update(head_width=16)),
    "the size": lambda tiny: with_config(tiny, lambda c: c["vision_cfg"].update(image_size=40)),
    "the interpolation": lambda tiny: seen_through(tiny, interpolation="bilinear"),
    "the mean": lambda tiny: seen_through(tiny, mean=(0.5, 0.5, 0.5)),
    "the deviation": lambda tiny: seen_through(tiny, std=(0.5, 0.5, 0.5)),
}


@pytest.mark.parametrize("change", MODELS)
def test_another_tower_is_another_set(tiny, change):
    assert id_of(MODELS[change](tiny)) != id_of(tiny)


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 3},
        {"clips": 2},
        {"crops": 3},
        {"preprocess": "paper"},
        {"precision": "bf16"},
        {"decoder": "pyav"},
    ],
    ids=str,
)
def test_another_flag_is_another_set(tiny, change):
    assert id_of(tiny, **change) != id_of(tiny)


def test_another_version_of_what_computes_is_another_set(tiny, monkeypatch):
    before = id_of(tiny)
    seen = {before}
    for target, value in {
        "SAMPLING_RULE": "another rule",
        "decoder_version": lambda decoder: "0.0.1",
    }.items():
        monkeypatch.setattr(recipes, target, value)
        seen.add(id_of(tiny))
        monkeypatch.undo()
    monkeypatch.setitem(preprocess.BACKENDS, "openclip", "another one")
    seen.add(id_of(tiny))
    monkeypatch.undo()
    recipe = resolve_recipe(SETTINGS, tiny)
    seen.add(dataclasses.replace(recipe, numerics=recipe_module.NUMERICS + 1).id)
    assert len(seen) == 5
    assert id_of(tiny) == before


@pytest.mark.parametrize(
    ("name", "crops", "digest"),
    [
        ("openclip", 1, "c3d4945b1b81"),
        ("openclip", 3, "8544e308588a"),
        ("paper", 1, "0ec198d0ecc4"),
        ("paper", 3, "b304c88e3581"),
    ],
)
def test_ids_stay_what_they_were(name, crops, digest):
    """Else every store out there would be encoded again."""
    recipe = dataclasses.replace(
        plain_recipe(frames=32),
        preprocessing=preprocess.preprocessing_of(name, VIT, crops),
        crops=crops,
    )
    assert recipe.id == digest


@pytest.mark.parametrize(("crops", "digest"), [(1, "d35a5ef8c9cf"), (3, "6eba4e4c8e07")])
def test_sets_of_the_paper_s_former_preprocessing_have_ids_of_their_own(crops, digest):
    former = dataclasses.replace(
        preprocess.preprocessing_of("paper", VIT, crops), backend="pillow-exact"
    )
    recipe = dataclasses.replace(plain_recipe(frames=32), preprocessing=former, crops=crops)
    assert recipe.id == digest


@pytest.mark.parametrize(
    "change",
    [{"batch": 7}, {"workers": 3}, {"timeout": 9.0}, {"name": "x"}, {"template": ("a {}",)}],
    ids=str,
)
def test_what_does_not_touch_the_numbers_is_the_same_set(tiny, change):
    assert id_of(tiny, **change) == id_of(tiny)


def test_the_same_weights_under_other_names_and_in_other_places_are_one_set(tiny, tmp_path):
    state = tiny.clip.state_dict()
    places = [tmp_path / "a.safetensors", tmp_path / "moved" / "b.safetensors"]
    places[1].parent.mkdir()
    found = []
    for number, path in enumerate(places):
        header = CheckpointHeader(
            model="vifi-tiny",
            config=tiny.config,
            name=f"name{number}",
            step=number,
            parent="",
            settings={"epochs": number},
        )
        save_checkpoint(path, state, header)
        found.append(load_model("vifi-tiny", str(path)))
    assert {id_of(loaded) for loaded in (tiny, *found)} == {id_of(tiny)}
    assert found[0].digest == found[1].digest
    assert not set(default_names(SETTINGS, found[0])) & set(default_names(SETTINGS, found[1]))


def test_text_tuning_shares_the_set(tiny):
    tuned = nudged(tiny, "text_projection")
    assert tuned.text_digest != tiny.text_digest
    assert tuned.digest != tiny.digest
    assert id_of(tuned) == id_of(tiny)


def test_a_dataset_that_moved_has_nothing_to_do(clips, tiny, tmp_path):
    store = scan(tmp_path / "s.zarr", clips)
    first = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    moved = shutil.copytree(clips, tmp_path / "moved")
    store = scan(tmp_path / "s.zarr", moved)
    assert store.dataset("d").root() == moved
    second = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (second.id, second.encoded, second.sealed) == (first.id, 0, True)
