"""The data of the page's plots, as JSON that page.js draws with the plotting library."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from harness.results.csv_artefacts import Map
from harness.results.page_pictures import picture_path, thumbnail_path
from reports.figures.confusion import ConfusionMatrix
from reports.figures.curves import Curve, panels_of, series_labels
from reports.figures.heatmap import Matrix
from reports.figures.scatter import class_labels
from reports.figures.training_curves import RunLine, RunPanel

NO_CLASS = -1


def curves_plot(curves: Sequence[Curve], xlabel: str) -> dict:
    """A panel per data set, its lines as lists of numbers."""
    labels = series_labels(curves)
    return {
        "kind": "curves",
        "xlabel": xlabel,
        "panels": [
            {"title": title, "lines": [_line(curve, labels) for curve in drawn]}
            for title, drawn in panels_of(curves).items()
        ],
    }


def heatmap_plot(matrices: Sequence[Matrix]) -> dict:
    """A panel per data set with the names of rows and columns and the values between."""
    return {
        "kind": "heatmap",
        "panels": [
            {
                "title": matrix.title,
                "rows": matrix.rows,
                "columns": matrix.columns,
                "values": [[_number(value) for value in row] for row in matrix.values.tolist()],
            }
            for matrix in matrices
        ],
    }


def runs_plot(panels: Sequence[RunPanel]) -> dict:
    """A panel per quantity, a line a run."""
    labels = list(dict.fromkeys(line.label for panel in panels for line in panel.lines))
    return {
        "kind": "runs",
        "xlabel": "steps",
        "panels": [
            {
                "title": panel.title,
                "unit": panel.unit,
                "lines": [
                    {"label": line.label, "series": labels.index(line.label), **_columns(line)}
                    for line in panel.lines
                    if line.points
                ],
            }
            for panel in panels
        ],
    }


def _columns(line: RunLine) -> dict[str, list]:
    columns = zip(*line.points, strict=True)
    return dict(zip(("x", "y", "low", "high"), map(list, columns), strict=True))


def confusion_plot(matrices: Sequence[ConfusionMatrix]) -> dict:
    """A panel per system; what no video was taken for is 0."""
    return {
        "kind": "confusion",
        "panels": [
            {
                "title": matrix.title,
                "rows": matrix.classes,
                "columns": matrix.classes,
                "values": [[_number(value) for value in row] for row in matrix.shares.tolist()],
            }
            for matrix in matrices
        ],
    }


def map_plot(drawn: Map, folder: Path) -> dict:
    """A panel per feature set; every video once, with its class, id and picture."""
    points = drawn.points.assign(label=drawn.points["label"].fillna(""))
    classes = class_labels(points)
    number_of = {name: index for index, name in enumerate(classes)}
    datasets = points["dataset" if "dataset" in points else "id"]
    keys = pd.Series(list(zip(datasets, points["id"], strict=True)))
    points = points.assign(video=pd.factorize(keys)[0])
    videos = points.drop_duplicates("video").sort_values("video")
    return {
        "kind": "map",
        "classes": classes,
        "labels": [number_of.get(label, NO_CLASS) for label in videos["label"]],
        "ids": videos["id"].astype(str).tolist(),
        "pictures": [_picture(folder, video) for video in videos.to_dict("records")],
        "panels": [
            {
                "title": panel,
                "video": part["video"].tolist(),
                "x": [_coordinate(value) for value in part["x"]],
                "y": [_coordinate(value) for value in part["y"]],
            }
            for panel, part in points.groupby("panel", sort=False)
        ],
    }


def _line(curve: Curve, labels: Sequence[str]) -> dict:
    x, y, low, high = (list(part) for part in zip(*curve.points, strict=True))
    return {
        "label": curve.label,
        "x": x,
        "y": y,
        "low": low,
        "high": high,
        "series": None if curve.is_paper else labels.index(curve.label),
    }


def _picture(folder: Path, video: Mapping) -> str:
    row, dataset = video.get("row"), video.get("dataset")
    if row is None or math.isnan(row) or not isinstance(dataset, str):
        return ""
    return picture_path(folder, thumbnail_path(dataset, int(row)))


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _coordinate(value: float) -> float | None:
    """Finer than a screen shows; maps of 10,000 videos are megabytes otherwise."""
    return float(f"{value:.4g}") if math.isfinite(value) else None
