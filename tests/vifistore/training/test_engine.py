"""Training: it learns, does so twice alike, and touches nothing else."""

import math
from dataclasses import replace

import pytest
import torch

from vifistore.errors import ModelError, UnknownNameError, UsageError
from vifistore.kernels.fusion_cross_entropy import fusion_cross_entropy
from vifistore.models.towers import new_model, open_clip
from vifistore.training.data import FrameData, embedded
from vifistore.training.engine import choose_trained, fit
from vifistore.training.schedule import learning_rate_at
from vifistore.training.settings import TrainSettings
from vifistore.training.targets import one_hot, smoothed

SETTINGS = TrainSettings(
    num_frames=2, learning_rate=1e-3, batch_size=6, epochs=8, warmup_epochs=1.0, seed=3
)


@pytest.fixture(scope="module")
def data() -> FrameData:
    """Twelve videos of four frames, whose class is the half that is bright."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(12) % 2
    frames = torch.rand(12, 4, 3, 32, 32, generator=generator) - 0.5
    frames[labels == 1, :, :, :16] += 2
    frames[labels == 0, :, :, 16:] += 2
    return FrameData(frames=frames, targets=one_hot(labels, 2))


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    """Texts of the two classes."""
    return open_clip.get_tokenizer("vifi-tiny", context_length=16)(
        ["dark", "a photo of the bright sun"]
    )


def accuracy(clip: torch.nn.Module, data: FrameData, tokens: torch.Tensor) -> float:
    with torch.inference_mode():
        videos = clip.encode_image(data.frames.flatten(0, 1)).unflatten(0, (12, 4)).mean(1)
        texts = torch.nn.functional.normalize(clip.encode_text(tokens), dim=-1)
    right = (videos @ texts.T).argmax(1) == data.targets.argmax(1)
    return float(right.float().mean())


def trained(data, tokens, **changes) -> tuple[torch.nn.Module, list[float]]:
    clip = new_model("vifi-tiny", 0)
    losses: list[float] = []
    settings = replace(SETTINGS, **changes)
    fit(clip, data, tokens, settings, after_epoch=lambda progress: losses.append(progress.loss))
    return clip, losses


def test_bad_before_good_after_and_the_same_twice(data, tokens):
    long = {"epochs": 20, "label_smoothing": 0.0}
    assert accuracy(new_model("vifi-tiny", 0), data, tokens) < 0.8
    first, losses = trained(data, tokens, **long)
    assert losses[-1] < 0.75 * losses[0]
    assert accuracy(first, data, tokens) == 1.0
    second, again = trained(data, tokens, **long)
    assert losses == again
    weights = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in weights)


@pytest.mark.parametrize("trains", ["full", "image", "text"])
def test_frozen_parts_are_bit_equal(data, tokens, trains):
    clip, _ = trained(data, tokens, trains=trains, epochs=2)
    before = new_model("vifi-tiny", 0).state_dict()
    changed = {k for k, v in clip.state_dict().items() if not torch.equal(v, before[k])}
    image = {k for k in before if k.startswith("visual.")}
    assert bool(changed & image) == (trains != "text")
    assert bool(changed - image) == (trains != "image")
    assert "token_embedding.weight" not in changed
    assert ("logit_scale" in changed) == (trains == "full")


def test_text_tuning_on_cached_embeddings_is_that_on_pixels(data, tokens):
    changes = {"trains": "text", "flip": 0.0, "epochs": 3}
    _, from_pixels = trained(data, tokens, **changes)
    cached = embedded(data, new_model("vifi-tiny", 0))
    assert not cached.has_pixels
    _, from_cache = trained(cached, tokens, **changes)
    assert from_cache == pytest.approx(from_pixels, abs=1e-5)


def test_parameters_that_take_gradients():
    clip = new_model("vifi-tiny", 0)
    counts = {trains: len(choose_trained(clip, trains)) for trains in ("full", "image", "text")}
    # Both towers and the logit scale.
    assert counts["full"] == counts["image"] + counts["text"] + 1


def test_a_loss_that_is_not_finite_stops_the_run(data, tokens):
    broken = FrameData(frames=data.frames * math.nan, targets=data.targets)
    with pytest.raises(ModelError, match="use a lower learning rate"):
        trained(broken, tokens)


def test_learning_rate_rises_then_falls():
    rates = [
        learning_rate_at(s, num_steps=11, num_warmup_steps=5, highest=1.0, final_ratio=0.01)
        for s in range(11)
    ]
    # Linear to 1 at step 5, then half a cosine to 0.01: the middle of it is (1 + 0.01) / 2.
    assert rates[:6] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[-1] == pytest.approx(0.01)
    assert rates == [*sorted(rates[:6]), *sorted(rates[6:], reverse=True)]


def test_smoothing_keeps_the_sum():
    targets = smoothed(one_hot(torch.tensor([1]), 4), 0.2)
    # 0.2 spread over 4 classes is 0.05 each; the class itself keeps 0.8 more.
    assert targets.tolist() == [pytest.approx([0.05, 0.85, 0.05, 0.05])]


def test_one_frame_makes_the_fusions_equal():
    generator = torch.Generator().manual_seed(1)
    frames, text = torch.randn(5, 1, 8, generator=generator), torch.randn(3, 8, generator=generator)
    targets = one_hot(torch.tensor([0, 1, 2, 0, 1]), 3)
    losses = [
        float(fusion_cross_entropy(frames, text, 10.0, targets, fusion))
        for fusion in ("embedding", "decision", "image")
    ]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"flip": 2.0}, {"warmup_epochs": 8.0}, {"template": "no place"}],
)
def test_wrong_settings(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        replace(SETTINGS, **wrong)
    with pytest.raises(UnknownNameError, match="Did you mean 'image'"):
        replace(SETTINGS, trains="imag")
