"""Preprocessing is OpenCLIP's own, level for level."""

import numpy as np
import PIL
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vifistore.errors import UnknownNameError, UsageError
from vifistore.kernels.geometry import crop_corners, resized_shape
from vifistore.kernels.preprocess_frames import preprocess_frames
from vifistore.kernels.resampling import axis_taps, crop_taps

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
# Pillow resizes the height first where it shrinks most; versions before 13 did so later or never.
OLD_PILLOW = int(PIL.__version__.split(".")[0]) < 13


def random_frame(height: int, width: int, seed: int) -> np.ndarray:
    """Smooth where the seed is even, black and white noise where it is odd."""
    generator = np.random.default_rng(seed)
    if seed % 2:
        return generator.integers(0, 2, (height, width, 3), dtype=np.uint8) * 255
    coarse = generator.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def levels(frame: np.ndarray, **arguments) -> np.ndarray:
    """The crops of one frame as integers `[crop height width 3]`."""
    pixels = preprocess_frames(torch.from_numpy(frame.copy())[None], **PLAIN, **arguments)
    return (pixels[:, 0].permute(0, 2, 3, 1) * 255).round().int().numpy()


@settings(deadline=None, max_examples=50)
@given(
    height=st.integers(3, 150),
    width=st.integers(3, 150),
    short_side=st.integers(8, 40),
    interpolation=st.sampled_from(sorted(FILTERS)),
    seed=st.integers(0, 99),
)
def test_levels_equal_pillow(height, width, short_side, interpolation, seed):
    frame = random_frame(height, width, seed)
    out_height, out_width = resized_shape(height, width, short_side)
    resized = Image.fromarray(frame).resize((out_width, out_height), FILTERS[interpolation])
    size = short_side - 3
    arguments = {"size": size, "short_side": short_side, "interpolation": interpolation}
    results = levels(frame, **arguments, num_crops=3)
    for (top, left), result in zip(
        crop_corners(out_height, out_width, size, 3), results, strict=True
    ):
        expected = np.asarray(resized.crop((left, top, left + size, top + size)), int)
        if not OLD_PILLOW or height <= 2 * width:
            np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(levels(frame, **arguments)[0], results[1])


@pytest.fixture(scope="module")
def image_transform():
    """What makes OpenCLIP's evaluation transforms."""
    from vifistore.models.torchvision_operators import prepare

    prepare()
    from open_clip.transform import image_transform

    return image_transform


@pytest.fixture(scope="module")
def openclip_transform(image_transform):
    """OpenCLIP's evaluation transform of ViT-B-16."""
    return image_transform(224, is_train=False, mean=CLIP_MEAN, std=CLIP_STD)


@pytest.mark.parametrize(
    "shape", [(240, 320), (333, 187), (224, 224), (97, 501), (720, 405), (31, 40)], ids=str
)
def test_result_equals_openclip(shape, openclip_transform):
    frames = np.stack([random_frame(*shape, seed) for seed in range(4)])
    expected = torch.stack([openclip_transform(Image.fromarray(frame)) for frame in frames])
    result = preprocess_frames(torch.from_numpy(frames), size=224, mean=CLIP_MEAN, std=CLIP_STD)
    assert torch.equal(result[0], expected)


@pytest.mark.parametrize("interpolation", sorted(FILTERS))
@pytest.mark.parametrize("shape", [(240, 320), (187, 133), (64, 64), (31, 40)], ids=str)
def test_a_squashed_frame_equals_openclip(shape, interpolation, image_transform):
    colours = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    how = {"interpolation": interpolation, "resize_mode": "squash"}
    transform = image_transform(64, is_train=False, **colours, **how)
    frames = np.stack([random_frame(*shape, seed) for seed in range(4)])
    expected = torch.stack([transform(Image.fromarray(frame)) for frame in frames])
    result = preprocess_frames(torch.from_numpy(frames), size=64, **colours, **how)
    assert torch.equal(result[0], expected)


