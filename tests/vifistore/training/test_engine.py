"""Training: it learns, does so twice alike, adds gradients up right and touches nothing else."""

import math
from dataclasses import replace

import pytest
import torch

from tests.vifistore.training.conftest import (
    CLASSES,
    SETTINGS,
    bright_halves,
    losses_of,
    same_weights,
    tiny_model,
)
from vifistore.errors import ModelError, UnknownNameError, UsageError
from vifistore.kernels.fusion_cross_entropy import fusion_cross_entropy
from vifistore.models.cut_context import encode_cut_texts
from vifistore.models.openclip_model import OpenClipModel
from vifistore.models.prompt_learning import PromptSettings, add_prompts
from vifistore.training.distributed import Processes
from vifistore.training.engine import Engine
from vifistore.training.log import StepRecord
from vifistore.training.options import RunOptions
from vifistore.training.order import Order
from vifistore.training.systems.class_objective import ClassObjective, smoothed
from vifistore.training.systems.system import ObjectiveInputs, ParameterGroup
from vifistore.training.systems.vifi_clip import choose_trained

PROMPTS = {"image_prompts": 3, "image_depth": 2, "text_prompts": 2, "text_depth": 2}


def accuracy(clip: torch.nn.Module) -> float:
    data = bright_halves()
    tokens = tiny_model().text_side.tokens([f"a photo of a {name}." for name in CLASSES])
    with torch.inference_mode():
        videos = clip.encode_image(data.frames.flatten(0, 1)).unflatten(0, (12, 4)).mean(1)
        texts = torch.nn.functional.normalize(clip.encode_text(tokens), dim=-1)
    right = (videos @ texts.T).argmax(1) == data.targets.argmax(1)
    return float(right.float().mean())


def test_bad_before_good_after_and_the_same_twice(trained, tmp_path):
    long = {"epochs": 20, "label_smoothing": 0.0, "options": RunOptions(checkpoint_every=1000)}
    assert accuracy(tiny_model().clip) < 0.8
    first, _ = trained(out="first", **long)
    losses = losses_of(tmp_path / "first")
    assert sum(losses[-4:]) < 0.75 * sum(losses[:4])
    assert accuracy(first.clip) == 1.0
    correct = losses_of(tmp_path / "first", "accuracy")
    assert sum(correct[:4]) < 3
    assert correct[-4:] == [1.0] * 4
    second, _ = trained(out="second", **long)
    assert losses == losses_of(tmp_path / "second")
    assert same_weights(first.clip.state_dict(), second.clip.state_dict())


@pytest.mark.parametrize("trains", ["full", "image", "text", "prompts"])
def test_frozen_parts_are_bit_equal(trained, trains):
    changes = PROMPTS if trains == "prompts" else {}
    start, _ = trained(trains=trains, **changes)
    before, after = tiny_model().clip.state_dict(), start.clip.state_dict()
    changed = {
        key for key in after if key not in before or not torch.equal(after[key], before[key])
    }
    image = {key for key in before if key.startswith("visual.")}
    if trains == "prompts":
        assert changed == {"visual.prompts.vectors", "prompts.vectors"}
        fresh = tiny_model().clip
        add_prompts(fresh, PromptSettings(**PROMPTS), seed=SETTINGS.seed)
        assert not any(torch.equal(fresh.state_dict()[key], after[key]) for key in changed)
        return
    assert bool(changed & image) == (trains != "text")
    assert bool(changed - image) == (trains != "image")
    assert "token_embedding.weight" not in changed
    assert ("logit_scale" in changed) == (trains == "full")


def test_parameters_that_take_gradients():
    clip = tiny_model().clip
    counts = {trains: len(choose_trained(clip, trains)) for trains in ("full", "image", "text")}
    # Both towers and the logit scale.
    assert counts["full"] == counts["image"] + counts["text"] + 1
    assert choose_trained(clip, "prompts") == {}


@pytest.mark.parametrize(
    "name",
    [
        *("token_embedding", "text.token_embedding", "text.transformer.shared"),
        *("text.transformer.embeddings.word_embeddings", "text.transformer.embed_tokens"),
    ],
)
def test_no_tower_trains_its_word_embedding(name):
    clip = torch.nn.Module()
    for part in (name, "text.transformer.embeddings.position_embeddings"):
        below, _, last = part.rpartition(".")
        owner = clip
        for step in filter(None, below.split(".")):
            if not hasattr(owner, step):
                owner.add_module(step, torch.nn.Module())
            owner = getattr(owner, step)
        owner.add_module(last, torch.nn.Embedding(2, 2))
    trained = choose_trained(clip, "full")
    assert [*trained] == ["text.transformer.embeddings.position_embeddings.weight"]


