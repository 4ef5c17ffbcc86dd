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
