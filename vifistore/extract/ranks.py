"""Which blocks of a dataset, and which device, are this process's.

Started several times over by torchrun, srun or by hand, each process takes every n-th block; the
one that finds all blocks finished seals the set.
"""

import os
from dataclasses import dataclass

from vifistore.errors import UsageError
from vifistore.store.schema import BLOCK_SIZE

# (number, how many, number on this machine, how many on this machine). A step of Slurm may have
# fewer tasks than its job.
_LAUNCHERS = (
    (("RANK",), ("WORLD_SIZE",), ("LOCAL_RANK",), ("LOCAL_WORLD_SIZE",)),
    (
        ("SLURM_PROCID",),
        ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"),
        ("SLURM_LOCALID",),
        ("SLURM_STEP_TASKS_PER_NODE", "SLURM_NTASKS_PER_NODE"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Rank:
    """One of several processes that share a piece of work."""

    number: int
    """Which one it is, from 0."""
    count: int
    """How many there are."""


def current_rank() -> Rank | None:
    """The rank that torchrun or Slurm gave to this process, or None.

    Raises UsageError if the two numbers do not fit.
    """
    for numbers, counts, _, _ in _LAUNCHERS:
        number, count = _first_number(numbers), _first_number(counts)
        if number is None or count is None:
            continue
        if not 0 <= number < count:
            raise UsageError(
                f"{numbers[0]} is {number} and {counts[0]} {count}; give 0 <= {numbers[0]} < "
                f"{counts[0]}, or unset both"
            )
        return Rank(number=number, count=count)
    return None


def local_number() -> int:
    """Which of the processes on this machine it is, from 0."""
    found = (_first_number(names) for _, _, names, _ in _LAUNCHERS)
    return next((number for number in found if number is not None), 0)


def local_count() -> int:
    """How many of the processes run on this machine, as far as the launcher says; else 1."""
    found = (_first_number(names) for _, _, _, names in _LAUNCHERS)
    return max(1, next((count for count in found if count is not None), 1))


def rank_blocks(rank: Rank, num_videos: int) -> range:
    """The blocks of a rank: every `count`-th one, so that growth falls on all."""
    return range(rank.number, -(-num_videos // BLOCK_SIZE), rank.count)


def parse_blocks(text: str, num_videos: int) -> range:
    """Read `A:B` as the blocks A to B-1. Raises UsageError if it is no range of the dataset's."""
    num_blocks = -(-num_videos // BLOCK_SIZE)
    start, colon, stop = text.partition(":")
    try:
        chosen = range(int(start or 0), int(stop or num_blocks))
    except ValueError:
        chosen = range(0)
    if not colon or not chosen or chosen.start < 0 or chosen.stop > num_blocks:
        raise UsageError(
            f"--blocks is {text!r}; give A:B with 0 <= A < B <= {num_blocks}, the number of "
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
