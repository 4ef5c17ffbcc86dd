from dataclasses import replace

import pytest

from harness.results.json_artefacts import Cost
from reports.layouts.footnotes import HEAD_NOTE
from reports.layouts.paper_tables import OTHERS, paper_tables
from reports.measurements import measurements
from reports.page.document import style_sheet
from reports.paper.paper_numbers import paper_numbers
from reports.report import WRITERS
from reports.table_model import Table
from tests.reports.conftest import PROVENANCE

TABLES = range(1, 10)


def cell_of(table: Table, label: str, column: str, origin: str = "here"):
    titles = [c.title for c in table.columns]
    (row,) = [r for r in table.rows if (r.label, r.origin) == (label, origin)]
    return row.cells[titles.index(column)]


@pytest.fixture
def tables(paper_like):
    cost = {"features": "vifi-clip", "gflops": 281, "throughput": 60.5, "params_millions": 124.3}
    cost |= {"model": "ViT-B-16-quickgelu", "frames": 16, "device": "a card"}
    costs = [Cost.from_dict(cost)]
    return {table.name: table for table in paper_tables(paper_like, costs)}


def test_all_nine_hold_every_number_of_the_paper(tables):
    assert list(tables) == [f"table{number}" for number in TABLES]
    for number in TABLES:
        rows = [row for row in tables[f"table{number}"].rows if row.origin == "paper"]
        shown = [cell.text for row in rows for cell in row.cells if cell.text]
        assert len(shown) == len(paper_numbers(number))


def test_ours_stand_under_the_papers_with_the_difference(tables):
    table = tables["table1"]
    cell = cell_of(table, "ViFi-CLIP", "HMDB-51 Top-1")
    assert (cell.value, cell.difference) == pytest.approx((51.0, -0.3))
    assert cell.std == pytest.approx(0.816, abs=1e-3)
    assert cell.source == "vifi-clip@step-2000"
    assert cell_of(table, "ViFi-CLIP", "HMDB-51 Top-1", "paper").text == "51.3 ± 0.6"
    labels = [(row.label, row.origin) for row in table.rows]
    place = labels.index(("ViFi-CLIP", "paper"))
    assert labels[place + 1] == ("ViFi-CLIP", "here")


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
    assert f'<td class="part" title="image-ft">50.0<sup>{mark},' in shown["html"]
    assert all("204 of 3,734 listed videos" in text for text in map(shown.get, ("md", "tex")))
    assert ".part { font-weight: 400; }" in style_sheet()


def test_another_number_of_classes_than_the_papers_is_marked(row):
    table = next(table for table in paper_tables(measurements([row(dataset="ucf101", classes=6)])))
    (row,) = [row for row in table.rows if row.section == OTHERS]
    cell = row.cells[1]
    assert cell.is_measured
    assert table.notes[cell.notes[0]].text == "6 classes compete; for the paper's numbers 101 do."


def test_vanilla_clip_has_one_zero_shot_score_for_every_number_of_shots(row):
    def few_shot_cells(*rows):
        tables = {table.name: table for table in paper_tables(measurements(rows))}
        return [cell_of(tables["table3"], "Vanilla CLIP", f"HMDB-51 K = {k}") for k in (2, 16)]

    shared = {"dataset": "hmdb51"}
    parts = [row("vanilla", 0.1 * n, **shared, split=f"val{n}") for n in (2, 1, 3)]
    mean = replace(
        parts[0], split="val2+val1+val3", provenance=PROVENANCE | {"over": "splits", "count": 3}
    )
    assert [cell.value for cell in few_shot_cells(*parts, mean)] == pytest.approx([10, 10])
    # Their footnotes are there, too.
    marked = [replace(part, listed=900) for part in parts]
    tables = paper_tables(measurements([*marked, replace(mean, listed=2700)]))
    assert all(WRITERS["md"](table) for table in tables)
    (cell,) = {cell_of(tables[2], "Vanilla CLIP", "HMDB-51 K = 2")}
    assert tables[2].notes[cell.notes[0]].text == "240 of 900 listed videos"
    assert [cell.value for cell in few_shot_cells(parts[1])] == pytest.approx([10, 10])
    (command,) = {cell.command for cell in few_shot_cells(parts[0])}
    assert command == (
        "vifi evaluate S zero-shot --dataset hmdb51 --features vanilla-clip --split val1 "
        "--template '{}' --results DIR"
    )
    # What was tuned has its own number for each K.
    tuned = few_shot_cells(row("vifi-clip", **shared, split="val1"))
    assert [cell.is_measured for cell in tuned] == [False, False]


def test_shots_that_a_checkpoint_does_not_say_itself_are_marked(row):
    shared = {"protocol": "few-shot", "dataset": "hmdb51", "shots": 2}
    told = row("vifi-clip", **shared, provenance=PROVENANCE | {"shots_told": True})
    table = next(t for t in paper_tables(measurements([told])) if t.name == "table3")
    cell = cell_of(table, "ViFi-CLIP", "HMDB-51 K = 2")
    assert "the checkpoint does not say on how many videos" in table.notes[cell.notes[0]].text


