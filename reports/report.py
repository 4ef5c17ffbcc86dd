"""From a results folder to all that a reader wants of it.

    make_report("results")     # the files written, index.html last

Tables (Markdown, CSV, LaTeX, HTML) are written where at least one cell holds a number of ours;
figures where there is something to draw. Every file appears whole or not at all.
"""

from collections.abc import Sequence
from pathlib import Path

from harness.results import read_rows
from harness.results.artefacts import Artefacts
from harness.results.json_artefacts import Cost
from harness.results.whole_files import write_text
from harness.results.written_files import remove_former
from reports.class_answers import answer_tables
from reports.figures.confusion import confusion_matrices, draw_confusion
from reports.figures.curves import draw_curves, few_shot_curves, frames_curves
from reports.figures.frequencies import class_frequencies
from reports.figures.heatmap import fusion_heatmap, fusion_matrices
from reports.figures.reliability import draw_reliability, reliability_diagrams
from reports.figures.scatter import scatter_panels
from reports.figures.training_curves import draw_runs, run_panels
from reports.layouts.fusion_table import fusion_table
from reports.layouts.lever_table import lever_table
from reports.layouts.miniature import in_place_of_the_papers, miniature_tables
from reports.layouts.orderings import orderings_tables
from reports.layouts.paper_tables import paper_tables
from reports.layouts.protocol_tables import protocol_tables
from reports.layouts.recall_table import recall_table
from reports.layouts.table_options import ReportTables
from reports.measurements import Measurement, measurements, without_levers
from reports.page.document import write_page
from reports.page.page_figures import CONFUSION, TRAINING
from reports.table_model import Table
from reports.writers.csv_text import to_csv
from reports.writers.html import to_html
from reports.writers.latex import to_latex
from reports.writers.markdown import to_markdown
from vifistore.errors import UsageError, shell

WRITERS = {"md": to_markdown, "csv": to_csv, "tex": to_latex, "html": to_html}


def make_report(results_folder: str | Path, wanted: ReportTables | None = None) -> list[Path]:
    """Write tables, figures and the page into `results_folder`; returns the files.

    What an earlier report wrote and this one does not is removed. `wanted` says what of tables is
    shown. Raises UsageError for a folder without anything to show, DamagedError for one that
    cannot be read.
    """
    folder = Path(results_folder)
    rows = read_rows(folder)
    artefacts = Artefacts(folder)
    shown = (artefacts.maps, artefacts.gallery, artefacts.attention, artefacts.runs)
    if not (rows or any(shown)):
        words = ("vifi", "evaluate", "S", "PROTOCOL", "--dataset", "D", "--features", "NAME")
        raise UsageError(
            f"{folder} holds no results; write some with: {shell(*words, '--results', folder)}"
        )
    measured = measurements(rows)
    tables = (wanted or ReportTables()).apply(all_tables(measured, artefacts.costs))
    files = [_write_table(folder, table, kind) for table in tables for kind in WRITERS]
    if diagrams := reliability_diagrams(measured):
        files += draw_reliability(diagrams, folder / "reliability")
    answers = answer_tables(folder, measured)
    files += _write_figures(folder, without_levers(measured), artefacts)
    if matrices := confusion_matrices(answers):
        files += draw_confusion(matrices, folder / CONFUSION)
    files += write_page(folder, rows, measured, tables, artefacts, answers)
    remove_former(folder, files)
    return files


def all_tables(measured: Sequence[Measurement], costs: Sequence[Cost] = ()) -> list[Table]:
    """Every table with at least one number of ours: the paper's, the same in miniature,
    fusion, levers, recall by captions, then by protocol."""
    plain = without_levers(measured)
    mini = in_place_of_the_papers(plain)
    own = (fusion_table(plain), lever_table(measured), recall_table(plain))
    single = [*orderings_tables(mini), *(table for table in own if table)]
    published = [*paper_tables(plain, costs), *miniature_tables(mini, costs)]
    tables = [*published, *single, *protocol_tables(plain)]
    return [table for table in tables if table.num_measured]


def _write_table(folder: Path, table: Table, kind: str) -> Path:
    return write_text(folder / f"{table.name}.{kind}", WRITERS[kind](table))


def _write_figures(
    folder: Path, measured: Sequence[Measurement], artefacts: Artefacts
) -> list[Path]:
    files = []
    for drawn in artefacts.maps:
        separation = drawn.separation if len(drawn.separation) else None
        files += scatter_panels(drawn.points, folder / drawn.name, separation)
    files += fusion_heatmap(fusion_matrices(measured), folder / "fusion-heatmap")
    if curves := few_shot_curves(measured):
        files += draw_curves(curves, folder / "few-shot-curve", "training videos per class")
    if curves := frames_curves(measured):
        files += draw_curves(curves, folder / "frames-curve", "frames per view")
    if panels := run_panels(artefacts.runs):
        files += draw_runs(panels, folder / TRAINING)
    if len(artefacts.frequencies):
        files += class_frequencies(artefacts.frequencies, folder / "class-frequencies")
    return files
