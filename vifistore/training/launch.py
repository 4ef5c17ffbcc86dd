"""Which launchers a training run may be started by. Imports no torch."""

from vifistore.errors import UsageError
from vifistore.extract.ranks import current_launcher, current_rank


def require_torchrun() -> None:
    """Raise UsageError if srun or mpirun started this process beside others like it.

    They do not say where the processes meet, and each would train the whole run by itself.
    """
    rank = current_rank()
    launcher = current_launcher()
    if rank is None or rank.count == 1 or launcher == "torchrun":
        return
    raise UsageError(
        f"{launcher} started {rank.count} processes, and each would train the whole run; start one "
        "(srun --ntasks=1 vifi train ...), or let torchrun start several: srun --ntasks=1 torchrun "
        "--nproc-per-node=GPUS -m vifi train ..."
    )


def require_alone() -> None:
    """Raise UsageError if any launcher started this process beside others: each would train the
    same head, which takes one process seconds."""
    rank = current_rank()
    if rank is not None and rank.count > 1:
        raise UsageError(
            f"{current_launcher()} started {rank.count} processes, and a head is trained by one; "
            "start vifi train-head by itself, under srun with --ntasks=1"
        )
