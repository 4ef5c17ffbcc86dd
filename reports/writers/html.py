"""A table as an HTML file of its own."""

from reports.table_model import Table
from reports.templating import render


def to_html(table: Table) -> str:
    """A file that opens alone: caption, table, footnotes and open commands."""
    return render("table_document.html", table=table)
