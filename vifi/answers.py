"""What a search gives: a query, its hits, and the class that would be right."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.retrieval.hits import Hit


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One query and its hits."""

    query: str
    kind: str
    """text, video, image or frames."""
    hits: "list[Hit]"
    wanted: str = ""
    """The class that the query is about, if it is known."""
    video: tuple[str, int] | None = None
    """Dataset and row of the video that the query is."""
