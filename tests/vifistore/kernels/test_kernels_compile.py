"""Every kernel compiles for sm_90 as it is launched, on a machine without a GPU."""

import pytest
import torch

from benchmarks.kernel_figures import in_flight
from vifistore.kernels.frame_logits import MIXED_TRAINING
from vifistore.kernels.frame_softmax import frame_softmax_backward, frame_softmax_forward
from vifistore.kernels.fusion_scores import image_scores_forward
from vifistore.kernels.geometry import OPENCV
from vifistore.kernels.preprocess_frames import preprocess_frames_forward, resize_box_forward
from vifistore.kernels.resampling import box_taps, crop_taps
from vifistore.kernels.temporal_pool import (
    BYTES_IN_FLIGHT,
    STAGES,
    temporal_pool_backward,
    temporal_pool_forward,
)

HALF, BRAIN, SINGLE, DOUBLE = torch.float16, torch.bfloat16, torch.float32, torch.float64
# Of frames and of text; training in bfloat16 has text in float32.
DTYPES = [(HALF, HALF), (BRAIN, BRAIN), (SINGLE, SINGLE), (DOUBLE, DOUBLE), (BRAIN, SINGLE)]
GRADIENT_KERNELS = ["logit_gradient", "frames_gradient", "text_gradient"]


def names(compiled):
    return [kernel.kernel for kernel in compiled]


def assert_nothing_spills(compiled):
    assert compiled
    spilled = {kernel.kernel: kernel.spill_bytes for kernel in compiled if kernel.spill_bytes}
    assert not spilled


@pytest.mark.parametrize("dtype", [HALF, BRAIN, SINGLE], ids=str)
def test_temporal_pool(hopper, dtype):
    frames = torch.empty(2, 32, 2048, dtype=dtype)
    pooled = temporal_pool_forward(frames)
    temporal_pool_backward(frames, None, *pooled)
    assert names(hopper) == ["temporal_pool_forward", "temporal_pool_backward"]
    assert_nothing_spills(hopper)


@pytest.mark.parametrize(("num_views", "dim"), [(256, 512), (8192, 512), (256, 1152)])
def test_enough_frames_are_always_on_their_way_to_temporal_pool(hopper, num_views, dim):
    frames = torch.empty(num_views, 32, dim, dtype=HALF)
    temporal_pool_forward(frames)
    temporal_pool_forward(frames, stored=torch.empty(frames.shape, dtype=HALF))
    assert_nothing_spills(hopper)
    for kernel in hopper:
        assert kernel.operations["LDGSTS"] >= kernel.tiles["STAGES"]
        assert in_flight(kernel, dim * HALF.itemsize)["bytes_in_flight"] >= BYTES_IN_FLIGHT


def test_temporal_pool_with_a_mask_or_with_rounding(hopper):
    frames = torch.empty(2, 32, 512)
    mask = torch.ones(2, 32, dtype=torch.bool)
    pooled = temporal_pool_forward(frames, mask)
    temporal_pool_backward(frames, mask, *pooled)
    temporal_pool_forward(frames, stored=torch.empty(frames.shape, dtype=HALF))
    assert len(hopper) == 3
    assert_nothing_spills(hopper)


@pytest.fixture(params=DTYPES, ids=lambda pair: "x".join(str(dtype)[6:] for dtype in pair))
def inputs(request):
    """Frames `[view frame dim]`, text `[class dim]` and logit scale, as large as in training.

    Some of what Triton does, it does only to loops of several turns.
    """
    of_frames, of_text = request.param
    scale = torch.tensor(100.0, dtype=torch.promote_types(of_frames, SINGLE))
    return torch.zeros(256, 32, 512, dtype=of_frames), torch.zeros(400, 512, dtype=of_text), scale


def test_image_scores(hopper, inputs):
    score(inputs)
    first = ["frame_softmax_forward", "image_scores_forward", "frame_softmax_backward"]
    assert names(hopper) == [*first, *GRADIENT_KERNELS * num_parts(inputs)]
    assert_products_of_four_warps(hopper, inputs)


def test_image_cross_entropy(hopper, inputs):
    lose(inputs)
    assert names(hopper) == ["frame_softmax_forward", *GRADIENT_KERNELS * num_parts(inputs)]
    assert_products_of_four_warps(hopper, inputs)


