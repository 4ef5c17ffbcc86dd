"""Where a verb that encodes videos has them encoded."""

from dataclasses import dataclass

from vifistore.cluster.ray_settings import RaySettings
from vifistore.errors import Faults


@dataclass(frozen=True, kw_only=True)
class ClusterArguments:
    """Of a verb whose videos a cluster may encode."""

    on: str = ""
    """ray: encode on the Ray cluster that this machine belongs to, or on this machine by itself;
    ray://HOST:PORT: on that cluster. An encoder runs on each GPU, or on so many --cores."""
    cores: int | None = None
    """With --on, cores of an encoder. Default: those of a machine, shared by its GPUs."""
    actors: int | None = None
    """With --on, encoders at most, also beyond the machines that are there, as a cluster may grow.
    Default: as many as there is room for."""

    def cluster(self) -> RaySettings:
        """The cluster that `on` names. Raises UsageError for what is none."""
        return RaySettings(address=self.on, cores=self.cores, actors=self.actors)

    def note_cluster(self, found: Faults) -> None:
        """Note flags that are wrong, or say nothing without --on."""
        if self.on:
            found.attempt(self.cluster)
            return
        told = "--cores and --actors say how to share a cluster; give --on ray as well"
        found.check(self.cores is None and self.actors is None, told)
