"""A folder in the place of a file of weights: what `vifi train` left in it."""

from pathlib import Path

from vifistore.errors import ModelError, short
from vifistore.files import read_json

_FINISHED = "finished.json"


def weights_file(path: Path) -> Path:
    """The file of weights that a path means: of the folder of a run that is done, its last trained
    checkpoint; else the path itself.

    Raises ModelError for a run that is not done, and for one whose checkpoint is gone.
    """
    if not path.is_dir() or not (path / "run.json").is_file():
        return path
    try:
        finished = read_json(path / _FINISHED)
    except FileNotFoundError:
        told = "is a run that is not done; run its vifi train again, or give a checkpoint in it"
        raise ModelError(f"{short(path, 120)} {told}") from None
    except ValueError as error:
        told = f"has no readable {_FINISHED} ({error}); give a checkpoint in it"
        raise ModelError(f"{short(path, 120)} {told}") from error
    names = finished.get("checkpoints") if isinstance(finished, dict) else None
    trained = [
        str(name) for name in names or () if isinstance(name, str) and name.startswith("step-")
    ]
    last = path / Path(max(trained, default="")).name
    if not trained or not last.is_file():
        told = "holds no checkpoint of its last step any more; run its vifi train again elsewhere"
        raise ModelError(f"{short(path, 120)} {told}")
    return last
