"""A web server on loopback that gives the files of a folder, and fails as it is told."""

import http.server
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote


class WebServer(http.server.ThreadingHTTPServer):
    """Files below a folder at `url`; what `faults` holds for a path happens first, each once.

    A fault is a status, as 503, or "cut": half of what was asked for comes, and no more.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: dict[str, list[int | str]] = defaultdict(list)
        self.always: dict[str, int | str] = {}
        """Faults of paths that do not pass."""
        self.asked: list[tuple[str, str]] = []
        """Paths and ranges that were asked for."""
        self.tells_length = self.gives_ranges = True
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address) -> None:
        """Clients that go away are no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        path = unquote(self.path).lstrip("/")
        asked = self.headers.get("Range", "")
        self.server.asked.append((path, asked))
        faults = self.server.faults[path]
        fault = faults.pop(0) if faults else self.server.always.get(path, "")
        file = self.server.folder / path
        if isinstance(fault, int) or not file.is_file():
            self.send_error(fault if isinstance(fault, int) else 404)
            return
        data, size = file.read_bytes(), file.stat().st_size
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked) if self.server.gives_ranges else None
        if match and int(match[1]) >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if match else 200)
        if match:
            stop = min(int(match[2]) + 1, size) if match[2] else size
            data = data[int(match[1]) : stop]
            self.send_header("Content-Range", f"bytes {match[1]}-{stop - 1}/{size}")
        if self.server.tells_length:
            self.send_header("Content-Length", str(len(data)))
        self.send_header("Last-Modified", self.date_time_string(file.stat().st_mtime))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if fault == "cut" else data)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextmanager
def serving(folder: Path) -> Iterator[WebServer]:
    """A server that runs."""
    server = WebServer(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
