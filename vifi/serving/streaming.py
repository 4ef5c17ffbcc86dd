"""A video for a browser, whole or the range of it that is asked for, wherever its bytes lie."""

import re
from collections.abc import Iterator

from fastapi.responses import FileResponse, Response, StreamingResponse

from vifistore.errors import StoreError, UsageError
from vifistore.sources.extensions import extension
from vifistore.sources.footage import Footage, LocalFile, opened

_PIECE_BYTES = 2**18
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_KINDS = {"webm": "video/webm", "ogv": "video/ogg", "mov": "video/quicktime"}


def video_response(footage: Footage, asked: str) -> Response:
    """The answer to a request with this header `Range`, by which browsers seek.

    Raises UsageError for a folder of frames, StoreError for a server that does not answer.
    """
    if footage.folder:
        raise UsageError(f"{footage.name} is a folder of frames, which browsers do not play")
    if isinstance(footage, LocalFile):
        return FileResponse(footage.path, content_disposition_type="inline")
    try:
        size = footage.stamp().size_bytes
    except OSError as error:
        raise StoreError(f"{footage.name} cannot be fetched: {error}") from error
    start, stop = _range(asked, size)
    headers = {"Accept-Ranges": "bytes", "Content-Disposition": "inline"}
    if asked and start >= stop:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    if asked:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return StreamingResponse(
        _pieces(footage, start, stop),
        status_code=206 if asked else 200,
        headers={**headers, "Content-Length": str(stop - start)},
        media_type=_KINDS.get(extension(footage.name), "video/mp4"),
    )


def _range(asked: str, size: int) -> tuple[int, int]:
    """First byte, and the one behind the last; all of what is asked for in another way."""
    match = _RANGE.fullmatch(asked)
    if not match or match.groups() == ("", ""):
        return 0, size
    if not match[1]:
        return max(0, size - int(match[2])), size
    return int(match[1]), min(size, int(match[2]) + 1) if match[2] else size


def _pieces(footage: Footage, start: int, stop: int) -> Iterator[bytes]:
    with footage.at_hand(0) as readable, opened(readable) as file:
        file.seek(start)
        while start < stop and (piece := file.read(min(_PIECE_BYTES, stop - start))):
            start += len(piece)
            yield piece
