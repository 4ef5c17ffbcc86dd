"""Files of web servers, by HTTP.

Through the standard library: obstore's HTTP refuses answers without Content-Length and servers
without ranges, and fsspec's needs aiohttp beside it.
"""

import contextlib
import http.client
import netrc
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from functools import cache
from urllib.parse import quote, urlsplit

from vifistore.sources.asking import PASSING, FalteringError, NetworkError, without_secrets
from vifistore.sources.remote_file import RemoteFile, ServerAnswer
from vifistore.sources.remote_root import RemoteRoot

_TIMEOUT_SECONDS = 30.0
_PIECE_BYTES = 2**18
_MOST_WAIT_SECONDS = 20.0
_GONE = {404, 410}
_EMPTY = 416


class WebFile(RemoteFile):
    """A file of a web server."""

    @contextlib.contextmanager
    def ask(self, start: int, stop: int | None) -> Iterator[ServerAnswer]:
        """See RemoteFile."""
        try:
            response = _opener().open(_request(self.address, start, stop), timeout=_TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                yield _refused(error)
            return
        except (OSError, http.client.HTTPException) as error:
            raise _of_connection(error) from None
        except ValueError as error:
            # Of the address itself, or of one that the server sends on to.
            raise NetworkError(f"its address is none ({without_secrets(error)})") from None
        with response:
            yield _answer(response)


class WebRoot(RemoteRoot):
    """An address of a web server, below which files lie."""

    def file(self, path: str, told_bytes: int = 0) -> WebFile:
        """See RemoteRoot."""
        return WebFile(f"{self.url}/{quote(path)}", told_bytes)


@cache
def _opener() -> urllib.request.OpenerDirector:
    """What follows redirections and proxies, to no files of this machine."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _request(url: str, start: int, stop: int | None) -> urllib.request.Request:
    headers = {"User-Agent": "vifistore", "Accept-Encoding": "identity"}
    if start or stop is not None:
        headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
    parts = urlsplit(url)
    # The folder of a root is as it was typed; a path below it is quoted already.
    url = parts._replace(path=quote(parts.path, safe="/%:@!$&'()*+,;=~")).geturl()
    request = urllib.request.Request(url, headers=headers)
    if login := _login(parts.hostname or ""):
        # Of this server alone: not of the one that it redirects to.
        request.add_unredirected_header("Authorization", login)
    return request


@cache
def _login(host: str) -> str:
    """The header for a server of which ~/.netrc knows a user."""
    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return ""
    if not found:
        return ""
    return "Basic " + b64encode(f"{found[0]}:{found[2]}".encode()).decode()


def _answer(response: http.client.HTTPResponse) -> ServerAnswer:
    headers = response.headers
    length = _number(headers.get("Content-Length", ""))
    start, size = 0, length
    if response.status == 206:
        unit, _, told = headers.get("Content-Range", "").partition(" ")
        begin, _, whole = told.partition("/")
        start, size = _number(begin.partition("-")[0]), _number(whole)
        if unit != "bytes" or start < 0:
            raise FalteringError("it gives a range of something else")
    return ServerAnswer(
        start=start,
        size_bytes=size,
        mtime_ns=_nanoseconds(headers.get("Last-Modified", "")),
        version=headers.get("ETag", "") or headers.get("Last-Modified", ""),
        pieces=_pieces(response),
        gives_ranges=response.status == 206,
    )


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while piece := response.read(_PIECE_BYTES):
            yield piece
    except (OSError, http.client.HTTPException) as error:
        raise FalteringError("the connection was cut") from error


def _refused(error: urllib.error.HTTPError) -> ServerAnswer:
    """The answer of an empty file, of which there is no range; raises for anything else."""
    if error.code == _EMPTY and error.headers.get("Content-Range", "").endswith("/0"):
        changed = error.headers.get("Last-Modified", "")
        mtime = _nanoseconds(changed)
        return ServerAnswer(start=0, size_bytes=0, mtime_ns=mtime, version=changed, pieces=iter(()))
    # A redirection that is an error leads nowhere: one file's fault, as that it is missing.
    if error.code in _GONE or error.code in range(300, 400):
        raise FileNotFoundError(error.code, f"the server answers {error.code}")
    if error.code in PASSING:
        wait = _number(error.headers.get("Retry-After", ""))
        told = f"the server answers {error.code}"
        raise FalteringError(told, wait_seconds=min(max(wait, 0), _MOST_WAIT_SECONDS))
    remedy = "; check who may read it" if error.code in (401, 403) else ""
    raise NetworkError(f"the server answers {error.code}{remedy}")


def _of_connection(error: Exception) -> Exception:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return NetworkError("its certificate cannot be verified")
    return FalteringError(reason)


def _number(text: str) -> int:
    """A whole number of a header, -1 for anything else."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1


def _nanoseconds(date: str) -> int:
    try:
        return max(0, int(parsedate_to_datetime(date).timestamp())) * 10**9
    except (ValueError, OverflowError):
        return 0
