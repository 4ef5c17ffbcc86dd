import pytest

from reports.layouts.protocol_tables import protocol_tables
from reports.measurements import measurements
from reports.writers.markdown import to_markdown


@pytest.fixture
def tables(demo):
    return {table.name: table for table in protocol_tables(demo)}


def test_the_caption_says_among_how_many_classes(row):
    halves = {"base": 51, "novel": 50, "joint": 101}
    rows = [
        row(protocol="base-to-novel", dataset="ucf101", subset=name, split=name, classes=count)
        for name, count in halves.items()
    ]
    rows += [row(protocol="base-to-novel", dataset="ucf101", metric="harmonic_mean", classes=101)]
    captions = row(protocol="retrieval", classes=9000, provenance={"resampled": "videos"})
    rows += [row(), row(dataset="mine", classes=6), row("other", dataset="mine", classes=7)]
    told = {table.name: table.caption for table in protocol_tables(measurements([*rows, captions]))}
    assert "Classes: UCF-101 51 base, 50 novel, 101 joint." in told["base-to-novel"]
    assert "Classes: shapes 24; mine 6 or 7." in told["zero-shot"]
    assert "Classes" not in told["retrieval"]


def test_every_protocol_but_fusion_has_a_table(tables):
    assert list(tables) == ["zero-shot", "base-to-novel", "few-shot", "ablation-frames"]
    assert not any(table.has_paper or table.commands for table in tables.values())


def test_feature_sets_are_rows_and_metrics_columns(tables):
    table = tables["zero-shot"]
    assert [row.label for row in table.rows] == ["vanilla", "image-ft", "text-ft", "full-ft"]
    assert [c.heading for c in table.columns] == [
        "Top-1",
        "Top-5",
        "Mean per class",
        "Calibration error",
    ]
    cell = table.rows[3].cells[0]
    assert (cell.value, cell.low, cell.high) == pytest.approx((53.5, 50.5, 56.5))


def test_base_to_novel_keeps_one_row_though_texts_differ(tables):
    table = tables["base-to-novel"]
    assert [c.heading for c in table.columns] == ["Base", "Novel", "HM"]
    assert len(table.rows) == 4
    assert all(cell.is_measured for cell in table.cells)


def test_few_shot_columns_are_in_the_order_of_k(tables):
    table = tables["few-shot"]
    assert [c.heading for c in table.columns] == ["K = 2", "K = 4", "K = 8", "K = 16"]
    assert [(row.label, row.detail) for row in table.rows] == [
        ("full-ft", "prototype"),
        ("full-ft", "tip-adapter"),
    ]


def test_rows_of_two_models_say_how_each_was_scored(row):
    shared = {"protocol": "few-shot", "shots": 2}
    rows = [
        row("a", **shared),
        row("b", **shared, classifier="prototype"),
        row("c", **shared, fusion="each-template"),
    ]
    (table,) = protocol_tables(measurements(rows))
    details = {row.label: row.detail for row in table.rows}
    assert details == {
        "a": "text, embedding fusion",
        "b": "prototype, embedding fusion",
        "c": "text, each-template fusion",
    }


def test_rows_of_one_model_are_told_apart(tables):
    details = [row.detail for row in tables["ablation-frames"].rows]
    assert details == ["1 frame", "2 frames", "4 frames", "8 frames"]


def test_splits_make_rows_only_where_they_collide(row):
    rows = [row(value=v, split=s) for v, s in ((0.5, "val1"), (0.6, "val2"))]
    (table,) = protocol_tables(measurements(rows))
    assert [(r.detail, r.cells[0].value) for r in table.rows] == [("val1", 50), ("val2", 60)]


def test_a_data_set_not_scored_yet_shows_the_command(row):
    rows = [row("a", dataset="d1"), row("a", dataset="d2"), row("b", dataset="d1")]
    (table,) = protocol_tables(measurements(rows))
    assert table.commands == (
        "vifi evaluate S zero-shot --dataset d2 --features b --split test --results DIR",
    )


