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
    """text, video or image: what was asked with; frames, video-frames or image-frames where moments
    were asked for."""
    hits: "list[Hit]"
    compared: tuple[int, int] | None = None
    """Of how many files frames were compared, and of how many there are, where several terms were
    asked of moments."""
    wanted: str = ""
    """The class that the query is about, if it is known."""
    video: tuple[str, int] | None = None
    """Dataset and row of the video that the query is."""

    @property
    def has_moments(self) -> bool:
        """Whether its hits are stretches of videos."""
        return self.kind.endswith("frames")
