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
from types import ModuleType
from typing import Any

from vifistore.cluster.ray_settings import CLIENT, HERE
from vifistore.errors import UsageError, first_line

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
            _connect(ray, address, quiet)
            # Ray would end the process where this program ends in order.
            _set_sigterm(usual)
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError(
                f"no Ray cluster answers at {address}: {first_line(error)}; start one (ray start "
                "--head), or leave out --on"
            ) from error
    try:
        yield ray
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.shutdown()


def _require_open(address: str) -> None:
    """Raise OSError where nothing listens: Ray would try for a minute."""
    there = os.environ.get("RAY_ADDRESS", "") if address == HERE else address
    host, _, port = there.removeprefix(CLIENT).rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_OPEN_SECONDS).close()


def _connect(ray: Any, address: str, quiet: dict) -> None:
    if address != HERE:
        ray.init(address, **quiet)
        return
    try:
        ray.init("auto", **quiet)
    except ConnectionError:
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
