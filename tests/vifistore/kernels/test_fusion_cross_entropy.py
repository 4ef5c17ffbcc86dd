"""What the fusions' cross-entropy means, on any machine."""

import pytest
import torch
from torch.nn import functional

from vifistore.errors import UsageError
from vifistore.kernels.fusion_cross_entropy import fusion_cross_entropy
from vifistore.kernels.fusion_scores import FUSIONS, fusion_scores

VIEWS, FRAMES, CLASSES, DIM = 3, 4, 5, 6


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(VIEWS, FRAMES, DIM, generator=generator, dtype=torch.float64)
    text = torch.randn(CLASSES, DIM, generator=generator, dtype=torch.float64)
    labels = torch.tensor([4, 0, 2])
    mixed = 0.7 * functional.one_hot(labels, CLASSES) + 0.3 * functional.one_hot(
        labels.flip(0), CLASSES
    )
    return frames, text, torch.tensor(12.0, dtype=torch.float64), mixed.double()


def pytorch_loss(frames, text, scale, targets, fusion):
    """The same through PyTorch's own soft-target cross-entropy."""
    if fusion == "image":
        flat = frames.reshape(-1, 1, DIM)
        logits = fusion_scores(flat, text, scale, "decision")
        return functional.cross_entropy(logits, targets.repeat_interleave(FRAMES, 0))
    return functional.cross_entropy(fusion_scores(frames, text, scale, fusion), targets)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_and_gradients_equal_pytorch_for_mixed_and_smoothed_targets(inputs, fusion, smoothing):
    targets = inputs[3] * (1 - smoothing) + smoothing / CLASSES
    losses, gradients = [], []
    for function in (fusion_cross_entropy, pytorch_loss):
        leaves = [value.clone().requires_grad_() for value in inputs[:3]]
        loss = function(*leaves, targets, fusion)
        assert loss.shape == ()
        losses.append(loss)
        gradients.append(torch.autograd.grad(loss, leaves))
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_image_loss_is_that_of_each_frame_not_of_the_mean_probability(inputs):
    frames, text, scale, targets = inputs
    per_frame = fusion_cross_entropy(frames, text, scale, targets, "image")
    mean_probability = -(targets * fusion_scores(frames, text, scale, "image")).sum(-1).mean()
    # Jensen: the log of a mean is above the mean of logs.
    assert per_frame > mean_probability


@pytest.mark.parametrize("fusion", FUSIONS)
def test_targets_need_not_sum_to_one(inputs, fusion):
    frames, text, scale, targets = inputs
    loss = fusion_cross_entropy(frames, text, scale, targets, fusion)
    doubled = fusion_cross_entropy(frames, text, scale, 2 * targets, fusion)
    torch.testing.assert_close(doubled, 2 * loss)


def test_targets_of_another_shape_are_named(inputs):
    frames, text, scale, _ = inputs
    with pytest.raises(UsageError, match=r"targets are \[3\] for 3 views and 5 classes"):
        fusion_cross_entropy(frames, text, scale, torch.tensor([4, 0, 2]), "image")
