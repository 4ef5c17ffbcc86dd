"""What is minimised is what the authors' code minimises, written once more in NumPy."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from vifistore.models.actionclip.action_texts import ACTIONCLIP_TEMPLATES
from vifistore.models.actionclip.temporal_transformer import PoolingShape, new_pooling
from vifistore.training.heads.head_files import HeadHeader, PromptsShape, new_head
from vifistore.training.heads.head_settings import HeadSettings
from vifistore.training.heads.head_texts import encode_for_head
from vifistore.training.heads.head_training import (
    a5_objective,
    actionclip_objective,
)
from vifistore.training.systems.likeness_loss import actionclip_loss

CLASSES = ["run", "jump", "fall"]


def log_softmax(x):
    x = x - x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def make_head(kind, prompts=None):
    torch.manual_seed(0)
    header = HeadHeader(
        kind=kind,
        pooling=PoolingShape(dim=64, num_frames=2, layers=1),
        prompts=prompts,
        image_digest="",
        text_digest="",
        parent="",
        settings={},
        trained_on={},
        step=0,
    )
    return new_head(header)


def test_actionclip_divergence_in_both_directions():
    rng = np.random.default_rng(0)
    views, text, labels = (
        rng.normal(size=(6, 8)),
        rng.normal(size=(6, 8)),
        np.array([0, 1, 0, 2, 2, 2]),
    )
    targets = np.exp(log_softmax(10.0 * (labels[:, None] == labels)))
    expected = []
    for logits in (7.0 * unit(views) @ unit(text).T, 7.0 * unit(text) @ unit(views).T):
        # The mean over all pairs, times the size of the batch.
        divergence = targets * (np.log(targets) - log_softmax(logits))
        expected.append(divergence.mean() * len(labels))
    found = actionclip_loss(*map(torch.from_numpy, (views, text, labels)), 7.0)
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_actionclip_draws_a_template_for_every_view(tiny):
    head = make_head("actionclip-transf")
    objective = actionclip_objective(head, tiny, CLASSES, np.random.default_rng(5))
    views, labels = torch.randn(4, 64), torch.tensor([0, 1, 1, 2])
    loss, nearest = objective(views, labels)
    drawn = np.random.default_rng(5).integers(len(ACTIONCLIP_TEMPLATES), size=4)
    prompts = torch.from_numpy(unit(encode_for_head(head, tiny, CLASSES)))
    expected = actionclip_loss(views, prompts[labels, drawn], labels, 100.0)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(nearest, prompts.mean(1))
    assert prompts.shape == (3, 16, 64)


def test_a5_is_a_cross_entropy_over_all_classes(tiny):
    shape = PromptsShape(num_each_side=2, context_length=16, width=64)
    head = make_head("a5", shape)
    views, labels = torch.randn(5, 64), torch.tensor([0, 1, 1, 2, 0])
    loss, text = a5_objective(head, tiny, CLASSES, np.random.default_rng(0))(views, labels)
    logits = unit(views.numpy()) @ unit(text.numpy()).T / 0.07
    expected = -log_softmax(logits)[np.arange(5), labels].mean()
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    loss.backward()
    assert head.prompts.vectors.grad.abs().sum() > 0
    assert asdict(head.header.prompts) == asdict(shape)


def test_a6_is_a5_at_its_programs_defaults():
    a5, a6 = (HeadSettings().of(kind) for kind in ("a5", "a6"))
    assert (a6.layers, a6.learning_rate, a6.prompts) == (2, 1e-3, a5.prompts)
    # 100,000 updates of 64 videos, of some 235,000 in Kinetics-400.
    assert a6.epochs * 235_000 / a6.batch_size == pytest.approx(100_000, rel=0.02)
    shape = PoolingShape(dim=64, num_frames=3, layers=1)
    pair = []
    for kind in ("a5", "a6"):
        torch.manual_seed(0)
        pair.append(new_pooling(kind, shape).requires_grad_(False)(torch.ones(1, 3, 64)))
    torch.testing.assert_close(*pair)
