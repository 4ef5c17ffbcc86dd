"""What is told of numbers beside the paper's: other settings, parts of lists, what they cost."""

import re

import pytest

from harness.results.json_artefacts import Cost
from reports.layouts.footnotes import HEAD_NOTE
from reports.layouts.paper_tables import OTHERS, paper_tables
from reports.measurements import measurements
from reports.page.document import style_sheet
from reports.report import WRITERS
from tests.reports.conftest import PROVENANCE
from tests.reports.layouts.conftest import cell_of


def test_a_part_of_a_list_is_marked_and_not_measured_against_the_paper(row):
    shared = {"dataset": "ucf101", "num_videos": 204, "provenance": {"model": "ViT-B-16"}}
    whole, part = row("vifi-clip", **shared), row("image-ft", **shared, listed=3734)
    table = next(table for table in paper_tables(measurements([whole, part])))
    cell = cell_of(table, "ViFi-CLIP", "UCF-101 Top-1")
    assert (cell.is_part, cell.difference is None) == (False, False)
    cell = cell_of(table, "CLIP image-FT", "UCF-101 Top-1")
    assert (cell.is_part, cell.difference) == (True, None)
    assert table.notes[cell.notes[0]].text == "204 of 3,734 listed videos"
    shown = {name: write(table) for name, write in WRITERS.items()}
    mark = table.mark(cell.notes[0])
    assert re.search(f'<td class="part" title="image-ft"[^>]*>50.0<sup>{mark},', shown["html"])
    assert all("204 of 3,734 listed videos" in text for text in map(shown.get, ("md", "tex")))
    assert ".part { font-weight: 400; }" in style_sheet()


def test_another_number_of_classes_than_the_papers_is_marked(row):
    table = next(table for table in paper_tables(measurements([row(dataset="ucf101", classes=6)])))
    (row,) = [row for row in table.rows if row.section == OTHERS]
    cell = row.cells[1]
    assert cell.is_measured
    assert table.notes[cell.notes[0]].text == "6 classes compete; for the paper's numbers 101 do."


def test_shots_that_a_checkpoint_does_not_say_itself_are_marked(row):
    shared = {"protocol": "few-shot", "dataset": "hmdb51", "shots": 2}
    told = row("vifi-clip", **shared, provenance=PROVENANCE | {"shots_told": True})
    table = next(t for t in paper_tables(measurements([told])) if t.name == "table3")
    cell = cell_of(table, "ViFi-CLIP", "HMDB-51 K = 2")
    assert "the checkpoint does not say on how many videos" in table.notes[cell.notes[0]].text


def test_vanilla_clip_is_known_by_its_weights(tables):
    assert cell_of(tables["table1"], "Vanilla CLIP", "HMDB-51 Top-1").source == "openai"


def test_costs_come_from_their_file(tables):
    assert cell_of(tables["table6"], "ViFi-CLIP", "GFLOPs").difference == 0
    speed = cell_of(tables["table6"], "ViFi-CLIP", "Views/s")
    assert (speed.value, speed.source) == (60.5, "vifi-clip on a card")
    assert speed.difference is None, "the speed of another machine"
    missing = cell_of(tables["table9"], "VL prompting", "GFLOPs").command
    assert missing.startswith("vifi bench compute --model ViT-B-16-quickgelu --frames 16")
    assert "--pretrained cost/D/vl-prompting-cost/step-N.safetensors" in missing
    assert "--head cost/D/a5-cost.safetensors" in cell_of(tables["table9"], "A5", "GFLOPs").command
    assert cell_of(tables["table4"], "ViFi-CLIP", "GFLOPs").value == 281


def test_the_speed_of_a_slow_machine_is_not_nought():
    record = {"features": "vifi-clip", "model": "ViT-B-16", "frames": 16, "throughput": 0.0517}
    cell = cell_of(paper_tables([], [Cost.from_dict(record)])[5], "ViFi-CLIP", "Views/s")
    assert (cell.value, cell.text) == (0.0517, "0.0517")


@pytest.mark.parametrize("change", [{"model": "ViT-B-32"}, {"frames": 32}, {"model": None}])
def test_costs_of_another_setting_do_not_stand_beside_the_papers(change):
    record = {"features": "vifi-clip", "gflops": 9, "model": "ViT-B-16", "frames": 16} | change
    table = paper_tables([], [Cost.from_dict(record)])[5]
    assert cell_of(table, "ViFi-CLIP", "GFLOPs").value is None


def test_of_actionclip_a_head_alone_carries_a_doubt_and_the_system_none(row):
    head = row("vanilla-clip.8f+actionclip-transf", 0.5, dataset="hmdb51")
    facts = {"model": "ViT-B-16", "system": "actionclip"}
    whole = row("some@step-4", 0.6, dataset="hmdb51", provenance=facts)
    for own, value, is_doubted in ((head, 50, True), (whole, 60, False)):
        table = paper_tables(measurements([own]))[0]
        cell = cell_of(table, "ActionCLIP", "HMDB-51 Top-1")
        assert (cell.value, HEAD_NOTE in cell.notes) == (value, is_doubted)
        assert not is_doubted or "frozen features" in table.notes[HEAD_NOTE].text


