import re

import numpy as np
import pytest
from PIL import Image

from reports.figures import attention_heat
from reports.figures.attention_heat import attention_overlays, attention_strips, evenly


@pytest.fixture
def looked_at():
    """Twelve white frames; one model looks at their top left patch, one everywhere."""
    frames = np.full((12, 24, 32, 3), 255, np.uint8)
    corner = np.zeros((12, 3, 4), np.float32)
    corner[:, 0, 0] = 1
    even = np.full((12, 3, 4), 1 / 12, np.float32)
    return frames, np.arange(12) / 4, {"corner": {"last": corner}, "even": {"last": even}}


@pytest.fixture
def as_svg(svg_texts, monkeypatch):
    monkeypatch.setattr(attention_heat, "FORMATS", ("svg",))
    return svg_texts


def test_overlays_name_models_methods_and_moments(looked_at, tmp_path, as_svg):
    frames, seconds, maps = looked_at
    (path,) = attention_overlays(frames, seconds, maps, tmp_path / "a", "$a video")
    shown = as_svg(path)
    assert {"frames", "$a video", "0.0 s", "2.8 s", "corner", "last layer"} <= set(shown)
    assert sum(text.endswith(" s") for text in shown) == attention_heat.MAX_FRAMES


def test_heat_lies_where_the_model_looks(looked_at):
    frames, _, maps = looked_at
    tiles = attention_heat._heated([frames[0]], maps["corner"]["last"][:1])
    tile = tiles[0].astype(int)
    # No heat darkens the white frame a little; the most covers it with the brightest colour.
    assert tile[-1, -1].max() < tile[0, 0].max()
    assert tile.reshape(-1, 3).max(axis=1).argmax() < tile.shape[0] * tile.shape[1] / 2
    assert (tile[-4:, -4:] == tile[-1, -1]).all()


def test_strips_have_a_column_per_frame(looked_at, tmp_path, as_svg):
    _, seconds, maps = looked_at
    (path,) = attention_strips(seconds, maps, tmp_path / "a", "a video")
    assert {"left to right", "top to bottom", "seconds", "corner", "even"} <= set(as_svg(path))
    assert len(re.findall("<image", path.read_text())) >= 4
    across, down = attention_heat._profiles(maps["corner"]["last"])
    assert across.shape == (4, 12)
    assert down.shape == (3, 12)
    assert (across[0] == 1).all()


def test_one_frame_is_enough(looked_at, tmp_path):
    frames, seconds, maps = looked_at
    one = {name: {"last": methods["last"][:1]} for name, methods in maps.items()}
    attention_strips(seconds[:1], one, tmp_path / "strip")
    paths = attention_overlays(frames[:1], seconds[:1], one, tmp_path / "overlay")
    assert [path.suffix for path in paths] == [".png", ".pdf"]
    with Image.open(paths[0]) as image:
        assert image.size[0] > 100


def test_a_video_that_repeats_its_only_frame(looked_at, tmp_path):
    _, _, maps = looked_at
    assert len(attention_strips(np.zeros(12), maps, tmp_path / "strip")) == 2


def test_evenly_from_first_to_last():
    assert evenly(16, 8).tolist() == [0, 2, 4, 6, 9, 11, 13, 15]
    assert evenly(3, 8).tolist() == [0, 1, 2]
