"""X-CLIP is trained as published, goes on as it was, and is loaded as an encoder of views."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import erf

from tests.vifistore.models.xclip.restated import Restated, cosines, to_videox
from tests.vifistore.training.conftest import (
    CLASSES,
    MODEL,
    SETTINGS,
    bright_halves,
    losses_of,
    same_weights,
    tiny_model,
)
from tests.vifistore.training.test_run import assert_goes_on
from vifistore.errors import ModelError, UsageError
from vifistore.models.checkpoint_files import read_header
from vifistore.models.system_modules import system_of
from vifistore.models.towers import load_model
from vifistore.training.options import RunOptions
from vifistore.training.order import Order
from vifistore.training.run_identity import trained_with
from vifistore.training.systems.known_systems import published_settings
from vifistore.training.systems.system import ObjectiveInputs
from vifistore.training.systems.x_clip import XClipSystem

X = {"system": "x-clip", "trains": "image", "template": "{}"}
SIZES = {"name": "x-clip", "frames": 2, "mit_layers": 1, "prompt_layers": 2}


def gelu(x):
    return x * (1 + erf(x / 2**0.5)) / 2


def made(**changes):
    """The tiny model with X-CLIP's modules, their weights far from where they start."""
    start, settings = tiny_model(), replace(SETTINGS, **X, **changes)
    XClipSystem().add_modules(start.clip, settings)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for part in (start.clip.visual.added, start.clip.added):
            for weight in part.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    return start, settings


def test_the_loss_of_a_pass_is_that_of_the_published_formulas():
    start, settings = made()
    tokens = start.text_side.tokens(CLASSES)[None]
    inputs = ObjectiveInputs(clip=start.clip, tokens=tokens, settings=settings)
    objective = XClipSystem().objective(inputs)
    (batch, *_) = Order(num_videos=12, settings=settings).step(0)
    (views,) = bright_halves().views([batch], settings, torch.device("cpu"))
    texts = objective.texts()
    assert not texts.requires_grad
    found = objective.sums(views, texts)
    weights = {k: v.double().numpy() for k, v in to_videox(start.clip.state_dict()).items()}
    heads = start.clip.visual.transformer.resblocks[0].attn.num_heads
    plain = Restated(weights, image_heads=heads, heads=1, image_gelu=gelu)
    classes = start.text_side.encode(CLASSES).astype(np.float64)
    scale, total, right = float(start.clip.logit_scale.detach().exp()), 0.0, 0
    for pixels, targets in zip(views.frames, views.targets, strict=True):
        video, patches = plain.video(pixels.double().numpy())
        logits = scale * cosines(plain.texts(classes, patches), video)
        log_shares = logits - np.log(np.exp(logits).sum())
        total -= ((0.9 * targets.numpy() + 0.1 / 2) * log_shares).sum()
        right += logits.argmax() == int(targets.argmax())
    assert float(found.loss.detach()) == pytest.approx(total, rel=1e-4)
    assert (int(found.correct), found.num_views) == (right, 6)


def test_groups_are_those_that_are_published():
    start, settings = made()
    clip = start.clip
    groups = XClipSystem().groups(clip, settings)
    of = {name: group for group in groups for name in group.parameters}
    assert sum(len(group.parameters) for group in groups) == len(of)
    frozen = {name for name, p in clip.named_parameters() if not p.requires_grad}
    assert of.keys() == {n for n, _ in clip.named_parameters()} - frozen
    assert {"logit_scale", "positional_embedding", "token_embedding.weight"} <= frozen
    assert all(not name.startswith(("visual.", "added.")) for name in frozen)
    added = {name for name, group in of.items() if group.rate == 10.0}
    assert added == {name for name in of if "added." in name}
    still = {name for name, group in of.items() if group.weight_decay == 0.0}
    assert {
        *("visual.positional_embedding", "visual.class_embedding", "visual.ln_pre.weight"),
        *("visual.added.integration.positional_embedding", "added.alpha"),
        "visual.added.messages.0.fc.bias",
    } <= still
    weights = {
        "visual.conv1.weight",
        "visual.added.patch_projection",
        "added.decoder.0.mlp.0.weight",
    }
    assert not weights & still
    assert all(of[name].weight_decay is None for name in weights)


