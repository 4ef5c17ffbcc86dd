"""Plots of the page: drawn by its script where that runs, else (and on paper) a picture."""

import struct
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from harness.results.coordinates import Map
from reports.figures.scatter import METRIC_WORDS, UNLABELLED, class_labels, separation_words
from reports.page.plots import NO_CLASS, series_number
from reports.writers.html import escape
from vifistore.files import open_regular

FIGURE_FOLDERS = (".", "figures")
_MEASURES = (
    "The numbers under a panel are taken in the full space, with 95% intervals: silhouette, from "
    "\u22121 to 1; kNN, the share of a video's 10 nearest that have its label; separability, the "
    "share of videos nearest to the mean of their own class."
)
CAPTIONS = {
    "tsne": "t-SNE of video embeddings, one panel per feature set. Distances between clusters mean "
    f"nothing. {_MEASURES}",
    "pca": "The two directions of largest variance of the video embeddings, one panel per feature "
    f"set. {_MEASURES}",
    "fusion-heatmap": "Top-1 by the fusion a model was trained with and scored with.",
    "few-shot-curve": "Top-1 against training videos per class, with 95% intervals; of a mean over "
    "draws, one standard deviation.",
    "frames-curve": "Top-1 against frames per view, with 95% intervals.",
    "class-frequencies": "Videos per class, and the cut between base and novel classes.",
}
# Figures are drawn at 250 dots an inch; on a screen 7-point letters want 12 pixels.
_SCREEN_SCALE = 0.52
_NARROW_SCALE = 0.72
_PNG_HEAD = 24
# The signs of reports.figures.style.MARKERS within a circle of radius 5.
_SIGNS = (
    "M5 0A5 5 0 1 1-5 0A5 5 0 1 1 5 0Z",
    "M0-5 5 4H-5Z",
    "M-4-4H4V4H-4Z",
    "M-5-2-2-5 0-3 2-5 5-2 3 0 5 2 2 5 0 3-2 5-5 2-3 0Z",
    "M0 5 5-4H-5Z",
    "M0-5 5 0 0 5-5 0Z",
    "M-2-5H2V-2H5V2H2V5H-2V2H-5V-2H-2Z",
)


def figure_names(folder: Path, plots: Mapping[str, dict]) -> list[str]:
    """Figures and plots of a folder, as paths without suffix, known ones first."""
    drawn = [
        path.relative_to(folder).with_suffix("").as_posix()
        for name in FIGURE_FOLDERS
        for path in sorted((folder / name).glob("*.png"))
        if path.is_file()
    ]
    known = list(CAPTIONS)
    names = dict.fromkeys([*drawn, *plots])
    return sorted(names, key=lambda name: known.index(name) if name in known else len(known))


def figure_block(folder: Path, name: str, plot: Mapping | None = None) -> str:
    """A figure with its caption and links; `plot` is what the script draws in its place."""
    caption = escape(CAPTIONS.get(name, Path(name).name.replace("-", " ").replace("_", " ")))
    live = "" if plot is None else _areas(name, plot)
    kind = "plot" if plot is None else "plot live-plot"
    return (
        f'<figure class="{kind}"><figcaption><p>{caption}</p></figcaption>{live}'
        f"{_still(folder, name, caption)}</figure>\n"
    )


def map_block(folder: Path, drawn: Map, plot: Mapping) -> str:
    """A map: a panel per feature set with its measures, and one legend whose names can be
    pressed."""
    caption = escape(CAPTIONS[drawn.name])
    panels = "".join(
        f'<div class="panel"><h3>{escape(panel["title"])}</h3>'
        f'<div class="area" data-panel="{number}" role="img" '
        f'aria-label="map of {escape(panel["title"])}"></div>'
        f"{_measures(drawn.separation, panel['title'])}</div>"
        for number, panel in enumerate(plot["panels"])
    )
    return (
        f'<figure class="map live-plot"><figcaption><p>{caption} Point at a video to see it in '
        "every panel; press a class to single it out.</p></figcaption>"
        f'<div class="live" data-plot="{escape(drawn.name)}"><div class="panels">{panels}</div>'
        f"{_legend(drawn, plot)}</div>{_still(folder, drawn.name, caption)}</figure>\n"
    )


def _areas(name: str, plot: Mapping) -> str:
    panels = "".join(
        f'<div class="panel"><h3>{escape(panel["title"])}</h3>'
        f'<div class="area" data-panel="{number}" role="img" '
        f'aria-label="{escape(name)}, {escape(panel["title"])}"></div></div>'
        for number, panel in enumerate(plot["panels"])
    )
    kind = escape(plot["kind"])
    return (
        f'<div class="live" data-plot="{escape(name)}"><div class="panels {kind}">{panels}</div>'
        "</div>"
    )


def _measures(separation: pd.DataFrame, panel: str) -> str:
    rows = list(separation[separation["panel"] == panel].itertuples())
    if not rows:
        told = "how classes separate is not measured: too few labels, or several splits at once"
        return f'<p class="measures">{told}</p>'
    words = " · ".join(
        f"{METRIC_WORDS.get(row.metric, row.metric)} {separation_words(row)}" for row in rows
    )
    return f'<p class="measures">{escape(words)}</p>'


def _legend(drawn: Map, plot: Mapping) -> str:
    names = enumerate(class_labels(drawn.points))
    items = [(index, name, *series_number(index)) for index, name in names]
    buttons = "".join(
        f'<li><button type="button" data-class="{index}" aria-pressed="false">'
        f"{_sign(sign, f'var(--c{colour})')}{escape(name)}</button></li>"
        for index, name, colour, sign in items
    )
    if NO_CLASS in plot["labels"]:
        buttons += f"<li><span>{_sign(0, 'var(--unlabelled)')}{UNLABELLED}</span></li>"
    return f'<ul class="legend">{buttons}</ul>'


def _sign(sign: int, colour: str) -> str:
    return (
        '<svg viewBox="-6 -6 12 12" aria-hidden="true">'
        f'<path d="{_SIGNS[sign]}" fill="{colour}"/></svg>'
    )


def _still(folder: Path, name: str, caption: str) -> str:
    """The picture, SVG where there is one, and links to every format."""
    files = [folder / f"{name}.{kind}" for kind in ("png", "svg", "pdf")]
    png, svg, _ = files
    if not png.is_file():
        return ""
    source, style = (svg, _width_style(png)) if svg.is_file() else (png, "max-width: 100%")
    links = " · ".join(
        f'<a href="{_link(folder, file)}">{file.suffix[1:].upper()}</a>'
        for file in files
        if file.is_file()
    )
    return (
        f'<div class="sheet"><div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
        f'<img loading="lazy" src="{_link(folder, source)}" alt="{caption}" style="{style}">'
        f'</div></div><p class="links">{links}</p>'
    )


def _width_style(path: Path) -> str:
    """A figure fills its place, but on a narrow screen scrolls rather than shrinks too far."""
    with open_regular(path) as file:
        head = file.read(_PNG_HEAD)
    width = struct.unpack(">I", head[16:20])[0] * _SCREEN_SCALE if len(head) == _PNG_HEAD else 600
    return f"width: {width:.0f}px; max-width: 100%; min-width: {width * _NARROW_SCALE:.0f}px"


def _link(folder: Path, path: Path) -> str:
    return escape(quote(path.relative_to(folder).as_posix()))
