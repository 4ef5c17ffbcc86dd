import pytest

from reports.layouts.fusion_table import fusion_table
from reports.measurements import measurements


def test_trained_in_rows_and_scored_in_columns(demo):
    table = fusion_table(demo)
    assert table.name == "fusion"
    assert [c.heading for c in table.columns] == ["embedding", "decision", "image"]
    assert [row.label for row in table.rows] == ["vanilla", "embedding", "decision", "image"]
    assert table.rows[1].detail == "full-ft-embedding"
    shown = [[round(cell.value) for cell in row.cells] for row in table.rows]
    assert shown == [[12, 12, 12], [54, 50, 30], [50, 54, 30], [50, 50, 34]]
    assert not table.has_paper


def test_the_papers_cells_stand_where_it_has_them(paper_like):
    table = fusion_table(paper_like)
    paper = {
        row.label: [cell.text for cell in row.cells] for row in table.rows if row.origin == "paper"
    }
    assert paper == {
        "embedding": ["76.9", "", ""],
        "decision": ["", "74.6", ""],
        "image": ["", "", "74.0"],
    }
    ours = [row for row in table.rows if row.origin == "here"]
    differences = [[cell.difference for cell in row.cells] for row in ours]
    assert differences == [
        [pytest.approx(0.1), None, None],
        [None, pytest.approx(2.4), None],
        [None, None, pytest.approx(3.0)],
    ]


def test_a_fusion_not_scored_yet_shows_the_command(row):
    shared = {"protocol": "ablation-fusion"}
    rows = [
        row("a", trained_fusion="embedding", **shared),
        row("a", trained_fusion="embedding", **shared, fusion="image"),
        row("b", trained_fusion="image", **shared),
    ]
    table = fusion_table(measurements(rows))
    # Of the same split, with the same prompts, and no more than what is missing.
    assert table.commands == (
        "vifi ablate S --dataset shapes --features b --split test "
        "--template 'a photo of a {name}.' --fusion image --results DIR",
    )


def test_all_that_a_row_lacks_is_one_command(row):
    shared = {"protocol": "ablation-fusion", "split": "all", "template": "a {} | the {}"}
    fusions = ("embedding", "image", "max")
    rows = [row("a", **shared, fusion=fusion) for fusion in fusions] + [row("b", **shared)]
    table = fusion_table(measurements(rows))
    assert table.commands == (
        "vifi ablate S --dataset shapes --features b --split all --fusion image max --results DIR",
    )


def test_no_rows_no_table(row):
    assert fusion_table(measurements([row()])) is None


@pytest.mark.parametrize("change", [{"classes": 24}, {"provenance": {}}])
def test_another_setting_stands_without_the_paper(row, change):
    shared = {"protocol": "ablation-fusion", "dataset": "k400-tiny"}
    table = fusion_table(measurements([row("vanilla", **(shared | change))]))
    assert not table.has_paper
    assert table.rows[0].cells[0].difference is None


def test_a_model_of_unknown_fusion_is_not_vanilla_clip(row):
    shared = {"protocol": "ablation-fusion", "dataset": "k400-tiny"}
    table = fusion_table(measurements([row("my-model", **shared), row("vanilla", **shared)]))
    known = {r.label: r.cells[0].difference is not None for r in table.rows if r.origin == "here"}
    assert known == {"my-model": False, "vanilla": True}


def test_videos_that_are_not_scored_are_a_footnote(row):
    table = fusion_table(measurements([row(protocol="ablation-fusion", num_quarantined=3)]))
    (key,) = table.rows[0].cells[0].notes
    assert table.notes[key].text == "3 of 243 videos are not scored (3 quarantined)"


def test_a_part_of_a_list_is_a_footnote_and_stands_alone(row):
    shared = {"protocol": "ablation-fusion", "dataset": "k400-tiny"}
    table = fusion_table(measurements([row("vanilla", **shared, listed=9000)]))
    (cell,) = [r.cells[0] for r in table.rows if r.origin == "here"]
    assert cell.difference is None
    assert table.notes[cell.notes[0]].text == "240 of 9,000 listed videos"
    assert "Classes: K400-tiny 400." in table.caption


def test_numbers_of_frames_are_columns_in_their_order(row):
    fusions = ("attention", "top-16", "embedding", "top-2", "own")
    rows = [row(protocol="ablation-fusion", fusion=fusion) for fusion in fusions]
    table = fusion_table(measurements(rows))
    assert [c.heading for c in table.columns] == [
        *("embedding", "top-2", "top-16", "attention", "own"),
    ]


def test_of_one_embedding_a_view_no_other_fusion_is_asked_for(row):
    shared = {"protocol": "ablation-fusion"}
    rows = [row("frames", **shared, fusion=fusion) for fusion in ("embedding", "image")]
    facts = {"model": "ViT-B-16", "one_embedding": True}
    table = fusion_table(measurements([*rows, row("views", **shared, provenance=facts)]))
    (own,) = (r for r in table.rows if "views" in (r.label, r.detail))
    assert [cell.text for cell in own.cells] == ["", "="]
    assert "no frames to merge" in table.notes[own.cells[1].notes[0]].text
    assert table.commands == ()
