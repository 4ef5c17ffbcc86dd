"""The questions of a page: search, scores over time, files to keep, and pictures that it sends."""

import secrets
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from harness.retrieval.filters import TimeFilter
from harness.retrieval.hits import VideoTable
from harness.retrieval.reranking import Rule
from vifi.searching.answers import Answer
from vifi.searching.saved_hits import WRITERS
from vifi.searching.video_files import ForbiddenError
from vifi.serving.asked import Asked, Desk
from vifi.serving.library import Library, Scope
from vifi.serving.score_strips import strip_of
from vifi.serving.sent_pictures import MOST_BYTES
from vifistore.errors import UsageError

MAX_HITS = 200

Name = Annotated[str, Query(max_length=500)]
Words = Annotated[str, Query(max_length=2000)]
Count = Annotated[int, Query(ge=1, le=MAX_HITS)]
Seconds = Annotated[float | None, Query(ge=0, allow_inf_nan=False)]
Row = Annotated[int, Query(ge=0, lt=2**62)]


def _times(
    begin: Seconds = None, end: Seconds = None, shortest: Seconds = None, longest: Seconds = None
) -> TimeFilter:
    bounds = {"start_seconds": begin, "end_seconds": end}
    return TimeFilter(**bounds, min_seconds=shortest, max_seconds=longest)


def _chosen(
    request: Request,
    times: Annotated[TimeFilter, Depends(_times)],
    features: Name = "",
    dataset: Name = "",
    split: Name = "",
    label: Name = "",
) -> Scope:
    return request.app.state.library.scope(features, dataset, split, label, times)


def _asked(
    q: Words = "",
    of: Name = "",
    row: Row = 0,
    picture: Name = "",
    also: Words = "",
    unwanted: Words = "",
    hybrid: bool = False,
    rerank: Rule | None = None,
    frames: bool = False,
) -> Asked:
    about = {"q": q, "of": of, "row": row, "picture": picture, "frames": frames}
    return Asked(**about, also=also, unwanted=unwanted, hybrid=hybrid, rerank=rerank)


Chosen = Annotated[Scope, Depends(_chosen)]
Question = Annotated[Asked, Depends(_asked)]


def add_queries(app: FastAPI, library: Library) -> None:
    """Add the routes."""
    app.state.library = library
    desk = Desk(library)
    _add_answers(app, desk)
    _add_pictures(app, desk)

    @app.get("/api/timeline/{dataset_of_hit}/{row_of_hit}")
    def timeline(scope: Chosen, asked: Question, dataset_of_hit: str, row_of_hit: int) -> dict:
        timelines = library.timelines(scope, dataset_of_hit, row_of_hit)
        joined = library.searcher(scope).joined(desk.query(scope, asked))
        return strip_of(timelines, row_of_hit, joined)


def _add_answers(app: FastAPI, desk: Desk) -> None:
    library = desk.library

    @app.get("/api/search")
    def search(scope: Chosen, asked: Question, k: Count = 12) -> dict:
        return _document(library, scope, desk.answer(scope, asked, k))

    @app.get("/api/saved/hits.{ending}")
    def saved(
        scope: Chosen,
        asked: Question,
        ending: Literal["csv", "json", "sh"],
        k: Count = 12,
    ) -> Response:
        answer = desk.answer(scope, asked, k)
        searcher = library.searcher(scope)
        tables: dict[str, VideoTable] = {table.dataset.name: table for table in searcher.tables}
        text = WRITERS[f".{ending}"]([answer], searcher.name, tables.__getitem__)
        headers = {"Content-Disposition": f'attachment; filename="hits.{ending}"'}
        content = text.encode("utf-8", "surrogateescape")
        return Response(content, media_type="application/octet-stream", headers=headers)


def _document(library: Library, scope: Scope, answer: Answer) -> dict:
    """What `vifi search --json` prints, with what the page needs to show each hit."""
    shown = [
        {
            **hit.as_dict(),
            "row": hit.row,
            "is_part": hit.is_part,
            "is_playable": library.is_playable(hit.path),
            "duration_seconds": library.duration(hit.dataset, hit.row),
        }
        for hit in answer.hits
    ]
    return {"query": answer.query, "features": library.searcher(scope).name, "hits": shown}


def _add_pictures(app: FastAPI, desk: Desk) -> None:
    # A page of another site could send, though not read: it does not know this.
    token = secrets.token_urlsafe(32)

    @app.get("/api/token")
    def tell() -> dict:
        return {"token": token}

    @app.post("/api/picture")
    async def take(request: Request, x_vifi_token: Annotated[str, Header()] = "") -> dict:
        origin = request.headers.get("origin")
        is_ours = origin in (None, f"{request.url.scheme}://{request.headers.get('host', '')}")
        if not (is_ours and secrets.compare_digest(x_vifi_token.encode(), token.encode())):
            raise ForbiddenError("pictures are taken from the page alone; load it again")
        content = await _body(request)
        return {"picture": await run_in_threadpool(desk.pictures.take, content)}


async def _body(request: Request) -> bytes:
    """What was sent; raises UsageError as soon as it is too much."""
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_BYTES:
            raise UsageError(f"the picture has more than {MOST_BYTES >> 20} MB; give a smaller one")
    return bytes(content)
