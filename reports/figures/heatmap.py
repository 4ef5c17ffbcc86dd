"""Fusion heat-map: how models were trained against how they are scored, one panel a data set."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.figure_style import COLUMN_INCHES, draw, legend_label, panel_grid
from reports.layouts.cells import dataset_heading
from reports.layouts.fusion_table import fusion_position, fusion_rows
from reports.layouts.grouping import group_rows
from reports.measurements import Measurement

MAX_COLUMNS = 2
# Perceived lightness grows with the value, and no form of colour blindness changes the order.
COLOUR_MAP = "cividis"


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The numbers of one data set."""

    dataset: str
    """Name of the data set."""
    rows: list[str]
    """What each model was trained with."""
    columns: list[str]
    """Fusions scored with."""
    values: np.ndarray
    """Top-1 in percent [row column]; NaN where there is no number."""
    is_part: bool = False
    """Whether numbers are of a part of the published list."""

    @property
    def title(self) -> str:
        """What stands above it."""
        return dataset_heading(self.dataset) + (" (part of its list)" if self.is_part else "")


def fusion_matrices(measured: Sequence[Measurement]) -> list[Matrix]:
    """Top-1, trained with x scored with, one per data set that has a number."""
    shown = [m for m in fusion_rows(measured) if m.is_defined]
    datasets = dict.fromkeys(m.row.dataset for m in shown)
    return [_matrix(name, [m for m in shown if m.row.dataset == name]) for name in datasets]


def fusion_heatmap(matrices: Sequence[Matrix], path: str | Path) -> list[Path]:
    """Top-1 in percent, trained with (rows) x scored with (columns); returns the files.

    Without a number to show there are none.
    """
    if not matrices:
        return []

    def plot(figure: Figure) -> None:
        columns = min(len(matrices), MAX_COLUMNS)
        rows = math.ceil(len(matrices) / columns)
        height = 0.75 + 0.36 * max(len(matrix.rows) for matrix in matrices)
        figure.set_size_inches(COLUMN_INCHES * columns + 0.3, height * rows)
        grid = panel_grid(figure, len(matrices), columns)
        for axes, matrix in zip(grid, matrices, strict=True):
            _panel(axes, matrix)
            axes.set_title(matrix.title)

    return draw(Path(path), plot)


def _matrix(dataset: str, measured: Sequence[Measurement]) -> Matrix:
    groups = group_rows(measured, lambda m: m.row.fusion, ("fusion",))
    trained_of = {key: members[0].trained_fusion for key, members in groups.items()}
    keys = sorted(groups, key=lambda key: fusion_position(trained_of[key]))
    columns = sorted({m.row.fusion for m in measured}, key=fusion_position)
    values = np.full((len(keys), len(columns)), np.nan)
    for row, key in enumerate(keys):
        for m in groups[key]:
            values[row, columns.index(m.row.fusion)] = m.value
    models = [(trained_of[key], ", ".join(filter(None, key))) for key in keys]
    return Matrix(
        dataset=dataset,
        rows=_row_labels(models),
        columns=columns,
        values=values,
        is_part=any(m.is_part for m in measured),
    )


def _row_labels(models: Sequence[tuple[str, str]]) -> list[str]:
    """The fusion trained with; the model's name too where several share it, alone without one."""
    counts = Counter(trained for trained, _ in models)
    return [
        (trained if counts[trained] == 1 else f"{trained}\n{legend_label(name)}")
        if trained
        else legend_label(name)
        for trained, name in models
    ]


def _panel(axes: Axes, matrix: Matrix) -> None:
    values = matrix.values
    axes.imshow(values, cmap=COLOUR_MAP, aspect="auto")
    axes.set_xticks(range(len(matrix.columns)), matrix.columns)
    axes.set_yticks(range(len(matrix.rows)), matrix.rows)
    axes.set_xlabel("scored with")
    axes.set_ylabel("trained with")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "black" if value > middle else "white"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour, size=8)
