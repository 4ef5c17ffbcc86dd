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
