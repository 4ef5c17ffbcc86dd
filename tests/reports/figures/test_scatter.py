from itertools import pairwise

import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reports.figures import scatter
from reports.figures.figure_style import _STYLE, DOTS_PER_INCH, UNLABELLED_COLOUR
from reports.figures.scatter import scatter_panels


def test_scatter_shows_panels_classes_and_separation(make_map, tmp_path, svg_texts):
    points, separation = make_map(("vanilla", "full-ft"), 9, per_class=3)
    (path,) = scatter_panels(points, tmp_path / "tsne", separation)
    shown = svg_texts(path)
    assert {"vanilla", "full-ft", "a circle rising"} <= set(shown)
    assert any("silhouette 0.30 [0.28, 0.32]" in text for text in shown)


def test_scatter_of_many_classes_has_no_legend(make_map, tmp_path, svg_texts):
    points, _ = make_map(("vanilla",), 50, per_class=1)
    (path,) = scatter_panels(points, tmp_path / "tsne")
    assert "50 classes; colours repeat" in svg_texts(path)
    assert "class 49" not in svg_texts(path)


def test_scatter_of_names_that_look_like_formulas(make_map, tmp_path, svg_texts):
    points, _ = make_map(("$a_",), 2, per_class=1)
    points["label"] = ["_hidden", "$x^$"]
    (path,) = scatter_panels(points, tmp_path / "tsne")
    assert {"$a_", "$x^$"} <= set(svg_texts(path))


def test_videos_without_a_label_are_grey_and_the_measures_left_out(make_map, tmp_path, svg_texts):
    points, separation = make_map(("vanilla",), 2, per_class=3)
    points["label"] = [None, "", "run", "run", "run", "run"]
    (path,) = scatter_panels(points, tmp_path / "tsne", separation[:0])
    shown = svg_texts(path)
    assert {"no label", "run", "too few labels to measure"} <= set(shown)
    assert path.read_text().count(UNLABELLED_COLOUR) >= 3


@pytest.mark.parametrize(
    ("panels", "width", "inches"),
    [(1, "auto", 3.3), (2, "auto", 3.3), (3, "auto", 6.9), (3, "column", 3.3), (1, "page", 6.9)],
)
def test_width_is_that_of_a_column_or_of_the_page(panels, width, inches):
    columns, found = scatter._place(panels, width)
    assert found == inches
    # What stands under a panel needs an inch and a half.
    assert found / columns > 1.5


def test_the_names_of_a_few_classes_are_not_cut_short_in_a_column(make_map, tmp_path, svg_texts):
    points, _ = make_map(("vanilla",), 2, per_class=1)
    points["label"] = ["triangle growing and shrinking", "triangle growing and shrieking"]
    (path,) = scatter_panels(points, tmp_path / "tsne", width="column")
    assert set(points["label"]) <= set(svg_texts(path))


@pytest.mark.parametrize("panels", [("a", "b"), ("a", "b", "c", "d")])
def test_measures_of_neighbouring_panels_do_not_touch(make_map, tmp_path, monkeypatch, panels):
    boxes = []

    def measure(path, plot):
        with rc_context(_STYLE):
            figure = Figure(layout="constrained")
            FigureCanvasAgg(figure)
            plot(figure)
            figure.draw_without_rendering()
            # Letters are wider at the resolution of print than where the layout was made.
            figure.set_layout_engine("none")
            figure.set_dpi(DOTS_PER_INCH)
            figure.draw_without_rendering()
            renderer = figure.canvas.get_renderer()
            ends = [axes.xaxis.label.get_window_extent(renderer) for axes in figure.axes]
            boxes.extend((box.x0 / DOTS_PER_INCH, box.x1 / DOTS_PER_INCH) for box in ends)
        return []

    monkeypatch.setattr(scatter, "draw", measure)
    points, separation = make_map(panels, 2, per_class=3)
    scatter_panels(
        points, tmp_path / "a", separation.assign(value=-0.12, ci_low=-0.16, ci_high=-0.08)
    )
    assert len(boxes) == len(panels)
    gaps = [right[0] - left[1] for left, right in pairwise(boxes)]
    assert min(gaps) > 0.05
