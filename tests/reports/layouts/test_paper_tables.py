from dataclasses import replace

import pytest

from reports.layouts.paper_tables import OTHERS, paper_tables
from reports.measurements import measurements
from reports.paper.paper_numbers import paper_numbers
from reports.report import WRITERS
from tests.reports.conftest import PROVENANCE
from tests.reports.layouts.conftest import cell_of

TABLES = range(1, 10)


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


def test_heads_stand_under_the_systems_they_are_of(row):
    own = row("vanilla-clip.8f+a5", 0.5, dataset="hmdb51", scored_checkpoint="openai+a5")
    table = paper_tables(measurements([own]))[0]
    cell = cell_of(table, "A5", "HMDB-51 Top-1")
    assert (cell.value, cell.notes) == (50, ("frames=8,paper=32", "splits=1"))
    assert table.num_measured == 1


def test_what_was_tuned_on_kinetics_first_stands_in_the_tables_of_such(row):
    shared = {"protocol": "few-shot", "dataset": "ucf101", "shots": 4}
    own = {"dataset": "ucf101", "split": "train1_few_shot_4"}
    first = {"dataset": "kinetics400", "split": "train"}
    for entries, places in (([own], (2, 6)), ([first, own], (6, 2))):
        facts = {"model": "ViT-B-16", "system": "x-clip", "tuned_on": entries}
        tables = paper_tables(measurements([row("run", 0.8, **shared, provenance=facts)]))
        values = [cell_of(tables[place], "X-CLIP", "UCF-101 K = 4").value for place in places]
        assert values == [80, None]


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


def test_table_1_takes_true_zero_shot_alone(row):
    tuned = {"protocol": "tuned", "tuned_on": "ucf101/train1_few_shot_16"}
    for changes, count in (({}, 1), (tuned, 0)):
        rows = [row("vifi-clip", dataset="ucf101", **changes), row("mine", dataset="ucf101")]
        (first, *_) = paper_tables(measurements(rows))
        # The other model has a row of its own below.
        assert first.num_measured == count + 1
        assert cell_of(first, "ViFi-CLIP", "UCF-101 Top-1").is_measured == bool(count)


def test_a_split_to_train_on_gives_way_to_any_other_and_is_told(row):
    shared = {"dataset": "hmdb51", "num_frames": 32}
    tested = row("vifi-clip", 0.4, **shared, split="val1")
    trained = row("vifi-clip", 0.9, **shared, split="train1")
    for rows, value, is_told in (
        ([tested, trained], 40.0, False),
        ([trained, tested], 40.0, False),
        ([trained], 90.0, True),
    ):
        table = paper_tables(measurements(rows))[0]
        cell = cell_of(table, "ViFi-CLIP", "HMDB-51 Top-1")
        assert cell.value == pytest.approx(value)
        texts = [table.notes[key].text for key in cell.notes]
        told = "Split train1, by its name one to train on; the paper scores test splits."
        assert (told in texts) == is_told
