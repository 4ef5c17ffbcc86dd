import json

import numpy as np
import pandas as pd

from harness.results.csv_artefacts import Map
from reports.figures.curves import frames_curves
from reports.figures.figure_style import COLOURS, MARKERS, series_number
from reports.figures.heatmap import fusion_matrices
from reports.page.document import DARK_COLOURS
from reports.page.page_figures import _SIGNS
from reports.page.plots import curves_plot, heatmap_plot, map_plot


def test_a_map_has_every_video_once_with_or_without_a_label(tmp_path):
    points = pd.DataFrame(
        {
            "panel": ["a", "a", "a", "b", "b"],
            "dataset": "d",
            "row": [4, 5, 6, 6, 4],
            "id": ["v4", "v5", "v6", "v6", "v4"],
            "label": ["run", np.nan, "jump", "jump", "run"],
            "x": [1.23456, 2, 3, 4, 5],
            "y": [0, 0, 0, 0, 1e-9],
        }
    )
    picture = tmp_path / "artefacts" / "thumbnails" / "d" / "5.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"x")
    plot = map_plot(Map(name="tsne", points=points, separation=points[:0]), tmp_path)
    assert plot["classes"] == ["jump", "run"]
    assert plot["ids"] == ["v4", "v5", "v6"]
    assert plot["labels"] == [1, -1, 0]
    assert plot["pictures"] == ["", "artefacts/thumbnails/d/5.jpg", ""]
    assert [panel["video"] for panel in plot["panels"]] == [[0, 1, 2], [2, 0]]
    assert plot["panels"][0]["x"] == [1.235, 2, 3]


def test_a_map_without_rows_has_no_pictures(tmp_path, make_map):
    points, separation = make_map(("a",), 2, per_class=2)
    drawn = Map(name="tsne", points=points.drop(columns="row"), separation=separation)
    assert map_plot(drawn, tmp_path)["pictures"] == [""] * 4


def test_curves_and_heatmap_are_plain_numbers(demo):
    curves = curves_plot(frames_curves(demo), "frames per view")
    (line,) = curves["panels"][0]["lines"]
    assert (line["x"], line["series"]) == ([1, 2, 4, 8], 0)
    heatmap = heatmap_plot(fusion_matrices(demo))
    (panel,) = heatmap["panels"]
    assert panel["columns"] == ["embedding", "decision", "image"]
    assert panel["values"][0] == [12.0, 12.0, 12.0]
    json.dumps({"a": curves, "b": heatmap}, allow_nan=False)


def test_as_many_signs_and_dark_colours_as_printed_ones():
    assert len(_SIGNS) == len(MARKERS)
    assert len(DARK_COLOURS) == len(COLOURS)
    assert series_number(8) == (1, 1)