def test_vanilla_clip_is_known_by_its_weights(tables):
    assert cell_of(tables["table1"], "Vanilla CLIP", "HMDB-51 Top-1").source == "openai"


def test_a_missing_cell_shows_its_command(tables):
    cell = cell_of(tables["table1"], "CLIP text-FT", "UCF-101 Top-1")
    assert cell.command == (
        "vifi evaluate S zero-shot --dataset ucf101 --features text-ft --split val1 val2 val3 "
        "--results DIR"
    )
    for table in tables.values():
        for row in table.rows:
            for cell in row.cells:
                assert bool(cell.command) == (row.origin == "here" and not cell.is_measured)


def test_methods_of_others_are_not_ours_to_measure(tables):
    ours = {row.label for table in tables.values() for row in table.rows if row.origin == "here"}
    assert not ours & {"ASR", "Swin-L", "Gain"}


def test_a_model_of_ones_own_has_its_row(tables):
    cell = cell_of(tables["table1"], "my-own-model", "HMDB-51 Top-1")
    assert cell.value == pytest.approx(60)
    assert cell.difference is None


def test_table_5_is_the_diagonal(tables):
    table = tables["table5"]
    cell = cell_of(table, "Embedding fusion", "K400-tiny")
    assert (cell.value, cell.difference) == pytest.approx((77.0, 0.1))
    assert cell_of(table, "Decision-level fusion", "K400-tiny").source == "vifi-clip-decision"
    assert "vifi ablate S --dataset ssv2" in cell_of(table, "Embedding fusion", "SSv2").command


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


def test_heads_stand_under_the_systems_they_are_of(row):
    own = row("vanilla-clip.8f+a5", 0.5, dataset="hmdb51", scored_checkpoint="openai+a5")
    table = paper_tables(measurements([own]))[0]
    cell = cell_of(table, "A5", "HMDB-51 Top-1")
    assert (cell.value, cell.notes) == (50, ("frames=8,paper=32", "splits=1"))
    assert table.num_measured == 1


def test_of_actionclip_a_head_alone_carries_a_doubt_and_the_system_none(row):
    head = row("vanilla-clip.8f+actionclip-transf", 0.5, dataset="hmdb51")
    facts = {"model": "ViT-B-16", "system": "actionclip"}
    whole = row("some@step-4", 0.6, dataset="hmdb51", provenance=facts)
    for own, value, is_doubted in ((head, 50, True), (whole, 60, False)):
        table = paper_tables(measurements([own]))[0]
        cell = cell_of(table, "ActionCLIP", "HMDB-51 Top-1")
        assert (cell.value, HEAD_NOTE in cell.notes) == (value, is_doubted)
        assert not is_doubted or "frozen features" in table.notes[HEAD_NOTE].text


def test_what_was_tuned_on_kinetics_first_stands_in_the_tables_of_such(row):
    shared = {"protocol": "few-shot", "dataset": "ucf101", "shots": 4}
    own = {"dataset": "ucf101", "split": "train1_few_shot_4"}
    first = {"dataset": "kinetics400", "split": "train"}
    for entries, places in (([own], (2, 6)), ([first, own], (6, 2))):
        facts = {"model": "ViT-B-16", "system": "x-clip", "tuned_on": entries}
        tables = paper_tables(measurements([row("run", 0.8, **shared, provenance=facts)]))
        values = [cell_of(tables[place], "X-CLIP", "UCF-101 K = 4").value for place in places]
        assert values == [80, None]


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


def test_feature_sets_that_commands_name_say_how_they_are_made(tables):
    assert set(tables["table3"].used_sources) == {
        "vanilla-clip",
        *(f"{n}-k{k}" for n in ("image-ft", "text-ft", "vifi-clip") for k in (2, 4, 8, 16)),
        *(f"{n}-k{k}" for n in ("a5", "actionclip", "x-clip") for k in (2, 4, 8, 16)),
    }
    source = tables["table3"].used_sources
    assert source["text-ft-k4"].startswith("vifi train few_shot S --dataset D --split train1_few_")
    assert "--trains text" in source["text-ft-k4"]
    assert "vifi train-head S --dataset D" in source["a5-k2"]
    assert "--pretrained openai" in source["vanilla-clip"]
    for name, files in (
        ("table6", {f"cost/D/{n}-cost/step-N.safetensors" for n in ("actionclip", "x-clip")}),
        (
            "table9",
            {
                "cost/D/a5-cost.safetensors",
                *(
                    f"cost/D/{name}-cost/step-N.safetensors"
                    for name in ("actionclip", "x-clip", "vl-prompting")
                ),
            },
        ),
    ):
        assert set(tables[name].used_sources) == files


