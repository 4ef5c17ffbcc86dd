"""Fusion heat-map: how models were trained against how they are scored, one panel a data set."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import COLUMN_INCHES, draw, legend_label
from reports.layouts.cells import dataset_heading
from reports.layouts.fusion_table import fusion_position, fusion_rows
from reports.measurements import Measurement

MAX_COLUMNS = 2
# Perceived lightness grows with the value, and no form of colour blindness changes the order.
COLOUR_MAP = "cividis"


def fusion_heatmap(found: Sequence[Measurement], path: str | Path) -> list[Path]:
    """Top-1 in percent, trained with (rows) x scored with (columns); returns the files.

    Without a number to show there are none.
    """
    shown = [m for m in fusion_rows(found) if m.is_defined]
    if not shown:
        return []
    datasets = list(dict.fromkeys(m.row.dataset for m in shown))
    matrices = [_matrix([m for m in shown if m.row.dataset == name]) for name in datasets]

    def plot(figure: Figure) -> None:
        columns = min(len(datasets), MAX_COLUMNS)
        rows = math.ceil(len(datasets) / columns)
        height = 0.75 + 0.36 * max(len(labels) for labels, _, _ in matrices)
        figure.set_size_inches(COLUMN_INCHES * columns + 0.3, height * rows)
        grid = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes, dataset, matrix in zip(grid, datasets, matrices, strict=False):
            _panel(axes, *matrix)
            axes.set_title(dataset_heading(dataset))
        for axes in grid[len(datasets) :]:
            axes.set_visible(False)

    return draw(Path(path), plot)


def _matrix(found: Sequence[Measurement]) -> tuple[list[str], list[str], np.ndarray]:
    """Row labels, column labels and values [row column]; NaN where there is no number."""
    models = list(dict.fromkeys((m.trained_fusion, m.name) for m in found))
    columns = sorted({m.row.fusion for m in found}, key=fusion_position)
    values = np.full((len(models), len(columns)), np.nan)
    for m in found:
        values[models.index((m.trained_fusion, m.name)), columns.index(m.row.fusion)] = m.value
    return _row_labels(models), columns, values


def _row_labels(models: Sequence[tuple[str, str]]) -> list[str]:
    """The fusion trained with; the model's name too where several share it, alone without one."""
    counts = Counter(trained for trained, _ in models)
    return [
        (trained if counts[trained] == 1 else f"{trained}\n{legend_label(name)}")
        if trained
        else legend_label(name)
        for trained, name in models
    ]


def _panel(axes: Axes, rows: list[str], columns: list[str], values: np.ndarray) -> None:
    axes.imshow(values, cmap=COLOUR_MAP, aspect="auto")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("scored with")
    axes.set_ylabel("trained with")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "black" if value > middle else "white"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour, size=8)
