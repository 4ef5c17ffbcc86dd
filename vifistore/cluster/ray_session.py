"""Ray, as this program uses it: found or started, quiet, and let go of."""

import contextlib
import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from vifistore.cluster.ray_settings import CLIENT, HERE
from vifistore.errors import UsageError, first_line
from vifistore.files import read_regular

# Pieces and counts travel through it, never pixels or embeddings.
_OBJECT_STORE_BYTES = 100 * 2**20

_OPEN_SECONDS = 10.0

_ENVIRONMENT = {
    # It would ask a server whether it may count this use.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Where an actor wants no GPU its devices stay as they are.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Which processes have died is told by this program; Ray would print it among its output.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    # Of what its own code says between the lines.
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


@dataclass(frozen=True, kw_only=True)
class RayNode:
    """A machine of a cluster."""

    id: str
    host: str
    cores: float
    gpus: float


def _import() -> ModuleType:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError:
        raise UsageError("--on ray needs Ray: pip install 'vifistore[ray]'") from None
    return ray


@contextlib.contextmanager
def ray_session(address: str) -> Iterator[Any]:
    """Ray's module, connected: to a cluster at ray://HOST:PORT, or for `ray` to the one that
    this machine belongs to, else to one that is started here and ends with the context.

    Raises UsageError where there is none.
    """
    ray = _import()
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        usual = signal.getsignal(signal.SIGTERM)
        try:
            _require_open(address)
            with _unheard():
                _connect(ray, address, quiet)
            # Ray would end the process where this program ends in order.
            _set_sigterm(usual)
        except (OSError, RuntimeError, ValueError) as error:
            raise _not_connected(address, error) from error
    try:
        yield ray
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.shutdown()


def _not_connected(address: str, error: Exception) -> UsageError:
    told = " ".join(str(error).split())
    if "version" in told.lower():
        return UsageError(
            f"the Ray cluster at {address} is of another version: {first_line(told, 200)}; have "
            "the same Ray and the same Python on all machines, this one too"
        )
    return UsageError(
        f"no Ray cluster answers at {address}: {first_line(error)}; start one (ray start "
        "--head), or leave out --on"
    )


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Ray's compiled part says on standard error, past Python's, which log level it was given."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def _require_open(address: str) -> None:
    """Raise OSError where nothing listens: Ray would try for a minute."""
    _open(os.environ.get("RAY_ADDRESS", "") if address == HERE else address)


def _open(address: str) -> bool:
    """Whether an address names a port, where something listens. Raises OSError if nothing does."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if not host or not port.isdecimal():
        return False
    socket.create_connection((host, int(port)), timeout=_OPEN_SECONDS).close()
    return True


def _has_cluster() -> bool:
    """Whether this machine belongs to a cluster. Of one that was killed Ray still has the address,
    and would try it for minutes."""
    if "RAY_ADDRESS" in os.environ:
        return True
    noted = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
    try:
        return _open(read_regular(noted).decode().strip())
    except (OSError, ValueError):
        return False


def _connect(ray: Any, address: str, quiet: dict) -> None:
    if address != HERE:
        ray.init(address, **quiet)
        return
    # It may end meanwhile.
    with contextlib.suppress(ConnectionError):
        if _has_cluster():
            ray.init("auto", **quiet)
    if not ray.is_initialized():
        started = {"object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
        ray.init("local", **started, **quiet)


def _set_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def nodes_of(ray: Any) -> list[RayNode]:
    """The machines that are there now."""
    return [
        RayNode(
            id=node["NodeID"],
            host=node["NodeManagerHostname"],
            cores=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
