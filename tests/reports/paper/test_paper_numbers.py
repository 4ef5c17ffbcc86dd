import csv
import re
from importlib.resources import files

import pytest

from reports.paper.paper_numbers import ColumnKey, paper_notes, paper_numbers

TABLES = range(1, 10)

# Rows of the paper x numbers in a row, Table 1's two halves apart.
COUNTS = {
    1: (5 + 4 + 3 + 1) * 2 + (5 + 4 + 3 + 1) * 2,
    2: (4 + 3 + 1) * 12,
    3: (4 + 3 + 1) * 12,
    4: (4 + 3 + 3) * 6,
    5: 4 * 4,
    6: 3 * 3,
    7: 5 * 12,
    8: 5 * 9,
    9: 4 * 2,
}
KNOWN = [
    (1, "ViFi-CLIP", ColumnKey("hmdb51", "", None, "top1"), "51.3", "0.6"),
    (1, "ER-ZSAR", ColumnKey("k600", "", None, "top5"), "73.1", "0.3"),
    (2, "ViFi-CLIP", ColumnKey("ssv2", "novel", None, "top1"), "12.1", ""),
    (2, "A5", ColumnKey("hmdb51", "", None, "harmonic_mean"), "23.8", ""),
    (3, "X-CLIP", ColumnKey("ucf101", "", 2, "top1"), "48.5", ""),
    (3, "ViFi-CLIP", ColumnKey("ssv2", "", 16, "top1"), "12.4", ""),
    (4, "ViFi-CLIP", ColumnKey("k400", "", None, "top1"), "83.9", ""),
    (4, "TimeSformer-L", ColumnKey("k400", "", None, "views"), "1x3", ""),
    (5, "Embedding fusion", ColumnKey("k400-tiny", "", None, "top1"), "76.9", ""),
    (5, "Image-level fusion", ColumnKey("ucf101", "", 16, "top1"), "91.7", ""),
    (6, "ViFi-CLIP", ColumnKey("", "", None, "params_millions"), "124.7", ""),
    (7, "VL prompting", ColumnKey("hmdb51", "", 16, "top1"), "72.0", ""),
    (8, "ActionCLIP", ColumnKey("ucf101", "novel", None, "top1"), "75.3", ""),
    (9, "VL prompting", ColumnKey("", "", None, "throughput"), "71.6", ""),
]


@pytest.mark.parametrize("table", TABLES)
def test_every_cell_is_there_once(table):
    numbers = paper_numbers(table)
    assert len(numbers) == COUNTS[table]
    places = [(number.method, number.column) for number in numbers]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(("table", "method", "place", "text", "std"), KNOWN)
def test_known_cells(table, method, place, text, std):
    found = [n for n in paper_numbers(table) if (n.method, n.column) == (method, place)]
    assert [(n.text, n.std) for n in found] == [(text, std)]


@pytest.mark.parametrize("table", [2, 8])
def test_harmonic_means_follow_from_base_and_novel(table):
    cells = {
        (n.method, n.dataset, n.subset): n for n in paper_numbers(table) if n.section != "gain"
    }
    for (method, dataset, subset), number in cells.items():
        if not subset:
            base, novel = (cells[method, dataset, part].value for part in ("base", "novel"))
            assert number.value == pytest.approx(2 * base * novel / (base + novel), abs=0.1)


@pytest.mark.parametrize("table", [1, 2, 3])
def test_gains_follow_from_the_best_adapted_model(table):
    numbers = paper_numbers(table)
    for gain in (n for n in numbers if n.section == "gain"):
        column = [n for n in numbers if n.column == gain.column]
        best = max(n.value for n in column if n.section == "adapted")
        ours = next(n.value for n in column if n.method == "ViFi-CLIP")
        assert gain.value == pytest.approx(ours - best, abs=0.051)


def test_dashes_have_no_value():
    dashes = [n for n in paper_numbers(4) if not n.text]
    assert {n.method for n in dashes} >= {"Uniformer-B", "A6"}
    assert all(n.value is None for n in dashes)


def test_every_note_is_used_and_known():
    used = {key for table in TABLES for number in paper_numbers(table) for key in number.notes}
    assert used == set(paper_notes())
    assert all(note.text and note.source for note in paper_notes().values())


def test_the_doubt_about_x_clip_stands_where_it_belongs():
    doubted = [n for n in paper_numbers(3) if "xclip-ucf-few-shot" in n.notes]
    assert {(n.method, n.dataset) for n in doubted} == {("X-CLIP", "ucf101"), ("Gain", "ucf101")}
    assert {n.shots for n in doubted} == {2, 4, 8}


@pytest.mark.shared
def test_numbers_are_those_of_the_text(shared):
    """All numbers of the text's tables, in their order, and no others."""
    lines = (shared / "paper.txt").read_text().splitlines()
    printed = [number for line in lines if line.count("\t") >= 2 for number in _printed(line)]
    assert printed == [number for table in TABLES for number in _kept(table)]


def _printed(line):
    cells = re.sub(r"</?[bu]>|\$|\\times|\[\d+\]|\+", "", line).split("\t")
    numeric = (c for c in cells if re.fullmatch(r"[\d.]+( ± [\d.]+)?|\d+ +\d+", c.strip()))
    return [number for cell in numeric for number in re.findall(r"[\d.]+", cell)]


def _kept(table):
    with (files("reports.paper") / f"table{table}.csv").open() as file:
        for record in csv.DictReader(file):
            yield from re.findall(r"[\d.]+", f"{record['value']} {record['std']}")


def test_doubts_about_lists_stand_where_there_are_several():
    doubted = [n for t in (3, 7) for n in paper_numbers(t) if "few-shot-splits" in n.notes]
    assert {n.dataset for n in doubted} == {"hmdb51", "ucf101"}
    counted = [n for n in paper_numbers(4) if "gflops-macs" in n.notes]
    assert {n.text for n in counted} == {"281"}
    assert len(counted) == 3
