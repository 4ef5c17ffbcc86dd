"""How every figure looks, and how it is written: PNG, SVG and PDF, the same bytes each time.

Sizes are inches of a two-column page: 3.3 for one column, 6.9 for both. No text is smaller than
7 points at that size.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from harness.results.whole_files import write_bytes

COLUMN_INCHES, PAGE_INCHES = 3.3, 6.9
FORMATS = ("png", "svg", "pdf")
DOTS_PER_INCH = 250
# Okabe and Ito (2008): told apart with any form of colour blindness. Black is left for text and
# the pale yellow out, which cannot be seen on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5E3C99")
MARKERS = ("o", "^", "s", "X", "v", "D", "P")
INK, FAINT = "#222222", "#8a8a8a"
# Points of which no class is known.
UNLABELLED_COLOUR = "#b8b8b8"
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7.5,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 7.5,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.04,
    # Ids in an SVG are random without it.
    "svg.hashsalt": "vifistore",
    "pdf.fonttype": 42,
}
# A date would make two equal figures differ.
_METADATA = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def draw(
    path: Path,
    plot: Callable[[Figure], None],
    *,
    formats: Sequence[str] | None = None,
    dots_per_inch: int = DOTS_PER_INCH,
) -> list[Path]:
    """Let `plot` fill a figure and write it as `path` with each of the suffixes added.

    `formats` are all three unless given: photographs gain nothing from SVG.
    """
    with rc_context({**_STYLE, "savefig.dpi": dots_per_inch}):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        plot(figure)
        for text in figure.findobj(Text):
            # A dollar sign in a class name is no formula.
            text.set_parse_math(False)
        # The layout is the same for all formats and takes longer than drawing.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        return [
            write_bytes(path.with_name(f"{path.name}.{kind}"), _encode(figure, kind))
            for kind in formats or FORMATS
        ]


def panel_grid(figure: Figure, num_panels: int, num_columns: int) -> list[Axes]:
    """Axes of so many panels, row by row; what is left of the last row stays empty."""
    num_rows = -(-num_panels // num_columns)
    grid = figure.subplots(num_rows, num_columns, squeeze=False).flatten()
    for axes in grid[num_panels:]:
        axes.set_visible(False)
    return list(grid[:num_panels])


def series_style(index: int) -> dict[str, Any]:
    """Colour and marker of the n-th class or model: all pairs differ for the first 49."""
    colour, marker = series_number(index)
    return {"color": COLOURS[colour], "marker": MARKERS[marker]}


def series_number(index: int) -> tuple[int, int]:
    """Which of COLOURS and which of MARKERS the n-th class has."""
    return index % len(COLOURS), index // len(COLOURS) % len(MARKERS)


def legend_label(text: str, limit: int = 28) -> str:
    """A label that matplotlib neither hides (leading underscore) nor lets grow too wide."""
    text = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return f" {text}" if text.startswith("_") else text


def quiet_axes(axes: Axes) -> None:
    """A plane whose units mean nothing: no ticks, a thin frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(True)
    axes.spines[:].set_color("#d0d0d0")


def _encode(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()
