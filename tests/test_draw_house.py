"""The drawing of the rooms is that of today's code."""

import pytest

from tests.draw_house import BASE, PAGE, drawn, graph_of, mermaid, reduced
from tests.test_house import ALLOWED, ROOT, SHARED_MODULES, modules


def test_the_page_shows_the_imports_of_today():
    page = PAGE.read_text(encoding="utf-8")
    told = "the drawing is out of date; run: python -m tests.draw_house"
    assert drawn(page, mermaid(graph_of(modules(ROOT)))) == page, told


def test_every_room_is_drawn():
    graph = graph_of(modules(ROOT))
    rooms = {room for room in ALLOWED if (ROOT / room.replace(".", "/")).is_dir()} - {"benchmarks"}
    assert graph.keys() == rooms | {BASE}
    assert graph[BASE] == set()
    assert graph["reports"] == {"harness", BASE}
    assert [n for n in SHARED_MODULES if f"`{n}` alone" not in PAGE.read_text("utf-8")] == []


def test_arrows_that_follow_from_others_are_left_out():
    graph = {"a": {"b", "c", "d"}, "b": {"c"}, "c": set(), "d": set()}
    assert reduced(graph) == {"a": {"b", "d"}, "b": {"c"}, "c": set(), "d": set()}
    assert 'a["a"] --> b["b"]' in mermaid(graph)
    assert 'a["a"] --> c["c"]' not in mermaid(graph)


def test_a_page_without_marks_is_refused():
    with pytest.raises(AssertionError, match="lacks"):
        drawn("# A page", "")
