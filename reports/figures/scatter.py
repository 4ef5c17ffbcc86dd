"""t-SNE or PCA maps of feature sets side by side, with the figures that the eye cannot give."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.figures.style import (
    COLOURS,
    MARKERS,
    PAGE_INCHES,
    draw,
    legend_label,
    quiet_axes,
    series_style,
)

MAX_COLUMNS = 4
MAX_LEGEND = len(COLOURS) * len(MARKERS)
_METRIC_WORDS = {"silhouette": "silhouette", "knn_agreement": "kNN"}


def scatter_panels(
    points: pd.DataFrame, path: str | Path, separation: pd.DataFrame | None = None
) -> list[Path]:
    """One panel per feature set, a colour and marker per class, one legend; returns the files.

    `points` has the columns panel, label, x, y; `separation` panel, metric, value, ci_low,
    ci_high and goes under the panels. Beyond 49 classes there is no legend: colours repeat.
    """
    panels = list(dict.fromkeys(points["panel"]))
    labels = sorted(set(points["label"]))

    def plot(figure: Figure) -> None:
        rows = math.ceil(len(panels) / MAX_COLUMNS)
        columns = math.ceil(len(panels) / rows)
        width = PAGE_INCHES if columns > 2 else PAGE_INCHES * columns / 3
        side = width / columns
        lines = 0.16 * _num_lines(separation)
        figure.set_size_inches(width, rows * (side + 0.25 + lines) + _legend_inches(labels, width))
        grid = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes, panel in zip(grid, panels, strict=False):
            _panel(axes, points[points["panel"] == panel], labels)
            axes.set_title(legend_label(panel, 32))
            axes.set_xlabel("\n".join(_separation_lines(separation, panel)))
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        _legend(figure, labels, width)

    return draw(Path(path), plot)


def _panel(axes: Axes, points: pd.DataFrame, labels: Sequence[str]) -> None:
    size = min(14.0, max(2.0, 3000 / max(len(points), 1)))
    for index, label in enumerate(labels):
        chosen = points[points["label"] == label]
        style = series_style(index)
        axes.scatter(chosen["x"], chosen["y"], s=size, alpha=0.8, linewidths=0, **style)
    axes.set_box_aspect(1)
    quiet_axes(axes)


def _separation_lines(separation: pd.DataFrame | None, panel: str) -> list[str]:
    if separation is None:
        return []
    lines = []
    for row in separation[separation["panel"] == panel].itertuples():
        interval = "" if pd.isna(row.ci_low) else f" [{row.ci_low:.2f}, {row.ci_high:.2f}]"
        lines.append(f"{_METRIC_WORDS.get(row.metric, row.metric)} {row.value:.2f}{interval}")
    return lines


def _num_lines(separation: pd.DataFrame | None) -> int:
    return 0 if separation is None else separation["metric"].nunique()


def _legend_columns(labels: Sequence[str], width: float) -> int:
    longest = max((len(legend_label(label)) for label in labels), default=1)
    return max(1, min(len(labels), int(width / (0.3 + 0.062 * longest))))


def _legend_inches(labels: Sequence[str], width: float) -> float:
    if len(labels) > MAX_LEGEND:
        return 0.2
    return 0.15 * math.ceil(len(labels) / _legend_columns(labels, width)) + 0.1


def _legend(figure: Figure, labels: Sequence[str], width: float) -> None:
    if len(labels) > MAX_LEGEND:
        figure.supxlabel(f"{len(labels)} classes; colours repeat", fontsize=7)
        return
    handles = [
        Line2D([], [], linestyle="", markersize=4.5, markeredgewidth=0, **series_style(index))
        for index in range(len(labels))
    ]
    figure.legend(
        handles,
        [legend_label(label) for label in labels],
        loc="outside lower center",
        ncols=_legend_columns(labels, width),
        handletextpad=0.1,
        columnspacing=0.9,
        labelspacing=0.3,
    )
