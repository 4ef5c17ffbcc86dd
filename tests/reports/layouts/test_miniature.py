"""Data sets of the demo stand in the nine tables as the paper's; orders are compared by tests."""

import pytest

from harness.results.json_artefacts import Cost
from reports.layouts.miniature import in_place_of_the_papers, miniature_tables
from reports.layouts.orderings import orderings_table
from reports.measurements import measurements, stands_for
from reports.paper.paper_numbers import paper_numbers
from reports.report import WRITERS, all_tables
from tests.reports.conftest import PROVENANCE
from tests.reports.layouts.conftest import cell_of

TINY = PROVENANCE | {"model": "vifi-tiny"}


def placed(*rows):
    return in_place_of_the_papers(measurements(rows))


def by_name(tables):
    return {table.name: table for table in tables}


def test_names_that_stand_for_the_papers():
    assert stands_for("mini-hmdb51") == "hmdb51"
    assert stands_for("mini-SSv2") == "ssv2"
    assert [stands_for(name) for name in ("hmdb51", "mini-shapes", "mini-")] == [""] * 3


def test_a_stand_in_fills_the_cell_and_is_not_compared_with_the_papers_number(row):
    mini = {"dataset": "mini-hmdb51", "split": "val1", "provenance": TINY}
    tables = by_name(miniature_tables(placed(row("vifi-clip", 0.4, **mini, classes=12))))
    table = tables["mini-table1"]
    cell = cell_of(table, "ViFi-CLIP", "mini HMDB-51 Top-1")
    assert (cell.value, cell.difference, cell.notes) == (40.0, None, ())
    assert cell_of(table, "ViFi-CLIP", "mini UCF-101 Top-1").command == "vifi demo --full"
    assert table.commands == ("vifi demo --full",)
    assert table.title.startswith("In miniature")


def test_what_began_with_mini_k400_is_bridged(row):
    tuned = TINY | {"tuned_on": [{"dataset": "mini-k400"}, {"dataset": "mini-hmdb51"}]}
    mini = {"dataset": "mini-hmdb51", "split": "val1", "protocol": "few-shot", "shots": 2}
    tables = by_name(
        miniature_tables(placed(row("x-clip-bridged-k2", 0.4, **mini, provenance=tuned)))
    )
    column = "mini HMDB-51 K = 2"
    assert cell_of(tables["mini-table7"], "X-CLIP", column).value == 40.0
    assert not cell_of(tables["mini-table3"], "X-CLIP", column).is_measured


def test_fusions_on_mini_k400_are_those_of_k400_tiny_and_costs_those_of_the_tiny_model(row):
    fused = {"protocol": "ablation-fusion", "trained_fusion": "image", "fusion": "image"}
    mini = placed(row("vifi-clip-image", 0.4, dataset="mini-k400", provenance=TINY, **fused))
    costs = [
        Cost(features="x-clip", model=model, frames=8, gflops=gflops)
        for model, gflops in (("vifi-tiny", 0.5), ("ViT-L-14", 9.0))
    ]
    tables = by_name(miniature_tables(mini, costs))
    assert cell_of(tables["mini-table5"], "Image-level fusion", "mini K400-tiny").value == 40.0
    assert cell_of(tables["mini-table6"], "X-CLIP", "GFLOPs").value == 0.5


def compared(row, value, p_value, name="vifi-clip-k2", against="vanilla-clip"):
    provenance = TINY | {"against": against, "p_value": p_value}
    fields = {"protocol": "few-shot", "shots": 2, "split": "val1", "dataset": "mini-hmdb51"}
    metric = f"top1_minus_{against}"
    return row(name, value, **fields, metric=metric, provenance=provenance)


@pytest.mark.parametrize(
    ("value", "p_value", "verdict"),
    [(0.2, 0.01, "agrees"), (-0.2, 0.01, "opposes"), (0.2, 0.2, "not clear")],
)
def test_orders_are_compared_by_the_paired_test(row, value, p_value, verdict):
    table = orderings_table(placed(compared(row, value, p_value)))
    (only,) = table.rows
    assert (only.label, only.section) == ("ViFi-CLIP over Vanilla CLIP", "Table 3")
    # The paper: 57.2 over 41.9.
    assert only.cells[0].value == pytest.approx(15.3)
    assert only.cells[1].value == pytest.approx(100 * value)
    assert only.cells[3].text == verdict
    assert f"1 {verdict}" in table.caption


def test_what_the_paper_did_not_compare_has_no_order(row):
    mine = compared(row, 0.2, 0.01, name="my-model")
    other = compared(row, 0.2, 0.01, against="my-model")
    assert orderings_table(placed(mine, other)) is None


@pytest.mark.parametrize(
    ("name", "fusion", "label"),
    [
        ("vifi-clip-image", "image", "Image-level fusion"),
        ("vifi-clip-decision", "decision", "Decision-level fusion"),
        ("vanilla-clip", "embedding", "Vanilla CLIP"),
    ],
)
def test_table_5_compares_what_models_were_tuned_and_scored_with(row, name, fusion, label):
    against = "vifi-clip-k16"
    fields = {"protocol": "ablation-fusion", "dataset": "mini-hmdb51", "split": "val1"}
    told = {"against": against, "against_fusion": "embedding", "p_value": 0.01}
    trained = "" if name == "vanilla-clip" else fusion
    fields |= {"fusion": fusion, "trained_fusion": trained, "metric": f"top1_minus_{against}"}
    one = row(name, -0.1, **fields, provenance=TINY | told)
    (only,) = orderings_table(placed(one)).rows
    assert (only.label, only.section) == (f"{label} over Embedding fusion", "Table 5")
    numbers = {n.method: n.value for n in paper_numbers(5) if n.dataset == "hmdb51"}
    assert only.cells[0].value == pytest.approx(numbers[label] - numbers["Embedding fusion"])
    assert only.cells[3].text == "agrees"


def test_a_page_without_stand_ins_has_neither(row):
    names = by_name(all_tables(measurements([row("vifi-clip", 0.4)])))
    assert not any(name.startswith("mini-") for name in names)
    mini = row("vifi-clip", 0.4, dataset="mini-hmdb51", split="val1", provenance=TINY)
    tables = by_name(all_tables(measurements([mini, compared(row, 0.2, 0.01)])))
    assert {"mini-table1", "mini-orderings"} <= set(tables)
    assert all(WRITERS[kind](table) for table in tables.values() for kind in WRITERS)
