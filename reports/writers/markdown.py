"""A table as GitHub-flavoured Markdown."""

import re

from reports.table_model import SOURCES_TOLD, Cell, Column, Table, cell_text, row_label

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&])")


def to_markdown(table: Table) -> str:
    """Heading, caption, table, footnotes, and the commands that fill what is empty."""
    parts = [f"## {escape(table.title)}", escape(table.caption), _grid(table)]
    parts += [_notes(table), _commands(table)]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code_span(text: str) -> str:
    """Text as inline code, fenced with more backticks than it holds."""
    text = " ".join(text.split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _grid(table: Table) -> str:
    headings = [table.corner, *(column.title for column in table.columns)]
    lines = [_line(map(escape, headings)), _line([":---", *["---:"] * len(table.columns)])]
    for section, rows in table.sections:
        if section:
            lines.append(_line([f"**{escape(section)}**", *[""] * len(table.columns)]))
        for row in rows:
            pairs = zip(table.columns, row.cells, strict=True)
            lines.append(_line([escape(row_label(row)), *(_cell(table, *pair) for pair in pairs)]))
    return "\n".join(lines)


def _line(cells) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(table: Table, column: Column, cell: Cell) -> str:
    text = cell_text(table, column, cell)
    marks = f"<sup>{text.marks}</sup>" if text.marks else ""
    difference = f"({text.difference})" if text.difference else ""
    shown = (escape(text.main), escape(text.interval), difference, text.run)
    return " ".join(part for part in shown if part) + marks


def _notes(table: Table) -> str:
    return "\n".join(
        f"- <sup>{table.mark(key)}</sup> {escape(table.notes[key].text)}"
        + (f" Source: {escape(table.notes[key].source)}." if table.notes[key].source else "")
        for key in table.used_notes
    )


def _commands(table: Table) -> str:
    if not table.commands:
        return ""
    lines = [f"{i}. {code_span(command)}" for i, command in enumerate(table.commands, start=1)]
    text = "Not measured yet; these commands fill the cells marked `run`:\n\n" + "\n".join(lines)
    if not table.used_sources:
        return text
    made = [f"- {code_span(n)}: {code_span(command)}" for n, command in table.used_sources.items()]
    return f"{text}\n\n{SOURCES_TOLD}\n\n" + "\n".join(made)
