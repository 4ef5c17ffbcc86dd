"""`vifi serve S`: a local page to search and watch a store's videos."""

import math
import socket
from dataclasses import dataclass
from pathlib import Path

from vifi.command_line.console import parse, say
from vifi.command_line.endings import Terminated
from vifi.command_line.shared_arguments import StoreArguments
from vifistore.errors import UsageError

# Loopback alone: whoever can reach the page can watch the videos.
HOST = "127.0.0.1"
_GB = 1e9


@dataclass(frozen=True, kw_only=True)
class ServeArguments(StoreArguments):
    """Serve a page on this machine to search a store, watch the hits and walk a map of them.

    It notices within seconds what is added to the store while it runs.
    """

    port: int = 8765
    """Port of the page; 0 takes a free one. The page can be reached from this machine alone."""
    features: str = ""
    """Feature set that the page begins with. Default: the first by name; the page offers all."""
    results: Path | None = None
    """Results folder whose t-SNE the map shows. Default: one made for the page."""
    preview_cache_gb: float = 2.0
    """Gigabytes of previews, made of videos that browsers do not play, to keep beside the store's
    cache; those that were watched longest ago go first."""


def main(arguments: list[str]) -> int:
    """Run the verb until it is stopped and return its exit code.

    Raises UsageError for a port that is taken or none, and without the results folder.
    """
    wanted = parse("serve", ServeArguments, arguments)
    if not 0 <= wanted.port < 2**16:
        raise UsageError(f"--port is {wanted.port}; give a number from 0 to 65535")
    if not 0 <= wanted.preview_cache_gb * _GB < math.inf:
        raise UsageError(
            f"--preview-cache-gb is {wanted.preview_cache_gb}; give a number of 0 or more"
        )
    if wanted.results is not None and not wanted.results.is_dir():
        raise UsageError(
            f"there is no results folder at {wanted.results}; leave --results out, or write one "
            "with vifi tsne ... --results DIR"
        )

    # FastAPI, FAISS and the store take a second to import: only once the call is known to be right.
    import uvicorn

    from vifi.serving.app import make_app
    from vifi.serving.library import Library
    from vifi.serving.preview_cache import PreviewCache, Previews
    from vifistore.frames.previews.preview_pool import PreviewPool
    from vifistore.store import open_store

    library = Library(open_store(wanted.store))
    library.start(wanted.features)
    kept = PreviewCache(library.store.cache_folder / "previews", int(wanted.preview_cache_gb * _GB))
    with listen(wanted.port) as listener, PreviewPool() as pool:
        address = f"http://{HOST}:{listener.getsockname()[1]}"
        say(f"{wanted.store} is at {address} until you press Ctrl+C")
        app = make_app(library, wanted.results, Previews(kept, pool))
        config = uvicorn.Config(app, log_level="warning")
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except Terminated:
            raise
        except KeyboardInterrupt:
            # Ctrl-C is how a server ends: uvicorn closes it, and then tells again.
            return 0
    return 0


def listen(port: int) -> socket.socket:
    """A socket of this machine alone; port 0 takes a free one.

    Raises UsageError for a taken port.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be had ({error.strerror}); give another --port, or 0 for any"
        ) from error