def test_another_template_and_another_number_of_frames_are_footnotes(row):
    mean = {"over": "splits", "count": 3, "model": "ViT-B-16"}
    shared = {"dataset": "hmdb51", "template": "a photo of a {}.", "provenance": mean}
    rows = [row("vanilla", 0.4, **shared), row("vifi-clip", 0.5, num_frames=32, **shared)]
    table = paper_tables(measurements(rows))[0]
    assert cell_of(table, "ViFi-CLIP", "HMDB-51 Top-1").notes == ()
    notes = cell_of(table, "Vanilla CLIP", "HMDB-51 Top-1").notes
    assert [table.notes[key].text for key in notes] == [
        "Prompt template “a photo of a {}.”; the paper's for Vanilla CLIP is “{}”.",
        "8 frames per view; the paper takes 32.",
    ]


def test_doubts_are_footnotes(tables):
    table = tables["table3"]
    cell = cell_of(table, "X-CLIP", "UCF-101 K = 2", "paper")
    assert cell.notes == ("xclip-ucf-few-shot",)
    assert "76.4" in table.notes[cell.notes[0]].text


@pytest.mark.parametrize(
    "change", [{"classes": 24}, {"provenance": {"model": "ViT-L-14"}}, {"provenance": {}}]
)
@pytest.mark.parametrize("name", ["vanilla", "Vanilla CLIP"])
def test_another_setting_is_another_model(row, name, change):
    own = row(name, 0.9, **({"dataset": "hmdb51", "scored_checkpoint": "openai"} | change))
    assert measurements([own])[0].method == "Vanilla CLIP"
    table = paper_tables(measurements([own]))[0]
    (other,) = [r for r in table.rows if r.section == OTHERS]
    assert other.label == name
    assert [(c.value, c.difference) for c in other.cells if c.is_measured] == [(90, None)]
    (ours,) = [
        r
        for r in table.rows
        if (r.label, r.origin) == ("Vanilla CLIP", "here") and r.section != OTHERS
    ]
    assert not any(cell.is_measured for cell in ours.cells)


def test_openclips_name_of_the_activation_is_the_same_model(row):
    own = row("openai", 0.408, dataset="hmdb51", provenance={"model": "ViT-B-16-quickgelu"})
    cell = cell_of(paper_tables(measurements([own]))[0], "Vanilla CLIP", "HMDB-51 Top-1")
    assert cell.difference == pytest.approx(0.0)


def test_videos_that_are_not_scored_are_a_footnote(row):
    own = row("vifi-clip", dataset="hmdb51", num_videos=98, num_quarantined=2)
    table = paper_tables(measurements([own]))[0]
    key = cell_of(table, "ViFi-CLIP", "HMDB-51 Top-1").notes[0]
    assert table.notes[key].text == "2 of 100 videos are not scored (2 quarantined)"


def test_the_cost_of_actionclip_is_that_of_32_frames():
    record = {"features": "actionclip", "model": "ViT-B-16", "gflops": 563.0}
    for frames, value in ((16, None), (32, 563.0)):
        table = paper_tables([], [Cost.from_dict(record | {"frames": frames})])[5]
        assert cell_of(table, "ActionCLIP", "GFLOPs").value == value
    command = cell_of(paper_tables([])[5], "ActionCLIP", "GFLOPs").command
    assert "--frames 32" in command


def test_equal_frames_have_the_paper_of_their_own_protocol_in_the_footnote(row):
    rows = [row("vifi-clip", dataset="hmdb51")]
    rows.append(row("vifi-clip", dataset="k400", protocol="supervised"))
    for number, frames in ((0, 32), (3, 16)):
        table = paper_tables(measurements(rows))[number]
        told = {table.notes[key].text for key in table.used_notes}
        assert f"8 frames per view; the paper takes {frames}." in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "1 training run; the paper's number is the mean of 3."),
        ({"over": "seeds", "count": 2}, "2 training runs; the paper's number is the mean of 3."),
        ({"over": "seeds", "count": 3}, None),
    ],
)
def test_fewer_runs_than_the_papers_are_a_footnote(row, change, told):
    shared = {"protocol": "base-to-novel", "dataset": "ucf101", "subset": "base", "classes": 51}
    provenance = {"model": "ViT-B-16", **change}
    for name, expected in (("vifi-clip", told), ("vanilla", None)):
        own = row(name, **shared, num_frames=32, provenance=provenance)
        table = paper_tables(measurements([own]))[1]
        texts = {table.notes[key].text for key in table.used_notes}
        assert {text for text in texts if "is the mean of 3" in text} == {expected} - {None}


def test_the_cost_of_a_model_of_ones_own_is_asked_for_and_found(row):
    shared = {"protocol": "supervised", "dataset": "k400", "num_frames": 8}
    own = row("mine", **shared, provenance={"model": "ViT-L-14"})
    cell = cell_of(paper_tables(measurements([own]))[3], "mine", "GFLOPs")
    assert "--model ViT-L-14 --frames 8 --features mine --results" in cell.command
    record = {"features": "mine", "model": "ViT-L-14", "frames": 8, "gflops": 640.0}
    table = paper_tables(measurements([own]), [Cost.from_dict(record)])[3]
    assert cell_of(table, "mine", "GFLOPs").value == 640
    # A cost alone makes a row as well; of what is not known, no more can be asked.
    table = paper_tables([], [Cost.from_dict(record | {"throughput": None})])[3]
    assert cell_of(table, "mine", "GFLOPs").value == 640
    assert cell_of(table, "mine", "Views/s").command == ""
