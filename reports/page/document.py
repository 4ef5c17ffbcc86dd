"""The page of a results folder: `index.html`, opened from disk, with nothing from the network.

    write_page("results", rows, found, tables, artefacts)

Its plots are drawn by `page/page.js` with the plotting library beside it, from JSON in the page;
without JavaScript, and on paper, the same figures are shown as pictures. Every text that comes from
outside (names of classes, files, feature sets) is escaped, also in that JSON.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.results import ResultRow
from harness.results.artefacts import Artefacts
from harness.results.whole_files import write_text
from reports.figures.curves import few_shot_curves, frames_curves
from reports.figures.heatmap import fusion_matrices
from reports.measurements import Measurement
from reports.page.classes import classes_section
from reports.page.figures import figure_block, figure_names, map_block
from reports.page.gallery import attention_section, gallery_section
from reports.page.plots import curves_plot, embed_json, heatmap_plot, map_plot
from reports.page.sections import (
    commands_section,
    provenance_section,
    quarantine_section,
    summary_section,
    tables_section,
    throughput_section,
)
from reports.page.style import style_sheet
from reports.table_model import Table
from reports.writers.html import escape

SCRIPTS = "page"
_HERE = Path(__file__).parent


def write_page(
    results_folder: str | Path,
    rows: Sequence[ResultRow],
    found: Sequence[Measurement],
    tables: Sequence[Table],
    artefacts: Artefacts,
) -> list[Path]:
    """Write `index.html` with everything there is to see, and its scripts; returns the files.

    Figures are the PNG files of the folder at that moment.
    """
    folder = Path(results_folder)
    plots = _plots(folder, found, artefacts)
    sections = _sections(folder, rows, tables, artefacts, plots)
    shown = {heading: body for heading, body in sections.items() if body}
    scripts = _write_scripts(folder) if plots else []
    text = _document(artefacts.summary.title, shown, plots)
    return [*scripts, write_text(folder / "index.html", text)]


def _plots(folder: Path, found: Sequence[Measurement], artefacts: Artefacts) -> dict[str, dict]:
    """What the script draws, by the name of the figure that it stands for."""
    plots = {drawn.name: map_plot(drawn, folder) for drawn in artefacts.maps}
    if matrices := fusion_matrices(found):
        plots["fusion-heatmap"] = heatmap_plot(matrices)
    if curves := few_shot_curves(found):
        plots["few-shot-curve"] = curves_plot(curves, "training videos per class")
    if curves := frames_curves(found):
        plots["frames-curve"] = curves_plot(curves, "frames per view")
    return plots


def _sections(
    folder: Path,
    rows: Sequence[ResultRow],
    tables: Sequence[Table],
    artefacts: Artefacts,
    plots: Mapping[str, dict],
) -> dict[str, str]:
    maps = {drawn.name: drawn for drawn in artefacts.maps}
    figures = [
        figure_block(folder, name, plots.get(name))
        for name in figure_names(folder, plots)
        if name not in maps
    ]
    return {
        "Summary": summary_section(rows, artefacts.summary),
        "Beside the paper": tables_section([table for table in tables if table.has_paper]),
        "Tables": tables_section([table for table in tables if not table.has_paper]),
        "Figures": f'<div class="plots">{"".join(figures)}</div>' if figures else "",
        "Maps": "".join(map_block(folder, drawn, plots[name]) for name, drawn in maps.items()),
        "Retrieval": gallery_section(folder, artefacts.gallery),
        "Attention": attention_section(folder, artefacts.attention),
        "Classes": classes_section(artefacts.classes),
        "Quarantine": quarantine_section(rows, artefacts.quarantine),
        "Throughput": throughput_section(artefacts),
        "Provenance": provenance_section(rows, artefacts.origin),
        "Commands": commands_section(rows, artefacts.commands),
    }


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


def _document(title: str, sections: dict[str, str], plots: Mapping[str, dict]) -> str:
    title = escape(title or "Results")
    links = "".join(f'<li><a href="#{_anchor(name)}">{name}</a></li>' for name in sections)
    body = "\n".join(
        f'<section id="{_anchor(name)}" aria-labelledby="{_anchor(name)}-heading">'
        f'<h2 id="{_anchor(name)}-heading">{name}</h2>\n{content}</section>'
        for name, content in sections.items()
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style_sheet()}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the results</a>
<header><h1>{title}</h1>
<nav aria-label="Sections"><ul>{links}</ul></nav></header>
<main id="content">
{body}
</main>
<footer>Made by <code>vifi report</code> from the files of its folder.</footer>
{_scripts(plots) if plots else ""}</body>
</html>
"""


def _scripts(plots: Mapping[str, dict]) -> str:
    return (
        '<div class="tip" id="tip" role="status" hidden></div>\n'
        f'<script type="application/json" id="plots">{embed_json(plots)}</script>\n'
        f'<script src="{SCRIPTS}/plotly.min.js"></script>\n'
        f'<script src="{SCRIPTS}/page.js"></script>\n'
    )


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")
