"""What the page plays of videos that browsers do not."""

from typing import Annotated

from fastapi import FastAPI, Path
from fastapi.responses import Response

from vifi.serving.library import Library
from vifi.serving.preview_cache import MOST_PIECES, PIECE_SECONDS, Previews
from vifistore.frames.previews.previews import Kind, kinds_made_here

# As MediaSource is to be told of them.
_TYPES: dict[Kind, str] = {
    "mp4": 'video/mp4; codecs="avc1.42E01E"',
    "webm": 'video/webm; codecs="vp8"',
}
Number = Annotated[int, Path(ge=0, lt=MOST_PIECES)]


def add_previews(app: FastAPI, library: Library, previews: Previews | None) -> None:
    """Add the routes; without `previews` there are no kinds to ask for."""

    @app.get("/api/previews")
    def describe() -> dict:
        kinds = kinds_made_here() if previews else ()
        return {"seconds": PIECE_SECONDS, "kinds": [[kind, _TYPES[kind]] for kind in kinds]}

    if previews is None:
        return

    @app.get("/preview/{dataset}/{row}/{number}.{kind}")
    def preview(dataset: str, row: int, number: Number, kind: Kind) -> Response:
        data = previews.piece(library.footage(dataset, row), number, kind)
        # Nothing: the video ends before it.
        return Response(data, media_type=f"video/{kind}") if data else Response(status_code=204)
