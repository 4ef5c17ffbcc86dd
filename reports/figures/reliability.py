"""Reliability diagrams: how often answers are right, by how sure they are; a panel per model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.figure_style import (
    COLUMN_INCHES,
    FAINT,
    PAGE_INCHES,
    draw,
    legend_label,
    panel_grid,
    series_style,
)
from reports.layouts.cells import dataset_heading
from reports.measurements import Measurement, is_mean

MAX_PANELS = 9
_COLUMNS = 3
_MAX_BINS = 100
# Of more videos than this a dot is no larger.
_LARGEST_SHARE = 0.3
_PLAIN, _LEVER = "plain", "temperature"

# Mean probability, share that is right, share of the videos.
Point = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """One line of one panel."""

    panel: str
    """Model, and where it was scored."""
    label: str
    """Plain, or the lever that calibrates."""
    points: tuple[Point, ...]
    """Of bins that hold a video, by rising probability."""
    error: float
    """Calibration error, percent."""


def reliability_diagrams(measured: Sequence[Measurement]) -> list[Diagram]:
    """Of models that were calibrated, before and after; none where none was."""
    shown = [
        m
        for m in measured
        if m.row.metric == "calibration_error"
        and m.row.lever in ("", _LEVER)
        and not is_mean(m.row)
    ]
    calibrated = {_panel(m) for m in shown if m.row.lever}
    panels = list(dict.fromkeys(p for m in shown if (p := _panel(m)) in calibrated))[:MAX_PANELS]
    found = [
        Diagram(panel=_panel(m), label=m.row.lever or _PLAIN, points=points, error=m.value)
        for m in shown
        if _panel(m) in panels and (points := _points(m.row.provenance.get("reliability")))
    ]
    return sorted(found, key=lambda diagram: panels.index(diagram.panel))


def draw_reliability(diagrams: Sequence[Diagram], path: str | Path) -> list[Path]:
    """Lines beside the diagonal, whose dots are larger where more videos are; returns the files."""
    panels = list(dict.fromkeys(diagram.panel for diagram in diagrams))

    def plot(figure: Figure) -> None:
        columns = min(len(panels), _COLUMNS)
        rows = -(-len(panels) // columns)
        figure.set_size_inches(COLUMN_INCHES if columns == 1 else PAGE_INCHES, 2.7 * rows)
        for axes, panel in zip(panel_grid(figure, len(panels), columns), panels, strict=True):
            axes.plot([0, 100], [0, 100], "--", color=FAINT, linewidth=0.8)
            for place, diagram in enumerate(d for d in diagrams if d.panel == panel):
                _line(axes, diagram, place)
            axes.set_title(legend_label(panel, 40))
            axes.set_xlabel("probability of the answer (%)")
            axes.set_ylabel("right (%)")
            # Below: on the plot it would cover lines.
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=2)

    return draw(Path(path), plot)


def _line(axes: Axes, diagram: Diagram, place: int) -> None:
    x, y, shares = zip(*diagram.points, strict=True)
    style = series_style(place)
    label = f"{diagram.label}, error {diagram.error:.1f}"
    axes.plot(x, y, linewidth=1.2, color=style["color"], label=label)
    sizes = [8 + 60 * min(share, _LARGEST_SHARE) for share in shares]
    axes.scatter(x, y, s=sizes, linewidths=0, **style)


def _panel(measurement: Measurement) -> str:
    row = measurement.row
    words = [measurement.name, dataset_heading(measurement.dataset), row.split]
    words += [row.fusion] if row.fusion != "embedding" else []
    return ", ".join(words)


def _points(told: object) -> tuple[Point, ...]:
    """The bins of a row's provenance, in percent; none where they are not what they should be."""
    names = ("confidence", "accuracy", "counts")
    columns = [told.get(name) for name in names] if isinstance(told, Mapping) else [None]
    if not all(isinstance(column, list) and len(column) <= _MAX_BINS for column in columns):
        return ()
    bins = list(zip(*columns, strict=False))
    if not all(isinstance(n, int | float) and 0 <= n <= 2**53 for one in bins for n in one):
        return ()
    total = sum(count for *_, count in bins) or 1
    return tuple((100 * c, 100 * a, count / total) for c, a, count in bins if count)
