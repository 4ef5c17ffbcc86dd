"""What a page asks with: words, a video of the store, or a picture that it has sent."""

from dataclasses import dataclass

import numpy as np

from harness.retrieval.combined_queries import Query
from harness.retrieval.reranking import Rerank, Rule
from vifi.searching.answers import Answer
from vifi.serving.library import Library, Scope
from vifi.serving.sent_pictures import SentPictures
from vifistore.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One query: just one of words, a video and a picture, and what it is joined with."""

    q: str = ""
    of: str = ""
    row: int = 0
    picture: str = ""
    also: str = ""
    """Words that have to fit as well."""
    unwanted: str = ""
    """Words that must not fit."""
    hybrid: bool = False
    """Whether words are looked for among captions, labels and ids as well."""
    rerank: Rule | None = None
    """How the best videos are ranked anew by their frames."""
    frames: bool = False
    """Whether moments are asked for."""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.q.strip(), self.of, self.picture))) != 1:
            raise UsageError("ask with one of q (words), of and row (a video), or picture")

    @property
    def told(self) -> str:
        """The query for a reader."""
        told = self.q or (f"{self.of}/{self.row}" if self.of else "a picture")
        told += f" and {self.also}" if self.also else ""
        return told + (f" not {self.unwanted}" if self.unwanted else "")

    @property
    def kind(self) -> str:
        """What it is asked with, as `Answer.kind` says it."""
        return "text" if self.q else "video" if self.of else "image"

    @property
    def words(self) -> str:
        """What is looked for among captions and labels."""
        return " ".join(filter(None, (self.q, self.also))) if self.hybrid else ""


class Desk:
    """Answers what is asked of a library."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.pictures = SentPictures(library)

    def vector(self, scope: Scope, asked: Asked) -> np.ndarray:
        """The embedding of what is asked with, float32 [1 dim]. Raises NotThereError for a video or
        a picture that is not there."""
        if asked.q:
            return self.library.words_vector(scope, asked.q)
        if asked.of:
            return self.library.video_vector(scope, asked.of, asked.row)
        return self.pictures.vector(scope, asked.picture)

    def answer(self, scope: Scope, asked: Asked, k: int) -> Answer:
        """The hits of a query: the same as `vifi search` prints; a video is no answer to itself."""
        searcher = self.library.searcher(scope)
        without = (asked.of, asked.row) if asked.of else None
        find = searcher.moments if asked.frames else searcher.search
        rerank = Rerank(rule=asked.rerank) if asked.rerank else None
        (hits,) = find([self.query(scope, asked)], k, without=without, rerank=rerank)
        return Answer(query=asked.told, kind=asked.kind, hits=hits)

    def query(self, scope: Scope, asked: Asked) -> Query:
        """What is asked with as one query. Raises as `vector`."""
        wanted, unwanted = self.vector(scope, asked), None
        if asked.also:
            wanted = np.concatenate([wanted, self.library.words_vector(scope, asked.also)])
        if asked.unwanted:
            unwanted = self.library.words_vector(scope, asked.unwanted)
        return Query(wanted=wanted, unwanted=unwanted, words=asked.words)
