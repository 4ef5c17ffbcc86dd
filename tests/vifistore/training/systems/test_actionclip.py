"""ActionCLIP is trained as published, goes on as it was, and is loaded as an encoder of views."""

from dataclasses import replace

import numpy as np
import pytest
import torch

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
from vifistore.errors import UsageError
from vifistore.models.actionclip.action_texts import ACTIONCLIP_TEMPLATES
from vifistore.models.actionclip.frame_heads import HEADS
from vifistore.models.checkpoint_files import read_header
from vifistore.models.system_modules import system_of
from vifistore.models.towers import load_model
from vifistore.training.distributed import Processes
from vifistore.training.engine import Engine
from vifistore.training.options import RunOptions
from vifistore.training.order import Draws, Order, stream
from vifistore.training.run_identity import trained_with
from vifistore.training.systems.actionclip import ActionClipSystem
from vifistore.training.systems.known_systems import published_settings
from vifistore.training.systems.likeness_loss import actionclip_loss
from vifistore.training.systems.system import ObjectiveInputs, Sums
from vifistore.training.whole_batch import _on_cpu, accumulate_together

TEXTS = ("a photo of {}", "{} here", "see {}")
ACTION = {"system": "actionclip", "template": TEXTS[0], "further_templates": TEXTS[1:]}
ACTION |= {"label_smoothing": 0.0, "frame_head_layers": 1}


def restated_loss(views, text, labels, scale):
    """The loss in float64, entry by entry."""
    views, text = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (views, text))
    logits, count = scale * views @ text.T, len(labels)
    alike = np.exp(10.0 * (labels[:, None] == labels))
    targets = alike / alike.sum(1, keepdims=True)
    total = 0.0
    for direction in (logits, logits.T):
        for row, target in zip(direction, targets, strict=True):
            log_shares = row - np.log(np.exp(row).sum())
            total += (target * (np.log(target) - log_shares)).sum()
    return total / (2 * count)


def test_the_loss_is_its_formula():
    generator = np.random.default_rng(0)
    views, text = generator.normal(size=(2, 6, 8))
    labels = np.array([0, 1, 0, 2, 2, 2])
    found = actionclip_loss(*map(torch.from_numpy, (views, text, labels)), 14.3)
    assert float(found) == pytest.approx(restated_loss(views, text, labels, 14.3), rel=1e-10)


@pytest.mark.parametrize("head", HEADS)
def test_the_loss_of_a_pass_is_that_of_its_videos_and_a_drawn_text_of_each(head):
    start, settings = tiny_model(), replace(SETTINGS, **ACTION, frame_head=head)
    clip, system = start.clip, ActionClipSystem()
    system.add_modules(clip, settings)
    tokens = torch.stack(
        [start.text_side.tokens([t.format(name) for name in CLASSES]) for t in TEXTS]
    )
    objective = system.objective(ObjectiveInputs(clip=clip, tokens=tokens, settings=settings))
    (batch, *_) = Order(num_videos=12, settings=settings).step(2)
    (views,) = bright_halves().views([batch], settings, torch.device("cpu"))
    assert (views.rows, views.epoch) == (batch.rows, 1)
    found = objective.sums(views, objective.texts())
    labels = views.targets.argmax(1)
    drawn = [int(stream(Draws.TEXTS, settings.seed, 1, row).integers(3)) for row in batch.rows]
    assert len(set(drawn)) > 1
    text = clip.encode_text(tokens[drawn, labels])
    frames = clip.encode_image(views.frames.flatten(0, 1)).unflatten(0, (6, 2))
    pooled = clip.visual.added.outputs(frames).mean(1)
    arrays = (x.detach().double().numpy() for x in (pooled, text))
    scale = float(clip.logit_scale.detach().exp())
    expected = restated_loss(*arrays, labels.numpy(), scale)
    assert float(found.loss.detach()) == pytest.approx(6 * expected, rel=1e-4)


def gradients_of(micro_batch: int) -> dict:
    """Gradients of one step over 12 videos, in float64, as the mean over them."""
    start, settings = tiny_model(), replace(SETTINGS, **ACTION, batch_size=12)
    settings = replace(settings, micro_batch=micro_batch)
    system, data = ActionClipSystem(), bright_halves()
    system.add_modules(start.clip, settings)
    clip = start.clip.double()
    tokens = torch.stack(
        [start.text_side.tokens([t.format(name) for name in CLASSES]) for t in TEXTS]
    )
    objective = system.objective(ObjectiveInputs(clip=clip, tokens=tokens, settings=settings))
    order = Order(num_videos=12, settings=settings)
    engine = Engine(objective, system.groups(clip, settings), settings, order, Processes())
    batches = order.step(0)
    views = data.views(batches, settings, torch.device("cpu"))
    double = (replace(v, frames=v.frames.double()) for v in views)
    record = engine.step(0, double, len(batches))
    gradients = {name: p.grad for name, p in engine.parameters.items()}
    return {**gradients, "loss": torch.tensor(record.loss), "right": torch.tensor(record.accuracy)}


