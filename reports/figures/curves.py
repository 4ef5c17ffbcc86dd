"""Accuracy against shots per class, and against frames per view; a panel per data set, and per
model where a panel of all would repeat colours."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
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
_FIRST = ", K-400 first"
FRAMES_PROTOCOL = "ablation-frames"
# What may tell numbers of one model apart, beside what every label says.
_TELLING = ("split", "train_split", "template", "num_views")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of one panel."""

    panel: str
    """Data set."""
    model: str = ""
    """Name of its panel, where each model has one; empty otherwise."""
    label: str
    """Model, or what was scored of the model of its panel."""
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
    panels = panels_of(curves)
    labels = series_labels(curves)

    def plot(figure: Figure) -> None:
        columns = min(len(panels), MAX_COLUMNS)
        rows = -(-len(panels) // columns)
        width = COLUMN_INCHES if columns == 1 else PAGE_INCHES
        figure.set_size_inches(width, 2.3 * rows + 0.15 * len(labels))
        grid = panel_grid(figure, len(panels), columns)
        for axes, (title, drawn) in zip(grid, panels.items(), strict=True):
            for curve in drawn:
                _line(axes, curve, labels)
            _axis(axes, drawn, xlabel)
            axes.set_title(legend_label(title, 36))
        grid[0].set_ylabel("top-1 (%)")
        _legend(figure, grid)

    return draw(Path(path), plot)


def panels_of(curves: Sequence[Curve]) -> dict[str, list[Curve]]:
    """Title of each panel, and its lines."""
    panels = defaultdict(list)
    for curve in curves:
        title = ": ".join(filter(None, (dataset_heading(curve.panel), curve.model)))
        panels[title].append(curve)
    return dict(panels)


def series_labels(curves: Sequence[Curve]) -> list[str]:
    """Labels of our lines, each once: the place of one is its colour and marker."""
    return list(dict.fromkeys(curve.label for curve in curves if not curve.is_paper))


def _curves(measured: Sequence[Measurement], field: str) -> list[Curve]:
    lines = defaultdict(dict)
    defined = [m for m in measured if m.is_defined]
    telling = _telling_fields(defined, field)
    for m in defined:
        extra = (*_extra(m), *(str(getattr(m.row, name)) for name in telling))
        lines[m.dataset, _name(m), extra][getattr(m.row, field)] = (m.value, *_ends(m))
    whole = {key: line for key, line in lines.items() if len(line) > 1}
    has_panels = _has_panels(whole)
    return [
        Curve(
            panel=panel,
            model=name if has_panels else "",
            label=", ".join(extra if has_panels and extra else (name, *extra)),
            points=tuple((x, *line[x]) for x in sorted(line)),
        )
        for (panel, name, extra), line in whole.items()
    ]


def _has_panels(lines: Iterable[tuple[str, str, tuple[str, ...]]]) -> bool:
    """Whether lines of several models are more than there are colours, and models are fewer."""
    lines = list(lines)
    names = {name for _, name, _ in lines}
    labels = {(name, extra) for _, name, extra in lines}
    return len(labels) > len(COLOURS) and 1 < len(names) < len(labels)


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
    return ", ".join([_name(measurement), *_extra(measurement)])


def _name(measurement: Measurement) -> str:
    row = measurement.row
    # A model tuned on K videos per class has another name for each K, but the same method.
    is_tuned = row.protocol == "few-shot" and row.classifier == "text"
    if not (is_tuned and measurement.method):
        return measurement.name
    # What began with Kinetics-400 is another line than what did not.
    return measurement.method + (_FIRST if measurement.is_bridged else "")


def _extra(measurement: Measurement) -> tuple[str, ...]:
    """What was scored of a model, where it is not by class names and embedding fusion."""
    row = measurement.row
    extra = [row.classifier] if row.classifier != "text" else []
    extra += [row.fusion] if row.fusion != "embedding" else []
    extra += [f"{row.num_videos:,} of {row.listed:,} listed"] if measurement.is_part else []
    return tuple(extra)


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
    colour = COLOURS[index % len(COLOURS)]
    # Neighbours differ in both, and all of the first 49 in one.
    marker = MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]
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
