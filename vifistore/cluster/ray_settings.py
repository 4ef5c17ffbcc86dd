"""What `--on` can be told. Imports no torch and no engine, so that --help is quick."""

from dataclasses import dataclass

from vifistore.errors import Faults

HERE, CLIENT = "ray", "ray://"
"""The cluster that this machine belongs to; the scheme of one that is reached from outside."""


@dataclass(frozen=True, kw_only=True)
class RaySettings:
    """Where an extraction runs, and how much of a machine each of its encoders has."""

    address: str
    """ray, or ray://HOST:PORT."""
    cores: int | None = None
    """Cores of an encoder. None: those of a machine, shared by its GPUs."""
    actors: int | None = None
    """Encoders at most, also beyond the machines that are there: a cluster that grows by itself
    makes room. None: as many as there is room for."""

    def __post_init__(self) -> None:
        found = Faults()
        is_there = self.address.startswith(CLIENT) and len(self.address) > len(CLIENT)
        told = (
            f"--on is {self.address!r}; give ray, for the cluster that this machine belongs to or "
            "for this machine alone, or ray://HOST:PORT"
        )
        found.check(self.address == HERE or is_there, told)
        for flag in ("cores", "actors"):
            number = getattr(self, flag)
            told = f"--{flag} is {number}; give 1 or more"
            found.check(number is None or number >= 1, told)
        found.refuse()
