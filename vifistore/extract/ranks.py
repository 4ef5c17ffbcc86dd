"""Which blocks of a dataset, and which device, are this process's.

Started several times over by torchrun, srun, mpirun or by hand, each process takes every n-th
block; the one that finds all blocks finished seals the set.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from vifistore.errors import UsageError
from vifistore.store.schema import BLOCK_SIZE
from vifistore.store.zarr_format.block_ranges import num_blocks

# Launcher: (number, how many, number on this machine, how many on this machine). The innermost is
# first: torchrun may be a task of srun, and mpirun runs in a job of Slurm's. A step of Slurm may
# have fewer tasks than its job.
_LAUNCHERS = {
    "torchrun": (("RANK",), ("WORLD_SIZE",), ("LOCAL_RANK",), ("LOCAL_WORLD_SIZE",)),
    "mpirun": (
        ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK"),
        ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"),
        ("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "MV2_COMM_WORLD_LOCAL_RANK"),
        ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE"),
    ),
    "srun": (
        ("SLURM_PROCID",),
        ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"),
        ("SLURM_LOCALID",),
        ("SLURM_STEP_TASKS_PER_NODE", "SLURM_NTASKS_PER_NODE"),
    ),
}
_RENDEZVOUS = ("MASTER_ADDR", "MASTER_PORT")
# Slurm numbers the steps that nobody started by srun, as the script of a job, from here on.
_FIRST_STEP_OF_ITS_OWN = 0xFFFFFFF0


@dataclass(frozen=True, kw_only=True)
class Rank:
    """One of several processes that share a piece of work."""

    number: int
    """Which one it is, from 0."""
    count: int
    """How many there are."""


def current_rank() -> Rank | None:
    """The rank that torchrun, MPI or Slurm gave to this process, or None.

    Raises UsageError if the two numbers do not fit.
    """
    launcher = current_launcher()
    if not launcher:
        return None
    numbers, counts, _, _ = _LAUNCHERS[launcher]
    number, count = _first_number(numbers), _first_number(counts)
    assert number is not None, "current_launcher has seen it"
    assert count is not None, "current_launcher has seen it"
    if not 0 <= number < count:
        raise UsageError(
            f"{numbers[0]} is {number} and {counts[0]} {count}; give 0 <= {numbers[0]} < "
            f"{counts[0]}, or unset both"
        )
    return Rank(number=number, count=count)


def current_launcher() -> str:
    """What started this process: torchrun, mpirun or srun; empty for none of them."""
    for launcher, (numbers, counts, _, _) in _LAUNCHERS.items():
        is_named = _first_number(numbers) is not None and _first_number(counts) is not None
        if is_named and (launcher != "srun" or _is_task()):
            return launcher
    return ""


def _is_task() -> bool:
    """Whether Slurm's numbers are those of a task that srun started.

    The script of a job has them as well, and is one process, however many tasks the job asks for.
    """
    step = _first_number(("SLURM_STEP_ID", "SLURM_STEPID"))
    if step is not None and step < _FIRST_STEP_OF_ITS_OWN:
        return True
    said = ("SLURM_STEP_NUM_TASKS",) if step is None else ()
    return bool(_first_number((*said, "SLURM_PROCID")))


def local_number() -> int:
    """Which of the processes on this machine it is, from 0."""
    return _local(2, 0)


def local_count() -> int:
    """How many of the processes run on this machine, as far as the launcher says; else 1."""
    return max(1, _local(3, 1))


def own_cores() -> int:
    """Cores of this process: those of the machine are shared by all that were started side by side,
    unless the launcher has given each its own."""
    machine = os.cpu_count() or 1
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    return max(1, own if own < machine else machine // local_count())


def _local(place: int, otherwise: int) -> int:
    """A number of this machine, by the innermost launcher that gives it."""
    found = (
        _first_number(names[place])
        for launcher, names in _LAUNCHERS.items()
        if launcher != "srun" or _is_task()
    )
    return next((number for number in found if number is not None), otherwise)


def without_rank(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process that is none of several, whoever started its parent."""
    names = {*_RENDEZVOUS, "SLURM_STEP_ID", "SLURM_STEPID"}
    names.update(*(group for groups in _LAUNCHERS.values() for group in groups))
    return {name: value for name, value in environment.items() if name not in names}


def rank_blocks(rank: Rank, num_videos: int) -> range:
    """The blocks of a rank: every `count`-th one, so that growth falls on all."""
    return range(rank.number, num_blocks(num_videos), rank.count)


def parse_blocks(text: str, num_videos: int) -> range:
    """Read `A:B` as the blocks A to B-1. Raises UsageError if it is no range of the dataset's."""
    most = num_blocks(num_videos)
    start, colon, stop = text.partition(":")
    try:
        chosen = range(int(start or 0), int(stop or most))
    except ValueError:
        chosen = range(0)
    if not colon or not chosen or chosen.start < 0 or chosen.stop > most:
        raise UsageError(
            f"--blocks is {text!r}; give A:B with 0 <= A < B <= {most}, the number of "
            f"blocks of {BLOCK_SIZE} videos"
        )
    return chosen


def _first_number(names: tuple[str, ...]) -> int | None:
    """The first of some environment variables that is set to a number."""
    for name in names:
        # Slurm writes several machines as "2(x3),1"; processes of one machine see its first.
        text = os.environ.get(name, "").partition("(")[0].partition(",")[0]
        if text.isdecimal():
            return int(text)
    return None
