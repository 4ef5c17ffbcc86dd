"""t-SNE or PCA maps of feature sets side by side, with the figures that the eye cannot give."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.figures.figure_style import (
    COLOURS,
    COLUMN_INCHES,
    MARKERS,
    PAGE_INCHES,
    UNLABELLED_COLOUR,
    draw,
    legend_label,
    panel_grid,
    quiet_axes,
    series_style,
)
from reports.table_model import format_number

MAX_COLUMNS = 4
# Panels in one column of a page: the lines under them need as much.
_NARROW_COLUMNS = 2
MAX_LEGEND = len(COLOURS) * len(MARKERS)
_FEW_LABELS = 24
_WIDE_PANEL_INCHES = 1.8
UNLABELLED = "no label"
METRIC_WORDS = {
    "silhouette": "silhouette",
    "knn_agreement": "kNN",
    "class_separability": "separability",
}
_UNLABELLED_STYLE: dict[str, Any] = {"color": UNLABELLED_COLOUR, "marker": "o"}


def scatter_panels(
    points: pd.DataFrame,
    path: str | Path,
    separation: pd.DataFrame | None = None,
    *,
    width: Literal["auto", "column", "page"] = "auto",
) -> list[Path]:
    """One panel per feature set, a colour and marker per class, one legend; returns the files.

    `points` has the columns panel, label, x, y; `separation` panel, metric, value, ci_low,
    ci_high and goes under the panels. Points without a label are grey. Beyond 49 classes there is
    no legend: colours repeat. `width` auto is one column for up to two panels.
    """
    panels = list(points.groupby("panel", sort=False))
    labels = class_labels(points)
    has_unlabelled = bool((points["label"].fillna("") == "").any())
    columns, inches = _place(len(panels), width)
    rows = math.ceil(len(panels) / columns)

    def plot(figure: Figure) -> None:
        lines = 0.16 * _num_lines(separation)
        legend = _legend_inches(labels, inches, has_unlabelled)
        figure.set_size_inches(inches, rows * (inches / columns + 0.25 + lines) + legend)
        grid = panel_grid(figure, len(panels), columns)
        for axes, (name, part) in zip(grid, panels, strict=True):
            _panel(axes, part, labels)
            axes.set_title(legend_label(str(name), int(13 * inches / columns)))
            # Beside each other in one column, lines of the usual size would touch.
            size = 7 if inches / columns < _WIDE_PANEL_INCHES else None
            axes.set_xlabel("\n".join(_separation_lines(separation, str(name))), fontsize=size)
        _legend(figure, labels, inches, has_unlabelled)

    return draw(Path(path), plot)


def class_labels(points: pd.DataFrame) -> list[str]:
    """The classes of a map in the order of their colours; no label is none."""
    return sorted(set(points["label"].dropna()) - {""})


def _place(num_panels: int, width: str) -> tuple[int, float]:
    """Panels in a row, and inches of the whole figure."""
    if width == "column" or (width == "auto" and num_panels <= _NARROW_COLUMNS):
        return min(num_panels, _NARROW_COLUMNS), COLUMN_INCHES
    rows = math.ceil(num_panels / MAX_COLUMNS)
    return math.ceil(num_panels / rows), PAGE_INCHES


def _panel(axes: Axes, points: pd.DataFrame, labels: Sequence[str]) -> None:
    size = min(14.0, max(2.0, 3000 / max(len(points), 1)))
    given = points["label"].fillna("")
    # Grey first, so that it lies below.
    styles = {"": _UNLABELLED_STYLE} | {name: series_style(i) for i, name in enumerate(labels)}
    for label, style in styles.items():
        chosen = points[given == label]
        axes.scatter(chosen["x"], chosen["y"], s=size, alpha=0.8, linewidths=0, **style)
    axes.set_box_aspect(1)
    quiet_axes(axes)


def _separation_lines(separation: pd.DataFrame | None, panel: str) -> list[str]:
    if separation is None:
        return []
    # A reader who knows the figure misses them.
    return separation_words(separation, panel) or ["too few labels to measure"]


def separation_words(separation: pd.DataFrame, panel: str) -> list[str]:
    """`silhouette 0.31 [0.27, 0.34]` for each measure of a panel."""
    lines = []
    for row in separation.query("panel == @panel").to_dict("records"):
        value, *ends = (format_number(row[name], 2) for name in ("value", "ci_low", "ci_high"))
        interval = "" if math.isnan(row["ci_low"]) else f" [{', '.join(ends)}]"
        lines.append(f"{METRIC_WORDS.get(row['metric'], row['metric'])} {value}{interval}")
    return lines


def _num_lines(separation: pd.DataFrame | None) -> int:
    return 0 if separation is None else max(1, len(set(separation["metric"])))


def _legend_names(labels: Sequence[str], width: float, has_unlabelled: bool) -> list[str]:
    # Of many, two columns of names cut short are better than a legend longer than the page.
    limit = 36 if width > COLUMN_INCHES or len(labels) <= _FEW_LABELS else 27
    return [legend_label(label, limit) for label in labels] + [UNLABELLED] * has_unlabelled


def _legend_columns(names: Sequence[str], width: float) -> int:
    longest = max(map(len, names), default=1)
    return max(1, min(len(names), int(width / (0.27 + 0.05 * longest))))


def _legend_inches(labels: Sequence[str], width: float, has_unlabelled: bool) -> float:
    if len(labels) > MAX_LEGEND:
        return 0.2
    names = _legend_names(labels, width, has_unlabelled)
    return 0.14 * math.ceil(len(names) / _legend_columns(names, width)) + 0.1


def _legend(figure: Figure, labels: Sequence[str], width: float, has_unlabelled: bool) -> None:
    if len(labels) > MAX_LEGEND:
        figure.supxlabel(f"{len(labels)} classes; colours repeat", fontsize=7)
        return
    styles = [series_style(index) for index in range(len(labels))]
    styles += [_UNLABELLED_STYLE] * has_unlabelled
    names = _legend_names(labels, width, has_unlabelled)
    handles = [
        Line2D([], [], linestyle="", markersize=4.5, markeredgewidth=0, **style) for style in styles
    ]
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=_legend_columns(names, width),
        handletextpad=0.1,
        columnspacing=0.9,
        labelspacing=0.3,
    )