def one_step(
    micro_batch: int, start: OpenClipModel | None = None, **changes: object
) -> tuple[dict[str, torch.Tensor], StepRecord]:
    """Gradients and result of one step over twelve videos, in passes of `micro_batch`, in
    float64."""
    settings = replace(SETTINGS, batch_size=12, micro_batch=micro_batch, **changes)
    start = start or tiny_model()
    start.clip.double()
    data = bright_halves()
    data = replace(data, frames=data.frames.double(), targets=data.targets.double())
    parameters = choose_trained(start.clip, settings.trains)
    tokens = start.text_side.tokens(CLASSES)[None]
    inputs = ObjectiveInputs(clip=start.clip, tokens=tokens, settings=settings)
    objective = ClassObjective(inputs)
    order = Order(num_videos=12, settings=settings)
    groups = [ParameterGroup(parameters=parameters)]
    engine = Engine(objective, groups, settings, order, Processes())
    batches = order.step(0)
    views = data.views(batches, settings, torch.device("cpu"))
    double = (replace(v, frames=v.frames.double()) for v in views)
    result = engine.step(0, double, len(batches))
    return {name: parameter.grad for name, parameter in parameters.items()}, result


@pytest.mark.parametrize("fusion", ["embedding", "decision", "image"])
@pytest.mark.parametrize("micro_batch", [1, 5])
def test_accumulated_gradients_are_those_of_the_large_batch(fusion, micro_batch):
    (whole, result), (parts, same) = (one_step(n, fusion=fusion) for n in (12, micro_batch))
    for name, gradient in whole.items():
        assert torch.allclose(parts[name], gradient, rtol=1e-6, atol=1e-9), name
    assert all(gradient.abs().sum() > 0 for gradient in whole.values())
    assert same.gradient_norm == pytest.approx(result.gradient_norm, rel=1e-6)


def test_a_gradient_is_that_of_the_mean_loss():
    """AdamW does not see the scale of a gradient: wrong weights would not show a wrong one."""
    found, result = one_step(5)
    start, data = tiny_model(), bright_halves()
    clip = start.clip.double()
    parameters = choose_trained(clip, SETTINGS.trains)
    settings = replace(SETTINGS, batch_size=12)
    batches = Order(num_videos=12, settings=settings).step(0)
    (views,) = data.views(batches, settings, torch.device("cpu"))
    videos = clip.encode_image(views.frames.double().flatten(0, 1)).unflatten(0, (12, -1)).mean(1)
    texts = clip.encode_text(start.text_side.tokens(CLASSES))
    unit = torch.nn.functional.normalize
    logits = clip.logit_scale.exp() * unit(videos, dim=-1) @ unit(texts, dim=-1).T
    targets = smoothed(views.targets, settings.label_smoothing).double()
    loss = -(targets * logits.log_softmax(dim=1)).sum(1).mean()
    expected = torch.autograd.grad(loss, list(parameters.values()))
    for (name, gradient), other in zip(found.items(), expected, strict=True):
        assert torch.allclose(gradient, other, rtol=1e-5, atol=1e-8), name
    norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in expected))
    assert result.gradient_norm == pytest.approx(norm, rel=1e-5)
    assert result.loss == pytest.approx(float(loss.detach()), rel=1e-5)


def test_a_step_takes_the_rate_of_the_schedule():
    """The first step of a warm-up has the rate 0, whatever its gradient."""
    start = tiny_model()
    before = {name: weight.clone() for name, weight in start.clip.state_dict().items()}
    assert one_step(12, start=start, warmup_epochs=1.0)[1].learning_rate == 0
    assert same_weights(start.clip.state_dict(), before)
    assert one_step(12, start=start, warmup_epochs=0.0)[1].learning_rate == SETTINGS.learning_rate
    assert not same_weights(start.clip.state_dict(), before)


def count_calls(monkeypatch, clip, owner: str) -> list[int]:
    module = getattr(clip, owner)
    calls: list[int] = []
    module.register_forward_hook(lambda _, inputs, output: calls.append(len(output)))
    return calls


@pytest.mark.parametrize(
    ("trains", "texts", "images"),
    [("image", 1, 8), ("text", 4, 1), ("full", 4, 8), ("prompts", 4, 8)],
)
def test_a_frozen_tower_runs_once_and_texts_once_a_step(
    trained, monkeypatch, trains, texts, images
):
    """Whatever the number of videos and of passes, a step encodes each distinct class once."""
    start = tiny_model()
    text_calls = count_calls(monkeypatch, start.clip, "transformer")
    image_calls = count_calls(monkeypatch, start.clip, "visual")
    trained(start=start, trains=trains, micro_batch=3, **PROMPTS)
    assert text_calls == [2] * texts
    assert len(image_calls) == images


