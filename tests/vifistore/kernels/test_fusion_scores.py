"""What fusion scores mean, on any machine."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.errors import UnknownNameError, UsageError
from vifistore.kernels.fusion_scores import FUSIONS, fusion_scores
from vifistore.kernels.temporal_pool import temporal_pool

SIZES = st.tuples(*[st.integers(1, 5)] * 4)


def random_inputs(sizes, seed=0):
    views, num_frames, classes, dim = sizes
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randn(views, num_frames, dim, generator=generator, dtype=torch.float64)
    return frames, torch.randn(classes, dim, generator=generator, dtype=torch.float64)


def frame_logits(frames, text, scale):
    """Logits of every frame, one product at a time."""
    logits = np.empty((*frames.shape[:2], len(text)))
    for view, frame, klass in np.ndindex(logits.shape):
        x, w = frames[view, frame].numpy(), text[klass].numpy()
        logits[view, frame, klass] = scale * (x @ w) / np.linalg.norm(x) / np.linalg.norm(w)
    return logits


@settings(deadline=None, max_examples=30)
@given(sizes=SIZES, seed=st.integers(0, 99))
def test_each_fusion_is_what_its_formula_says(sizes, seed):
    frames, text = random_inputs(sizes, seed)
    logits = frame_logits(frames, text, 7.0)
    odds = np.exp(logits)
    probabilities = odds / odds.sum(-1, keepdims=True)
    expected = {
        "embedding": frame_logits(frames.mean(1, keepdim=True), text, 7.0)[:, 0],
        "decision": logits.mean(1),
        "image": np.log(probabilities.mean(1)),
    }
    for fusion in FUSIONS:
        scores = fusion_scores(frames, text, 7.0, fusion)
        np.testing.assert_allclose(scores, expected[fusion], rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(sizes=SIZES, scale=st.floats(0.5, 100))
def test_fusions_agree_on_one_frame(sizes, scale):
    frames, text = random_inputs((sizes[0], 1, *sizes[2:]))
    embedding, decision, image = (fusion_scores(frames, text, scale, name) for name in FUSIONS)
    torch.testing.assert_close(embedding, decision)
    torch.testing.assert_close(decision.log_softmax(-1), image)


def test_image_scores_are_log_probabilities_however_large_the_scale():
    frames, text = random_inputs((2, 3, 5, 8))
    scores = fusion_scores(frames.float(), text.float(), 1000.0, "image")
    assert scores.isfinite().all()
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(2))


def test_decision_scores_are_those_of_the_consensus():
    frames, text = random_inputs((4, 6, 3, 5))
    _, consensus = temporal_pool(frames)
    unit_text = text / text.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(
        fusion_scores(frames, text, 20.0, "decision"), 20 * consensus @ unit_text.T
    )


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_zero_frame_is_equally_like_every_class(fusion):
    frames, text = torch.zeros(1, 2, 4, requires_grad=True), torch.randn(3, 4)
    scores = fusion_scores(frames, text, 100.0, fusion)
    torch.testing.assert_close(scores.softmax(-1), torch.full((1, 3), 1 / 3))
    (grad,) = torch.autograd.grad(scores[0, 0], frames)
    assert grad.isfinite().all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_mixed_precision_does_not_round_logits(fusion):
    frames, text = (value.float() for value in random_inputs((2, 3, 4, 64)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = fusion_scores(frames, text, 100.0, fusion)
    assert torch.equal(scores, fusion_scores(frames, text, 100.0, fusion))


def test_unknown_fusion_and_wrong_shapes_are_named():
    frames, text = torch.randn(2, 3, 4), torch.randn(5, 4)
    with pytest.raises(UnknownNameError, match=r"unknown fusion 'imgae'. Did you mean 'image'"):
        fusion_scores(frames, text, 1.0, "imgae")
    for wrong in (frames[0], frames[..., :3]):
        with pytest.raises(UsageError, match=r"give \[view frame dim\] and \[class dim\]"):
            fusion_scores(wrong, text, 1.0, "image")
