"""How many encoders the machines of a cluster have room for, and what is waited for."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from vifistore.cluster.ray_session import nodes_of

logger = logging.getLogger("vifi")

# How often machines are counted, seconds.
_LOOK_SECONDS = 3.0
# How long an encoder may take to start before that is told.
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What an encoder has of its machine."""

    cores: int
    gpus: float

    def __str__(self) -> str:
        return _counted(self.cores, "core") + (" and a GPU" if self.gpus else "")


class Room:
    """The machines that are there, looked at now and then."""

    def __init__(self, ray: Any, needs: Needs) -> None:
        self._ray, self._needs = ray, needs
        self.refused: set[str] = set()
        """Ray's names of machines that get no encoder."""
        self._count, self._looked = 0, float("-inf")
        self._asked, self._told = float("-inf"), ()

    @property
    def count(self) -> int:
        """How many encoders fit on the machines, whatever else runs there."""
        if time.monotonic() >= self._looked + _LOOK_SECONDS:
            self._count, self._looked = self._counted(), time.monotonic()
        return self._count

    @property
    def is_all_refused(self) -> bool:
        """Whether encoders fit only on machines that are there and get none."""
        return not self.count and not self.refused.isdisjoint(n.id for n in nodes_of(self._ray))

    def look(self) -> None:
        """Have machines counted again when they are asked for next."""
        self._looked = float("-inf")

    def _counted(self) -> int:
        nodes = [node for node in nodes_of(self._ray) if node.id not in self.refused]
        by_cores = [int(node.cores // self._needs.cores) for node in nodes]
        if self._needs.gpus:
            by_gpus = (int(node.gpus // self._needs.gpus) for node in nodes)
            return sum(map(min, by_cores, by_gpus))
        return sum(by_cores)

    def tell(self, num_running: int, waiting_since: list[float]) -> None:
        """Say that encoders, each asked for at such a time, find no room, or that no machine is
        left; once, and again when that changes."""
        now = time.monotonic()
        if now < self._asked + _LOOK_SECONDS:
            return
        self._asked = now
        waiting = [since for since in waiting_since if now >= since + _PATIENCE_SECONDS]
        if not waiting and (num_running or waiting_since):
            self._told = ()
            return
        free, there = self._ray.available_resources(), self._ray.cluster_resources()
        shares = [f"{free.get('CPU', 0):g} of {there.get('CPU', 0):g} cores"]
        if self._needs.gpus:
            shares.append(f"{free.get('GPU', 0):g} of {there.get('GPU', 0):g} GPUs")
        told = (num_running, len(waiting), *shares)
        if told != self._told:
            self._told = told
            logger.info(
                "waiting for %s: %d encoders run, %d wait for room; free on the cluster: %s",
                *(self._needs, num_running, len(waiting), ", ".join(shares)),
            )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