@pytest.mark.parametrize("micro_batch", [1, 5])
def test_the_loss_is_of_the_whole_batch_whatever_its_passes(micro_batch):
    whole, parts = gradients_of(0), gradients_of(micro_batch)
    for name, gradient in whole.items():
        assert torch.allclose(parts[name], gradient, rtol=1e-4, atol=1e-6), name
    assert float(whole["visual.added.positions"].abs().max()) > 1e-4
    assert float(whole["logit_scale"].abs()) > 1e-4


class Pair(Processes):
    """One of two processes; `others` is what the other one found."""

    others: dict = {}  # noqa: RUF012

    def merged(self, own: dict) -> dict:
        return {**own, **self.others}


def of_process(rank: int, others: dict) -> tuple[dict, Sums | None]:
    """Gradients, and sums, of the process that has every other of three passes; -1 has all."""
    start, settings = tiny_model(), replace(SETTINGS, **ACTION, batch_size=9, micro_batch=3)
    system, data = ActionClipSystem(), bright_halves()
    system.add_modules(start.clip, settings)
    tokens = torch.stack(
        [start.text_side.tokens([t.format(name) for name in CLASSES]) for t in TEXTS]
    )
    inputs = ObjectiveInputs(clip=start.clip, tokens=tokens, settings=settings)
    objective = system.objective(inputs)
    (towers, head) = system.groups(start.clip, settings)
    batches = Order(num_videos=12, settings=settings).step(0)
    chosen = batches if rank < 0 else batches[rank::2]
    views = list(data.views(chosen, settings, torch.device("cpu")))
    if others == {"ask": True}:
        embedded = [objective.embed(one) for one in views]
        return {rank: _on_cpu(embedded)}, None
    pair = Pair(rank=max(rank, 0), world=2)
    object.__setattr__(pair, "others", others)
    sums = accumulate_together(objective, views, pair)
    found = {**towers.parameters, **head.parameters}
    return {n: p.grad for n, p in found.items() if p.grad is not None}, sums


def test_processes_share_one_loss():
    whole, sums = of_process(-1, {})
    with torch.no_grad():
        asked = [of_process(rank, {"ask": True})[0] for rank in (0, 1)]
    first, own = of_process(0, asked[1])
    second, none = of_process(1, asked[0])
    assert none is None
    assert (own.num_views, int(own.correct)) == (9, int(sums.correct))
    assert float(own.loss.detach()) == pytest.approx(float(sums.loss.detach()), rel=1e-5)
    # Its scale learns in the first alone.
    assert "logit_scale" not in second
    for name, gradient in whole.items():
        added = first[name] + second.get(name, torch.zeros(()))
        torch.testing.assert_close(added, gradient, rtol=1e-3, atol=1e-4)


def test_it_learns_and_everything_moves_the_head_ten_times_as_far(trained, tmp_path):
    long = {"epochs": 12, "options": RunOptions(checkpoint_every=1000), "warmup_epochs": 0.0}
    start, report = trained(**ACTION, **long)
    losses = losses_of(tmp_path / "out")
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])
    assert report.metrics["accuracy"] > 0.8
    before = tiny_model().clip.state_dict()
    still = [
        key for key, value in before.items() if torch.equal(value, start.clip.state_dict()[key])
    ]
    # Of its texts it reads few tokens, but decay moves the rest.
    assert [key for key in still if key != "attn_mask"] == []
    clip, system = tiny_model().clip, ActionClipSystem()
    settings = replace(SETTINGS, **ACTION)
    system.add_modules(clip, settings)
    towers, head = system.groups(clip, settings)
    assert (towers.rate, head.rate) == (1.0, 10.0)
    assert {key.split(".")[1] for key in head.parameters} == {"added"}
    assert towers.parameters.keys() | head.parameters.keys() == dict(clip.named_parameters()).keys()


@pytest.mark.parametrize(("step", "head"), [(1, "transf"), (3, "lstm")])
def test_a_stopped_run_goes_on_bit_for_bit(trained, data, tmp_path, step, head):
    changes = {**ACTION, "frame_head": head, "ema": 0.9, "flip": 0.5, "blend": (0.5,)}
    assert_goes_on(trained, data, tmp_path, step, changes)


