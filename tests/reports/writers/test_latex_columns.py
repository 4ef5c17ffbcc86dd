import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from reports.table_model import NO_NUMBER, Cell, Column, Row, Table
from reports.writers.latex import to_latex
from reports.writers.latex_columns import heading_lines, label_lines, narrow
from reports.writers.latex_parts import MAX_LINES, parts

NUMBER = Cell(value=50.0, low=45.2, high=54.8)
# Prints how wide each table is before it is scaled, and how wide the page is.
DOCUMENT = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[textwidth=6.875in,textheight=8.875in]{geometry}
\usepackage{booktabs,graphicx}
\renewcommand{\resizebox}[3]{\sbox0{#3}\typeout{WIDE \the\wd0,\the\textwidth}\box0}
\begin{document}
\input{table}
\end{document}
"""


SETS = ("k400", "hmdb51", "ucf101", "k600", "ssv2")


def wide(datasets=SETS, headings=("Base", "Novel", "HM"), rows=2):
    """As many columns as data sets times headings; the last row has the last data set alone."""
    columns = tuple(Column(heading=name, group=group) for group in datasets for name in headings)
    cells = (NUMBER,) * len(columns)
    missing = len(columns) - len(headings)
    last = (Cell(text=NO_NUMBER),) * missing + cells[missing:]
    made = [Row(label=f"m{number}", cells=cells) for number in range(rows - 1)]
    every = (*made, Row(label="alone", cells=last))
    return Table(name="wide", title="Wide", caption="Percent.", columns=columns, rows=every)


def test_columns_of_one_data_set_stay_together_in_as_few_parts_as_are_legible():
    table = wide()
    found = narrow(table)
    assert [[group for group, _ in part.groups] for part in found] == [
        ["k400", "hmdb51", "ucf101", "k600"],
        ["ssv2"],
    ]
    assert [column for part in found for column in part.columns] == list(table.columns)
    assert [cell.value for cell in found[1].rows[0].cells] == [50.0] * 3


def test_a_row_without_numbers_in_a_part_is_left_out_of_it():
    assert [[row.label for row in part.rows] for part in narrow(wide())] == [
        ["m0"],
        ["m0", "alone"],
    ]


def test_what_fits_stays_one_table():
    table = wide(("k400", "hmdb51"))
    assert narrow(table) == [table]
    assert parts(table) == [table]


def test_a_data_set_that_is_wider_than_the_page_is_parted_too():
    headings = [f"K = {number}" for number in range(30)]
    found = narrow(wide(("k400",), headings))
    assert len(found) > 1
    assert [column.heading for part in found for column in part.columns] == headings


def test_a_table_that_is_wide_and_long_is_parted_both_ways():
    found = parts(wide(rows=40))
    assert [part.title for part in found[:2]] == ["Wide, part 1 of 6", "Wide, part 2 of 6"]
    assert len({part.name for part in found}) == 6
    assert all(2 * len(part.rows) < MAX_LINES for part in found)
    labels = [row.label for part in found[:3] for row in part.rows]
    assert labels == [f"m{number}" for number in range(39)]


def test_a_long_detail_stands_small_below_its_label(small_table):
    short = Row(label="vifi-clip", detail="zero-shot", cells=())
    assert label_lines(short) == ("vifi-clip (zero-shot)", "")
    long = replace(short, detail="zero-shot, tuned on mini-k400/train")
    assert label_lines(long) == ("vifi-clip", "(zero-shot, tuned on mini-k400/train)")
    assert label_lines(replace(short, label="x" * 50, detail="")) == ("x" * 50, "")
    table = wide(("k400",), ("Top-1",), 1)
    text = to_latex(replace(table, rows=(replace(long, cells=(NUMBER,)),)))
    assert "vifi-clip & 50.0 \\\\[-2pt]\n" in text
    detail = r"\scriptsize (zero-shot, tuned on mini-k400/train)"
    assert rf"{detail} & \scriptsize [45.2, 54.8] \\" in text
    bare = replace(long, cells=(Cell(value=50.0),))
    assert rf"{detail} &  \\" in to_latex(replace(table, rows=(bare,)))


def test_a_long_heading_of_a_difference_takes_two_lines():
    assert heading_lines("HM minus a") == ["HM minus a"]
    assert heading_lines("Mean per class of all") == ["Mean per class of all"]
    assert heading_lines("Top-1 minus vanilla") == ["Top-1", "minus vanilla"]
    text = to_latex(wide(("k400",), ("Top-1 minus a_b_c_d",)))
    assert r"Method & \shortstack[r]{Top-1 \\ minus a\_b\_c\_d} \\" in text


@pytest.mark.parametrize("headings", [("Base", "Novel", "HM"), ("Top-1 minus vanilla-clip",) * 9])
def test_no_part_is_set_below_six_tenths_of_its_size(headings, tmp_path):
    if not shutil.which("pdflatex"):
        pytest.skip("pdflatex is not installed")
    (tmp_path / "table.tex").write_text(to_latex(wide(headings=headings, rows=30)))
    (tmp_path / "all.tex").write_text(DOCUMENT)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
    widths = re.findall(r"WIDE ([\d.]+)pt,([\d.]+)pt", done.stdout)
    assert len(widths) == to_latex(wide(headings=headings, rows=30)).count(r"\begin{table*}")
    assert all(float(page) / float(width) >= 0.6 for width, page in widths)
