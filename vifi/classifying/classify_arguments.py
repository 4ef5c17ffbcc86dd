"""What `vifi classify` can be told, and what of it does not go together."""

from dataclasses import dataclass, field, fields
from typing import Annotated, ClassVar, Literal

import tyro

from vifi.classifying.label_lists import given_labels
from vifi.command_line.shared_arguments import PrintArguments
from vifi.command_line.template_sets import expand
from vifistore.errors import Faults
from vifistore.extract.extract_settings import EncodeSettings
from vifistore.models.config_files import model_faults
from vifistore.models.load_settings import WeightsSettings
from vifistore.models.wording import check_templates
from vifistore.sources.extensions import is_video

# What a store's own videos are asked with, too.
_OF_BOTH = ("template", "class_names")


@dataclass(frozen=True, kw_only=True)
class LooseSettings(EncodeSettings):
    """How videos that are in no store become embeddings."""

    frames_flag: ClassVar[str] = "num-frames"
    frames: Annotated[int | None, tyro.conf.arg(name="num-frames")] = None
    """Frames sampled per clip. Default: as many as the checkpoint was trained with, else 32."""


@dataclass(frozen=True, kw_only=True)
class ClassifyArguments(PrintArguments):
    """Say what is in videos, by labels of your own: `vifi classify S` from the cache of a store,
    `vifi classify VIDEO... --model M --pretrained P` of files in none.

    Probabilities are the softmax of the model over the labels and sum to 1 over them: they say
    which of the labels fits best, not whether any does (of a model with a sigmoid, such as SigLIP,
    each label has its own). Options of model, frames, pixels and machine are for videos that are in
    no store.
    """

    sources: tyro.conf.Positional[tuple[str, ...]]
    """A store; or, with --model, video files and folders of them."""
    labels: str = ""
    """What to choose from: labels between commas, or a class file (one name a line, `id,name` rows,
    JSON). Default: the dataset's own classes."""
    top: int = 5
    """How many labels to give, best first."""
    moments: Annotated[bool, tyro.conf.arg(name="frames")] = False
    """Give moments instead of whole videos: stretches of one best label, with start and end."""
    format: Literal["", "table", "csv", "json"] = ""
    """How it is printed: table, csv or json. Default: table."""
    dataset: str = ""
    """Dataset of the store. Default: its only one."""
    features: str = ""
    """Name or id of the feature set. Default: the dataset's only one."""
    model: str = ""
    """For videos that are in no store: what encodes them, as vifi extract takes it."""
    pretrained: str = ""
    """Its weights, likewise: a tag such as openai, a .safetensors or .pt file, or none for random
    ones; hf: models have theirs."""
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    settings: LooseSettings = field(default_factory=LooseSettings)


def note_faults(found: Faults, wanted: ClassifyArguments) -> list[str]:
    """Note flags that are wrong or do not go together; returns the labels that are given."""
    found.check(wanted.top >= 1, f"--top is {wanted.top}; give 1 or more")
    is_one_format = not wanted.json or wanted.format in ("", "json")
    found.check(is_one_format, f"--json and --format {wanted.format} are two; leave one out")
    found.attempt(lambda: check_templates(expand(wanted.settings.template)))
    (_note_loose if wanted.model or wanted.pretrained else _note_stored)(found, wanted)
    labels: list[str] = []
    if wanted.labels:
        found.attempt(lambda: labels.extend(given_labels(wanted.labels)))
    return labels


def _note_loose(found: Faults, wanted: ClassifyArguments) -> None:
    """Note what keeps files from being classified."""
    found.check(bool(wanted.model), "--pretrained needs the --model that it is the weights of")
    if wanted.model:
        model_faults(found, wanted.model, wanted.pretrained)
    found.check(bool(wanted.sources), "name video files, or folders of them, to classify")
    told = "videos that are in no store have no classes of their own; give --labels a,b,c or a file"
    found.check(bool(wanted.labels), told)
    for flag in ("dataset", "features"):
        told = f"--{flag} is of a store, and --model of videos in none; leave one out"
        found.check(not getattr(wanted, flag), told)


def _note_stored(found: Faults, wanted: ClassifyArguments) -> None:
    """Note what keeps the videos of a store from being classified."""
    is_one = len(wanted.sources) == 1 and not is_video(wanted.sources[0])
    told = (
        "name one store, as in vifi classify S.zarr; video files need the model that encodes them: "
        "--model M --pretrained P"
    )
    found.check(is_one, told)
    usual = LooseSettings()
    for each in fields(usual):
        flag = usual.frames_flag if each.name == "frames" else each.name.replace("_", "-")
        is_usual = getattr(wanted.settings, each.name) == getattr(usual, each.name)
        told = f"--{flag} has no meaning for videos that are encoded already; leave it out"
        found.check(is_usual or each.name in _OF_BOTH, told)
    told = "weights are chosen with --model; videos of a store are encoded already"
    found.check(wanted.weights == WeightsSettings(), told)