def test_the_command_asks_for_what_the_row_and_the_column_are_of(row):
    shared = {"protocol": "supervised", "template": "", "text_set": "", "classifier": "prototype"}
    trained = {"train_split": "train2"}
    rows = [
        row("a", **shared, dataset="d1", fusion="decision"),
        row("b", **shared, dataset="d2", split="val2", provenance=trained),
    ]
    (table,) = protocol_tables(measurements(rows))
    assert table.commands[0] == (
        "vifi evaluate S supervised --dataset d2 --features a --split val2 --classifier prototype "
        "--train-split train2 --fusion decision --results DIR"
    )


def test_several_templates_and_splits_are_named(row):
    mean = {"over": "splits", "count": 2}
    rows = [
        row("a", dataset="d1", template="{}"),
        row("b", dataset="d2", split="v1+v2", provenance=mean),
    ]
    (table,) = protocol_tables(measurements(rows))
    assert table.commands[0] == (
        "vifi evaluate S zero-shot --dataset d2 --features a --split v1 v2 --template '{}' "
        "--results DIR"
    )


def test_halves_and_runs_of_base_to_novel_are_named(row):
    shared = {"protocol": "base-to-novel"}
    runs = {"feature_set": "1+2", "feature_names": ("a-s1", "a-s2")}
    rows = [
        row(**shared, **runs, dataset="d1", subset="base", provenance={"over": "seeds", "count": 2})
    ]
    halves = {"base": "old", "novel": "new"}
    rows += [row("b", **shared, dataset="d2", subset=s, split=halves[s]) for s in halves]
    (table,) = protocol_tables(measurements(rows))
    assert table.commands[0] == (
        "vifi evaluate S base-to-novel --dataset d2 --features a-s1 a-s2 --base-split old "
        "--novel-split new --results DIR"
    )


def test_a_metric_that_does_not_exist_there_has_no_command(row):
    rows = [row("a", dataset="d1"), row("a", dataset="d2"), row("a", dataset="d1", metric="top5")]
    (table,) = protocol_tables(measurements(rows))
    assert not table.commands


def test_a_protocol_is_not_trusted_as_a_file_name(row):
    (table,) = protocol_tables(measurements([row(protocol="../../steps")]))
    assert table.name == "other--steps"


def test_captions_claim_nothing_of_what_a_checkpoint_was_tuned_on(row):
    rows = [row(), row(protocol="supervised")]
    zero_shot, supervised = protocol_tables(measurements(rows))
    assert "what checkpoints of others were tuned on is not known." in zero_shot.caption
    assert "trained on training videos of the same classes." in supervised.caption


def test_videos_that_are_not_scored_are_a_footnote(row):
    partial = row("a", num_videos=88, num_quarantined=2, provenance={"num_todo": 10})
    lacks_one = row("b", num_videos=99, provenance={"num_todo": 1})
    (table,) = protocol_tables(measurements([partial, lacks_one, row("whole")]))
    texts = [[table.notes[key].text for key in r.cells[0].notes] for r in table.rows]
    assert texts == [
        ["12 of 100 videos are not scored (2 quarantined, 10 not extracted)"],
        ["1 of 100 videos is not scored (1 not extracted)"],
        [],
    ]
    assert "12 of 100 videos are not scored" in to_markdown(table)


def test_ablations_have_a_column_per_fusion(row):
    shared = {"protocol": "ablation-frames", "metric": "top1"}
    rows = [
        row("a", 0.1 * count, **shared, fusion=fusion, num_frames=count)
        for count in (1, 2)
        for fusion in ("image", "embedding")
    ]
    (table,) = protocol_tables(measurements(rows))
    assert [column.heading for column in table.columns] == ["embedding", "image"]
    assert [r.detail for r in table.rows] == ["1 frame", "2 frames"]


def test_many_templates_are_told_by_their_ends(row):
    many = " | ".join(f"{number} {{}}" for number in range(28))
    shared = {"protocol": "ablation-templates"}
    (table,) = protocol_tables(measurements([row(**shared), row(**shared, template=many)]))
    assert table.rows[1].detail == "template “0 {} … 27 {} (28 templates)”"


def test_blends_say_their_share(row):
    rows = [
        row(name, 0.5, protocol="ablation-blend", provenance={"blend": share})
        for name, share in (("start", 0.0), ("half", 0.5))
    ]
    (table,) = protocol_tables(measurements(rows))
    assert [r.detail for r in table.rows] == ["0 of the tuned weights", "0.5 of the tuned weights"]


