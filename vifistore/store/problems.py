"""What verify finds: where, what, and the command that puts it right."""

from collections.abc import Mapping
from dataclasses import dataclass

from vifistore.errors import VifiError, shell
from vifistore.store.as_trained import is_same_preprocessing
from vifistore.store.checkpoints import pretrained_of, read_checkpoint
from vifistore.store.dataset import Dataset
from vifistore.store.feature_record import ARRAYS
from vifistore.store.identity import OPENCLIP, SHORTEST
from vifistore.store.recipe import sees_clips
from vifistore.store.zarr_format.backend import Backend

# Reading what a zarr.json does not hold, or holds as another type.
MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError)


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


def is_extracted(attributes: Mapping) -> bool:
    """Whether `vifi extract` makes, and repairs, a feature set of these attributes: none that was
    derived or imported, or has arrays of its own, unless an encoder of whole views leaves them."""
    recipe = attributes.get("recipe")
    if not isinstance(recipe, dict) or recipe.keys() & {"parent", "imported"}:
        return False
    return not attributes.get(ARRAYS) or sees_clips(recipe)


def extract_command(dataset: Dataset, recipe: dict, *flags: str) -> str:
    """The `vifi extract` command that makes the feature set of a recipe, as far as is known."""
    record = _checkpoint_of(dataset, recipe)
    words = ["vifi", "extract", str(dataset.backend.folder), "--dataset", dataset.name]
    words += model_flags(record)
    preprocessing = recipe.get("preprocessing")
    if isinstance(preprocessing, dict):
        words += _pixel_flags(preprocessing, record)
    for key in ("frames", "clips", "stride", "crops", "precision", "decoder"):
        if recipe.get(key) is not None:
            words += [f"--{key}", str(recipe[key])]
    return shell(*words, *flags)


def _checkpoint_of(dataset: Dataset, recipe: dict) -> dict:
    """The record of a checkpoint whose image tower made the feature set; empty if none is known."""
    try:
        names = dataset.names()
        records = [read_checkpoint(dataset.backend, name.checkpoint) for name in names]
    except (VifiError, KeyError):
        records = []
    wanted = recipe.get("image_digest")
    return next((record for record in records if record.get("image_digest") == wanted), {})


# Pixels: what a model without another size takes.
_USUAL_SIZE = 224


def model_flags(record: Mapping) -> list[str]:
    """The flags by which the model of a checkpoint's record is loaded again, as far as is known."""
    if not record:
        return ["--model", "MODEL", "--pretrained", "WEIGHTS"]
    pretrained = pretrained_of(record)
    words = ["--model", record["model"], *(["--pretrained", pretrained] if pretrained else [])]
    config, settings = record.get("config"), record.get("settings") or {}
    vision = config.get("vision_cfg", {}) if isinstance(config, dict) else {}
    if type(size := vision.get("image_size")) is int and size != _USUAL_SIZE:
        words += ["--image-size", str(size)]
    # One of ours that was made of an average holds nothing else.
    if settings.get("weights") == "ema" and not pretrained.endswith(".safetensors"):
        words += ["--ema-weights"]
    return words


# The paper's resizing is always its own.
_PARTS = ("mean", "std", "interpolation", "resize_mode")


def _pixel_flags(used: dict, record: dict) -> list[str]:
    """The preprocessing of a recipe, in parts where the checkpoint's own may be another."""
    words = ["--preprocess", str(used.get("name"))]
    own = record.get("preprocessing")
    if isinstance(own, dict) and "family" in own and is_same_preprocessing(own, used):
        return words
    for part in _PARTS if used.get("name") == OPENCLIP else _PARTS[:2]:
        value = used.get(part, SHORTEST)
        values = value if isinstance(value, list) else [value]
        words += [f"--{part.replace('_', '-')}", *map(str, values)]
    return words
