"""Draw which rooms import which, as Mermaid, from the imports of every file.

    python -m tests.draw_house            # writes the drawing into docs/ARCHITECTURE.md

An arrow that follows from others is left out: who imports `extract`, which imports `frames`, may
import `frames` too. `tests/test_house.py` says what is allowed.
"""

from pathlib import Path

from tests.test_house import _BASE, ROOT, imports_of, modules, room_of

PAGE = ROOT / "docs" / "ARCHITECTURE.md"
START, END = "<!-- drawn by python -m tests.draw_house -->\n", "<!-- end of the drawing -->"
# The small modules that import nothing of ours.
BASE = "base"

Graph = dict[str, set[str]]
"""Room -> the rooms that it imports."""


def drawn_room(module: str) -> str:
    """The room of a module as it is drawn, or "" for one that is not ours."""
    room = room_of(module)
    return BASE if room in _BASE else room


def graph_of(files: dict[str, Path]) -> Graph:
    """Which rooms import which, for every room that has a file or is imported."""
    graph: Graph = {}
    for module, path in files.items():
        # The package above all rooms is none.
        if room := drawn_room(module):
            others = {drawn_room(name) for name in imports_of(path)} - {"", room}
            graph.setdefault(room, set()).update(others)
    return graph


def reduced(graph: Graph) -> Graph:
    """The same without arrows that follow from others; there are no circles."""

    def reach(room: str) -> set[str]:
        return {far for near in graph[room] for far in ({near} | reach(near))}

    return {
        room: {far for far in others if not any(far in reach(near) for near in others - {far})}
        for room, others in graph.items()
    }


def mermaid(graph: Graph) -> str:
    """A flow chart, top to bottom, of the arrows that do not follow from others."""
    arrows = [
        f"    {_node(room)} --> {_node(other)}"
        for room, others in sorted(reduced(graph).items())
        for other in sorted(others)
    ]
    return "\n".join(["```mermaid", "flowchart TD", *arrows, "```", ""])


def _node(room: str) -> str:
    shown = "errors, files, progress, ..." if room == BASE else room.replace(".", "/")
    return f'{room.replace(".", "_")}["{shown}"]'


def drawn(page: str, drawing: str) -> str:
    """A page with the drawing between its two marks."""
    before, _, rest = page.partition(START)
    _, mark, after = rest.partition(END)
    assert mark, f"the page lacks {START!r} or {END!r}"
    return before + START + drawing + END + after


def main() -> None:
    """Write the drawing into the page."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(drawn(page, mermaid(graph_of(modules(ROOT)))), encoding="utf-8")


if __name__ == "__main__":
    main()
