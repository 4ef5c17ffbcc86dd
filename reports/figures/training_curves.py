"""How trainings went, a line a run: loss, accuracy, learning rate, speed, and top-1 of checkpoints
that were followed, against steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.results.run_histories import RunHistory, RunPoint
from reports.figures.figure_style import (
    COLOURS,
    PAGE_INCHES,
    draw,
    legend_label,
    panel_grid,
)
from reports.layouts.cells import dataset_heading

_COLUMNS = 3
# More lines cannot be told apart.
MAX_RUNS = 2 * len(COLOURS)


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run in one panel."""

    label: str
    points: tuple[tuple[int, float, float | None, float | None], ...]
    """(step, value, low, high)."""


@dataclass(frozen=True, kw_only=True)
class RunPanel:
    """One panel."""

    title: str
    unit: str
    lines: tuple[RunLine, ...]


_OF_LOG: tuple[tuple[str, str, Callable[[RunPoint], float | None]], ...] = (
    ("Loss", "", lambda point: point.loss),
    ("Accuracy in training", "%", lambda point: _percent(point.accuracy)),
    ("Learning rate", "", lambda point: point.learning_rate),
    ("Speed", "videos/s", lambda point: point.videos_per_second),
)


def run_panels(runs: Sequence[RunHistory]) -> list[RunPanel]:
    """Panels that have a line: first top-1 of followed checkpoints by data set and split."""
    runs = runs[:MAX_RUNS]
    places = dict.fromkeys((s.dataset, s.split) for run in runs for s in run.scores)
    panels = [
        RunPanel(
            title=f"Top-1 on {dataset_heading(dataset)}, {split}",
            unit="%",
            lines=tuple(_scores(run, dataset, split) for run in runs),
        )
        for dataset, split in places
    ]
    panels += [
        RunPanel(title=title, unit=unit, lines=tuple(_log(run, value) for run in runs))
        for title, unit, value in _OF_LOG
    ]
    return [panel for panel in panels if any(line.points for line in panel.lines)]


def draw_runs(panels: Sequence[RunPanel], path: str | Path) -> list[Path]:
    """Draw them; returns the files."""

    def plot(figure: Figure) -> None:
        columns = min(len(panels), _COLUMNS)
        rows = -(-len(panels) // columns)
        labels = [line.label for line in panels[0].lines]
        figure.set_size_inches(PAGE_INCHES, 2.0 * rows + 0.15 * len(labels))
        grid = panel_grid(figure, len(panels), columns)
        for axes, panel in zip(grid, panels, strict=True):
            for place, line in enumerate(panel.lines):
                _draw(axes, line, COLOURS[place % len(COLOURS)], dashed=place >= len(COLOURS))
            axes.set_title(legend_label(panel.title, 36))
            axes.set_xlabel("steps")
            axes.set_ylabel(panel.unit)
            axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
            axes.set_axisbelow(True)
        handles, names = grid[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(3, len(names)))

    return draw(Path(path), plot)


def _draw(axes: Axes, line: RunLine, colour: str, *, dashed: bool) -> None:
    x, y, low, high = zip(*line.points, strict=True) if line.points else ((), (), (), ())
    # Few points are checkpoints, many are steps.
    marker = "o" if len(x) <= 30 else ""
    style = "--" if dashed else "-"
    label = legend_label(line.label, 40)
    axes.plot(x, y, style, color=colour, linewidth=1.2, marker=marker, markersize=3, label=label)
    if x and None not in (*low, *high):
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def _scores(run: RunHistory, dataset: str, split: str) -> RunLine:
    own = [s for s in run.scores if (s.dataset, s.split) == (dataset, split)]
    points = tuple(
        (s.step, 100 * s.value, _percent(s.ci_low), _percent(s.ci_high))
        for s in sorted(own, key=lambda score: score.step)
    )
    return RunLine(label=run.name, points=points)


def _log(run: RunHistory, value: Callable[[RunPoint], float | None]) -> RunLine:
    pairs = [(point.step, value(point)) for point in run.points]
    points = tuple((step, number, None, None) for step, number in pairs if number is not None)
    return RunLine(label=run.name, points=points)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