def num_parts(inputs):
    """Of how many parts of the rows, 8 MB of gradients of logits each, gradients are made."""
    return 4 if inputs[0].dtype == DOUBLE else 2


def score(inputs):
    """Image scores and their gradients."""
    logits, _ = frame_softmax_forward(*inputs)
    scores = image_scores_forward(logits)
    frame_softmax_backward(logits, scores, (True, True, True), scores)


def lose(inputs):
    """The loss of image fusion and its gradients."""
    frames, text, scale = inputs
    targets = torch.zeros(len(frames), len(text), dtype=scale.dtype)
    logits, (_, sums) = frame_softmax_forward(*inputs, targets)
    frame_softmax_backward(logits, targets, (True, True, True), sums=sums)


def assert_products_of_four_warps(compiled, inputs):
    """Half-precision products take wgmma alone, and nothing spills; float32 ones take none."""
    of_frames = inputs[0].dtype
    is_half = of_frames in (HALF, BRAIN)
    for kernel in compiled:
        assert (kernel.operations["HGMMA"] > 0) == is_half, kernel.kernel
        assert kernel.operations["HMMA"] == 0
    if of_frames != DOUBLE:
        assert_nothing_spills(compiled)


def test_image_cross_entropy_of_sizes_that_fill_no_tile(hopper):
    frames, text = torch.zeros(7, 5, 129, dtype=HALF), torch.zeros(19, 129, dtype=HALF)
    lose((frames, text, torch.tensor(100.0)))
    assert names(hopper) == ["frame_softmax_forward", *GRADIENT_KERNELS]


@pytest.mark.parametrize(
    "capability",
    [80, 86, *(pytest.param(one, marks=pytest.mark.slow) for one in (89, 90, 100, 120))],
)
def test_kernels_fit_every_card_that_they_run_on(compiled_for, capability):
    """A card of the least shared memory has 99 KB for a block, one of the most 227."""
    scale = torch.tensor(100.0)
    with compiled_for(capability) as found:
        for of_frames, of_text in (MIXED_TRAINING, (HALF, HALF)):
            inputs = torch.zeros(64, 16, 768, dtype=of_frames), torch.zeros(400, 768, dtype=of_text)
            score((*inputs, scale))
            lose((*inputs, scale))
        temporal_pool_forward(torch.empty(256, 32, 768, dtype=BRAIN))
    # Of tiles that are chosen for an H100's matrix units a B200 spills more.
    if capability != 100:
        assert max(kernel.spill_bytes for kernel in found) <= 16


@pytest.mark.parametrize("dim", [4096, 16384])
def test_rows_that_are_long_fit_a_small_card(compiled_for, dim):
    with compiled_for(86) as found:
        temporal_pool_forward(torch.empty(2, 32, dim, dtype=DOUBLE))
    assert found[0].tiles["STAGES"] < STAGES[0]


@pytest.mark.parametrize("dtype", [HALF, BRAIN, SINGLE], ids=str)
def test_preprocess_frames(hopper, dtype):
    frames = torch.empty(2, 256, 340, 3, dtype=torch.uint8)
    for kind in (
        ("bicubic", True, 1, frames.device),
        ("bilinear", False, 3, frames.device, OPENCV),
    ):
        crops = crop_taps(256, 340, 224, 224, *kind)
        preprocess_frames_forward(frames, crops, (0.5,) * 3, (0.5,) * 3, dtype)
    box = box_taps((3, 5, 168, 192), 224, frames.device)
    resize_box_forward(frames, box)
    assert names(hopper) == ["preprocess_frames_forward"] * 10
    assert_nothing_spills(hopper)


def test_frames_of_many_sizes_are_few_compilations(hopper):
    sizes = [(240, 320), (256, 340), (360, 202), (359, 641), (720, 1280), (1080, 1920), (97, 33)]
    for size in sizes:
        frames = torch.empty(3, *size, 3, dtype=torch.uint8)
        crops = crop_taps(*size, 16, 16, "bicubic", True, 1, frames.device)
        preprocess_frames_forward(frames, crops, (0.5,) * 3, (0.5,) * 3, HALF)
    # Of each axis as the first one and as the last: heights go first where they shrink most.
    assert len({kernel.specialisation for kernel in hopper}) <= 4 < len(hopper)
