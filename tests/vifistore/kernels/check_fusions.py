"""The kernels of both fusion files against the references; collected by test_kernels_run alone."""

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError
from torch.utils._python_dispatch import TorchDispatchMode

from vifistore.kernels import frame_softmax
from vifistore.kernels.dispatch import chosen_way
from vifistore.kernels.frame_logits import MIXED_TRAINING
from vifistore.kernels.fusion_cross_entropy import (
    fusion_cross_entropy,
    fusion_cross_entropy_reference,
)
from vifistore.kernels.fusion_scores import FUSIONS, fusion_scores, fusion_scores_reference

HALF, BRAIN, SINGLE, DOUBLE = torch.float16, torch.bfloat16, torch.float32, torch.float64
SAME = [(HALF, HALF), (BRAIN, BRAIN), (SINGLE, SINGLE), (DOUBLE, DOUBLE)]
MIXED = [MIXED_TRAINING, (HALF, SINGLE), (SINGLE, BRAIN), (SINGLE, DOUBLE), (DOUBLE, HALF)]
# View, frame, class, dim: odd ones, several tiles of each axis, one of everything.
ODD, LARGE, ONES = (3, 5, 19, 33), (2, 19, 35, 130), (1, 1, 1, 1)
# More rows than columns: the text gradient is summed in several splits.
LONG = (3, 17, 19, 5)
CASES = [
    *[(ODD, dtypes, "image") for dtypes in SAME + MIXED],
    (LARGE, (BRAIN, BRAIN), "image"),
    (LARGE, (SINGLE, SINGLE), "image"),
    (LARGE, (HALF, HALF), "image"),
    (LARGE, MIXED_TRAINING, "image"),
    (ONES, (SINGLE, SINGLE), "image"),
    (LONG, (DOUBLE, DOUBLE), "image"),
    # These run temporal_pool's kernels, which have their own checks.
    *[(ODD, dtypes, "embedding") for dtypes in SAME[:3]],
    *[(ODD, dtypes, "decision") for dtypes in SAME[:3]],
]


def inputs_like(shape, dtypes, device):
    """Frames, text, scale and soft targets that do not sum to one, with a zero frame."""
    views, num_frames, classes, dim = shape
    generator = torch.Generator().manual_seed(sum(shape))
    frames = torch.randn(views, num_frames, dim, generator=generator, dtype=DOUBLE) * 3
    frames[0, 0] = 0
    text = torch.randn(classes, dim, generator=generator, dtype=DOUBLE)
    targets = torch.rand(views, classes, generator=generator, dtype=DOUBLE)
    wide = DOUBLE if dtypes[0] == DOUBLE else SINGLE
    scale = torch.tensor(30.0, dtype=wide)
    values = (frames.to(dtypes[0]), text.to(dtypes[1]), scale, targets.to(wide))
    return [value.to(device) for value in values]


def results(function, inputs, fusion):
    """The output and the gradients of frames, text and scale."""
    leaves = [value.clone().requires_grad_() for value in inputs[:3]]
    out = function(*leaves, *inputs[3:], fusion)
    weights = torch.linspace(-1, 2, out.numel(), dtype=out.dtype, device=out.device)
    return out, *torch.autograd.grad((out.flatten() * weights).sum(), leaves)


def check(kernel, reference, inputs, fusion, assert_close):
    assert chosen_way(inputs[0]).is_kernel
    exact = results(reference, [value.double() for value in inputs], fusion)
    plain = results(reference, inputs, fusion)
    # Of the two terms of a float32 text beside bfloat16 frames, and of the gradient.
    is_mixed = tuple(value.dtype for value in inputs[:2]) == MIXED_TRAINING
    relative = 2**-17 if is_mixed else 1e-6
    for values in zip(results(kernel, inputs, fusion), plain, exact, strict=True):
        assert_close(*values, relative)


@pytest.mark.parametrize(("shape", "dtypes", "fusion"), CASES, ids=str)
def test_scores_are_as_close_as_plain_pytorch(shape, dtypes, fusion, device, assert_close):
    inputs = inputs_like(shape, dtypes, device)[:3]
    check(fusion_scores, fusion_scores_reference, inputs, fusion, assert_close)


@pytest.mark.parametrize(("shape", "dtypes", "fusion"), CASES, ids=str)
def test_cross_entropy_is_as_close_as_plain_pytorch(shape, dtypes, fusion, device, assert_close):
    inputs = inputs_like(shape, dtypes, device)
    check(fusion_cross_entropy, fusion_cross_entropy_reference, inputs, fusion, assert_close)


