import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import reports
from harness.results import append_rows
from reports.layouts.table_options import ReportTables
from reports.report import make_report
from vifistore.errors import DamagedError, UsageError
from vifistore.temporaries import is_temporary

TABLES = ("table1", "table4", "table5", "table6", "fusion", "zero-shot", "base-to-novel")
TABLES += ("few-shot", "ablation-frames")
# Vanilla CLIP stands in the paper's tables of few shots as it is, scored by zero-shot.
TABLES += ("table3", "table7")
FIGURES = ("tsne", "fusion-heatmap", "few-shot-curve", "frames-curve", "class-frequencies")


def test_everything_is_written(results_folder, monkeypatch):
    # That all formats are written is seen with one small figure in test_style.
    monkeypatch.setattr("reports.figures.figure_style.FORMATS", ("svg",))
    files = make_report(results_folder)
    expected = {f"{name}.{kind}" for name in TABLES for kind in ("md", "csv", "tex", "html")}
    expected |= {f"{name}.svg" for name in FIGURES}
    assert {path.name for path in files} == expected | {"index.html", "page.js", "plotly.min.js"}
    assert all(path.stat().st_size > 0 for path in files)
    assert files[-1].name == "index.html"
    assert not [path for path in results_folder.rglob("*") if is_temporary(path.name)]


def test_a_second_report_is_the_same(row, tmp_path):
    append_rows(tmp_path, [row()])
    first = {path.name: path.read_bytes() for path in make_report(tmp_path)}
    assert {path.name: path.read_bytes() for path in make_report(tmp_path)} == first
    tables = {f"zero-shot.{kind}" for kind in ("md", "csv", "tex", "html")}
    assert set(first) == tables | {"index.html"}


def test_tables_that_are_no_longer_written_are_removed(row, tmp_path, caplog):
    append_rows(tmp_path, [row(), row(protocol="supervised")])
    make_report(tmp_path)
    (tmp_path / "supervised.txt").write_text("mine")
    (tmp_path / "own.csv").write_text("mine")
    outside = tmp_path.parent / "supervised.md"
    outside.write_text("mine")
    listed = json.loads((tmp_path / "artefacts" / "written.json").read_text())
    listed += ["../supervised.md", "supervised.txt", "results.jsonl", 3]
    (tmp_path / "artefacts" / "written.json").write_text(json.dumps(listed))
    caplog.set_level("INFO", "vifi")
    make_report(tmp_path, ReportTables(only=("zero-shot",)))
    assert not list(tmp_path.glob("supervised.[!t]*"))
    assert (tmp_path / "zero-shot.tex").is_file()
    assert outside.is_file()
    assert {"supervised.txt", "own.csv", "results.jsonl"} <= {p.name for p in tmp_path.iterdir()}
    (told,) = [line for line in caplog.messages if line.startswith("removed")]
    assert "supervised.csv, supervised.html, supervised.md, supervised.tex" in told
    make_report(tmp_path, ReportTables(only=("zero-shot",)))
    assert len([line for line in caplog.messages if line.startswith("removed")]) == 1


def test_undefined_numbers_are_shown_as_such(row, tmp_path):
    append_rows(tmp_path, [row(value=float("nan"), ci_low=None, ci_high=None)])
    make_report(tmp_path)
    assert "undefined" in (tmp_path / "zero-shot.md").read_text()


@pytest.mark.parametrize("text", [None, ""])
def test_without_results_the_remedy_is_told(tmp_path, text):
    if text is not None:
        (tmp_path / "results.jsonl").write_text(text)
    with pytest.raises(UsageError, match="holds no results; write some with: vifi evaluate"):
        make_report(tmp_path)
    assert not list(tmp_path.glob("*.html"))


def test_a_map_or_a_gallery_alone_is_a_page(results_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("reports.figures.figure_style.FORMATS", ("svg",))
    (tmp_path / "a" / "artefacts").mkdir(parents=True)
    shutil.copy(results_folder / "artefacts" / "tsne.csv", tmp_path / "a" / "artefacts")
    text = make_report(tmp_path / "a")[-1].read_text()
    assert re.findall(r"<h2 .*?>(.*?)</h2>", text) == ["Maps"]
    (tmp_path / "b" / "artefacts").mkdir(parents=True)
    hit = {"rank": 1, "score": 0.3, "id": "v", "label": "run"}
    queries = [{"query": "a run", "kind": "text", "hits": [hit]}]
    (tmp_path / "b" / "artefacts" / "gallery.json").write_text(json.dumps(queries))
    (tmp_path / "b" / "artefacts" / "commands.json").write_text('["vifi search S"]')
    text = make_report(tmp_path / "b")[-1].read_text()
    assert re.findall(r"<h2 .*?>(.*?)</h2>", text) == ["Retrieval", "Commands"]


def test_a_missing_folder_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="no results folder"):
        make_report(tmp_path / "none")


def test_a_damaged_artefact_writes_nothing(row, tmp_path):
    append_rows(tmp_path, [row()])
    (tmp_path / "steps.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DamagedError, match=r"steps\.csv has no column step, seconds"):
        make_report(tmp_path)
    assert not (tmp_path / "zero-shot.md").exists()


def test_reports_import_the_results_folder_and_what_imports_nothing_only():
    names = ("errors", "files", "natural_order", "temporaries")
    allowed = {f"vifistore.{name}" for name in names}
    for path in Path(reports.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                is_ours = node.module.split(".")[0] in ("harness", "vifistore", "vifi")
                is_folder = f"{node.module}.".startswith("harness.results.")
                assert not is_ours or is_folder or node.module in allowed, path
            elif isinstance(node, ast.Import):
                assert not {a.name.split(".")[0] for a in node.names} & {"torch", "vifistore"}, path


def test_no_torch_is_loaded():
    code = "import sys, reports.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
