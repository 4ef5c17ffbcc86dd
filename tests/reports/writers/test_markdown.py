import re
from dataclasses import replace

from reports.table_model import SOURCES_TOLD
from reports.writers.markdown import code_span, escape, to_markdown
from tests.reports.conftest import NASTY


def test_every_line_has_as_many_cells(small_table):
    lines = [line for line in to_markdown(small_table).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}
    assert len(lines) == 5


def test_numbers_intervals_differences_and_commands(small_table):
    text = to_markdown(small_table)
    assert "51.3 ± 0.6<sup>a</sup>" in text
    assert r"51.0 ± 0.6 \[48.2, 54.0\] (−0.3) | run 1 | 32 |" in text
    assert "\n1. `vifi evaluate S" in text
    assert "- <sup>a</sup> Not sure" in text


def test_sources_of_what_commands_name(small_table):
    assert SOURCES_TOLD not in to_markdown(small_table)
    sources = {NASTY: "vifi extract S --name x", "not-asked-for": "vifi extract S"}
    text = to_markdown(replace(small_table, sources=sources))
    assert SOURCES_TOLD in text
    assert "`: `vifi extract S --name x`" in text
    assert "not-asked-for" not in text


def test_names_are_escaped(nasty):
    assert escape(nasty) == "\\<b\\>\\&\"'\\|\\_$x^\\\\"
    assert escape("two\nlines") == "two lines"


def test_backticks_within_code():
    assert code_span("a`b") == "``a`b``"
    assert code_span("`a") == "`` `a ``"
