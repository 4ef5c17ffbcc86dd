import math

from reports.figures.heatmap import fusion_heatmap, fusion_matrices
from reports.measurements import measurements


def test_heatmap_has_every_number(demo, tmp_path, svg_texts):
    (path,) = fusion_heatmap(fusion_matrices(demo), tmp_path / "heat")
    shown = svg_texts(path)
    assert {"54.0", "50.0", "30.0", "34.0", "12.0", "vanilla", "decision"} <= set(shown)


def test_no_heatmap_of_nothing(row, tmp_path):
    shared = {"protocol": "ablation-fusion", "ci_low": None, "ci_high": None}
    assert fusion_heatmap(fusion_matrices(measurements([row()])), tmp_path / "heat") == []
    undefined = measurements([row(value=math.nan, **shared)])
    assert fusion_heatmap(fusion_matrices(undefined), tmp_path / "heat") == []


def test_splits_do_not_mix_in_one_row(row):
    shared = {"protocol": "ablation-fusion", "trained_fusion": "embedding"}
    rows = [row(value=v, split=s, **shared) for v, s in ((0.5, "val1"), (0.6, "val2"))]
    (matrix,) = fusion_matrices(measurements(rows))
    assert matrix.values.tolist() == [[50.0], [60.0]]
    assert [label.split(", ")[-1] for label in matrix.rows] == ["val1", "val2"]


def test_a_part_of_a_list_is_said_above(row, tmp_path, svg_texts):
    shared = {"protocol": "ablation-fusion", "dataset": "ucf101"}
    (matrix,) = fusion_matrices(measurements([row(**shared, listed=3734)]))
    assert "UCF-101 (part of its list)" in svg_texts(fusion_heatmap([matrix], tmp_path / "h")[0])
    (whole,) = fusion_matrices(measurements([row(**shared)]))
    assert whole.title == "UCF-101"
