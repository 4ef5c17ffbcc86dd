"""An S3 server on this machine that counts what it is asked for, and fails on demand."""

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from unittest import mock

BUCKET = "bucket"


class BucketServer:
    """moto behind a door: every request is counted by what it costs at a provider, and may fail."""

    def __init__(self) -> None:
        # An extra: tests skip without it.
        from moto.moto_server import werkzeug_app
        from werkzeug.serving import make_server

        class Silent(werkzeug_app.MotoRequestHandler):
            def log(self, *_args: object, **_kwargs: object) -> None:
                """Say nothing of a request."""

        self.requests: Counter[str] = Counter()
        """By GET, HEAD, LIST, PUT, DELETE."""
        self.fail: Callable[[str, str], str] = lambda kind, path: ""
        """Given what is asked for and of which path: how that fails, if not empty. `lost` is done,
        but answered by a failure; `cut` is answered by a part, `slow` late; else a status, as
        `503 Slow Down`."""
        self.slow_seconds = 1.5
        self._app = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
        self._lock = threading.Lock()
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=Silent
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def fail_for(self, seconds: float, how: str = "503 Slow Down") -> None:
        """Have every request of the next seconds fail."""
        end = time.monotonic() + seconds
        self.fail = lambda kind, path: how if time.monotonic() < end else ""

    def fail_next(self, kind: str, *hows: str) -> None:
        """Have the next requests of a kind fail, one after the other."""
        left = list(hows)
        self.fail = lambda asked, path: left.pop(0) if asked == kind and left else ""

    @contextlib.contextmanager
    def serving(self) -> Iterator["BucketServer"]:
        """Serve an empty bucket; the environment says where, to this process and its children."""
        import boto3

        told = {
            **{"AWS_ENDPOINT_URL": self.url, "AWS_ALLOW_HTTP": "true"},
            **{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
            "AWS_REGION": "us-east-1",
        }
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        with mock.patch.dict(os.environ, told):
            thread.start()
            try:
                boto3.client("s3", endpoint_url=self.url).create_bucket(Bucket=BUCKET)
                self.requests.clear()
                yield self
            finally:
                self._server.shutdown()
                thread.join()
                self._server.server_close()

    def _answer(self, asked: dict, start: Callable) -> Iterable[bytes]:
        kind, path = _kind(asked), asked["PATH_INFO"]
        with self._lock:
            self.requests[kind] += 1
            how = self.fail(kind, path)
        if how == "slow":
            time.sleep(self.slow_seconds)
        if how in ("", "cut", "lost", "slow"):
            told: list = []
            body = b"".join(self._app(asked, lambda *answer: told.extend(answer)))
            if how != "lost":
                start(told[0], told[1])
                return [body[: len(body) // 2] if how == "cut" else body]
            how = "500 Internal Server Error"
        # Else the connection would go on with what is left of this request.
        asked["wsgi.input"].read(int(asked.get("CONTENT_LENGTH") or 0))
        start(how, [("Content-Length", "0")])
        return [b""]


def _kind(asked: dict) -> str:
    method, query = asked["REQUEST_METHOD"], asked["QUERY_STRING"]
    if method == "GET" and "list-type" in query:
        return "LIST"
    return "DELETE" if method == "POST" and query.startswith("delete") else method
