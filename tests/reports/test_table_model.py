import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.table_model import Cell, Column, Row, Table, cell_text, format_number, row_label


@settings(deadline=None, max_examples=50)
@given(st.floats(-1e6, 1e6), st.integers(0, 3))
def test_numbers_read_back(value, decimals):
    text = format_number(value, decimals, signed=True)
    assert float(text.replace("\u2212", "-")) == pytest.approx(
        value, abs=0.5 * 10**-decimals + 1e-9
    )
    assert (text[0] in "+\u2212") == (round(abs(value), decimals) != 0)


def test_cells_in_words(small_table):
    printed, ours = small_table.rows[0].cells[0], small_table.rows[1].cells[0]
    column = small_table.columns[0]
    assert cell_text(small_table, column, printed).main == "51.3 ± 0.6"
    assert cell_text(small_table, column, printed).marks == "a"
    text = cell_text(small_table, column, ours)
    assert (text.main, text.interval, text.difference) == (
        "51.0 ± 0.6",
        "[48.2, 54.0]",
        "\u22120.3",
    )
    assert cell_text(small_table, column, small_table.rows[1].cells[1]).run == "run 1"
    assert cell_text(small_table, column, Cell()).main == ""
    assert cell_text(small_table, column, Cell(value=math.nan)).main == "undefined"


def test_commands_are_numbered_once_each():
    cells = tuple(Cell(command=command) for command in ("b", "a", "b"))
    columns = (Column(heading="x"), Column(heading="y"), Column(heading="z", group="g"))
    table = Table(
        name="t", title="t", caption="", columns=columns, rows=(Row(label="r", cells=cells),)
    )
    assert table.commands == ("b", "a")
    assert [cell_text(table, columns[0], cell).run for cell in cells] == ["run 1", "run 2", "run 1"]
    assert table.groups == (("", 2), ("g", 1))
    assert table.num_measured == 0


def test_marks_go_on_after_z():
    cells = tuple(Cell(text="x", notes=(str(i),)) for i in range(28))
    columns = tuple(Column(heading="x") for _ in cells)
    rows = (Row(label="r", cells=cells),)
    table = Table(name="t", title="", caption="", columns=columns, rows=rows)
    assert [table.mark(str(i)) for i in (0, 25, 26, 27)] == ["a", "z", "aa", "bb"]


def test_numbers_of_the_paper_are_not_ours(small_table):
    assert small_table.num_measured == 2
    assert small_table.has_paper


def test_row_labels():
    row = Row(label="vifi-clip", detail="8 frames", origin="here", cells=())
    assert row_label(row) == "vifi-clip (8 frames, here)"
    assert row_label(Row(label="vanilla", cells=())) == "vanilla"


def test_a_row_with_too_few_cells_is_our_mistake():
    with pytest.raises(AssertionError):
        Table(
            name="t",
            title="",
            caption="",
            columns=(Column(heading="x"),),
            rows=(Row(label="r", cells=()),),
        )
