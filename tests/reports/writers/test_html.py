from dataclasses import replace
from html.parser import HTMLParser

from reports.table_model import Cell, Note
from reports.writers.html import to_html

VOID = {"img", "meta", "br", "link"}


class Outline(HTMLParser):
    """Checks that tags are nested and gathers text and attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.text, self.attributes, self.tags = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def outline(text: str) -> Outline:
    parsed = Outline()
    parsed.feed(text)
    parsed.close()
    assert parsed.open == []
    return parsed


def test_nested_and_escaped(small_table, nasty):
    parsed = outline(to_html(small_table))
    assert "b" not in parsed.tags
    assert nasty in parsed.text
    assert ("title", nasty) in parsed.attributes
    assert "[48.2, 54.0]" in parsed.text
    assert parsed.tags.count("td") == 6


def test_every_text_of_a_table_is_escaped(small_table, nasty):
    """Whatever a table says, and wherever, is text on the page."""
    column = replace(small_table.columns[0], heading=nasty, group=nasty)
    notes = {"doubt": Note(text=nasty, source=nasty)}
    cell = Cell(text=nasty, source=nasty, notes=("doubt",))
    row = replace(small_table.rows[0], label=nasty, detail=nasty, section=nasty, cells=(cell,))
    table = replace(
        small_table,
        **dict.fromkeys(("name", "title", "caption", "corner"), nasty),
        columns=(column,),
        rows=(row,),
        notes=notes,
    )
    parsed = outline(to_html(table))
    assert "b" not in parsed.tags
    assert sum(nasty in text for text in parsed.text) >= 8


def test_a_file_of_its_own_with_the_sources_of_what_commands_name(small_table, nasty):
    table = replace(small_table, sources={nasty: f"vifi extract S --name '{nasty}'"})
    text = to_html(table)
    assert text.startswith("<!doctype html>")
    parsed = outline(text.removeprefix("<!doctype html>"))
    assert f"vifi extract S --name '{nasty}'" in parsed.text
    assert "b" not in parsed.tags


def test_header_cells_say_what_they_head(small_table):
    scopes = [value for name, value in outline(to_html(small_table)).attributes if name == "scope"]
    assert scopes.count("row") == 2
    assert scopes.count("colgroup") == 2
    assert scopes.count("col") == 4
