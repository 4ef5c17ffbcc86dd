"""Data sets of the demo stand in the nine tables as the paper's; orders are compared by tests."""

import pytest

from harness.results.json_artefacts import Cost
from reports.layouts.miniature import in_place_of_the_papers, miniature_tables
from reports.layouts.orderings import orderings_tables
from reports.layouts.orders import orders_of
from reports.measurements import measurements, stands_for
from reports.paper.paper_numbers import paper_numbers
from reports.report import WRITERS, all_tables
from reports.writers.markdown import to_markdown
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
    counts, table = orderings_tables(placed(compared(row, value, p_value)))
    (only,) = table.rows
    assert (only.label, only.section) == ("ViFi-CLIP over Vanilla CLIP", "Table 3")
    # The paper: 57.2 over 41.9.
    assert only.cells[0].value == pytest.approx(15.3)
    assert only.cells[1].value == pytest.approx(100 * value)
    # A word is no number, in a spreadsheet neither.
    assert (only.cells[3].text, only.cells[3].value) == (verdict, None)
    assert only.detail == "mini HMDB-51, K = 2"
    assert "Of 1 orders of the paper: " in counts.caption
    assert f"{verdict}: 1" in counts.caption
    expected = [1, *(float(verdict == name) for name in ("agrees", "opposes", "not clear"))]
    assert [[cell.value for cell in row.cells] for row in counts.rows] == [expected, expected]
    assert [row.label for row in counts.rows] == ["Table 3", "ViFi-CLIP over Vanilla CLIP"]


def of_splits(row, *tests):
    """Differences of ViFi-CLIP from vanilla CLIP on splits: of each its value, ends and p."""
    fields = {
        "protocol": "zero-shot",
        "dataset": "mini-hmdb51",
        "metric": "top1_minus_vanilla-clip",
    }
    return placed(
        *(
            row(
                *("vifi-clip", value),
                **{**fields, "split": f"val{n + 1}", "ci_low": low, "ci_high": high},
                provenance=TINY | {"against": "vanilla-clip", "p_value": p_value},
            )
            for n, (value, low, high, p_value) in enumerate(tests)
        )
    )


def test_splits_of_a_cell_are_one_order(row):
    tests = ((0.2, 0.1, 0.3, 0.001), (0.1, 0.0, 0.2, 0.05), (0.03, -0.04, 0.1, 0.5))
    (order,) = orders_of(of_splits(row, *tests))
    assert order.place == "mini HMDB-51, 3 splits"
    assert order.value == pytest.approx(11)
    assert order.interval == pytest.approx((2, 20))
    # A deviation of 9 / 1.96 points, twice what is beyond 11 of them.
    assert order.p_value == pytest.approx(0.0166, abs=1e-4)
    assert order.verdict == "agrees"


def test_of_splits_that_differ_nothing_is_clear(row):
    (order,) = orders_of(of_splits(row, (0.2, 0.1, 0.3, 0.001), (-0.2, -0.3, -0.1, 0.001)))
    assert (order.value, order.verdict) == (0.0, "not clear")
    (order,) = orders_of(of_splits(row, (0.2, None, None, 0.001), (0.2, 0.1, 0.3, 0.001)))
    assert (order.interval, order.verdict) == (None, "not clear")


def test_the_mean_over_draws_stands_for_them(row):
    drawn = {"protocol": "base-to-novel", "dataset": "mini-hmdb51", "subset": "base"}
    drawn |= {"metric": "top1_minus_vanilla-clip", "split": "base_val"}
    told = TINY | {"against": "vanilla-clip", "p_value": 0.01}
    names = ("vifi-clip-s1", "vifi-clip-s2")
    one = row(names[0], 0.3, **drawn, provenance=told)
    both = {"feature_names": names, "feature_set": "0123456789ab+aaaaaaaaaaaa"}
    mean = row("vifi-clip", 0.2, **drawn, **both, provenance=told | {"over": "seeds", "count": 2})
    (order,) = orders_of(placed(one, mean))
    assert (order.place, order.value) == ("mini HMDB-51, base, 2 draws", pytest.approx(20))


@pytest.mark.parametrize(("p_value", "shown"), [(0.0002, "<0.001"), (0.001, "0.001")])
def test_no_p_value_is_shown_as_nothing(row, p_value, shown):
    _, table = orderings_tables(placed(compared(row, 0.2, p_value)))
    assert f"| {shown} |" in to_markdown(table).replace("\\<", "<")


def test_what_the_paper_did_not_compare_has_no_order(row):
    mine = compared(row, 0.2, 0.01, name="my-model")
    other = compared(row, 0.2, 0.01, against="my-model")
    assert orderings_tables(placed(mine, other)) == []


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
    (only,) = orderings_tables(placed(one))[1].rows
    assert (only.label, only.section) == (f"{label} over Embedding fusion", "Table 5")
    numbers = {n.method: n.value or 0.0 for n in paper_numbers(5) if n.dataset == "hmdb51"}
    assert only.cells[0].value == pytest.approx(numbers[label] - numbers["Embedding fusion"])
    assert only.cells[3].text == "agrees"


def test_a_page_without_stand_ins_has_neither(row):
    names = by_name(all_tables(measurements([row("vifi-clip", 0.4)])))
    assert not any(name.startswith("mini-") for name in names)
    mini = row("vifi-clip", 0.4, dataset="mini-hmdb51", split="val1", provenance=TINY)
    tables = by_name(all_tables(measurements([mini, compared(row, 0.2, 0.01)])))
    assert {"mini-table1", "mini-orders", "mini-orderings"} <= set(tables)
    assert all(WRITERS[kind](table) for table in tables.values() for kind in WRITERS)