def test_a_cut_context_changes_nothing():
    start = tiny_model()
    tokens = start.text_side.tokens(["run", "a photo of a very bright sun!"])
    whole = start.clip.encode_text(tokens)
    assert torch.allclose(encode_cut_texts(start.clip, tokens), whole, atol=1e-5)
    add_prompts(start.clip, PromptSettings(**PROMPTS), seed=0)
    tokens = start.text_side.tokens(["run", "jump"])
    whole = start.clip.encode_text(tokens)
    assert torch.allclose(encode_cut_texts(start.clip, tokens), whole, atol=1e-5)


@pytest.mark.parametrize("how", ["checkpointing", "uncut"])
def test_what_only_saves_memory_or_time_changes_no_loss(trained, tmp_path, how):
    trained(out="plain")
    options = RunOptions(gradient_checkpointing=how == "checkpointing")
    trained(out="other", options=options, cut_context=how != "uncut")
    assert losses_of(tmp_path / "other") == pytest.approx(losses_of(tmp_path / "plain"), abs=1e-5)


def test_bfloat16_stays_near_float32_and_keeps_the_weights_in_it(trained, tmp_path):
    trained(out="fp32")
    start, _ = trained(out="bf16", options=RunOptions(precision="bf16"))
    assert {w.dtype for w in start.clip.state_dict().values()} == {torch.float32}
    losses = [losses_of(tmp_path / name) for name in ("fp32", "bf16")]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], abs=0.05)


def test_float32_is_no_tf32(trained, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    trained(epochs=1)
    assert not torch.backends.cudnn.allow_tf32


def test_a_machine_that_cannot_compile_is_said_in_one_line(trained, monkeypatch):
    from torch._dynamo.exc import TorchDynamoException

    def fails(_: torch.nn.Module, dynamic: bool):
        def run(_: torch.Tensor) -> None:
            raise TorchDynamoException("InvalidCxxCompiler:\nno compiler\n\nSet TORCH_LOGS")

        return run

    monkeypatch.setattr(torch, "compile", fails)
    monkeypatch.setattr("vifistore.training.run.compiles_on", lambda device: True)
    with pytest.raises(UsageError, match=r"\(InvalidCxxCompiler: no compiler\); .*--no-compile$"):
        trained()


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(
    trained, tmp_path, data
):
    poisoned = replace(data, frames=data.frames.clone())

    class Late:
        """Pixels that stop being numbers in the second epoch."""

        targets, has_pixels, skipped, digests = data.targets, True, {}, {}

        def views(self, batches, settings, device):
            for batch in batches:
                poisoned.frames.fill_(math.nan) if batch.epoch else None
                yield from poisoned.views([batch], settings, device)

    with pytest.raises(ModelError, match=r"step-00000002\.safetensors; use a lower learning rate"):
        trained(out="bad", source=Late())
    assert sorted(path.name for path in (tmp_path / "bad").glob("*.safetensors")) == [
        "step-00000002.safetensors"
    ]
    assert not (tmp_path / "bad" / "finished.json").exists()


def test_smoothing_keeps_the_sum():
    targets = smoothed(torch.eye(4)[[1]], 0.2)
    # 0.2 spread over 4 classes is 0.05 each; the class itself keeps 0.8 more.
    assert targets.tolist() == [pytest.approx([0.05, 0.85, 0.05, 0.05])]


def test_one_frame_makes_the_fusions_equal():
    generator = torch.Generator().manual_seed(1)
    frames, text = torch.randn(5, 1, 8, generator=generator), torch.randn(3, 8, generator=generator)
    targets = torch.eye(3)[[0, 1, 2, 0, 1]]
    losses = [
        float(fusion_cross_entropy(frames, text, 10.0, targets, fusion))
        for fusion in ("embedding", "decision", "image")
    ]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"flip": 2.0},
        {"warmup_epochs": 8.0},
        {"template": "no place"},
        {"micro_batch": 7},
        {"candidate_frames": 1},
        {"crop_scales": (0.0,)},
        {"ema": 1.0},
        {"blend": (0.5,), "trains": "prompts"},
        {"learning_rate": math.nan},
        {"learning_rate": math.inf},
        {"weight_decay": -1.0},
        {"weight_decay": math.nan},
        {"betas": (0.9, 1.0)},
        {"seed": -1},
    ],
)
def test_wrong_settings(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        replace(SETTINGS, **wrong)
    with pytest.raises(UnknownNameError, match="Did you mean 'image'"):
        replace(SETTINGS, trains="imag")