def test_differences_from_another_set_stand_beside_the_number(row):
    rows = [row("a", 0.5), row("a", 0.1, metric="top1_minus_b", ci_low=0.05, ci_high=0.15)]
    (table,) = protocol_tables(measurements(rows))
    assert [column.heading for column in table.columns] == ["Top-1", "Top-1 minus b"]
    assert table.rows[0].cells[1].value == pytest.approx(10)


def minus(row, name, other, value=0.1):
    ends = {"ci_low": value - 0.05, "ci_high": value + 0.05}
    return row(name, value, metric=f"top1_minus_{other}", **ends)


def test_differences_of_several_rows_from_sets_of_their_own_share_a_column(row):
    rows = [minus(row, "a-s1", "b-s1"), minus(row, "a-s2", "b-s2", 0.2), row("a-s1", 0.5)]
    (table,) = protocol_tables(measurements(rows))
    assert [column.heading for column in table.columns] == ["Top-1", "Top-1 minus another"]
    cells = {r.label: r.cells[1] for r in table.rows}
    assert {name: cell.value for name, cell in cells.items()} == pytest.approx(
        {"a-s1": 10, "a-s2": 20}
    )
    told = {name: [table.notes[key].text for key in cell.notes] for name, cell in cells.items()}
    assert told == {
        "a-s1": ["Minus b-s1, on the same videos."],
        "a-s2": ["Minus b-s2, on the same videos."],
    }


def test_two_differences_of_one_row_never_share_a_column(row):
    pairs = [("a", "b"), ("a", "c"), ("d", "e"), ("d", "f")]
    (table,) = protocol_tables(measurements([minus(row, *pair) for pair in pairs]))
    headings = [column.heading for column in table.columns]
    assert headings == ["Top-1 minus another", "Top-1 minus another 2"]
    assert all(cell.is_measured for cell in table.cells)
    told = [table.notes[key].text for cell in table.cells for key in cell.notes]
    assert told == [f"Minus {name}, on the same videos." for name in "bcef"]


def test_a_difference_that_all_rows_of_a_column_share_is_named_in_its_heading(row):
    pairs = [("a", "b"), ("c", "b"), ("c", "d"), ("a", "d")]
    (table,) = protocol_tables(measurements([minus(row, *pair) for pair in pairs]))
    assert [column.heading for column in table.columns] == ["Top-1 minus b", "Top-1 minus d"]
    assert not any(cell.notes for cell in table.cells)


def test_classifiers_trained_on_other_splits_have_rows_of_their_own(row):
    shared = {"protocol": "few-shot", "classifier": "prototype", "shots": 2}
    rows = [row("a", 0.5, **shared, provenance={"train_split": s}) for s in ("train1", "train2")]
    (table,) = protocol_tables(measurements(rows))
    assert [r.detail for r in table.rows] == ["trained on train1", "trained on train2"]


def test_metrics_with_a_number_are_in_its_order(row):
    names = [f"precision_at_{k}" for k in (10, 1, 5)]
    rows = [row(protocol="retrieval", metric=name) for name in names]
    (table,) = protocol_tables(measurements(rows))
    assert [column.heading for column in table.columns] == ["P@1", "P@5", "P@10"]


def test_retrieval_says_over_what_its_intervals_are(row):
    names = ("mean_average_precision", "v2v_recall_at_5")
    rows = [row(protocol="retrieval", metric=name) for name in names]
    (table,) = protocol_tables(measurements(rows))
    assert "over classes for class names" in table.caption
    assert "standard deviation" not in table.caption
    headings = [column.heading for column in table.columns]
    assert headings == ["mAP", "Video to video R@5"]


SEEN = {"tuned_on": [], "shared_videos": 40, "shared_class_names": 24}


def test_tuned_rows_stand_beside_zero_shot_ones_and_are_called_so(row):
    tuned = {"protocol": "tuned", "tuned_on": "shapes/train"}
    rows = [row("full", **tuned), row("vanilla"), row("full", dataset="other")]
    (table,) = protocol_tables(measurements(rows))
    assert (table.name, table.title) == ("zero-shot", "By class names: zero-shot, and tuned")
    told = {(r.label, r.detail): r for r in table.rows}
    tuned_row = ("full", "tuned on shapes/train")
    assert list(told) == [("vanilla", ""), ("full", "zero-shot"), tuned_row]
    sections = [r.section for r in table.rows]
    assert sections == ["Zero-shot", "Zero-shot", "Tuned on the data set: not zero-shot"]
    (mark,) = [key for r in table.rows for cell in r.cells for key in cell.notes]
    assert table.notes[mark].text == "Tuned on shapes/train: not zero-shot."
    assert told[tuned_row].cells[0].notes == (mark,)
    assert "not zero-shot" in to_markdown(table)