def test_base_to_novel(row):
    shared = {"protocol": "base-to-novel", "dataset": "ucf101"}
    rows = [
        row("vifi-clip", 0.93, **shared, subset="base", split="base_val", classes=51),
        row("vifi-clip", 0.68, **shared, subset="novel", split="novel_val", classes=50),
        row("vifi-clip", 0.66, **shared, subset="joint", split="base_val+novel_val"),
        row("vifi-clip", 0.78, **shared, metric="harmonic_mean", split="base_val+novel_val"),
        row("vifi-clip", 0.1, **shared, metric="harmonic_mean", subset="joint", split="x"),
    ]
    table = paper_tables(measurements(rows))[1]
    shown = [
        cell_of(table, "ViFi-CLIP", f"UCF-101 {part}").value for part in ("Base", "Novel", "HM")
    ]
    assert shown == pytest.approx([93, 68, 78])


def test_few_shot_takes_the_right_k(row):
    shared = {"protocol": "few-shot", "dataset": "ssv2"}
    rows = [
        row("vifi-clip-k4", 0.075, **shared, shots=4),
        row("vifi-clip-k16", 0.3, **shared, shots=None),
        row("vifi-clip-k2", 0.2, **shared, shots=2, classifier="tip-adapter"),
        row("vanilla", 0.027, **shared, shots=None),
    ]
    table = paper_tables(measurements(rows))[2]
    assert cell_of(table, "ViFi-CLIP", "SSv2 K = 4").value == pytest.approx(7.5)
    # Without its number of shots, and with a trained classifier, a row answers no cell.
    assert cell_of(table, "ViFi-CLIP", "SSv2 K = 16").value is None
    assert "--shots 2" in cell_of(table, "ViFi-CLIP", "SSv2 K = 2").command
    assert cell_of(table, "Vanilla CLIP", "SSv2 K = 8").value == pytest.approx(2.7)


def test_supervised_shows_its_frames_and_views(row):
    shared = {"protocol": "supervised", "dataset": "k400", "num_frames": 16, "num_views": 12}
    table = paper_tables(measurements([row("vifi-clip", 0.84, **shared)]))[3]
    cells = [cell_of(table, "ViFi-CLIP", column) for column in ("Frames", "Top-1", "Views")]
    assert [cell.value for cell in cells] == pytest.approx([16, 84, 12])
    assert [cell.difference for cell in cells] == [None, pytest.approx(0.1), None]


def test_the_last_row_of_a_cell_counts_but_a_mean_first(row):
    shared = {"dataset": "ucf101"}
    rows = [row("vifi-clip@1", 0.7, **shared), row("vifi-clip@2", 0.8, **shared)]
    assert cell_of(paper_tables(measurements(rows))[0], "ViFi-CLIP", "UCF-101 Top-1").value == 80
    over = {"over": "splits", "model": "ViT-B-16"}
    mean = row("vifi-clip@0", 0.6, **shared, split="a+b", provenance=over)
    table = paper_tables(measurements([mean, *rows]))[0]
    assert cell_of(table, "ViFi-CLIP", "UCF-101 Top-1").value == 60


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


def test_actionclips_own_rule_of_templates_replaces_the_averaged_texts(row):
    shared = {"dataset": "ucf101", "provenance": {"model": "ViT-B-16"}}
    each = row("actionclip-transf", **shared, fusion="each-template", value=0.6)
    mean = row("actionclip-transf", **shared, fusion="embedding", value=0.5)
    for rows, expected in (([each, mean], 60.0), ([mean], 50.0)):
        table = next(table for table in paper_tables(measurements(rows)))
        assert cell_of(table, "ActionCLIP", "UCF-101 Top-1").value == expected
    other = row("vifi-clip", **shared, fusion="each-template", value=0.6)
    table = next(table for table in paper_tables(measurements([other])))
    assert cell_of(table, "ViFi-CLIP", "UCF-101 Top-1").value is None


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


def test_a_model_of_ones_own_is_not_asked_for_another_k(row):
    shared = {"protocol": "few-shot", "dataset": "hmdb51"}
    table = paper_tables(measurements([row("mine-k4", **shared, shots=4)]))[2]
    (other,) = [r for r in table.rows if r.section == OTHERS]
    assert [cell.is_measured for cell in other.cells].count(True) == 1
    assert not any(cell.command for cell in other.cells)


def test_runs_of_a_model_of_ones_own_are_all_named(row):
    own = row(
        protocol="base-to-novel",
        dataset="ucf101",
        subset="base",
        classes=51,
        feature_set="1+2",
        feature_names=("mine-s1", "mine-s2"),
        scored_checkpoint="mine-s1+mine-s2",
        provenance={"over": "seeds", "count": 2},
    )
    table = paper_tables(measurements([own]))[1]
    (other,) = [r for r in table.rows if r.section == OTHERS]
    assert any("--features mine-s1 mine-s2 --results" in cell.command for cell in other.cells)


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


def test_table_1_takes_true_zero_shot_alone(row):
    tuned = {"protocol": "tuned", "tuned_on": "ucf101/train1_few_shot_16"}
    for changes, count in (({}, 1), (tuned, 0)):
        rows = [row("vifi-clip", dataset="ucf101", **changes), row("mine", dataset="ucf101")]
        (first, *_) = paper_tables(measurements(rows))
        # The other model has a row of its own below.
        assert first.num_measured == count + 1
        assert cell_of(first, "ViFi-CLIP", "UCF-101 Top-1").is_measured == bool(count)
