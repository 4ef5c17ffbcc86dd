import pytest

from reports.figures import scatter
from reports.figures.scatter import scatter_panels
from reports.figures.style import UNLABELLED_COLOUR


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
