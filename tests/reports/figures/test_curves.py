import pytest

from reports.figures.curves import (
    draw_curves,
    few_shot_curves,
    frames_curves,
    panels_of,
    series_labels,
)
from reports.measurements import measurements
from tests.reports.conftest import PROVENANCE


def test_few_shot_curves_one_per_classifier(demo):
    curves = few_shot_curves(demo)
    assert [curve.label for curve in curves] == ["full-ft, prototype", "full-ft, tip-adapter"]
    assert [point[0] for point in curves[0].points] == [2, 4, 8, 16]
    assert curves[0].points[0][1:] == pytest.approx((28, 25, 31))


def test_the_paper_is_drawn_where_it_has_the_data_set(row):
    shared = {"protocol": "few-shot", "dataset": "HMDB-51"}
    rows = [row(f"vifi-clip-k{k}", **shared, shots=k, value=0.6) for k in (2, 4)]
    curves = few_shot_curves(measurements(rows))
    assert [(curve.label, curve.is_paper) for curve in curves] == [
        ("ViFi-CLIP", False),
        ("ViFi-CLIP (paper)", True),
    ]
    assert [point[1] for point in curves[1].points] == [57.2, 62.7, 64.5, 66.8]


def test_the_paper_is_not_drawn_beside_other_classes(row):
    shared = {"protocol": "few-shot", "dataset": "HMDB-51", "classes": 24}
    rows = [row(f"vifi-clip-k{k}", **shared, shots=k) for k in (2, 4)]
    assert not any(curve.is_paper for curve in few_shot_curves(measurements(rows)))


def test_where_colours_would_repeat_each_model_has_a_panel(row, tmp_path, svg_texts):
    fusions = ("embedding", "decision", "image", "max")
    rows = [
        row(name, protocol="ablation-frames", fusion=fusion, num_frames=frames, feature_set=name)
        for name in ("clip", "full")
        for fusion in fusions
        for frames in (2, 4)
    ]
    few = frames_curves(measurements(rows[:12]))
    assert {curve.model for curve in few} == {""}
    assert len(series_labels(few)) == 6
    many = frames_curves(measurements(rows))
    assert list(panels_of(many)) == ["shapes: clip", "shapes: full"]
    # The one that is embedding fusion has no other name than its model's.
    assert series_labels(many) == ["clip", "decision", "image", "max", "full"]
    (path,) = draw_curves(many, tmp_path / "frames", "frames per view")
    assert {"shapes: clip", "shapes: full", "decision"} <= set(svg_texts(path))


def test_one_point_is_no_curve(row):
    assert frames_curves(measurements([row(protocol="ablation-frames")])) == []


def test_curves_are_drawn(demo, tmp_path, svg_texts):
    (path,) = draw_curves(frames_curves(demo), tmp_path / "frames", "frames per view")
    assert {"frames per view", "full-ft", "shapes", "8"} <= set(svg_texts(path))


def test_a_mean_over_draws_has_its_deviation_for_an_interval(row):
    no_interval = {"ci_low": None, "ci_high": None, "provenance": {"over": "seeds"}}
    shared = {"protocol": "few-shot", "classifier": "prototype", "split": "test", **no_interval}
    rows = [row(value=v, shots=k, **shared) for k, v in ((2, 0.4), (4, 0.5))]
    rows += [row(value=0.02, shots=k, metric="top1_std", **shared) for k in (2, 4)]
    (curve,) = few_shot_curves(measurements(rows))
    assert curve.points[0][1:] == pytest.approx((40, 38, 42))


def test_splits_are_lines_of_their_own(row):
    shared = {"protocol": "ablation-frames"}
    rows = [
        row(value=v, split=split, num_frames=frames, **shared)
        for split, values in (("val1", (0.4, 0.5)), ("val2", (0.6, 0.7)))
        for frames, v in zip((2, 4), values, strict=True)
    ]
    found = {c.label: [point[1] for point in c.points] for c in frames_curves(measurements(rows))}
    assert found["vifi-clip, val1"] == pytest.approx([40, 50])
    assert found["vifi-clip, val2"] == pytest.approx([60, 70])


def test_a_part_of_a_list_is_said_beside_the_name(row):
    shared = {"protocol": "few-shot", "classifier": "prototype", "listed": 3734}
    (curve,) = few_shot_curves(measurements([row(**shared, shots=k) for k in (2, 4)]))
    assert curve.label == "vifi-clip, prototype, 240 of 3,734 listed"


def test_what_began_with_k400_is_a_line_of_its_own(row):
    shared = {"protocol": "few-shot", "dataset": "mini-hmdb51"}
    tuned = PROVENANCE | {"tuned_on": [{"dataset": "mini-k400"}, {"dataset": "mini-hmdb51"}]}
    rows = [
        row(f"x-clip-{kind}k{k}", value, **shared, shots=k, provenance=provenance)
        for kind, value, provenance in (("", 0.4, PROVENANCE), ("bridged-", 0.8, tuned))
        for k in (2, 4)
    ]
    curves = few_shot_curves(measurements(rows))
    assert [(curve.label, curve.points[0][1]) for curve in curves] == [
        ("X-CLIP", pytest.approx(40)),
        ("X-CLIP, K-400 first", pytest.approx(80)),
    ]
