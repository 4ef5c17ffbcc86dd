"""Plots of the page: drawn by its script where that runs, else (and on paper) a picture."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from harness.results.csv_artefacts import Map
from harness.results.json_artefacts import AttentionFigure
from harness.results.page_pictures import picture_path
from reports.figures.figure_style import series_number
from reports.figures.scatter import UNLABELLED, class_labels, separation_words
from reports.page.plots import NO_CLASS
from vifistore.files import open_regular

FIGURE_FOLDERS = (".", "figures")
_MEASURES = (
    "The numbers under a panel are taken in the full space, with 95% intervals: silhouette, from "
    "\u22121 to 1; kNN, the share of a video's 10 nearest that have its label; separability, the "
    "share of videos nearest to the mean of their own class."
)
TRAINING, CONFUSION = "training-curves", "confusion"
CAPTIONS = {
    "tsne": "t-SNE of video embeddings, one panel per feature set. Distances between clusters mean "
    f"nothing. {_MEASURES}",
    "pca": "The two directions of largest variance of the video embeddings, one panel per feature "
    f"set. {_MEASURES}",
    "fusion-heatmap": "Top-1 by the fusion a model was trained with and scored with.",
    "few-shot-curve": "Top-1 against training videos per class, with 95% intervals; of a mean over "
    "draws, one standard deviation.",
    "frames-curve": "Top-1 against frames per view, with 95% intervals.",
    "reliability": "How often answers are right, by how probable they are said to be; on the "
    "dashed line they are right that often. Dots are larger where more videos are.",
    TRAINING: "How trainings went, against their steps. Top-1 is that of the checkpoints that were "
    "extracted, by class names, with 95% intervals; accuracy in training is of views as they were "
    "trained on, mixed and cropped.",
    CONFUSION: "What the videos of each class were taken for, in percent of the class: rows are "
    "the classes of the videos, columns the answers; of the first systems. Of many classes those "
    "that were taken wrong most often are shown.",
    "class-frequencies": "Videos per class, and the cut between base and novel classes.",
}
# Figures are drawn at 250 dots an inch; on a screen 7-point letters want 12 pixels.
_SCREEN_SCALE = 0.52
_NARROW_SCALE = 0.72
_PNG_HEAD = 24
# The signs of reports.figures.figure_style.MARKERS within a circle of radius 5.
_SIGNS = (
    "M5 0A5 5 0 1 1-5 0A5 5 0 1 1 5 0Z",
    "M0-5 5 4H-5Z",
    "M-4-4H4V4H-4Z",
    "M-5-2-2-5 0-3 2-5 5-2 3 0 5 2 2 5 0 3-2 5-5 2-3 0Z",
    "M0 5 5-4H-5Z",
    "M0-5 5 0 0 5-5 0Z",
    "M-2-5H2V-2H5V2H2V5H-2V2H-5V-2H-2Z",
)
_UNLABELLED_SIGN = {"name": UNLABELLED, "sign": _SIGNS[0], "colour": "var(--unlabelled)"}


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


def figure(folder: Path, name: str, plot: Mapping | None = None) -> dict:
    """A figure with its caption and picture; `plot` is what the script draws in its place."""
    return {
        "name": name,
        "kind": plot["kind"] if plot else "",
        "caption": CAPTIONS.get(name, Path(name).name.replace("-", " ").replace("_", " ")),
        "panels": [panel["title"] for panel in plot["panels"]] if plot else [],
        "still": _still_of(folder, name),
    }


def map_figure(folder: Path, drawn: Map, plot: Mapping) -> dict:
    """A map: a panel per feature set with its measures, and a legend to press."""
    titles = [panel["title"] for panel in plot["panels"]]
    has_unlabelled = NO_CLASS in plot["labels"]
    return {
        "name": drawn.name,
        "caption": CAPTIONS[drawn.name],
        "panels": [{"title": t, "measures": separation_words(drawn.separation, t)} for t in titles],
        "legend": [_sign(name, index) for index, name in enumerate(class_labels(drawn.points))],
        "unlabelled": _UNLABELLED_SIGN if has_unlabelled else None,
        "still": _still_of(folder, drawn.name),
    }


def _sign(name: str, index: int) -> dict[str, str]:
    """How the n-th class is drawn: the path of its sign, and its colour."""
    colour, sign = series_number(index)
    return {"name": name, "sign": _SIGNS[sign], "colour": f"var(--c{colour})"}


def attention_figures(folder: Path, figures: Sequence[AttentionFigure]) -> list[dict]:
    """Overlays and strips of each video; one whose picture is gone is left out."""
    return [
        {
            "caption": f"{figure.label or figure.id}, {words}",
            "panels": [],
            "still": _still(folder, folder / path),
        }
        for figure in figures
        for name, words in ((figure.image, "over its frames"), (figure.strip, "over time"))
        if (path := picture_path(folder, name))
    ]


def _still_of(folder: Path, name: str) -> dict | None:
    """The picture of a figure, SVG where there is one; None without one."""
    png, svg = (folder / f"{name}.{kind}" for kind in ("png", "svg"))
    if not png.is_file():
        return None
    if svg.is_file():
        return _still(folder, svg, _width_style(png))
    return _still(folder, png, "max-width: 100%")


def _still(folder: Path, picture: Path, style: str = "") -> dict:
    """A picture, and links to every format of it; without a style its width is the sheet's."""
    formats = [*(picture.with_suffix(f".{kind}") for kind in ("png", "svg", "pdf")), picture]
    links = {file.suffix[1:].upper(): _link(folder, file) for file in formats if file.is_file()}
    return {"source": _link(folder, picture), "style": style, "links": links}


def _width_style(path: Path) -> str:
    """A figure fills its place, but on a narrow screen scrolls rather than shrinks too far."""
    with open_regular(path) as file:
        head = file.read(_PNG_HEAD)
    width = struct.unpack(">I", head[16:20])[0] * _SCREEN_SCALE if len(head) == _PNG_HEAD else 600
    return f"width: {width:.0f}px; max-width: 100%; min-width: {width * _NARROW_SCALE:.0f}px"


def _link(folder: Path, path: Path) -> str:
    return quote(path.relative_to(folder).as_posix())
