"""What models look at in a video: heat over its frames, and where it goes over time.

`maps` is everywhere model -> method (last, rollout) -> [frame row column], each frame summing to 1.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from reports.figures.figure_style import PAGE_INCHES, draw, legend_label

Maps = Mapping[str, Mapping[str, np.ndarray]]

MAX_FRAMES = 8
FORMATS = ("png", "pdf")
METHOD_WORDS = {"last": "last layer", "rollout": "rollout"}
# Dark is little: frames stay visible through it, and bright heat stands out from them.
_HEAT = "inferno"
# Of no share and of the largest in the row.
_OPACITIES = (0.3, 0.8)
_TILE_PIXELS = 128
_GAP = 4
_DOTS_PER_INCH = 160
_LABEL_INCHES = 1.0
# The largest few shares of a strip are single patches; the rest would be black beside them.
_TOP_PERCENTILE = 99.5


def attention_overlays(
    frames: np.ndarray, seconds: Sequence[float], maps: Maps, path: str | Path, title: str = ""
) -> list[Path]:
    """Frames uint8 [frame height width 3] in a row, below them each model's maps over the same.

    At most 8 frames are drawn, evenly chosen. Returns the files.
    """
    chosen = evenly(len(frames), MAX_FRAMES)
    names = [(model, method) for model, methods in maps.items() for method in methods]
    tiles = [_enlarged(frames[index]) for index in chosen]
    height, width = tiles[0].shape[:2]
    grid = [tiles] + [_heated(tiles, maps[model][method][chosen]) for model, method in names]
    canvas = _joined(grid)

    def plot(figure: Figure) -> None:
        inches = (PAGE_INCHES - _LABEL_INCHES) * canvas.shape[1] / ((width + _GAP) * MAX_FRAMES)
        tall = inches * canvas.shape[0] / canvas.shape[1]
        figure.set_size_inches(_LABEL_INCHES + inches, tall + 0.65)
        axes = figure.subplots()
        # One picture: a grid of dozens of axes takes ten times as long to lay out.
        axes.imshow(canvas, interpolation="none")
        axes.set_xticks(
            (np.arange(len(chosen)) + 0.5) * (width + _GAP) - _GAP / 2,
            [f"{seconds[index]:.1f} s" for index in chosen],
        )
        labels = [f"{legend_label(m, 18)}\n{METHOD_WORDS.get(how, how)}" for m, how in names]
        axes.set_yticks(
            (np.arange(len(grid)) + 0.5) * (height + _GAP) - _GAP / 2, ["frames", *labels]
        )
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("heat: share of attention, from none to the most in its row", fontsize=7)
        figure.suptitle(legend_label(title, 80), fontsize=8.5)

    return draw(Path(path), plot, formats=FORMATS, dots_per_inch=_DOTS_PER_INCH)


def attention_strips(
    seconds: Sequence[float], maps: Maps, path: str | Path, title: str = ""
) -> list[Path]:
    """Where the last layer looks over time: across the frame and down it, models side by side.

    Every column of a strip is one frame; all strips share one scale. Returns the files.
    """
    profiles = {model: _profiles(methods["last"]) for model, methods in maps.items()}
    values = np.concatenate([part.ravel() for pair in profiles.values() for part in pair])
    top = float(np.percentile(values, _TOP_PERCENTILE))

    def plot(figure: Figure) -> None:
        width = min(PAGE_INCHES, 0.6 + 2.1 * len(profiles))
        figure.set_size_inches(width, 3.0)
        grid = figure.subplots(2, len(profiles), squeeze=False, sharex=True)
        figure.suptitle(legend_label(title, 80), fontsize=8.5)
        strips: list[AxesImage] = []
        for column, (model, pair) in enumerate(profiles.items()):
            for axes, profile in zip(grid[:, column], pair, strict=True):
                strips.append(_strip(axes, profile, seconds, top))
            grid[0, column].tick_params(bottom=False)
            grid[0, column].set_title(legend_label(model, 26))
            grid[1, column].set_xlabel("seconds")
        grid[0, 0].set_ylabel("left to right")
        grid[1, 0].set_ylabel("top to bottom")
        bar = figure.colorbar(strips[-1], ax=grid, shrink=0.8, aspect=30, pad=0.02)
        bar.set_label("share of attention")
        bar.ax.spines["outline"].set_visible(False)

    return draw(Path(path), plot, formats=FORMATS, dots_per_inch=_DOTS_PER_INCH)


def evenly(count: int, most: int) -> np.ndarray:
    """At most `most` of `count` indexes, int64 [frame], evenly spaced, first and last among
    them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _profiles(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares by column [column frame] and by row [row frame] of maps [frame row column]."""
    return maps.sum(axis=1).T, maps.sum(axis=2).T


def _strip(axes: Axes, profile: np.ndarray, seconds: Sequence[float], top: float) -> AxesImage:
    span = float(seconds[-1] - seconds[0])
    # One frame, also where a short video repeats it, is drawn as one second.
    step = span / (len(seconds) - 1) if span else 1.0
    extent = (seconds[0] - step / 2, seconds[-1] + step / 2, len(profile), 0)
    image = axes.imshow(
        profile, cmap=_HEAT, aspect="auto", extent=extent, vmin=0, vmax=top, interpolation="nearest"
    )
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return image


def _enlarged(frame: np.ndarray) -> np.ndarray:
    """A frame uint8 [height width 3], as wide as it is drawn."""
    height, width = frame.shape[:2]
    size = (_TILE_PIXELS, round(_TILE_PIXELS * height / width))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))


def _heated(tiles: Sequence[np.ndarray], maps: np.ndarray) -> list[np.ndarray]:
    """Grey tiles uint8 [height width 3] under the colours of maps [frame row column]."""
    return [_blend(tile, shares) for tile, shares in zip(tiles, maps / maps.max(), strict=True)]


def _blend(tile: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Shares [row column] from 0 to 1 as heat over a tile without its own colours."""
    height, width = tile.shape[:2]
    smooth = Image.fromarray(shares.astype(np.float32)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    heat = np.clip(np.asarray(smooth), 0, 1)[..., None]
    colours = matplotlib.colormaps[_HEAT](heat[..., 0])[..., :3] * 255
    opacity = _OPACITIES[0] + heat * (_OPACITIES[1] - _OPACITIES[0])
    # Luma of ITU-R BT.601.
    grey = (tile @ np.array([0.299, 0.587, 0.114]))[..., None]
    return (grey * (1 - opacity) + colours * opacity).astype(np.uint8)


def _joined(grid: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Rows of equal tiles as one picture, white between them."""
    height, width = grid[0][0].shape[:2]
    step = (height + _GAP, width + _GAP)
    canvas = np.full((len(grid) * step[0] - _GAP, len(grid[0]) * step[1] - _GAP, 3), 255, np.uint8)
    for row, tiles in enumerate(grid):
        for column, tile in enumerate(tiles):
            top, left = row * step[0], column * step[1]
            canvas[top : top + height, left : left + width] = tile
    return canvas
