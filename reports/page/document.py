"""The page of a results folder: `index.html`, opened from disk, with nothing from the network.

    write_page("results", rows, measurements(rows), tables, artefacts)

Its plots are drawn by `page/page.js` with the plotting library beside it, from JSON in the page;
without JavaScript, and on paper, the same figures are shown as pictures. What it says is gathered
here and in the modules beside; how it is laid out is said in `reports/templates`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from harness.results import ResultRow
from harness.results.artefacts import Artefacts
from harness.results.page_pictures import picture_path
from harness.results.whole_files import write_text
from reports.class_answers import AnswerTable
from reports.figures.confusion import confusion_matrices
from reports.figures.curves import few_shot_curves, frames_curves
from reports.figures.figure_style import COLOURS, UNLABELLED_COLOUR
from reports.figures.heatmap import fusion_matrices
from reports.figures.training_curves import run_panels
from reports.measurements import Measurement, without_levers
from reports.page.class_view import class_views
from reports.page.numbers import numbers
from reports.page.page_figures import (
    CONFUSION,
    TRAINING,
    attention_figures,
    figure,
    figure_names,
    map_figure,
)
from reports.page.plots import confusion_plot, curves_plot, heatmap_plot, map_plot, runs_plot
from reports.page.sections import (
    classes,
    commands,
    gallery,
    provenance,
    quarantine,
    summary,
    throughput,
    training_runs,
)
from reports.table_model import Table
from reports.templating import render

SCRIPTS = "page"
_HERE = Path(__file__).parent
# On a dark page: the same hues, the dark ones lighter, so that they keep a contrast of 3.
DARK_COLOURS = ("#3D9BDC", "#E8743B", "#23B88C", "#D893B8", "#E69F00", "#7CC8F2", "#A58BD8")
DARK_UNLABELLED_COLOUR = "#5c646d"


@dataclass(frozen=True)
class Section:
    """A section of the page; one whose `content` is empty is left out."""

    heading: str
    template: str
    """Name of its file, which shows `content`."""
    content: object

    @property
    def anchor(self) -> str:
        """What links name it by."""
        return self.heading.lower().replace(" ", "-")


def write_page(
    results_folder: str | Path,
    rows: Sequence[ResultRow],
    measured: Sequence[Measurement],
    tables: Sequence[Table],
    artefacts: Artefacts,
    answers: Sequence[AnswerTable] = (),
) -> list[Path]:
    """Write `index.html` with everything there is to see, and its scripts; returns the files.

    Figures are the PNG files of the folder at that moment.
    """
    folder = Path(results_folder)
    content = Content(rows, measured, tables, artefacts, answers)
    plots = _plots(folder, content)
    scripts = _write_scripts(folder) if plots else []
    text = render(
        "page.html",
        title=artefacts.summary.title or "Results",
        sections=_sections(folder, content, plots),
        plots=plots,
        scripts=[path.relative_to(folder).as_posix() for path in scripts],
        style=style_sheet(),
        table_script=(_HERE / "tables.js").read_text(encoding="utf-8"),
        address=lambda name: quote(picture_path(folder, name)),
    )
    return [*scripts, write_text(folder / "index.html", text)]


class Content(NamedTuple):
    """All that the page is made of."""

    rows: Sequence[ResultRow]
    measured: Sequence[Measurement]
    tables: Sequence[Table]
    artefacts: Artefacts
    answers: Sequence[AnswerTable]


def _plots(folder: Path, content: Content) -> dict[str, dict]:
    """What the script draws, by the name of the figure that it stands for."""
    measured, artefacts = without_levers(content.measured), content.artefacts
    plots = {drawn.name: map_plot(drawn, folder) for drawn in artefacts.maps}
    if matrices := fusion_matrices(measured):
        plots["fusion-heatmap"] = heatmap_plot(matrices)
    if curves := few_shot_curves(measured):
        plots["few-shot-curve"] = curves_plot(curves, "training videos per class")
    if curves := frames_curves(measured):
        plots["frames-curve"] = curves_plot(curves, "frames per view")
    if panels := run_panels(artefacts.runs):
        plots[TRAINING] = runs_plot(panels)
    if found := confusion_matrices(content.answers):
        plots[CONFUSION] = confusion_plot(found)
    return plots


def _sections(folder: Path, content: Content, plots: Mapping[str, dict]) -> list[Section]:
    """Those that have something to show, in their order."""
    rows, measured, tables, artefacts, answers = content
    maps = {drawn.name: drawn for drawn in artefacts.maps}
    elsewhere = (*maps, TRAINING, CONFUSION)
    names = [name for name in figure_names(folder, plots) if name not in elsewhere]
    figures = [figure(folder, name, plots.get(name)) for name in names]
    drawn = [map_figure(folder, maps[name], plots[name]) for name in maps]
    told = commands(rows, artefacts.commands)
    behind = numbers(tables, measured, told)
    training = [figure(folder, name, plots[name]) for name in (TRAINING,) if name in plots]
    confusion = [figure(folder, name, plots[name]) for name in (CONFUSION,) if name in plots]
    sections = [
        Section("Summary", "summary.html", summary(rows, artefacts.summary)),
        Section("Beside the paper", "tables.html", _tables(tables, behind, has_paper=True)),
        Section("Tables", "tables.html", _tables(tables, behind, has_paper=False)),
        Section("Figures", "figures.html", figures),
        Section("Training", "training.html", training_runs(artefacts.runs, training)),
        Section("Maps", "maps.html", drawn),
        Section("Retrieval", "retrieval.html", gallery(artefacts.gallery)),
        Section("Attention", "attention.html", attention_figures(folder, artefacts.attention)),
        Section("Classes", "classes.html", classes(artefacts.classes)),
        Section("Taken for what", "figures.html", confusion),
        Section("Right and wrong", "class_views.html", class_views(folder, answers)),
        Section("Quarantine", "quarantine.html", quarantine(rows, artefacts.quarantine)),
        Section("Throughput", "throughput.html", throughput(artefacts)),
        Section("Provenance", "provenance.html", provenance(rows, artefacts.origin)),
        Section("Numbers", "numbers.html", behind),
        Section("Study", "study.html", artefacts.study.files),
        Section("Commands", "commands.html", told),
    ]
    return [section for section in sections if section.content]


def _tables(tables: Sequence[Table], behind: Mapping, *, has_paper: bool) -> dict:
    """The tables of a section, and which of their numbers lead to their rows."""
    shown = [table for table in tables if table.has_paper == has_paper]
    linked = {entry["name"] for entry in behind.get("entries", ())}
    return {"tables": shown, "linked": linked} if shown else {}


def _write_scripts(folder: Path) -> list[Path]:
    # Reading 5 MB takes a moment: only where something is drawn.
    from plotly.offline import get_plotlyjs

    inner = folder / SCRIPTS
    inner.mkdir(exist_ok=True)
    own = (_HERE / "page.js").read_text(encoding="utf-8")
    return [
        write_text(inner / "plotly.min.js", get_plotlyjs()),
        write_text(inner / "page.js", own),
    ]


def style_sheet() -> str:
    """`page.css`, with the colours that the printed figures have."""
    light = _variables(COLOURS, UNLABELLED_COLOUR)
    dark = _variables(DARK_COLOURS, DARK_UNLABELLED_COLOUR)
    rest = (_HERE / "page.css").read_text(encoding="utf-8")
    return (
        f"\n:root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n{rest}"
    )


def _variables(colours: tuple[str, ...], unlabelled: str) -> str:
    series = " ".join(f"--c{number}: {colour};" for number, colour in enumerate(colours))
    return f"{series} --unlabelled: {unlabelled};"
