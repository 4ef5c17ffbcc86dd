"""What verify finds: where, what, and the command that puts it right."""

from dataclasses import dataclass

from vifistore.errors import VifiError, shell
from vifistore.store.backend import Backend
from vifistore.store.checkpoints import read_checkpoint
from vifistore.store.names import read_names


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong in a store."""

    where: str
    """Path within the store: of a group, an array or one of its chunks."""
    what: str
    remedy: str
    """The command to run, or what else to do."""
    block: int | None = None
    """Block of a feature set whose videos have to be encoded again."""

    def as_dict(self) -> dict:
        """The fields that `vifi verify --json` prints."""
        return {"where": self.where, "what": self.what, "remedy": self.remedy}


def removal(backend: Backend, path: str) -> str:
    """What to say where a group, an array or a file of the store has to go first."""
    return f"remove {shell(f'{backend.folder}/{path}')}"


def extract_command(backend: Backend, dataset: str, recipe: dict, *flags: str) -> str:
    """The `vifi extract` command that makes the feature set of a recipe, as far as is known."""
    words = ["vifi", "extract", str(backend.folder), "--dataset", dataset]
    words += _model_flags(backend, dataset, recipe)
    preprocessing = recipe.get("preprocessing")
    named = {"preprocess": preprocessing.get("name") if isinstance(preprocessing, dict) else None}
    named |= {key: recipe.get(key) for key in ("frames", "clips", "crops", "precision", "decoder")}
    for flag, value in named.items():
        if value is not None:
            words += [f"--{flag}", str(value)]
    return shell(*words, *flags)


def _model_flags(backend: Backend, dataset: str, recipe: dict) -> list[str]:
    try:
        names = read_names(backend, dataset)
        records = [read_checkpoint(backend, name.checkpoint) for name in names]
    except (VifiError, KeyError):
        records = []
    for record in records:
        if record.get("image_digest") == recipe.get("image_digest"):
            pretrained = record["weights_path"] or record["names"][0]
            pretrained = "none" if pretrained == "random" else pretrained
            return ["--model", record["model"], "--pretrained", pretrained]
    return ["--model", "MODEL", "--pretrained", "WEIGHTS"]
