"""Videos per class with the cut between base and novel classes (the paper's Figure 2)."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.figure_style import COLOURS, COLUMN_INCHES, FAINT, draw, legend_label
from reports.layouts.cells import dataset_heading

# As many classes have room for their names.
MAX_NAMES = 16
_LEGEND_POINTS = 24
_PARTS = {"base": COLOURS[0], "novel": COLOURS[1]}


def class_frequencies(counts: pd.DataFrame, path: str | Path) -> list[Path]:
    """Classes by falling count, base and novel in two colours; returns the files.

    `counts` has the columns dataset, class, count and subset (base or novel).
    """
    groups = list(counts.groupby("dataset", sort=False))

    def plot(figure: Figure) -> None:
        named = sum(len(part) <= MAX_NAMES for _, part in groups)
        figure.set_size_inches(COLUMN_INCHES, 1.9 * len(groups) + 0.6 * named + 0.2)
        panels = figure.subplots(len(groups), 1, squeeze=False)[:, 0]
        for axes, (dataset, part) in zip(panels, groups, strict=True):
            _panel(axes, part)
            # Above the legend: beside it there is no room.
            axes.set_title(dataset_heading(str(dataset)), loc="left", pad=_LEGEND_POINTS)
        panels[-1].set_xlabel("classes by falling number of videos")

    return draw(Path(path), plot)


def _panel(axes: Axes, counts: pd.DataFrame) -> None:
    # Equal counts: base before novel, so that the cut is one line.
    ordered = counts.sort_values(["count", "subset"], ascending=[False, True], kind="stable")
    ordered = ordered.reset_index(drop=True)
    for subset, colour in _PARTS.items():
        part = ordered[ordered["subset"] == subset]
        label = f"{subset}: {len(part)} classes, {int(np.sum(part['count'])):,} videos"
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
        axes.axvline(np.count_nonzero(is_base) - 0.5, color=FAINT, linestyle="--", linewidth=0.8)
    axes.set_ylabel("videos")
    axes.margins(x=0.01)
    if len(ordered) <= MAX_NAMES:
        names = [legend_label(str(name), 24) for name in ordered["class"]]
        axes.set_xticks(ordered.index, names, rotation=45, ha="right", rotation_mode="anchor")
    # Below the title: on the bars it would cover some.
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
