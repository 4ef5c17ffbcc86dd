"""From what `vifi search` is asked with to answers: by words, videos, pictures, or several."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Thread

import numpy as np

from harness.retrieval.combined_queries import Query
from harness.retrieval.hits import Hit, class_in_words
from harness.retrieval.moments.moments import FilesCompared
from harness.retrieval.moments.proposals import HALF_WAY
from harness.retrieval.search import Searcher
from harness.retrieval.searched_videos import Like
from vifi.command_line.template_sets import expand
from vifi.searching.answers import Answer
from vifi.searching.query_words import query_encoder, query_templates
from vifi.searching.search_arguments import SearchArguments
from vifistore.errors import UnknownNameError
from vifistore.models.wording import BARE_TEMPLATE, fill
from vifistore.store.store import Store

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """What is asked with beside words: a video, a picture, or both."""

    vectors: list[np.ndarray]
    """float32 [dim] each."""
    names: list[str]
    like: Like | None


def answers_to(
    store: Store, searcher: Searcher, wanted: SearchArguments, texts: Sequence[str]
) -> list[Answer]:
    """An answer to each of `texts`, or one to what is asked with instead.

    Raises what `Searcher.search` and the encoders of queries do.
    """
    # Reading the index and reading the text tower wait for the disk: both at once.
    ahead = Thread(target=_open_quietly, args=(searcher,))
    ahead.start()
    try:
        shown = _shown(searcher, wanted)
        words = _encoded(store, searcher, wanted, [*texts, *wanted.also, *wanted.unwanted])
    finally:
        ahead.join()
    queries = [_query(wanted, shown, words, text) for text in texts or [""]]
    compared = [FilesCompared() for _ in queries]
    found = _find(searcher, wanted, queries, shown.like, compared)
    classes = [name for source in searcher.sources for name in source.dataset.class_names()]
    return [
        _answer(searcher, wanted, shown, text, hits, classes, seen)
        for text, hits, seen in zip(texts or [""], found, compared, strict=True)
    ]


def _open_quietly(searcher: Searcher) -> None:
    try:
        _ = searcher.indexes
    except (OSError, ValueError, RuntimeError):
        # Whoever asks for the indexes next meets the same error, and reports it.
        return


def _shown(searcher: Searcher, wanted: SearchArguments) -> _Shown:
    shown = _Shown(vectors=[], names=[], like=None)
    if wanted.like:
        vector, like = _like(searcher, wanted.like)
        shown = _Shown(vectors=[vector], names=[f"like {wanted.like}"], like=like)
    if wanted.image is not None:
        from vifi.searching.query_encoders import encode_picture

        vector = encode_picture(searcher.sources[0], searcher.checkpoint, wanted.image)
        shown.vectors.append(vector)
        shown.names.append(f"like {wanted.image}")
    return shown


def _like(searcher: Searcher, video: str) -> tuple[np.ndarray, Like | None]:
    """The vector of a video of the store, or of a file of none."""
    try:
        like = searcher.like(video)
    except UnknownNameError:
        from vifi.searching.query_videos import encode_video, video_file_of

        if (file := video_file_of(video)) is None:
            raise
        return encode_video(searcher.sources[0], searcher.checkpoint, *file), None
    return like.vector, like


def _encoded(
    store: Store, searcher: Searcher, wanted: SearchArguments, texts: Sequence[str]
) -> dict[str, np.ndarray]:
    """The embedding of each text, float32 [dim]."""
    if not texts:
        return {}
    templates = expand(wanted.template) or query_templates(searcher.checkpoint)
    if not wanted.template and templates != (BARE_TEMPLATE,):
        logger.info(
            "asked as “%s”, as %s was trained; --template bare asks as typed",
            *(fill(templates[0], texts[0]), searcher.name),
        )
    vectors = query_encoder(store, searcher.checkpoint, templates)(texts)
    return dict(zip(texts, vectors, strict=True))


def _query(
    wanted: SearchArguments, shown: _Shown, words: dict[str, np.ndarray], text: str
) -> Query:
    texts = [text, *wanted.also] if text else [*wanted.also]
    unwanted = [words[each] for each in wanted.unwanted]
    return Query(
        wanted=np.stack([*(words[each] for each in texts), *shown.vectors]),
        unwanted=np.stack(unwanted) if unwanted else None,
        words=" ".join(texts) if wanted.hybrid else "",
    )


def _find(
    searcher: Searcher,
    wanted: SearchArguments,
    queries: Sequence[Query],
    like: Like | None,
    compared: Sequence[FilesCompared],
) -> list[list[Hit]]:
    without = (like.dataset, like.rows) if like else None
    if wanted.frames:
        return searcher.moments(
            queries,
            wanted.k,
            without=without,
            proposal=wanted.proposal or HALF_WAY,
            most_per_file=wanted.per_file or 0,
            rerank=wanted.reranked,
            files_a_term=wanted.files_a_term,
            compared=compared,
        )
    return searcher.search(
        queries,
        wanted.k,
        without=without,
        rerank=wanted.reranked,
        most_per_file=1 if wanted.per_file is None else wanted.per_file,
    )


def _answer(
    searcher: Searcher,
    wanted: SearchArguments,
    shown: _Shown,
    text: str,
    hits: list[Hit],
    classes: Sequence[str],
    compared: FilesCompared,
) -> Answer:
    kind = "text" if text else "video" if wanted.like else "image"
    like = (shown.like.dataset, int(shown.like.rows[0])) if shown.like else None
    is_alone = not (text or wanted.also or wanted.image)
    label = searcher.label_of(*like) if like and is_alone else ""
    moments = {"text": "frames", "video": "video-frames", "image": "image-frames"}
    return Answer(
        query=_told(wanted, shown, text),
        kind=moments[kind] if wanted.frames else kind,
        hits=hits,
        compared=(compared.files, compared.of) if compared.of else None,
        wanted=class_in_words(text, classes) if text else label,
        video=like,
    )


def _told(wanted: SearchArguments, shown: _Shown, text: str) -> str:
    """What was asked, in one line: of one thing as it was given."""
    terms = [text, *wanted.also] if text else [*wanted.also]
    if len(terms) + len(shown.names) == 1 and not wanted.unwanted:
        return text or wanted.like or str(wanted.image)
    told = " and ".join([*(f"“{term}”" for term in terms), *shown.names])
    return told + "".join(f" not “{term}”" for term in wanted.unwanted)
