from dataclasses import replace

import pytest

from reports.layouts.table_options import ReportTables, TableOptions, chosen, parse_tables
from reports.table_model import Cell, Column, Row, Table
from vifi.command_line.table_flags import TableFlags, wanted_tables
from vifistore.errors import UnknownNameError, UsageError


@pytest.fixture
def table():
    columns = (Column(heading="Top-1", group="UCF-101"), Column(heading="Top-5", group="UCF-101"))
    names = (("clip", ""), ("full", "probe"), ("full", "text"))
    rows = [
        Row(label=label, detail=detail, cells=(Cell(value=float(n)), Cell(command=f"vifi {n}")))
        for n, (label, detail) in enumerate(names)
    ]
    shared = {"title": "Zero-shot", "caption": "Percent."}
    return Table(name="zero-shot", columns=columns, rows=tuple(rows), **shared)


def shape(table):
    rows = [f"{row.label} {row.detail}".strip() for row in table.rows]
    return rows, [column.title for column in table.columns]


@pytest.mark.parametrize(
    ("options", "rows", "columns"),
    [
        ({}, ["clip", "full probe", "full text"], ["UCF-101 Top-1", "UCF-101 Top-5"]),
        ({"rows": ("full*", "clip")}, ["full probe", "full text", "clip"], None),
        ({"rows": ("full (text)", "full")}, ["full text", "full probe"], None),
        ({"rows": ("gone*",)}, ["clip", "full probe", "full text"], None),
        ({"without": ("full (p*)", "Top-5")}, ["clip", "full text"], ["UCF-101 Top-1"]),
        # What is left out does not come back where nothing else is there.
        ({"without": ("*",)}, [], []),
        ({"columns": ("*Top-5", "Top-1")}, None, ["UCF-101 Top-5", "UCF-101 Top-1"]),
    ],
)
def test_rows_and_columns_in_the_order_wanted(table, options, rows, columns):
    found = chosen(table, TableOptions(**options))
    assert rows is None or shape(found)[0] == rows
    assert columns is None or shape(found)[1] == columns
    # A number stays with its row and its column.
    if not found.columns:
        return
    top1 = [column.heading for column in found.columns].index("Top-1")
    of_row = {"clip": 0.0, "full probe": 1.0, "full text": 2.0}
    values = [row.cells[top1].value for row in found.rows]
    assert values == [of_row[name] for name in shape(found)[0]]


def test_other_names(table):
    labels = {"full (text)": "Ours", "clip": "CLIP", "UCF-101": "UCF", "probe": "linear"}
    found = chosen(table, TableOptions(labels=labels, title="T", caption="C"))
    assert shape(found) == (["CLIP", "full linear", "Ours"], ["UCF Top-1", "UCF Top-5"])
    assert (found.title, found.caption) == ("T", "C")


def test_commands_stand_beside_the_papers_numbers_alone(table):
    assert [row.cells[1].text for row in chosen(table, TableOptions()).rows] == ["\u2013"] * 3
    asked = chosen(table, TableOptions(missing="commands"))
    assert asked.commands == ("vifi 0", "vifi 1", "vifi 2")
    paper = replace(table.rows[0], origin="paper")
    beside = replace(table, rows=(paper, *table.rows[1:]))
    assert chosen(beside, TableOptions()).commands
    assert not chosen(beside, TableOptions(missing="dash")).commands


def test_a_file_says_it_of_all_tables_and_of_one(table):
    document = {
        "labels": {"clip": "CLIP"},
        "missing": "commands",
        "zero-shot": {"rows": ["full*"], "labels": {"full": "Ours"}, "missing": "dash"},
    }
    other = replace(table, name="few-shot")
    first, second = parse_tables(document).apply([other, table])
    assert shape(first)[0] == ["CLIP", "full probe", "full text"]
    assert first.commands
    assert shape(second)[0] == ["Ours probe", "Ours text"]
    assert not second.commands
    only = parse_tables({"only": ["zero*", "*"]}).apply([other, table])
    assert [table.name for table in only] == ["zero-shot", "few-shot"]
    assert len(parse_tables({"only": ["few-shot"]}).apply([other, table])) == 1


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"rows": "full"}, "tables: rows is 'full'; give a list of texts"),
        ({"rows": [1]}, "give a list of texts"),
        ({"labels": {"a": 1}}, "tables: labels is .*; give a table of texts"),
        ({"x": {"title": 3}}, "tables.x: title is 3; give a text"),
        ({"missing": "no"}, "missing is 'no'; give commands or dash"),
        ({"only": "x"}, "only is no list of names"),
    ],
)
def test_what_is_odd_is_refused(document, told):
    with pytest.raises(UsageError, match=told):
        parse_tables(document)


