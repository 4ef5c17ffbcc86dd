"""A table as an HTML fragment, for the page that brings the style, or as a file of its own."""

from collections.abc import Mapping, Sequence
from html import escape as escape_text

from reports.table_model import SOURCES_TOLD, Cell, Column, Row, Table, cell_text

_STYLE = (
    "body{font:14px/1.45 system-ui,sans-serif;margin:2em}figure{margin:0}"
    "table{border-collapse:collapse}th,td{padding:.2em .7em;text-align:right}"
    "th[scope=row],th.corner,.section th{text-align:left;font-weight:normal}"
    "th[scope=colgroup]{text-align:center}thead,tbody{border-bottom:1px solid}"
    "tr.here{background:#8881}small{display:block;opacity:.7}"
)


def to_html(table: Table) -> str:
    """A figure with caption, table, footnotes and open commands; every text is escaped."""
    return (
        f'<figure class="table" id="{escape(table.name)}">'
        f"<figcaption><h3>{escape(table.title)}</h3><p>{escape(table.caption)}</p></figcaption>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">'
        f'<table class="grid">{_head(table)}{_body(table)}</table></div>'
        f"{_notes(table)}{_commands(table)}</figure>\n"
    )


def to_document(table: Table) -> str:
    """The fragment as a whole file that opens alone, with just enough style to be read."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(table.title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>{to_html(table)}</body></html>\n"
    )


def escape(text: object) -> str:
    """Text that HTML shows as it is, also inside a quoted attribute."""
    return escape_text(str(text), quote=True)


def records_table(records: Sequence[Mapping]) -> str:
    """Plain records as a table, a column per key that has a value; numbers to the right."""
    every = dict.fromkeys(name for record in records for name in record)
    given = {name: [r[name] for r in records if r.get(name) not in (None, "")] for name in every}
    names = [name for name in every if given[name]]
    numeric = {name for name, values in given.items() if values and all(map(_is_number, values))}
    head = "".join(
        f'<th scope="col"{_number_class(name in numeric)}>{escape(_words(name))}</th>'
        for name in names
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_number_class(name in numeric)}>{escape(_plain(record.get(name)))}</td>"
            for name in names
        )
        + "</tr>"
        for record in records
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="records">'
        f'<table class="records"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _head(table: Table) -> str:
    span = ' rowspan="2"' if table.has_groups else ""
    corner = f'<th class="corner" scope="col"{span}>{escape(table.corner)}</th>'
    headings = "".join(f'<th scope="col">{escape(c.heading)}</th>' for c in table.columns)
    if not table.has_groups:
        return f"<thead><tr>{corner}{headings}</tr></thead>"
    groups = "".join(
        f'<th colspan="{span}" scope="colgroup">{escape(group)}</th>'
        for group, span in table.groups
    )
    return f"<thead><tr>{corner}{groups}</tr><tr>{headings}</tr></thead>"


def _body(table: Table) -> str:
    parts, section = [], None
    for row in table.rows:
        if row.section != section:
            parts.append(_section(row.section, table, is_first=section is None))
            section = row.section
        cells = "".join(
            _cell(table, column, cell)
            for column, cell in zip(table.columns, row.cells, strict=True)
        )
        origin = f' class="{escape(row.origin)}"' if row.origin else ""
        parts.append(f'<tr{origin}><th scope="row">{_label(row)}</th>{cells}</tr>')
    return "".join(parts) + "</tbody>"


def _section(section: str, table: Table, *, is_first: bool) -> str:
    end = "" if is_first else "</tbody>"
    if not section:
        return f"{end}<tbody>"
    heading = f'<th colspan="{len(table.columns) + 1}" scope="rowgroup">{escape(section)}</th>'
    return f'{end}<tbody><tr class="section">{heading}</tr>'


def _label(row: Row) -> str:
    extra = ", ".join(part for part in (row.detail, row.origin) if part)
    return escape(row.label) + (f" <small>{escape(extra)}</small>" if extra else "")


def _cell(table: Table, column: Column, cell: Cell) -> str:
    text = cell_text(table, column, cell)
    marks = f"<sup>{escape(text.marks)}</sup>" if text.marks else ""
    title = f' title="{escape(cell.command or cell.source)}"' if cell.command or cell.source else ""
    if text.run:
        return f'<td class="run"{title}><i>{escape(text.run)}</i>{marks}</td>'
    small = "".join(f"<small>{escape(part)}</small>" for part in (text.interval, text.difference))
    kind = ' class="part"' if cell.is_part else ""
    return f"<td{kind}{title}>{escape(text.main)}{marks}{small.replace('<small></small>', '')}</td>"


def _notes(table: Table) -> str:
    if not table.used_notes:
        return ""
    items = []
    for key in table.used_notes:
        note = table.notes[key]
        source = f" <cite>{escape(note.source)}</cite>" if note.source else ""
        items.append(f"<li><sup>{table.mark(key)}</sup> {escape(note.text)}{source}</li>")
    return f'<ul class="notes">{"".join(items)}</ul>'


def _commands(table: Table) -> str:
    if not table.commands:
        return ""
    items = "".join(f"<li><code>{escape(command)}</code></li>" for command in table.commands)
    summary = f"{len(table.commands)} commands fill the cells marked <i>run</i>"
    return (
        f'<details class="commands"><summary>{summary}</summary><ol>{items}</ol>'
        f"{_sources(table)}</details>"
    )


def _sources(table: Table) -> str:
    if not table.used_sources:
        return ""
    items = "".join(
        f"<li><code>{escape(name)}</code>: <code>{escape(command)}</code></li>"
        for name, command in table.used_sources.items()
    )
    return f"<p>{SOURCES_TOLD}</p><ul>{items}</ul>"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number_class(is_numeric: bool) -> str:
    return ' class="number"' if is_numeric else ""


def _words(name: object) -> str:
    return str(name).replace("_", " ")


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return "" if value is None else str(value)
