"""Accuracy against shots per class, and against frames per view; a panel per data set."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from reports.figures.figure_style import (
    COLOURS,
    COLUMN_INCHES,
    FAINT,
    MARKERS,
    PAGE_INCHES,
    draw,
    legend_label,
    panel_grid,
)
from reports.layouts.cells import dataset_heading
from reports.measurements import Measurement
from reports.paper.paper_numbers import paper_numbers

MAX_COLUMNS = 3
FRAMES_PROTOCOL = "ablation-frames"
# What may tell numbers of one model apart, beside what every label says.
_TELLING = ("split", "train_split", "template", "num_views")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of one panel."""

    panel: str
    """Data set."""
    label: str
    """Model."""
    points: tuple[tuple[int, float, float | None, float | None], ...]
    """(x, value, low, high) in the order of x."""
    is_paper: bool = False
    """Drawn dashed and grey, without interval."""


def few_shot_curves(measured: Sequence[Measurement]) -> list[Curve]:
    """Top-1 against K, where a model has two or more K; beside the paper's ViFi-CLIP."""
    shown = [
        m
        for m in measured
        if (m.row.protocol, m.row.metric) == ("few-shot", "top1") and m.row.shots is not None
    ]
    curves = _curves(shown, "shots")
    datasets = {m.dataset for m in shown if m.is_comparable} & {curve.panel for curve in curves}
    return curves + [curve for curve in _paper_curves() if curve.panel in datasets]


def frames_curves(measured: Sequence[Measurement]) -> list[Curve]:
    """Top-1 against frames per view, where a model has two or more counts."""
    rows = [m for m in measured if (m.row.protocol, m.row.metric) == (FRAMES_PROTOCOL, "top1")]
    return _curves(rows, "num_frames")


def draw_curves(curves: Sequence[Curve], path: str | Path, xlabel: str) -> list[Path]:
    """Lines with 95% intervals over a logarithmic axis; returns the files."""
    panels = list(dict.fromkeys(curve.panel for curve in curves))
    labels = list(dict.fromkeys(curve.label for curve in curves if not curve.is_paper))

    def plot(figure: Figure) -> None:
        columns = min(len(panels), MAX_COLUMNS)
        rows = -(-len(panels) // columns)
        width = COLUMN_INCHES if columns == 1 else PAGE_INCHES
        figure.set_size_inches(width, 2.3 * rows + 0.15 * len(labels))
        grid = panel_grid(figure, len(panels), columns)
        for axes, panel in zip(grid, panels, strict=True):
            drawn = [curve for curve in curves if curve.panel == panel]
            for curve in drawn:
                _line(axes, curve, labels)
            _axis(axes, drawn, xlabel)
            axes.set_title(dataset_heading(panel))
        grid[0].set_ylabel("top-1 (%)")
        _legend(figure, grid)

    return draw(Path(path), plot)


def _curves(measured: Sequence[Measurement], field: str) -> list[Curve]:
    lines = defaultdict(dict)
    defined = [m for m in measured if m.is_defined]
    telling = _telling_fields(defined, field)
    for m in defined:
        label = ", ".join([_label(m), *(str(getattr(m.row, name)) for name in telling)])
        lines[m.dataset, label][getattr(m.row, field)] = (m.value, *_ends(m))
    return [
        Curve(panel=panel, label=label, points=tuple((x, *line[x]) for x in sorted(line)))
        for (panel, label), line in lines.items()
        if len(line) > 1
    ]


def _telling_fields(measured: Sequence[Measurement], field: str) -> list[str]:
    """Fields without which two numbers of one model would be one point."""
    values = defaultdict(set)
    for m in measured:
        for name in _TELLING:
            point = (m.dataset, _label(m), getattr(m.row, field))
            values[name, point].add(getattr(m.row, name))
    return [n for n in _TELLING if any(n == name and len(v) > 1 for (name, _), v in values.items())]


def _ends(measurement: Measurement) -> tuple[float | None, float | None]:
    """The 95% interval; of a mean over draws, which has none, one standard deviation."""
    if measurement.low is None and measurement.std is not None:
        return measurement.value - measurement.std, measurement.value + measurement.std
    return measurement.low, measurement.high


def _label(measurement: Measurement) -> str:
    row = measurement.row
    # A model tuned on K videos per class has another name for each K, but the same method.
    is_tuned = row.protocol == "few-shot" and row.classifier == "text"
    name = (measurement.method if is_tuned else "") or measurement.name
    extra = [row.classifier] if row.classifier != "text" else []
    extra += [row.fusion] if row.fusion != "embedding" else []
    extra += [f"{row.num_videos:,} of {row.listed:,} listed"] if measurement.is_part else []
    return ", ".join([name, *extra])


def _paper_curves() -> list[Curve]:
    lines = defaultdict(list)
    for number in paper_numbers(3):
        if number.method == "ViFi-CLIP":
            lines[number.dataset].append((number.shots, number.value, None, None))
    return [
        Curve(panel=panel, label="ViFi-CLIP (paper)", points=tuple(points), is_paper=True)
        for panel, points in lines.items()
    ]


def _line(axes: Axes, curve: Curve, labels: Sequence[str]) -> None:
    x, y, low, high = zip(*curve.points, strict=True)
    label = legend_label(curve.label, 40)
    if curve.is_paper:
        axes.plot(x, y, "--", color=FAINT, linewidth=1.2, label=label)
        return
    index = labels.index(curve.label)
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    axes.plot(x, y, linewidth=1.4, marker=marker, markersize=4, color=colour, label=label)
    if None not in (*low, *high):
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def _axis(axes: Axes, curves: Sequence[Curve], xlabel: str) -> None:
    ticks = sorted({point[0] for curve in curves for point in curve.points})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(xlabel)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)


def _legend(figure: Figure, grid: Sequence[Axes]) -> None:
    handle_of = {}
    for axes in grid:
        handles, labels = axes.get_legend_handles_labels()
        handle_of |= dict(zip(labels, handles, strict=True))
    columns = max(1, int(figure.get_size_inches()[0] / (0.5 + 0.062 * max(map(len, handle_of)))))
    figure.legend(
        list(handle_of.values()), list(handle_of), loc="outside lower center", ncols=columns
    )
