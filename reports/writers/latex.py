r"""A table as LaTeX for `\usepackage{booktabs}`."""

import re

from reports.table_model import SOURCES_TOLD, CellText, Row, Table, cell_text
from reports.writers.latex_columns import heading_lines, label_lines
from reports.writers.latex_parts import parts

_NEEDS = "% needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs,graphicx}"

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\u2212": "$-$",
    "\u2013": "--",
    "\u00b1": r"$\pm$",
    "\u00d7": r"$\times$",
}
# Two hyphens in a row would be set as one dash.
_SPECIAL = re.compile("|".join(map(re.escape, _ESCAPES)) + "|-(?=-)")


def to_latex(table: Table) -> str:
    """`table*` environments, each of which fits a page, with footnotes beneath.

    Commands that would fill empty cells are comments behind them.
    """
    floats = [line for part in parts(table) for line in _float(part)]
    return "\n".join([_NEEDS, *floats, *_commands(table)]) + "\n"


def _float(table: Table) -> list[str]:
    return [
        r"\begin{table*}[t]",
        r"\centering",
        rf"\caption{{\textbf{{{escape(table.title)}.}} {escape(table.caption)}}}",
        rf"\label{{tab:{re.sub(r'[^A-Za-z0-9-]', '-', table.name)}}}",
        # Classes leave no room below a caption, as they expect it below its float.
        r"\par\smallskip",
        # As wide as the page at most: twelve columns with intervals do not fit otherwise.
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        *_head(table),
        *_rows(table),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\par\smallskip\footnotesize\raggedright",
        *_notes(table),
        r"\end{table*}",
    ]


def escape(text: str) -> str:
    """Text that LaTeX prints as it is, on one line."""
    return _SPECIAL.sub(lambda match: _ESCAPES.get(match.group(), "-{}"), " ".join(text.split()))


def _head(table: Table) -> list[str]:
    lines = [r"\toprule"]
    if table.has_groups:
        cells, rules, start = [""], [], 2
        for group, span in table.groups:
            cells.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(group)}}}")
            if group:
                rules.append(rf"\cmidrule(lr){{{start}-{start + span - 1}}}")
            start += span
        lines += [_line(cells), "".join(rules)]
    headings = [escape(table.corner), *(_heading(column.heading) for column in table.columns)]
    return [*lines, _line(headings), r"\midrule"]


def _heading(text: str) -> str:
    lines = [escape(line) for line in heading_lines(text)]
    return lines[0] if len(lines) == 1 else r"\shortstack[r]{" + r" \\ ".join(lines) + "}"


def _rows(table: Table) -> list[str]:
    lines, width = [], len(table.columns) + 1
    for section, rows in table.sections:
        if section:
            rule = [r"\midrule"] if lines else []
            lines += [*rule, rf"\multicolumn{{{width}}}{{l}}{{\textit{{{escape(section)}}}}} \\"]
        lines += [line for row in rows for line in _row(table, row)]
    return lines


def _row(table: Table, row: Row) -> list[str]:
    """The numbers; under them a line of intervals and one of differences, where there are any.

    A long detail of the label is set small in the first of these.
    """
    texts = [cell_text(table, *pair) for pair in zip(table.columns, row.cells, strict=True)]
    label, detail = label_lines(row)
    # Behind the end of a line a bracket or a star would be read as a part of it.
    guard = "{}" if label.lstrip()[:1] in ("[", "*") else ""
    lines = [[guard + escape(label), *map(_number, texts)]]
    for small in ([text.interval for text in texts], [text.difference for text in texts]):
        if any(small) or (detail and len(lines) == 1):
            lines.append([_small(detail if len(lines) == 1 else ""), *map(_small, small)])
    ends = [r" \\[-2pt]"] * (len(lines) - 1) + [r" \\"]
    return [" & ".join(cells) + end for cells, end in zip(lines, ends, strict=True)]


def _line(cells) -> str:
    return " & ".join(cells) + r" \\"


def _number(text: CellText) -> str:
    marks = rf"\textsuperscript{{{text.marks}}}" if text.marks else ""
    return ("--" if text.run else escape(text.main)) + marks


def _small(text: str) -> str:
    return rf"\scriptsize {escape(text)}" if text else ""


def _notes(table: Table) -> list[str]:
    lines = []
    for key in table.used_notes:
        note = table.notes[key]
        source = f" Source: {escape(note.source)}." if note.source else ""
        mark = rf"\textsuperscript{{{table.mark(key)}}}"
        lines.append(rf"\par {mark} {escape(note.text)}{source}")
    return lines


def _commands(table: Table) -> list[str]:
    """Comments: no float has room for them, and no paper wants them."""
    if not table.commands:
        return []
    made = [f"{name}: {command}" for name, command in table.used_sources.items()]
    lines = ["Cells with a dash are filled by these commands:", *table.commands]
    lines += [SOURCES_TOLD, *made] if made else []
    return [f"% {' '.join(line.split())}" for line in lines]
