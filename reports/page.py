"""The page of a results folder: `index.html`, opened from disk, with nothing from the network.

    write_page("results", rows, tables, artefacts)

Every text that comes from outside (names of classes, files, feature sets) is escaped.
"""

from collections.abc import Sequence
from pathlib import Path

from harness.results import ResultRow
from reports.artefacts import Artefacts
from reports.files import write_text
from reports.page_sections import (
    commands_section,
    figures_section,
    provenance_section,
    quarantine_section,
    summary_section,
    tables_section,
    timings_section,
)
from reports.page_style import STYLE
from reports.table_model import Table
from reports.writers.html import escape


def write_page(
    results_folder: str | Path,
    rows: Sequence[ResultRow],
    tables: Sequence[Table],
    artefacts: Artefacts,
) -> Path:
    """Write `index.html` with everything there is to see; returns its path.

    Figures are the PNG files of the folder at that moment.
    """
    folder = Path(results_folder)
    beside = [table for table in tables if table.has_paper]
    alone = [table for table in tables if not table.has_paper]
    sections = {
        "Summary": summary_section(rows, artefacts.summary),
        "Beside the paper": tables_section(beside),
        "Tables": tables_section(alone),
        "Figures": figures_section(folder),
        "Quarantine": quarantine_section(rows, artefacts.quarantine),
        "Timings": timings_section(artefacts.timings),
        "Provenance": provenance_section(rows),
        "Commands": commands_section(rows),
    }
    shown = {heading: body for heading, body in sections.items() if body}
    return write_text(folder / "index.html", _document(artefacts.summary.title, shown))


def _document(title: str, sections: dict[str, str]) -> str:
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
<style>{STYLE}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the results</a>
<header><h1>{title}</h1>
<nav aria-label="Sections"><ul>{links}</ul></nav></header>
<main id="content">
{body}
</main>
<footer>Made by <code>vifi report</code> from <code>results.jsonl</code>.</footer>
</body>
</html>
"""


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")
