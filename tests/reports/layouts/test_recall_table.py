"""Recall by captions in a table, beside what others published."""

from reports.layouts.protocol_tables import protocol_tables
from reports.layouts.recall_table import OTHERS, recall_table
from reports.measurements import measurements
from reports.paper.recall_numbers import benchmark_of, published_recalls
from reports.report import all_tables

RECALL = {"protocol": "retrieval", "provenance": {"resampled": "videos", "captions": 40}}


def rows_of(row, dataset, **changes):
    values = {"t2v_recall_at_1": 0.4, "t2v_median_rank": 2.0, "v2t_recall_at_1": 0.5}
    values["t2v_mean_rank"] = 3.25
    return [
        row(metric=metric, value=value, dataset=dataset, **{**RECALL, **changes})
        for metric, value in values.items()
    ]


def test_data_sets_and_ways_are_columns(row):
    rows = [*rows_of(row, "mine"), *rows_of(row, "mine", ranking="dual-softmax")]
    table = recall_table(measurements([*rows, *rows_of(row, "yours")]))
    headings = [(column.group, column.heading) for column in table.columns[:4]]
    assert headings == [
        *(("mine text to video", heading) for heading in ("R@1", "MdR", "MnR")),
        ("mine video to text", "R@1"),
    ]
    assert [(r.detail, r.cells[0].value) for r in table.rows] == [
        ("", 40.0),
        ("dual-softmax", 40.0),
    ]
    assert [cell.value for cell in table.rows[0].cells[1:4]] == [2.0, 3.25, 50.0]
    assert table.rows[1].cells[4].value is None


def test_what_is_transductive_or_left_out_is_marked(row):
    facts = {"rule": "qb-norm", "bank": "test", "bank_captions": 40, "bank_videos": 20}
    told = {**RECALL["provenance"], "normalised": facts, "transductive": True, "uncaptioned": 3}
    (table,) = all_tables(
        measurements(rows_of(row, "mine", ranking="qb-norm", provenance=told, listed=99))
    )
    notes = [table.notes[key].text for key in table.rows[0].cells[0].notes]
    assert any("of 99 listed videos" in note for note in notes)
    assert "3 further videos have no caption and are not searched" in notes
    assert any(note.startswith("Transductive: qb-norm over 40 captions") for note in notes)


def test_numbers_of_others_stand_beside_their_data_set(row):
    table = recall_table(measurements([*rows_of(row, "msrvtt-1ka"), *rows_of(row, "didemo")]))
    others = [r for r in table.rows if r.section == OTHERS]
    assert others[0].label == "PE-Core B/16"
    assert (others[0].cells[0].text, others[0].cells[1].value) == ("47.6", None)
    assert {r.origin for r in others} == {"paper"}
    (key,) = others[0].cells[0].notes
    assert table.notes[key].source.endswith("apps/pe/README.md")
    assert not any(cell.is_measured for r in others for cell in r.cells[4:])


def test_no_captions_no_table(row):
    named = [row(protocol="retrieval", metric="mean_average_precision")]
    assert recall_table(measurements(named)) is None
    both = measurements([*named, *rows_of(row, "mine")])
    assert [table.name for table in all_tables(both)] == ["recall", "retrieval"]
    assert [column.heading for column in protocol_tables(both)[0].columns] == ["mAP"]


def test_published_numbers_have_a_source():
    assert all(n.source and n.text and 0 < n.value < 100 for n in published_recalls())
    assert benchmark_of("MSR-VTT 1kA") == "msrvtt"
    assert benchmark_of("mine") == ""
