"""Files of others: whatever is put around and beside a CLIP, the same model comes out, or none."""

import argparse
import logging
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from vifistore.errors import ModelError, UsageError
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.layouts import clip_weights
from vifistore.models.load_settings import WeightsSettings
from vifistore.models.skeletons import new_model
from vifistore.models.towers import load_model

TINY = "vifi-tiny"
EMA = WeightsSettings(ema_weights=True)
FILE = Path("file.pt")


@pytest.fixture(scope="module")
def state():
    return new_model(TINY, 3).state_dict()


@pytest.fixture(scope="module")
def other(state):
    return {key: value + 1 for key, value in state.items()}


@pytest.fixture
def said(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    caplog.set_level(logging.INFO)
    return caplog


def same(found: dict, expected: dict) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[key], expected[key]) for key in expected
    )


def named(state: dict, prefix: str) -> dict:
    return {prefix + key: value for key, value in state.items()}


WRAPPERS = st.lists(
    st.sampled_from(["_orig_mod", "module", "model", "clip", "clip_model", "net", "backbone"]),
    max_size=4,
)
CONTAINERS = st.lists(
    st.sampled_from(["state_dict", "model", "model_state", "model_state_dict", "module", "params"]),
    max_size=3,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wrappers=WRAPPERS, containers=CONTAINERS)
def test_wrappers_and_containers_in_any_order_and_depth(state, wrappers, containers):
    content = named(state, "".join(f"{name}." for name in wrappers))
    for name in containers:
        content = {name: content, "epoch": 3, "optimizer": {"state": {}, "param_groups": []}}
    assert same(clip_weights(content, FILE), state)


@pytest.mark.parametrize(
    "layout",
    [
        lambda s: {"state_dict": named(s, "model."), "pytorch-lightning_version": "2", "loops": {}},
        lambda s: {"model_state_dict": s, "fusion_model_state_dict": {"a": torch.zeros(2)}},
        lambda s: {"state_dict": {**named(s, "model.clip."), "criterion.weight": torch.zeros(3)}},
        lambda s: {
            **named(s, "clip."),
            "head.weight": torch.zeros(3, 3),
            "head.bias": s["logit_scale"],
        },
        lambda s: {**named(s, "module."), "n_averaged": torch.tensor(3)},
        lambda s: {**named(s, "student."), **named(s, "teacher.")},
        lambda s: (
            {**{k: v for k, v in named(s, "clip.").items() if "scale" not in k}}
            | {"logit_scale": s["logit_scale"]}
        ),
        lambda s: {**named(s, "model."), "logit_scale": s["logit_scale"]},
        lambda s: {"model": s, "optimizer": {"state": {0: {"exp_avg": torch.zeros(4)}}}},
    ],
)
def test_what_trainers_put_beside_a_clip_is_left_out(state, layout):
    assert same(clip_weights(layout(state), FILE), state)


def test_what_is_left_out_is_named(state, said):
    content = {
        "state_dict": {**named(state, "model."), "model.head.weight": torch.zeros(2)},
        "optimizer": {"state": {0: {"a": torch.zeros(1), "b": torch.zeros(1)}}},
    }
    clip_weights(content, FILE)
    assert "left out of file.pt: optimizer (2 tensors), head (1 tensors)" in said.text


@pytest.mark.parametrize(
    ("layout", "place"),
    [
        (lambda s, e: {"model": s, "model_ema": e}, "model_ema"),
        (lambda s, e: {"state_dict": s, "state_dict_ema": e}, "state_dict_ema"),
        (lambda s, e: {"model": s, "ema": {"module": named(e, "module.")}}, "ema.module.module"),
        (lambda s, e: {"model": s, "ema_state_dict": e}, "ema_state_dict"),
        (lambda s, e: {**named(s, "model."), **named(e, "model_ema.module.")}, "model_ema.module"),
        (
            lambda s, e: {"net": {**named(s, "module."), **named(e, "module_ema.")}},
            "net.module_ema",
        ),
    ],
)
def test_an_average_is_named_and_taken_where_it_is_asked_for(
    state, other, layout, place, tmp_path, said
):
    path = tmp_path / "run.pt"
    torch.save(layout(state, other), path)
    trained = load_model(TINY, str(path))
    assert same(trained.clip.state_dict(), state)
    assert f"also holds an average of its weights over training (EMA, in {place})" in said.text
    assert "--ema-weights takes the average" in said.text
    average = load_model(TINY, str(path), weights=EMA)
    assert same(average.clip.state_dict(), other)
    assert f"the average over training (EMA) is taken, in {place}" in said.text
    assert (trained.name, average.name) == ("run", "run-ema")
    assert (trained.settings, average.settings) == ({}, {"weights": "ema"})


def test_an_average_alone_is_taken_and_said(state, said):
    assert same(clip_weights({"model_ema": state}, FILE), state)
    assert "holds an average over training (EMA) alone" in said.text


