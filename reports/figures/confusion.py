"""Which class is taken for which: heat-maps of what the videos of each class were taken for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from reports.class_answers import AnswerTable
from reports.figures.figure_style import (
    COLUMN_INCHES,
    PAGE_INCHES,
    draw,
    legend_label,
    panel_grid,
)
from reports.figures.heatmap import COLOUR_MAP

MAX_PANELS = 4
# More classes have no room for their names: those that are taken wrong most often are shown.
MAX_CLASSES = 30
_COLUMNS = 2


@dataclass(frozen=True, kw_only=True)
class ConfusionMatrix:
    """Of one system on one split."""

    title: str
    classes: list[str]
    shares: np.ndarray
    """Percent of the videos of a class (row) that were taken for a class (column), float64 [class
    class]."""
    left_out: int
    """Classes that are not shown."""


def confusion_matrices(tables: Sequence[AnswerTable]) -> list[ConfusionMatrix]:
    """A matrix each of the plain scores of the tables, at most 4; of one split the same classes."""
    found: list[ConfusionMatrix] = []
    for table in tables:
        classes = _classes(table)
        for number, system in enumerate(table.systems[: table.num_plain]):
            title = f"{system}: {table.title}"
            found.append(_matrix(table, number, title, classes))
    return found[:MAX_PANELS]


def draw_confusion(matrices: Sequence[ConfusionMatrix], path: str | Path) -> list[Path]:
    """Rows are the classes of the videos, columns what they were taken for; returns the files."""

    def plot(figure: Figure) -> None:
        columns = min(len(matrices), _COLUMNS)
        rows = -(-len(matrices) // columns)
        most = max(len(matrix.classes) for matrix in matrices)
        width = COLUMN_INCHES if columns == 1 else PAGE_INCHES
        figure.set_size_inches(width, (1.6 + 0.1 * most) * rows)
        grid = panel_grid(figure, len(matrices), columns)
        images = [_panel(*pair) for pair in zip(grid, matrices, strict=True)]
        bar = figure.colorbar(images[-1], ax=grid, shrink=0.6, aspect=30, pad=0.02)
        bar.set_label("% of the class")
        bar.ax.spines["outline"].set_visible(False)

    return draw(Path(path), plot)


def _classes(table: AnswerTable) -> list[str]:
    """By name; of many those with most videos taken wrong by any system."""
    names, places = np.unique(table.videos["label"].astype(str), return_inverse=True)
    wrong = np.bincount(places, (~table.is_right()).sum(axis=1))
    chosen = np.argsort(-wrong, kind="stable")[:MAX_CLASSES]
    return sorted(names[chosen].tolist())


def _matrix(table: AnswerTable, number: int, title: str, classes: Sequence[str]) -> ConfusionMatrix:
    place = {name: index for index, name in enumerate(classes)}
    counts, totals = np.zeros((len(classes),) * 2), np.zeros(len(classes))
    labels, answers = (table.videos[name].tolist() for name in ("label", number))
    for label, predicted in zip(labels, answers, strict=True):
        if label in place and isinstance(predicted, str):
            totals[place[label]] += 1
            if predicted in place:
                counts[place[label], place[predicted]] += 1
    shares = 100 * counts / np.maximum(totals, 1)[:, None]
    return ConfusionMatrix(
        title=title,
        classes=list(classes),
        shares=shares,
        left_out=len(set(labels)) - len(classes),
    )


def _panel(axes: Axes, matrix: ConfusionMatrix) -> AxesImage:
    image = axes.imshow(matrix.shares, cmap=COLOUR_MAP, vmin=0, vmax=100, aspect="auto")
    names = [legend_label(name, 22) for name in matrix.classes]
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(legend_label(matrix.title, 44))
    axes.set_xlabel("taken for")
    axes.set_ylabel("class")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image
