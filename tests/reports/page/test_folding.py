"""What is long is folded on the page, and whole in files of its own."""

import pytest

from reports.table_model import Cell, Column, Row, Table
from reports.templating import render
from reports.writers.html import to_html


@pytest.mark.parametrize(("count", "is_folded"), [(40, False), (41, True)])
def test_long_lists_are_folded(count, is_folded):
    text = render("commands.html", content=["vifi info S"] * count)
    assert ("<details" in text) == is_folded
    assert (f"<summary>{count} commands</summary>" in text) == is_folded
    assert text.count("<li") == count


@pytest.mark.parametrize(("count", "is_folded"), [(100, False), (101, True)])
def test_long_tables_are_folded_on_the_page_alone(count, is_folded):
    rows = tuple(Row(label=f"m{n}", cells=(Cell(value=1.0),)) for n in range(count))
    columns = (Column(heading="Top-1"),)
    table = Table(name="long", title="Long", caption="", columns=columns, rows=rows)
    page = render("tables.html", content={"tables": [table], "linked": ()})
    assert (f"<summary>{count} rows</summary>" in page) == is_folded
    assert "<details" not in to_html(table)
