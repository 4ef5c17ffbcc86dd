import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from reports.writers.latex import escape, to_latex
from reports.writers.latex_parts import MAX_LINES, num_lines, parts
from tests.reports.conftest import NASTY

DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs,graphicx}
\begin{document}
\input{table}
\end{document}
"""


def test_special_characters(nasty):
    assert escape(nasty) == (
        r"\textless{}b\textgreater{}\&\textquotedbl{}'\textbar{}\_\$x\textasciicircum{}"
        r"\textbackslash{}"
    )
    assert escape("50% ± 1 −2") == r"50\% $\pm$ 1 $-$2"
    assert escape("--results --- x") == r"-{}-results -{}-{}- x"


def test_booktabs_with_groups_and_small_lines_under_a_row(small_table):
    text = to_latex(small_table)
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert r"\cmidrule(lr){2-3}" in text
    assert r"& 51.0 $\pm$ 0.6 & -- & 32 \\[-2pt]" in text
    assert r" & \scriptsize [48.2, 54.0] &  &  \\[-2pt]" in text
    assert r" & \scriptsize $-$0.3 &  &  \\" in text


def test_commands_are_comments_behind_the_float(small_table):
    text = to_latex(small_table)
    assert "come from" not in text
    text = to_latex(replace(small_table, sources={NASTY: "vifi extract S\n\\end{x}"}))
    ends = text.rindex(r"\end{table*}")
    behind = text[ends:].splitlines()[1:]
    assert behind[0] == "% Cells with a dash are filled by these commands:"
    assert behind[-1] == rf"% {NASTY}: vifi extract S \end{{x}}"
    assert all(line.startswith("% ") for line in behind)
    assert "vifi" not in text[:ends]


def many_rows(small_table, count):
    ours = small_table.rows[-1]
    rows = [replace(ours, label=f"m{number}", section="") for number in range(count)]
    return replace(small_table, rows=tuple(rows))


def test_a_long_table_is_split_into_floats_that_fit_a_page(small_table):
    table = many_rows(small_table, 40)
    found = parts(table)
    assert [row.label for part in found for row in part.rows] == [f"m{n}" for n in range(40)]
    assert all(sum(map(num_lines, part.rows)) < MAX_LINES for part in found)
    text = to_latex(table)
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == len(found) > 1
    assert "part 2 of" in text
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert len(set(labels)) == len(found)
    assert parts(many_rows(small_table, 3)) == [many_rows(small_table, 3)]


def test_the_papers_number_and_ours_stay_on_one_page(small_table):
    paper, ours = (replace(small_table.rows[-1], origin=origin) for origin in ("paper", "here"))
    rows = [replace(row, label=f"m{n}") for n in range(30) for row in (paper, ours)]
    for part in parts(replace(small_table, rows=tuple(rows))):
        assert len(part.rows) % 2 == 0


def with_brackets(small_table):
    """Labels that begin with what LaTeX reads as a part of the line before."""
    rows = [replace(row, label=label) for row in small_table.rows for label in ("[9] A", "* B")]
    return replace(small_table, rows=tuple(rows))


def test_a_label_is_no_part_of_the_line_before(small_table):
    lines = to_latex(with_brackets(small_table)).splitlines()
    assert not [line for line in lines if line.startswith(("[", "*"))]
    assert sum(line.startswith("{}[9] A") for line in lines) == len(small_table.rows)


def test_it_compiles(small_table, tmp_path):
    small_table = replace(with_brackets(small_table), sources={NASTY: "vifi extract S"})
    if not shutil.which("pdflatex"):
        pytest.skip("pdflatex is not installed")
    (tmp_path / "table.tex").write_text(to_latex(small_table))
    (tmp_path / "all.tex").write_text(DOCUMENT)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