def test_what_there_is_not_is_told(table, caplog):
    with pytest.raises(UnknownNameError, match="unknown key of tables 'row'"):
        parse_tables({"row": ["x"]})
    caplog.set_level("WARNING", "vifi")
    wanted = {"zero-shoot": {}, "zero-shot": {"rows": ["x", "full*"], "columns": ["y"]}}
    (found,) = parse_tables(wanted).apply([table])
    assert shape(found)[0] == ["full probe", "full text"]
    assert caplog.messages == [
        "there is no table 'zero-shoot'; there are: zero-shot",
        "table zero-shot has no row 'x'; it has: clip, full (probe), full (text)",
        "table zero-shot has no column 'y'; it has: UCF-101 Top-1, UCF-101 Top-5",
    ]


def test_columns_and_rows_of_one_name_keep_numbers_of_their_own(table):
    column, row = table.columns[0], table.rows[0]
    cells = (Cell(value=1.0), Cell(value=2.0))
    rows = (replace(row, cells=cells), replace(row, cells=cells[::-1]))
    found = chosen(replace(table, columns=(column, column), rows=rows), TableOptions())
    assert [[cell.value for cell in row.cells] for row in found.rows] == [[1.0, 2.0], [2.0, 1.0]]


def test_names_with_brackets_are_names(table):
    rows = (replace(table.rows[0], label="a[1]"), replace(table.rows[1], label="a1"))
    found = chosen(replace(table, rows=rows), TableOptions(rows=("a[1]",)))
    assert [row.label for row in found.rows] == ["a[1]", "a1"]
    found = chosen(replace(table, rows=rows), TableOptions(without=("a[[]1]",)))
    assert [row.label for row in found.rows] == ["a1"]


def test_what_flags_say_of_all_tables_is_told_where_it_is_of_none(table, caplog):
    caplog.set_level("WARNING", "vifi")
    words = {"rows": ("clap", "full"), "without": ("Top-1", "gone*"), "columns": ("Top-9",)}
    renamed = {"full": "Ours", "UCF-101 Top-5": "5", "fulll": "x", "K ": " 2=two", "K = 2": "two"}
    ReportTables(common=TableOptions(**words, labels=renamed)).apply([table])
    names = "clip, full (probe), full (text)"
    both = f"{names}, UCF-101 Top-1, UCF-101 Top-5"
    assert caplog.messages[:3] == [
        f"no table has row 'clap'; there are: {names}",
        "no table has column 'Top-9'; there are: UCF-101 Top-1, UCF-101 Top-5",
        f"no table has row or column 'gone*'; there are: {both}",
    ]
    assert [text.partition(";")[0] for text in caplog.messages[3:]] == [
        "no table has label 'fulll'",
        "no table has label 'K = 2'",
    ]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a=b", {"a": "b"}),
        ("K = 2=two", {"K ": " 2=two", "K = 2": "two"}),
        ("a==", {"a": "="}),
    ],
)
def test_an_old_name_may_hold_an_equals_sign(text, names):
    labels = wanted_tables(TableFlags(rename=(text,))).common.labels
    assert labels == names


def test_a_name_without_a_new_one_is_refused():
    for text in ("a", "a=", "=b", ""):
        with pytest.raises(UsageError, match="is no OLD=NEW"):
            wanted_tables(TableFlags(rename=(text,)))


@pytest.mark.parametrize(("text", "told"), [("[table]", "has none"), ("tables = 3", "no table")])
def test_a_file_without_tables_is_refused(tmp_path, text, told):
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(UsageError, match=rf"{told}; write \[tables\]"):
        wanted_tables(TableFlags(tables=tmp_path / "t.toml"))