@pytest.mark.shared
def test_real_clips_equal_openclip(shared, openclip_transform):
    av = pytest.importorskip("av")
    # One clip of each collection, of different sizes.
    folders = sorted((shared / "videos" / "action").iterdir())
    paths = [min(folder.rglob("*.*")) for folder in folders]
    assert len(paths) >= 5
    for path in paths:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
        expected = openclip_transform(Image.fromarray(frame))
        result = preprocess_frames(
            torch.from_numpy(frame)[None], size=224, mean=CLIP_MEAN, std=CLIP_STD
        )
        assert torch.equal(result[0, 0], expected), path


@pytest.mark.parametrize("shape", [(40, 61), (61, 40), (12, 9)], ids=str)
def test_bilinear_without_antialias_reads_the_nearest_pixels(shape):
    frame = random_frame(*shape, seed=1)
    out_shape = resized_shape(*shape, 16)
    planes = torch.from_numpy(frame).permute(2, 0, 1)[None].double()
    expected = torch.nn.functional.interpolate(planes, out_shape, mode="bilinear")[0]
    top, left = crop_corners(*out_shape, 16, 1)[0]
    expected = expected[:, top : top + 16, left : left + 16].permute(1, 2, 0).numpy()
    result = levels(frame, size=16, interpolation="bilinear", antialias=False)[0]
    # Rounded once after each axis.
    assert np.abs(result - expected).max() <= 1


def test_three_crops_lie_along_the_longer_side():
    frame = np.zeros((8, 24, 3), np.uint8)
    frame[:, :8, 0] = frame[:, 8:16, 1] = frame[:, 16:, 2] = 200
    for picture in (frame, frame.transpose(1, 0, 2)):
        crops = levels(picture, size=8, num_crops=3)
        assert [crop.sum((0, 1)).tolist() for crop in crops] == [
            [12800, 0, 0],
            [0, 12800, 0],
            [0, 0, 12800],
        ]


def test_colours_are_normalised_per_channel_and_cast():
    frames = torch.full((2, 4, 4, 3), 255, dtype=torch.uint8)
    pixels = preprocess_frames(
        frames, size=2, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 2.0), dtype=torch.float16
    )
    assert pixels.dtype == torch.float16
    assert pixels.shape == (1, 2, 3, 2, 2)
    assert pixels[0, 0, :, 0, 0].tolist() == [1.0, 1.0, 0.0]


def test_weights_of_one_output_sum_to_one():
    taps = axis_taps(97, 31, "bicubic", True)
    sums = taps.weights.sum(1) / (1 << 22)
    torch.testing.assert_close(sums, torch.ones(31), atol=1e-5, rtol=0)


def test_taps_of_hundreds_of_sizes_are_kept():
    sizes = [(240, width) for width in range(200, 400)]
    cpu = torch.device("cpu")
    found = [[crop_taps(*size, 8, 8, "bicubic", True, 1, cpu) for size in sizes] for _ in range(2)]
    assert all(first is second for first, second in zip(*found, strict=True))


def test_wrong_use_is_named():
    frames = torch.zeros(1, 9, 9, 3, dtype=torch.uint8)
    with pytest.raises(UnknownNameError, match="'bicubic'"):
        preprocess_frames(frames, size=8, interpolation="bicubik", **PLAIN)
    with pytest.raises(UsageError, match="use 1 \\(centre\\) or 3"):
        preprocess_frames(frames, size=8, num_crops=2, **PLAIN)
    with pytest.raises(UsageError, match="a crop of 8 does not fit in 7"):
        preprocess_frames(frames, size=8, short_side=7, **PLAIN)
    for wrong in (frames.float(), frames[0], frames[..., :1]):
        with pytest.raises(UsageError, match=r"give uint8 \[frame height width 3\]"):
            preprocess_frames(wrong, size=8, **PLAIN)
