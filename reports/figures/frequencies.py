"""Videos per class with the cut between base and novel classes (the paper's Figure 2)."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.figure_style import COLOURS, COLUMN_INCHES, FAINT, draw
from reports.layouts.cells import dataset_heading

_PARTS = {"base": COLOURS[0], "novel": COLOURS[1]}


def class_frequencies(counts: pd.DataFrame, path: str | Path) -> list[Path]:
    """Classes by falling count, base and novel in two colours; returns the files.

    `counts` has the columns dataset, class, count and subset (base or novel).
    """
    datasets = list(dict.fromkeys(counts["dataset"]))

    def plot(figure: Figure) -> None:
        figure.set_size_inches(COLUMN_INCHES, 1.7 * len(datasets) + 0.2)
        panels = figure.subplots(len(datasets), 1, squeeze=False)[:, 0]
        for axes, dataset in zip(panels, datasets, strict=True):
            _panel(axes, counts[counts["dataset"] == dataset])
            axes.set_title(dataset_heading(dataset), loc="left")
        panels[-1].set_xlabel("classes by falling number of videos")

    return draw(Path(path), plot)


def _panel(axes: Axes, counts: pd.DataFrame) -> None:
    # Equal counts: base before novel, so that the cut is one line.
    ordered = counts.sort_values(["count", "subset"], ascending=[False, True], kind="stable")
    ordered = ordered.reset_index(drop=True)
    for subset, colour in _PARTS.items():
        part = ordered[ordered["subset"] == subset]
        label = f"{subset}: {len(part)} classes, {int(part['count'].sum()):,} videos"
        axes.bar(
            part.index,
            part["count"],
            width=1.0,
            color=colour,
            edgecolor=colour,
            linewidth=0.3,
            label=label,
        )
    is_base = ordered["subset"] == "base"
    if is_base.is_monotonic_decreasing:
        axes.axvline(is_base.sum() - 0.5, color=FAINT, linestyle="--", linewidth=0.8)
    axes.set_ylabel("videos")
    axes.margins(x=0.01)
    axes.legend(loc="upper right", frameon=True, framealpha=1, edgecolor="white")
