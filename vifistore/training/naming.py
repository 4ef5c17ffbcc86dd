"""What the checkpoints of a run are called. Imports no torch, so that a wrong call ends at once."""

from pathlib import Path

from vifistore.errors import UsageError
from vifistore.store.schema import check_name

# The longest that is put behind the name of a run.
_LONGEST_ENDING = "@blend-0.00001-step-00000000"


def checkpoint_name(name: str, out: Path) -> str:
    """Return the name of a run, else that of its folder: checkpoints are `<name>@step-<step>`.

    Raises UsageError for one that no store could take, before anything is trained under it.
    """
    chosen = name or out.resolve().name
    try:
        check_name("checkpoint", f"{chosen}{_LONGEST_ENDING}")
    except UsageError as error:
        raise UsageError(
            f"{chosen!r} cannot name the checkpoints of a run; give a --name of letters, digits "
            "and _ . @ + = -, up to 170 of them"
        ) from error
    return chosen