@pytest.mark.parametrize("dtypes", [(HALF, HALF), MIXED_TRAINING], ids=str)
def test_cross_entropy_of_more_rows_than_gradients_are_made_of_at_once(
    dtypes, device, assert_close
):
    inputs = inputs_like((3, 50, 19, 33), dtypes, device)
    check(fusion_cross_entropy, fusion_cross_entropy_reference, inputs, "image", assert_close)


@pytest.mark.parametrize("of_text", [BRAIN, SINGLE], ids=str)
def test_gradients_of_bfloat16_training_beside_float32(of_text, device):
    """Of the largest, 2^-17 where a gradient is float32: it is multiplied as two terms."""
    inputs = inputs_like((4, 16, 40, 96), (BRAIN, of_text), device)
    exact = results(fusion_cross_entropy_reference, [v.double() for v in inputs], "image")
    for result, wanted in zip(results(fusion_cross_entropy, inputs, "image"), exact, strict=True):
        # The interpreter cuts off what is stored as bfloat16.
        rounding = 2**-7 if result.dtype == BRAIN else 2**-17
        assert (result.double() - wanted).abs().max() <= rounding * wanted.abs().max()


@pytest.mark.parametrize("factor", [1e-4, 100.0])
def test_gradients_of_float16_may_be_small_or_large(factor, device, assert_close):
    frames, text, scale, targets = inputs_like(ODD, (HALF, HALF), device)
    inputs = frames, text, scale, targets * factor
    check(fusion_cross_entropy, fusion_cross_entropy_reference, inputs, "image", assert_close)


@pytest.mark.parametrize("function", [fusion_scores, fusion_cross_entropy])
def test_gradcheck_of_the_image_kernels(function, device):
    frames, text, scale, targets = inputs_like((2, 2, 3, 2), (DOUBLE, DOUBLE), device)
    targets = [] if function is fusion_scores else [targets]
    leaves = [(frames + 1).requires_grad_(), text.requires_grad_(), (scale / 10).requires_grad_()]
    assert torch.autograd.gradcheck(lambda *x: function(*x, *targets, "image"), leaves, rtol=1e-5)


def test_gradcheck_rejects_a_wrong_backward(device, monkeypatch):
    right = frame_softmax.inverse_lengths
    frames, text, scale, _ = inputs_like((1, 2, 3, 4), (DOUBLE, DOUBLE), device)
    frames = (frames + 1).requires_grad_()
    monkeypatch.setattr(frame_softmax, "inverse_lengths", lambda rows: right(rows) * 1.01)
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(lambda x: fusion_scores(x, text, scale, "image"), frames)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda f, t, s, y: fusion_scores(f, t, s, "image"), "ImageScoresFunctionBackward"),
        (
            lambda f, t, s, y: fusion_cross_entropy(f, t, s, y, "image"),
            "ImageCrossEntropyFunctionBackward",
        ),
    ],
    ids=["scores", "cross-entropy"],
)
def test_image_kernels_run_and_only_for_what_needs_a_gradient(function, name, device):
    inputs = inputs_like((2, 3, 4, 5), (SINGLE, SINGLE), device)
    for index in range(3):
        inputs[index].requires_grad_()
        out = function(*inputs)
        assert out.grad_fn.name() == name
        (grad,) = torch.autograd.grad(out.sum(), inputs[index])
        assert grad.shape == inputs[index].shape
        inputs[index].requires_grad_(False)


class LargestTensor(TorchDispatchMode):
    """Remembers the bytes of the largest tensor that any operator returned."""

    num_bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for value in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(value, torch.Tensor):
                self.num_bytes = max(self.num_bytes, value.nbytes)
        return out


@pytest.mark.parametrize("fusion", FUSIONS)
def test_no_tensor_of_view_frame_class_is_written(fusion, device):
    views, num_frames, classes = 4, 16, 32
    inputs = inputs_like((views, num_frames, classes, 3), (SINGLE, SINGLE), device)
    with LargestTensor() as kernel:
        results(fusion_scores, inputs[:3], fusion)
        results(fusion_cross_entropy, inputs, fusion)
    assert kernel.num_bytes < views * num_frames * classes * 4
    with LargestTensor() as plain:
        results(fusion_cross_entropy_reference, inputs, "image")
    assert plain.num_bytes == views * num_frames * classes * 4
