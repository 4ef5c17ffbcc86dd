"""A system adds modules, trains groups at their own rates, and its checkpoints hold all of it."""

import json
from dataclasses import replace
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.vifistore.training.conftest import (
    CLASSES,
    MODEL,
    SETTINGS,
    same_weights,
    tiny_model,
)
from tests.vifistore.training.test_run import assert_goes_on
from vifistore.errors import ModelError, UnknownNameError, UsageError
from vifistore.kernels.fusion_cross_entropy import fusion_cross_entropy
from vifistore.models import system_modules
from vifistore.models.checkpoint_files import read_header, save_checkpoint
from vifistore.models.cut_context import encode_cut_texts
from vifistore.models.system_modules import AddedSystem, attach_added, system_of
from vifistore.models.towers import load_model
from vifistore.models.weights import read_weights
from vifistore.training.order import Order
from vifistore.training.run_identity import trained_with
from vifistore.training.schedule import rate_of_step
from vifistore.training.systems import known_systems, vifi_clip
from vifistore.training.systems.class_objective import ClassObjective, smoothed
from vifistore.training.systems.known_systems import SYSTEMS, SystemEntry, load_system
from vifistore.training.systems.system import ParameterGroup, trained_by_name
from vifistore.training.training_settings import SystemName

GAIN = {"name": "gain", "dim": 64}


def attach_gain(clip, system, state) -> None:
    """A factor for every dimension of an image's embedding, as a hook of the tower."""
    clip.visual.added = nn.ParameterDict({"gain": nn.Parameter(torch.ones(system["dim"]))})
    clip.visual.register_forward_hook(lambda tower, _, out: out * tower.added["gain"])


class GainSystem:
    """CLIP's image tower, and the factors at a rate of their own."""

    def add_modules(self, clip, settings) -> None:
        if not system_of(clip):
            attach_added(clip, GAIN)

    def groups(self, clip, settings):
        clip.requires_grad_(False)
        clip.visual.requires_grad_(True)
        every = trained_by_name(clip)
        added = {"visual.added.gain": every.pop("visual.added.gain")}
        rate = settings.added_rate
        return [
            ParameterGroup(parameters=every),
            ParameterGroup(parameters=added, rate=rate, weight_decay=0.0),
        ]

    def objective(self, inputs):
        return ClassObjective(inputs)


@pytest.fixture
def gain(monkeypatch):
    """The system `gain` among those that are known."""
    monkeypatch.setitem(system_modules.ADDED_SYSTEMS, "gain", AddedSystem(attach=attach_gain))
    monkeypatch.setattr(vifi_clip, "GainSystem", GainSystem, raising=False)
    entry = SystemEntry(
        module="vifi_clip", class_name="GainSystem", published=known_systems.as_in_the_presets
    )
    monkeypatch.setitem(SYSTEMS, "gain", entry)


def test_the_default_system_is_plain_adamw_bit_for_bit(trained, data):
    """The same loop without groups, written down as it was before there were systems."""
    start, _ = trained(epochs=1, batch_size=12)
    clip = tiny_model().clip
    settings = replace(SETTINGS, epochs=1, batch_size=12)
    order = Order(num_videos=12, settings=settings)
    parameters = vifi_clip.choose_trained(clip, "full")
    optimiser = torch.optim.AdamW(
        parameters.values(), betas=settings.betas, weight_decay=settings.weight_decay, fused=True
    )
    (views,) = data.views(order.step(0), settings, torch.device("cpu"))
    texts = encode_cut_texts(
        clip, tiny_model().text_side.tokens([f"a photo of a {name}." for name in CLASSES])
    )
    frames = clip.visual(views.frames.flatten(0, 1)).unflatten(0, views.frames.shape[:2])
    targets = smoothed(views.targets, settings.label_smoothing)
    scale = clip.logit_scale.exp()
    (fusion_cross_entropy(frames, texts, scale, targets, "embedding") * 12).backward()
    for parameter in parameters.values():
        parameter.grad /= 12
    for group in optimiser.param_groups:
        group["lr"] = rate_of_step(0, order)
    optimiser.step()
    assert same_weights(start.clip.state_dict(), clip.state_dict())


