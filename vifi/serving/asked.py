"""What a page asks with: words, a video of the store, or a picture that it has sent."""

from dataclasses import dataclass

import numpy as np

from harness.retrieval.hits import Hit
from vifi.searching.answers import Answer
from vifi.serving.library import Library, Scope
from vifi.serving.sent_pictures import SentPictures
from vifistore.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One query: just one of words, a video and a picture."""

    q: str = ""
    of: str = ""
    row: int = 0
    picture: str = ""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.q.strip(), self.of, self.picture))) != 1:
            raise UsageError("ask with one of q (words), of and row (a video), or picture")

    @property
    def told(self) -> str:
        """The query for a reader."""
        return self.q or (f"{self.of}/{self.row}" if self.of else "a picture")

    @property
    def kind(self) -> str:
        """What it is asked with, as `Answer.kind` says it."""
        return "text" if self.q else "video" if self.of else "image"


class Desk:
    """Answers what is asked of a library."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.pictures = SentPictures(library)

    def vector(self, scope: Scope, asked: Asked) -> np.ndarray:
        """The embedding of a query, float32 [1 dim]. Raises NotThereError for a video or a picture
        that is not there."""
        if asked.q:
            return self.library.words_vector(scope, asked.q)
        if asked.of:
            return self.library.video_vector(scope, asked.of, asked.row)
        return self.pictures.vector(scope, asked.picture)

    def answer(self, scope: Scope, asked: Asked, k: int, *, frames: bool = False) -> Answer:
        """The hits of a query; a video is no answer to itself."""
        without = (asked.of, asked.row) if asked.of else None
        hits: list[Hit] = self.library.near(
            scope, self.vector(scope, asked), k, frames=frames, without=without
        )
        return Answer(query=asked.told, kind=asked.kind, hits=hits)
