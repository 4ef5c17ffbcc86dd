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
