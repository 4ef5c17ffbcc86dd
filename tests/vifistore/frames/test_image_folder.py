import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from vifistore.errors import DecodeError
from vifistore.frames.decoders.decoding import DecodedVideo, decode_video


def write_images(folder: Path, count: int = 12, suffix: str = ".png") -> Path:
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (8, 6), (number, 2 * number, 0)).save(folder / f"frame{number}{suffix}")
    return folder


def decode(folder: Path, frames: int = 12) -> DecodedVideo:
    return decode_video(folder, frames=frames, clips=1, decoder="decord")


def test_frames_are_in_natural_order_at_25_per_second(tmp_path: Path) -> None:
    video = decode(write_images(tmp_path / "v"))
    assert video.frames[:, 0, 0].tolist() == [[n, 2 * n, 0] for n in range(12)]
    assert video.index.tolist() == [list(range(12))]
    np.testing.assert_allclose(video.timestamps, [np.arange(12) / 25], rtol=1e-6)
    assert (video.width, video.height, video.decoder) == (8, 6, "pillow")


def test_an_unreadable_frame_is_left_out(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "v")
    (folder / "frame3.png").write_bytes(b"no image")
    video = decode(folder, frames=11)
    assert (video.num_frames, video.declared_frames) == (11, 12)
    assert video.frames[:, 0, 0, 0].tolist() == [n for n in range(12) if n != 3]


def test_the_digest_knows_names_and_bytes(tmp_path: Path) -> None:
    first, same = write_images(tmp_path / "a"), write_images(tmp_path / "b")
    assert decode(first).content_digest == decode(same).content_digest
    (same / "frame11.png").rename(same / "frame12.png")
    assert decode(first).content_digest != decode(same).content_digest


def test_orientation_in_the_image_is_honoured(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    (tmp_path / "v").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "v" / "0.jpg", exif=exif)
    video = decode(tmp_path / "v", frames=1)
    assert (video.width, video.height) == (6, 8)


def test_of_grey_of_16_bits_the_upper_8_are_seen(tmp_path: Path) -> None:
    folder, levels = tmp_path / "v", np.linspace(0, 2**16 - 1, 48).reshape(6, 8).astype(np.uint16)
    folder.mkdir()
    Image.fromarray(levels).save(folder / "0.png")
    (frame,) = decode(folder, frames=1).frames
    assert (frame == (levels // 256)[..., None]).all()


def test_broken_facts_about_an_image_cost_that_image(tmp_path: Path, monkeypatch) -> None:
    turn = ImageOps.exif_transpose

    def fail(image: Image.Image) -> Image.Image:
        if image.fp.name.endswith("frame1.png"):
            struct.pack("L", "six")
        return turn(image)

    monkeypatch.setattr(ImageOps, "exif_transpose", fail)
    video = decode(write_images(tmp_path / "v", count=3), frames=3)
    assert (video.num_frames, video.declared_frames) == (2, 3)


@pytest.mark.parametrize(
    ("reason", "words"), [("empty", "no JPEG or PNG"), ("decode error", "none of its 2 images")]
)
def test_a_folder_without_frames_gives_a_reason(tmp_path: Path, reason: str, words: str) -> None:
    if reason == "decode error":
        for name in ("a.jpg", "b.png"):
            (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(DecodeError, match=words) as caught:
        decode(tmp_path)
    assert caught.value.reason == reason


def test_frames_of_different_sizes_are_refused(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "v")
    Image.new("RGB", (10, 6)).save(folder / "frame5.png")
    with pytest.raises(DecodeError, match="different sizes"):
        decode(folder)
