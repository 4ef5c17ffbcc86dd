"""The page's server: a few routes on loopback, and nothing readable but the store's own videos.

Every answer is made from a dataset's name and a row number; no path ever comes from the browser.
Requests that name another host (DNS rebinding) or come from another site's page are refused, no
other origin may read an answer, and the page may load nothing from elsewhere.
"""

import importlib.resources
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from harness.retrieval.hits import Hit
from vifi.searching.video_files import ForbiddenError, NotThereError
from vifi.serving.library import Library, Scope
from vifi.serving.preview_cache import Previews
from vifi.serving.preview_routes import add_previews
from vifi.serving.streaming import video_response
from vifistore.errors import UnknownNameError, UsageError, VifiError

HOSTS = ("127.0.0.1", "localhost")
MAX_HITS = 200
_PAGE = Path(__file__).parent / "page"
# Plotly writes the styles of what it draws into the page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
_FILES = {"": "text/html", "page.js": "text/javascript", "page.css": "text/css"}

# The first that fits.
_STATUS = {
    NotThereError: 404,
    UnknownNameError: 404,
    ForbiddenError: 403,
    UsageError: 400,
    VifiError: 500,
    # A disk that is broken, full or may not be read.
    OSError: 500,
}

Name = Annotated[str, Query(max_length=500)]
Words = Annotated[str, Query(min_length=1, max_length=2000)]
Count = Annotated[int, Query(ge=1, le=MAX_HITS)]
Seconds = Annotated[float, Query(ge=0, allow_inf_nan=False)]
Row = Annotated[int, Query(ge=0, lt=2**62)]


def _chosen(
    request: Request, features: Name = "", dataset: Name = "", split: Name = "", label: Name = ""
) -> Scope:
    return request.app.state.library.scope(features, dataset, split, label)


Chosen = Annotated[Scope, Depends(_chosen)]


def make_app(
    library: Library, results: Path | None = None, previews: Previews | None = None
) -> FastAPI:
    """The application; `results` is a folder whose t-SNE the map shows. Without `previews` what
    browsers do not play has a picture alone."""
    # No interactive documentation: it would load scripts from elsewhere.
    app = FastAPI(title="vifi serve", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.library = library
    _guard(app)
    _add_page(app)
    _add_search(app, library)
    _add_files(app, library)
    add_previews(app, library, previews)

    @app.get("/api/map")
    def show_map(dataset: Name, features: Name = "") -> dict:
        from vifi.serving.page_map import map_points

        searcher = library.searcher(library.scope(features, dataset))
        return map_points(searcher.sources[0], searcher.indexes[0], searcher.tables[0], results)

    return app


def _guard(app: FastAPI) -> None:
    @app.middleware("http")
    async def keep_to_ourselves(request: Request, call_next) -> Response:
        # Browsers say where a request comes from; programs on this machine say nothing.
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return JSONResponse({"error": "other sites may not ask"}, 403, dict(_HEADERS))
        response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False)

    @app.exception_handler(OSError)
    @app.exception_handler(VifiError)
    async def say(request: Request, error: Exception) -> JSONResponse:
        status = next(code for kind, code in _STATUS.items() if isinstance(error, kind))
        return JSONResponse({"error": " ".join(str(error).split())}, status)


def _add_page(app: FastAPI) -> None:
    for name, kind in _FILES.items():
        path = _PAGE / (name or "page.html")
        app.add_api_route(f"/{name}", _file_route(path, kind), methods=["GET"])
    plotly = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    app.add_api_route("/plotly.js", _file_route(Path(str(plotly)), "text/javascript"))


def _file_route(path: Path, kind: str):
    def send() -> FileResponse:
        return FileResponse(path, media_type=kind)

    return send


def _add_search(app: FastAPI, library: Library) -> None:
    @app.get("/api/store")
    def describe() -> dict:
        return library.describe()

    @app.get("/api/search")
    def search(scope: Chosen, q: Words, k: Count = 12, frames: bool = False) -> dict:
        return _document(library, q, scope, library.by_words(scope, q, k, frames=frames))

    @app.get("/api/like")
    def like(scope: Chosen, of: Name, row: Row, k: Count = 12, frames: bool = False) -> dict:
        hits = library.like(scope, of, row, k, frames=frames)
        return _document(library, f"{of}/{row}", scope, hits)


def _document(library: Library, query: str, scope: Scope, hits: list[Hit]) -> dict:
    """What `vifi search --json` prints, with what the page needs to show each hit."""
    shown = [
        {
            **hit.as_dict(),
            "row": hit.row,
            "is_part": hit.is_part,
            "is_playable": library.is_playable(hit.path),
            "duration_seconds": library.duration(hit.dataset, hit.row),
        }
        for hit in hits
    ]
    return {"query": query, "features": library.searcher(scope).name, "hits": shown}


def _add_files(app: FastAPI, library: Library) -> None:
    @app.get("/video/{dataset}/{row}")
    def video(request: Request, dataset: str, row: int) -> Response:
        return video_response(library.footage(dataset, row), request.headers.get("range", ""))

    @app.get("/thumbnail/{dataset}/{row}")
    def thumbnail(dataset: str, row: int, at: Seconds | None = None) -> Response:
        return Response(library.thumbnail(dataset, row, at), media_type="image/jpeg")
