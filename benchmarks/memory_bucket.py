"""A small S3 server in memory, for what moto is too slow to serve: many machines at one bucket.

It knows what a store asks for: objects with conditions and ranges, lists, removals. Nothing is
checked, signatures least of all. Every answer may be late, as over a network.
"""

import email.utils
import multiprocessing
import re
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import NamedTuple
from xml.sax.saxutils import escape

_PAGE = 1000


class Stored(NamedTuple):
    """An object."""

    data: bytes
    number: int
    changed_at: float


class Objects:
    """Objects by key. Of two writers on the same condition one is refused."""

    def __init__(self) -> None:
        self._objects: dict[str, Stored] = {}
        self._lock = threading.Lock()
        self._num_writes = 0

    def get(self, key: str) -> Stored | None:
        """An object, if it is there."""
        return self._objects.get(key)

    def put(self, key: str, data: bytes, only_new: bool, only_this: str | None) -> Stored | None:
        """Write an object; None where a condition does not hold."""
        with self._lock:
            old = self._objects.get(key)
            if (only_new and old) or (only_this and (old is None or e_tag(old) != only_this)):
                return None
            self._num_writes += 1
            self._objects[key] = Stored(data, self._num_writes, time.time())
            return self._objects[key]

    def remove(self, key: str) -> None:
        """Remove an object, if it is there."""
        with self._lock:
            self._objects.pop(key, None)

    def below(self, prefix: str, after: str) -> list[tuple[str, Stored]]:
        """What lies below a prefix, behind a key, in order."""
        with self._lock:
            found = [item for item in self._objects.items() if item[0].startswith(prefix)]
        return sorted(item for item in found if item[0] > after)


def e_tag(stored: Stored) -> str:
    """What tells a state of an object from its others."""
    return f'"{stored.number}"'


class Handler(BaseHTTPRequestHandler):
    """Answers of one connection."""

    protocol_version = "HTTP/1.1"
    # A head and a body that leave apart wait for each other.
    wbufsize = -1
    objects: Objects
    late_seconds: float

    def do_PUT(self) -> None:
        """Write an object."""
        data = self.rfile.read(int(self.headers["Content-Length"]))
        new, this = self.headers["If-None-Match"] == "*", self.headers["If-Match"]
        stored = self.objects.put(self._key(), data, new, this)
        self._answer(200 if stored else 412, b"", stored)

    def do_GET(self) -> None:
        """Read an object, a part of it, or a list."""
        query = self.path.partition("?")[2]
        asked = dict(urllib.parse.parse_qsl(query))
        if "list-type" in asked:
            self._answer(200, self._list(asked))
            return
        stored = self.objects.get(self._key())
        data, status = stored.data if stored else b"", 200 if stored else 404
        if stored and (part := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers["Range"] or "")):
            first = int(part[1]) if part[1] else max(0, len(data) - int(part[2]))
            last = int(part[2]) if part[1] and part[2] else len(data) - 1
            data, status = data[first : last + 1], 206
            told = f"bytes {first}-{first + len(data) - 1}/{len(stored.data)}"
            self._answer(status, data, stored, told)
            return
        self._answer(status, data, stored)

    def do_HEAD(self) -> None:
        """Look at an object."""
        self.do_GET()

    def do_DELETE(self) -> None:
        """Remove an object."""
        self.objects.remove(self._key())
        self._answer(204, b"")

    def do_POST(self) -> None:
        """Remove many objects."""
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        keys = re.findall(r"<Key>(.*?)</Key>", asked)
        for key in keys:
            self.objects.remove(key)
        gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{gone}</DeleteResult>".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _key(self) -> str:
        """Behind the bucket."""
        return urllib.parse.unquote(self.path.partition("?")[0]).lstrip("/").partition("/")[2]

    def _list(self, asked: dict[str, str]) -> bytes:
        prefix = asked.get("prefix", "")
        found = self.objects.below(
            prefix, asked.get("continuation-token") or asked.get("start-after", "")
        )
        folders: set[str] = set()
        if "delimiter" in asked:
            below = [key[len(prefix) :].partition("/") for key, _ in found]
            folders = {f"{prefix}{name}/" for name, mark, _ in below if mark}
            found = [item for item in found if "/" not in item[0][len(prefix) :]]
        page = found[:_PAGE]
        more = "" if len(found) <= _PAGE else escape(page[-1][0])
        told = "".join(map(_entry, page))
        told += "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            for name in sorted(folders)
        )
        token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
        head = f"<Name>b</Name><IsTruncated>{str(bool(more)).lower()}</IsTruncated>{token}"
        return f"<ListBucketResult>{head}{told}</ListBucketResult>".encode()

    def _answer(
        self, status: int, data: bytes, stored: Stored | None = None, part: str = ""
    ) -> None:
        time.sleep(self.late_seconds)
        self.send_response_only(status)
        if stored:
            self.send_header("ETag", e_tag(stored))
            changed = email.utils.formatdate(stored.changed_at, usegmt=True)
            self.send_header("Last-Modified", changed)
        if part:
            self.send_header("Content-Range", part)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _entry(item: tuple[str, Stored]) -> str:
    key, stored = item
    changed = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(stored.changed_at))
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{changed}</LastModified>"
        f"<ETag>{escape(e_tag(stored))}</ETag><Size>{len(stored.data)}</Size></Contents>"
    )


@contextmanager
def memory_bucket(late_seconds: float) -> Iterator[dict[str, str]]:
    """Serve an empty bucket of any name, in a process of its own; gives the environment that says
    where."""
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    server = processes.Process(target=_serve, args=(there, late_seconds), daemon=True)
    server.start()
    try:
        yield {
            **{"AWS_ENDPOINT_URL": f"http://127.0.0.1:{here.recv()}", "AWS_ALLOW_HTTP": "true"},
            **{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
            "AWS_REGION": "us-east-1",
        }
    finally:
        server.kill()
        server.join()


def _serve(there: Connection, late_seconds: float) -> None:
    Handler.objects, Handler.late_seconds = Objects(), late_seconds
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.send(server.server_port)
    server.serve_forever()
