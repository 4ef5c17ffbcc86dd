import csv
import io

import numpy as np
import pandas as pd
import pytest

from harness.results.csv_artefacts import ClassTables
from harness.results.csv_tables import plain_cell, safe_cell, to_safe_csv
from reports.table_model import Cell, Column, Note, Row, Table
from reports.writers.csv_text import to_csv
from tests.test_house import ROOT, modules

RUN = ["=1+1", "+1", "-x.mp4", "@SUM(A1)", "\tx", "\rx", "'=1", "''@x", "'"]
PLAIN = ["run", "1=1", "'run'", "", "''", " =1", "a-b"]


@pytest.mark.parametrize("text", [*RUN, *PLAIN])
def test_no_cell_is_run_and_each_reads_back(text):
    assert safe_cell(text)[:1] not in tuple("=+-@\t\r")
    assert plain_cell(safe_cell(text)) == text
    if text in PLAIN:
        assert safe_cell(text) == text


def test_numbers_stay_numbers():
    frame = pd.DataFrame({"class": RUN, "value": -1.5, "count": -np.arange(len(RUN))})
    back = list(csv.DictReader(io.StringIO(to_safe_csv(frame), newline="")))
    assert [row["value"] for row in back] == ["-1.5"] * len(RUN)
    assert back[3]["count"] == "-3"
    assert [row["class"][0] for row in back[:-1]] == ["'"] * (len(RUN) - 1)


def test_numbers_of_float32_are_in_their_shortest_digits():
    frame = pd.DataFrame({"seconds": np.array([5.22, 1 / 3], np.float32).astype(float), "p": 1 / 3})
    back = list(csv.DictReader(io.StringIO(to_safe_csv(frame), newline="")))
    assert [row["seconds"] for row in back] == ["5.22", "0.33333334"]
    assert [float(row["p"]) for row in back] == [1 / 3] * 2


def test_tables_of_a_report_hold_no_formula():
    bad = "=HYPERLINK(1)"
    cell = Cell(value=-1.5, text=bad, source=bad, command=bad, notes=(bad,), difference=-0.25)
    row = Row(label=bad, detail=bad, section=bad, origin="here", cells=(cell,))
    columns = (Column(heading=bad, group=bad),)
    notes = {bad: Note(text=bad, source="")}
    table = Table(name=bad, title="", caption="", columns=columns, rows=(row,), notes=notes)
    (_, written) = csv.reader(io.StringIO(to_csv(table), newline=""))
    assert [cell for cell in written if cell[:1] in tuple("=+-@")] == ["-1.5", "-0.25"]
    assert written.count("'" + bad) == 10


def test_our_own_reader_takes_the_mark_off(tmp_path):
    table = {"dataset": "d", "features": "f", "fusion": "x", "class": RUN[:3], "value": 0.5}
    table |= {"ci_low": 0.1, "ci_high": 0.9, "num_videos": 3}
    folder = tmp_path / "artefacts" / "per_class"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text(to_safe_csv(pd.DataFrame(table)), newline="")
    assert ClassTables.read_all(tmp_path).per_class["class"].tolist() == RUN[:3]


def test_no_table_is_written_another_way():
    """Of tables that people open; a log of numbers and a cache of ours hold no text."""
    ways = ("to_csv(index", "csv.writer(", "csv.DictWriter(")
    known = {"harness.results.csv_tables", "reports.writers.csv_text"}
    known |= {"vifistore.training.log", "vifi.serving.page_map"}
    # Its cells go through the same `safe_cell`.
    known |= {"vifi.classifying.answer_writing"}
    found = {
        name
        for name, path in modules(ROOT).items()
        if any(way in path.read_text(encoding="utf-8") for way in ways)
    }
    assert found == known