def test_ema_needs_a_file_that_has_one(state, tmp_path):
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(ModelError, match="holds no average of its weights"):
        load_model(TINY, str(tmp_path / "a.pt"), weights=EMA)
    with pytest.raises(UsageError, match="--ema-weights chooses in a file"):
        load_model(TINY, "none", weights=EMA)


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (lambda s: {"first": s, "second": named(s, "x.")}, r"holds 2 CLIPs \(first, second.x\)"),
        (lambda s: {**s, **named(s, "other.")}, r"holds 2 CLIPs \(the top, other\)"),
        (
            lambda s: {**named(s, "clip."), "logit_scale": s["logit_scale"] + 1},
            "holds two logit_scale, in clip and in the top, that differ",
        ),
        (lambda s: {"visual.proj": s["visual.proj"]}, "holds an image tower alone"),
        (lambda s: {"ln_final.weight": s["ln_final.weight"]}, "holds a text tower alone"),
        (
            lambda s: {
                "a": {"visual.proj": s["visual.proj"]},
                "b": {"ln_final.bias": s["visual.proj"]},
            },
            r"in several places \(a, b\)",
        ),
        (lambda s: {"conv1.weight": s["visual.proj"]}, "none of a CLIP's two towers"),
        (lambda s: {"state": {0: {"a": s["visual.proj"]}}, "param_groups": []}, "optimiser alone"),
        (lambda s: {"epoch": 3}, "holds no state dict"),
        (lambda s: [s], "holds no state dict"),
        (
            lambda s: {"base_model.model.visual.proj.lora_A.weight": s["visual.proj"]},
            r"is an adapter \(LoRA, PEFT\).*merge_and_unload",
        ),
        (
            lambda s: {**s, "visual.proj.lora_B.default.weight": s["visual.proj"]},
            r"is an adapter \(LoRA, PEFT\)",
        ),
        (lambda s: {"model.diffusion_model.out.weight": s["visual.proj"]}, "a diffusion model"),
    ],
)
def test_what_is_not_clear_is_refused(state, layout, words):
    with pytest.raises(ModelError, match=words) as caught:
        clip_weights(layout(state), FILE)
    assert len(str(caught.value)) <= 400


def test_parts_that_nobody_knows_are_not_left_out(state, tmp_path):
    """Modules of others change what the towers give."""
    torch.save({**named(state, "module."), "module.tsm.weight": torch.zeros(2)}, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"also has 1 tensors: tsm\.weight"):
        load_model(TINY, str(tmp_path / "a.pt"))


def test_a_dict_without_end_is_no_loop(state):
    content: dict = {"model": state}
    content["self"] = content
    deep = content
    for _ in range(30):
        deep["deeper"] = deep = {"twice": deep}
    assert same(clip_weights(content, FILE), state)


def test_settings_beside_the_weights_are_passed_over(state, tmp_path):
    content = {"model": state, "args": argparse.Namespace(out=Path("/a/b"), lr=1e-3)}
    torch.save({**content, "best": np.float64(71.2), "epoch": np.int64(3)}, tmp_path / "a.pth")
    assert same(load_model(TINY, str(tmp_path / "a.pth")).clip.state_dict(), state)


@pytest.mark.parametrize("suffix", ["ckpt", "pyth", "bin", "pth", "pt"])
def test_endings_that_trainers_use(state, tmp_path, suffix):
    torch.save({"state_dict": named(state, "model.")}, tmp_path / f"a.{suffix}")
    assert same(load_model(TINY, str(tmp_path / f"a.{suffix}")).clip.state_dict(), state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(state, tmp_path, dtype):
    cast = {key: value.to(dtype) for key, value in state.items()}
    save_file(cast, tmp_path / "a.safetensors")
    found = load_model(TINY, str(tmp_path / "a.safetensors")).clip.state_dict()
    assert same(found, {key: value.float() for key, value in cast.items()})


def test_quantised_and_broken_numbers_are_refused(state, tmp_path):
    path = tmp_path / "a.pt"
    torch.save({**state, "visual.proj": state["visual.proj"].to(torch.int8)}, path)
    with pytest.raises(ModelError, match=r"visual\.proj holds int8, so the weights are quantised"):
        load_model(TINY, str(path))
    torch.save({**state, "visual.proj": state["visual.proj"] * torch.nan}, path)
    with pytest.raises(ModelError, match=r"visual\.proj holds numbers that are not finite"):
        load_model(TINY, str(path))
    torch.save({**state, "logit_scale": state["logit_scale"].exp()}, path)
    with pytest.raises(ModelError, match=r"save its logarithm, 2\.65"):
        load_model(TINY, str(path))


def test_a_logit_bias_is_read_and_kept(state, tmp_path, said):
    torch.save({**state, "logit_bias": torch.tensor(-10.0)}, tmp_path / "a.pt")
    found = load_model(TINY, str(tmp_path / "a.pt"))
    assert found.settings == {"logit_bias": -10.0}
    assert same(found.clip.state_dict(), state)
    assert "has a logit bias, -10, for a sigmoid" in said.text
    assert (found.logit_bias, found.record()["logit_bias"]) == (-10.0, -10.0)
    torch.save(state, tmp_path / "plain.pt")
    plain = load_model(TINY, str(tmp_path / "plain.pt"))
    assert found.digest != found.softmax_digest == plain.digest
    assert (plain.logit_bias, "logit_bias" in plain.record()) == (None, False)


def test_a_converted_file_keeps_its_bias_under_either_digest(state, tmp_path):
    torch.save({**state, "logit_bias": torch.tensor(-10.0)}, tmp_path / "a.pt")
    found = load_model(TINY, str(tmp_path / "a.pt"))
    for digest in (found.digest, found.softmax_digest):
        header = CheckpointHeader(
            **{key: getattr(found, key) for key in ("model", "config", "name", "step", "parent")},
            settings=found.settings,
            digest=digest,
        )
        save_checkpoint(tmp_path / "b.safetensors", state, header)
        assert load_model(TINY, str(tmp_path / "b.safetensors")).digest == found.digest
    tuned = replace(header, settings={**found.settings, "fusion": "embedding"})
    save_checkpoint(tmp_path / "b.safetensors", state, tuned)
    assert load_model(TINY, str(tmp_path / "b.safetensors")).logit_bias is None
    for bias in ("much", math.nan):
        save_checkpoint(
            tmp_path / "b.safetensors", state, replace(header, settings={"logit_bias": bias})
        )
        with pytest.raises(ModelError, match=r"logit bias of a is .*, which is no number"):
            load_model(TINY, str(tmp_path / "b.safetensors"))