def test_a_table_of_tuned_rows_alone_is_not_called_zero_shot(row):
    (table,) = protocol_tables(
        measurements([row("full", protocol="tuned", tuned_on="shapes/train")])
    )
    assert (table.name, table.title) == ("tuned", "By class names, tuned on the data set")
    assert "zero-shot" not in f"{table.name} {table.title}".casefold()


@pytest.mark.parametrize("protocol", ["tuned", "few-shot", "supervised", "ablation-frames"])
def test_its_own_training_videos_are_told_whatever_the_protocol(row, protocol):
    seen = row(protocol=protocol, tuned_on="shapes/train", provenance={**row().provenance, **SEEN})
    (table,) = protocol_tables(measurements([seen]))
    (note,) = table.notes.values()
    assert note.text == ("40 of the 240 videos are among those it was tuned on (shapes/train).")


def test_what_is_tuned_by_design_needs_no_mark(row):
    rows = [row(protocol=p, tuned_on="shapes/train") for p in ("few-shot", "supervised")]
    assert all(not table.notes for table in protocol_tables(measurements(rows)))


def test_what_differs_from_the_training_is_a_footnote(row):
    told = {"frames": "4, trained with 8", "class_names": "as-is, trained with words"}
    differing = {"provenance": {**row().provenance, "not_as_trained": told}}
    found = measurements([row(**differing), row(protocol="ablation-frames", **differing)])
    plain, fewer = protocol_tables(found)
    (note,) = plain.notes.values()
    assert note.text == (
        "Not as it was trained: frames 4, trained with 8; class names as-is, trained with words."
    )
    # Fewer frames are what that table is about.
    (note,) = fewer.notes.values()
    assert note.text == "Not as it was trained: class names as-is, trained with words."


def test_a_mean_that_is_tuned_takes_the_place_of_its_parts(row):
    parts = [row(split="a", protocol="tuned", tuned_on="x/train"), row(split="b")]
    over = {"provenance": {**row().provenance, "over": "splits", "count": 2}}
    mean = row(split="a+b", protocol="tuned", tuned_on="x/train", **over)
    found = measurements([*parts, mean])
    assert [m.row.split for m in found] == ["a+b"]


def test_labels_say_what_only_some_rows_are(row):
    shared = {"protocol": "supervised", "dataset": "shapes"}
    rows = [
        row("probe", **shared),
        row("part", **shared, listed=300),
        row("full", **shared, tuned_on="shapes/train"),
    ]
    (table,) = protocol_tables(measurements(rows))
    assert [(r.label, r.detail) for r in table.rows] == [
        ("probe", ""),
        ("part", "240 of 300 listed"),
        ("full", "tuned on shapes/train"),
    ]
    # What all are needs no words.
    (table,) = protocol_tables(measurements([row(n, **shared, listed=300) for n in "ab"]))
    assert [r.detail for r in table.rows] == ["", ""]


def test_captions_say_what_metrics_are(row):
    shared = {"ci_low": None, "ci_high": None}
    rows = [row(), row(metric="calibration_error", **shared)]
    (table,) = protocol_tables(measurements(rows))
    assert "Calibration error: how far" in table.caption
    assert "Mean per class" not in table.caption
    (table,) = protocol_tables(measurements([row(protocol="base-to-novel", subset="joint")]))
    assert "Joint: all of them compete for all videos" in table.caption


def test_data_sets_that_the_paper_calls_alike_are_told_apart(row):
    rows = [row("a", 0.5, dataset="ucf101"), row("a", 0.25, dataset="ucf", classes=101)]
    (table,) = protocol_tables(measurements(rows))
    assert [column.group for column in table.columns] == ["ucf101", "ucf"]
    assert [cell.value for cell in table.rows[0].cells] == [50.0, 25.0]