def test_it_learns_and_leaves_the_text_side_alone(trained, tmp_path):
    long = {"epochs": 12, "options": RunOptions(checkpoint_every=1000), "warmup_epochs": 0.0}
    start, _ = trained(**X, **long, label_smoothing=0.0)
    losses = losses_of(tmp_path / "out")
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])
    assert np.mean(losses_of(tmp_path / "out", "accuracy")[-4:]) > 0.8
    before, after = tiny_model().clip.state_dict(), start.clip.state_dict()
    still = {key for key, value in before.items() if torch.equal(value, after[key])}
    assert still == {key for key in before if not key.startswith("visual.")}


@pytest.mark.parametrize("step", [1, 3])
def test_a_stopped_run_goes_on_bit_for_bit(trained, data, tmp_path, step):
    changes = {**X, "ema": 0.9, "flip": 0.5, "mixing": True, "blend": (0.5,)}
    assert_goes_on(trained, data, tmp_path, step, changes)


def test_a_checkpoint_is_an_encoder_of_views(trained):
    start, report = trained(**X)
    assert read_header(report.path).system == SIZES
    loaded = load_model(MODEL, str(report.path))
    assert same_weights(start.clip.state_dict(), loaded.clip.state_dict())
    assert (loaded.kind, loaded.num_frames) == ("clip", 2)
    assert loaded.texts_depend_on_video


def test_recomputed_activations_change_nothing(trained):
    whole, _ = trained(**X)
    again, _ = trained(out="again", options=RunOptions(gradient_checkpointing=True), **X)
    first, second = whole.clip.state_dict(), again.clip.state_dict()
    assert all(torch.allclose(first[key], second[key], atol=1e-6) for key in first)


def test_a_run_goes_on_from_anothers_modules(trained):
    _, report = trained(**X)
    loaded = load_model(MODEL, str(report.path))
    alpha = loaded.clip.added.alpha.detach().clone()
    still = {"learning_rate": 1e-12, "weight_decay": 0.0}
    further, _ = trained(out="further", start=loaded, **X, **still)
    torch.testing.assert_close(further.clip.added.alpha.detach(), alpha)
    assert system_of(further.clip) == SIZES
    again = load_model(MODEL, str(report.path))
    with pytest.raises(UsageError, match="sees 2 frames together, and this run takes 3; give --fr"):
        trained(out="wrong", start=again, **X, num_frames=3)
    with pytest.raises(UsageError, match="--system x-clip to train on"):
        trained(out="wrong", start=again)


@pytest.mark.parametrize(
    "wrong",
    [{"trains": "full"}, {"fusion": "decision"}, {"further_templates": ("a {}",)}],
)
def test_settings_that_mean_nothing_to_it(trained, wrong):
    (field,) = wrong
    with pytest.raises(UsageError, match=f"leave out --{field.replace('_', '-')}"):
        trained(**{**X, **wrong})


def test_published_settings():
    for preset, frames in (("zero_shot_k400", 32), ("supervised_k400", 16)):
        found = published_settings(preset, "x-clip", paper_exact=True)
        assert (found.learning_rate, found.added_rate, found.weight_decay) == (8e-6, 10.0, 1e-3)
        assert (found.epochs, found.warmup_epochs, found.betas) == (30, 5.0, (0.9, 0.98))
        assert (found.batch_size, found.micro_batch, found.num_frames) == (256, 4, frames)
        assert (found.mixing, found.label_smoothing, found.final_ratio) == (True, 0.1, 0.01)
        assert (found.template, found.trains, found.preprocess) == ("{}", "image", "paper")
    few = published_settings("few_shot", "x-clip", shots=4)
    assert (few.learning_rate, few.batch_size, few.epochs, few.shots) == (2e-6, 64, 50, 4)
    assert few.num_frames == 32
    novel = published_settings("base_to_novel", "x-clip")
    assert (novel.learning_rate, novel.epochs, novel.warmup_epochs) == (2e-6, 11, 1.1)
    assert published_settings("zero_shot_k400", "x-clip").warmup_epochs == 3.0
    with pytest.raises(UsageError, match="fusion_ablation is of ViFi-CLIP alone"):
        published_settings("fusion_ablation", "x-clip")
    assert trained_with(tiny_model(), few).templates == ("{}",)


def test_a_model_that_it_does_not_fit_is_refused():
    start, settings = tiny_model(), replace(SETTINGS, **X)
    start.clip.visual.pool_type = "avg"
    with pytest.raises(ModelError, match="which this model has not; use a ViT"):
        XClipSystem().add_modules(start.clip, settings)
