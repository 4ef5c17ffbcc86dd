"""Figures are drawn as SVG with their text as text, so that a test can read it."""

import re

import pytest

from reports.figures import figure_style


@pytest.fixture
def svg_texts(monkeypatch):
    """Draw SVG only, and return the texts of one."""
    monkeypatch.setitem(figure_style._STYLE, "svg.fonttype", "none")
    monkeypatch.setattr(figure_style, "FORMATS", ("svg",))

    def read(path) -> list[str]:
        return re.findall(r"<text[^>]*>(.*?)</text>", path.read_text(), flags=re.S)

    return read