@pytest.mark.parametrize("head", HEADS)
def test_a_checkpoint_is_an_encoder_of_views(trained, head):
    start, report = trained(**ACTION, frame_head=head)
    said = read_header(report.path).system
    assert (said["name"], said["head"], said["frames"]) == ("actionclip", head, 2)
    loaded = load_model(MODEL, str(report.path))
    assert same_weights(start.clip.state_dict(), loaded.clip.state_dict())
    assert loaded.logit_scale == 100.0
    assert loaded.kind == ("frame" if head == "mean" else "clip")
    if head == "mean":
        return
    assert loaded.num_frames == 2
    pixels = torch.randn(3, 2, 3, 32, 32)
    with torch.inference_mode():
        frames = start.clip.eval().encode_image(pixels.flatten(0, 1)).unflatten(0, (3, 2))
        expected = start.clip.visual.added.outputs(frames)
        torch.testing.assert_close(loaded.image_tower(pixels), expected)
    assert expected.shape == (3, loaded.num_outputs, 64)


def test_a_run_goes_on_from_another_ones_head(trained):
    _, report = trained(**ACTION)
    loaded = load_model(MODEL, str(report.path))
    head = loaded.clip.visual.added.positions.detach().clone()
    still = {"learning_rate": 1e-12, "weight_decay": 0.0}
    further, _ = trained(out="further", start=loaded, **ACTION, **still)
    torch.testing.assert_close(further.clip.visual.added.positions.detach(), head)
    for wrong, told in (
        ({"frame_head": "lstm"}, "--frame-head transf"),
        ({"num_frames": 3}, "places for 2 frames, and this run takes 3; give --frames 2"),
    ):
        with pytest.raises(UsageError, match=told):
            trained(out="wrong", start=load_model(MODEL, str(report.path)), **{**ACTION, **wrong})
    with pytest.raises(UsageError, match="--system actionclip to train on"):
        trained(out="wrong", start=load_model(MODEL, str(report.path)))


def test_a_head_that_was_loaded_trains_as_a_new_one(trained):
    settings = {**ACTION, "frame_head": "lstm"}
    _, report = trained(**settings)
    loaded = load_model(MODEL, str(report.path))
    parts = list(loaded.clip.visual.added.modules())
    assert not any(part.training for part in parts)
    # On a GPU torch refuses the gradient of an LSTM that is there to infer.
    trained(out="further", start=loaded, **settings)
    assert all(part.training for part in parts)


def test_a_table_that_is_longer_than_a_view_takes_any_number_of_frames(trained):
    start = tiny_model()
    settings = replace(SETTINGS, **ACTION, num_frames=4)
    ActionClipSystem().add_modules(start.clip, settings)
    # As of a file that does not say it.
    start.clip.added_system["frames"] = 0
    _, report = trained(start=start, **ACTION)
    loaded = load_model(MODEL, str(report.path))
    assert loaded.num_outputs == 2
    assert system_of(start.clip)["positions"] == 4
    trained(out="further", start=loaded, **ACTION)
    with pytest.raises(UsageError, match="places for 2 frames, and this run takes 4"):
        trained(out="wrong", start=load_model(MODEL, str(report.path)), **ACTION, num_frames=4)


@pytest.mark.parametrize(
    "wrong",
    [{"trains": "image"}, {"fusion": "decision"}, {"mixing": True}, {"label_smoothing": 0.1}],
)
def test_settings_that_mean_nothing_to_it(trained, wrong):
    (field,) = wrong
    with pytest.raises(UsageError, match=f"leave out --{field.replace('_', '-')}"):
        trained(**{**ACTION, **wrong})


def test_published_settings():
    found = published_settings("zero_shot_k400", "actionclip")
    assert (found.learning_rate, found.added_rate, found.weight_decay) == (5e-6, 10.0, 0.2)
    assert (found.epochs, found.warmup_epochs, found.betas) == (50, 5.0, (0.9, 0.98))
    assert (found.batch_size, found.micro_batch, found.final_ratio) == (128, 4, 0.0)
    assert (found.mixing, found.label_smoothing, found.frame_head) == (False, 0.0, "transf")
    assert found.templates == ACTIONCLIP_TEMPLATES
    assert found.preprocess == "openclip"
    batches = {"hmdb51": 64, "ucf101": 32, "k400": 128, "ssv2": 64}
    for dataset, batch in batches.items():
        few = published_settings("few_shot", "actionclip", dataset=dataset, shots=4)
        assert (few.batch_size, few.shots, few.num_frames) == (batch, 4, 32)
    supervised = published_settings("supervised_k400", "actionclip", paper_exact=True)
    assert (supervised.num_frames, supervised.jitter_each_frame) == (32, True)
    for sided in ("something", "ssv2"):
        for exact in (False, True):
            chosen = published_settings("few_shot", "actionclip", dataset=sided, paper_exact=exact)
            assert chosen.flip == 0.0
    with pytest.raises(UsageError, match="prompt_few_shot is of ViFi-CLIP alone"):
        published_settings("prompt_few_shot", "actionclip")
    assert trained_with(tiny_model(), found).templates == ACTIONCLIP_TEMPLATES
