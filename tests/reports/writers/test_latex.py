import shutil
import subprocess
from dataclasses import replace

import pytest

from reports.writers.latex import escape, to_latex
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
    assert r"& 51.0 $\pm$ 0.6 & \textit{run 1} & 32 \\[-2pt]" in text
    assert r" & \scriptsize [48.2, 54.0] &  &  \\[-2pt]" in text
    assert r" & \scriptsize $-$0.3 &  &  \\" in text


def test_sources_of_what_commands_name(small_table):
    assert "come from" not in to_latex(small_table)
    text = to_latex(replace(small_table, sources={NASTY: "vifi extract S"}))
    assert text.index("come from") < text.index(r"\texttt{vifi extract S}")


def test_it_compiles(small_table, tmp_path):
    small_table = replace(small_table, sources={NASTY: "vifi extract S"})
    if not shutil.which("pdflatex"):
        pytest.skip("pdflatex is not installed")
    (tmp_path / "table.tex").write_text(to_latex(small_table))
    (tmp_path / "all.tex").write_text(DOCUMENT)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