def test_a_group_has_its_own_rate_and_decay(trained, gain):
    """AdamW's first update is the rate, whatever the gradient: ten times as far, undecayed."""
    start, _ = trained(system="gain", epochs=1, batch_size=12, warmup_epochs=0.0)
    moved = start.clip.visual.added["gain"].detach() - 1
    assert torch.allclose(
        moved.abs(), torch.full_like(moved, 10 * SETTINGS.learning_rate), rtol=1e-3
    )
    before = tiny_model().clip.visual.proj.detach()
    moved = start.clip.visual.proj.detach() - before * (1 - 1e-6)
    # But for gradients that are as small as what AdamW adds to them.
    assert float(moved.abs().median()) == pytest.approx(SETTINGS.learning_rate, rel=1e-2)
    own = trained(
        out="own", system="gain", epochs=1, batch_size=12, warmup_epochs=0.0, added_rate=2.0
    )
    moved = own[0].clip.visual.added["gain"].detach() - 1
    assert torch.allclose(
        moved.abs(), torch.full_like(moved, 2 * SETTINGS.learning_rate), rtol=1e-3
    )


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_stopped_run_of_several_groups_goes_on_bit_for_bit(trained, data, gain, tmp_path, step):
    changes = {"system": "gain", "ema": 0.9, "micro_batch": 2}
    assert_goes_on(trained, data, tmp_path, step, changes)
    for name in ("step-00000004", "ema-step-00000004", "optimiser/step-00000004"):
        state = load_file(tmp_path / "whole" / f"{name}.safetensors")
        assert any("visual.added.gain" in key for key in state)


def test_checkpoints_hold_what_was_added_and_say_so(trained, gain, tmp_path):
    start, report = trained(system="gain", ema=0.5, blend=(0.25,))
    out, key = tmp_path / "out", "visual.added.gain"
    assert read_header(report.path).system == GAIN
    assert json.loads(report.path.with_suffix(".json").read_text())["system"] == GAIN
    loaded = load_model(MODEL, str(report.path))
    assert same_weights(start.clip.state_dict(), loaded.clip.state_dict())
    assert system_of(loaded.clip) == GAIN
    gains = {
        kind: read_weights(out / f"{kind}step-00000004.safetensors")[key]
        for kind in ("", "ema-", "blend-0.25-")
    }
    assert not torch.equal(gains[""], torch.ones(64))
    assert not torch.equal(gains["ema-"], gains[""])
    # It is new: between nothing and what was learned there is nothing.
    assert torch.equal(gains["blend-0.25-"], gains[""])
    further, _ = trained(out="further", start=loaded, system="gain", blend=(0.25,))
    blend = read_weights(tmp_path / "further" / "blend-0.25-step-00000004.safetensors")[key]
    end = further.clip.state_dict()[key]
    assert torch.allclose(blend, 0.75 * gains[""] + 0.25 * end, atol=1e-7)


def test_what_was_added_counts_in_the_digest_of_its_tower_alone(trained, gain, tmp_path):
    _, report = trained(system="gain")
    loaded = load_model(MODEL, str(report.path))
    assert loaded.text_digest == tiny_model().text_digest
    header, state = read_header(report.path), read_weights(report.path)
    other = replace(header, digest="", system={**GAIN, "kind": "other"})
    save_checkpoint(tmp_path / "other.safetensors", state, other)
    assert load_model(MODEL, str(tmp_path / "other.safetensors")).image_digest not in (
        loaded.image_digest,
        tiny_model().image_digest,
    )


def test_a_run_is_that_of_its_system(trained, gain):
    trained()
    with pytest.raises(UsageError, match="settings is system='vifi-clip' and not 'gain'"):
        trained(system="gain")


def test_a_plain_checkpoint_says_nothing_of_systems(trained, tmp_path):
    _, report = trained()
    assert "system" not in json.loads(report.path.with_suffix(".json").read_text())
    assert read_header(report.path).system == {}


def test_a_system_of_a_later_version_is_refused(trained, gain, tmp_path):
    _, report = trained(system="gain")
    header, state = read_header(report.path), read_weights(report.path)
    for system in ({"name": "x"}, {"name": 3}, {"no": "name"}):
        path = tmp_path / "other.safetensors"
        save_checkpoint(path, state, replace(header, system=system))
        with pytest.raises(ModelError, match=r"is of the system .* install the version"):
            load_model(MODEL, str(path))


def test_unknown_systems(trained):
    with pytest.raises(UnknownNameError, match="Did you mean 'vifi-clip'"):
        trained(system="vificlip")


def test_every_system_is_a_choice_and_loads():
    assert set(get_args(SystemName)) == set(SYSTEMS)
    for name in SYSTEMS:
        assert load_system(name).groups


def test_settings_of_a_text(trained, tmp_path):
    with pytest.raises(UsageError, match="further_templates"):
        replace(SETTINGS, further_templates=("no place",))
    settings = replace(SETTINGS, further_templates=("a video of {}",))
    assert trained_with(tiny_model(), settings).templates == ("a photo of a {}.", "a video of {}")
    with pytest.raises(UsageError, match="vifi-clip has one text of a class"):
        trained(further_templates=("a video of {}",))
