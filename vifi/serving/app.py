"""The page's server: a few routes on loopback, and nothing readable but the store's own videos.

Every answer is made from a dataset's name and a row number; no path ever comes from the browser.
Requests that name another host (DNS rebinding) or come from another site's page are refused, no
other origin may read an answer, and the page may load nothing from elsewhere.
"""

import importlib.resources
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from vifi.searching.video_files import ForbiddenError, NotThereError
from vifi.serving.library import Library
from vifi.serving.preview_cache import Previews
from vifi.serving.preview_routes import add_previews
from vifi.serving.query_routes import Name, add_queries
from vifi.serving.streaming import video_response
from vifistore.errors import UnknownNameError, UsageError, VifiError

HOSTS = ("127.0.0.1", "localhost")
_PAGE = Path(__file__).parent / "page"
# Plotly writes the styles of what it draws into the page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}

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

Seconds = Annotated[float, Query(ge=0, allow_inf_nan=False)]


def make_app(
    library: Library, results: Path | None = None, previews: Previews | None = None
) -> FastAPI:
    """The application; `results` is a folder whose t-SNE the map shows. Without `previews` what
    browsers do not play has a picture alone."""
    # No interactive documentation: it would load scripts from elsewhere.
    app = FastAPI(title="vifi serve", docs_url=None, redoc_url=None, openapi_url=None)
    _guard(app, library)
    _add_page(app)
    add_queries(app, library)
    _add_files(app, library, has_previews=previews is not None)
    add_previews(app, library, previews)

    @app.get("/api/store")
    def describe() -> dict:
        return library.describe()

    @app.get("/api/map")
    def show_map(dataset: Name, features: Name = "") -> dict:
        from vifi.serving.page_map import map_points

        searcher = library.searcher(library.scope(features, dataset))
        return map_points(searcher.sources[0], searcher.indexes[0], searcher.tables[0], results)

    return app


def _guard(app: FastAPI, library: Library) -> None:
    @app.middleware("http")
    async def keep_to_ourselves(request: Request, call_next) -> Response:
        # Browsers say where a request comes from; programs on this machine say nothing.
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return JSONResponse({"error": "other sites may not ask"}, 403, dict(_HEADERS))
        if request.url.path.startswith("/api/"):
            await run_in_threadpool(library.look)
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
    for path in _PAGE.iterdir():
        kind = _TYPES.get(path.suffix[1:])
        if kind:
            name = "" if path.name == "page.html" else path.name
            app.add_api_route(f"/{name}", _file_route(path, kind), methods=["GET"])
    plotly = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    app.add_api_route("/plotly.js", _file_route(Path(str(plotly)), "text/javascript"))


def _file_route(path: Path, kind: str):
    def send() -> FileResponse:
        return FileResponse(path, media_type=kind)

    return send


def _add_files(app: FastAPI, library: Library, *, has_previews: bool) -> None:
    @app.get("/video/{dataset}/{row}")
    def video(request: Request, dataset: str, row: int) -> Response:
        footage = library.footage(dataset, row)
        if has_previews and library.begins_late(footage):
            # Its moments are not those of a player, and are those of its preview.
            return JSONResponse({"error": f"{footage.name} plays as a preview"}, 415)
        return video_response(footage, request.headers.get("range", ""))

    @app.get("/thumbnail/{dataset}/{row}")
    def thumbnail(dataset: str, row: int, at: Seconds | None = None) -> Response:
        return Response(library.thumbnail(dataset, row, at), media_type="image/jpeg")
