"""Models of transformers, loaded from a folder or from the hub, as encoders."""

import contextlib
import copy
import importlib.util
import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vifistore.errors import ModelError, UsageError, first_few, first_line, short
from vifistore.models import torchvision_operators
from vifistore.models.encoders import CLIP, LoadedModel
from vifistore.models.file_kinds import checkpoint_name
from vifistore.models.hf.architectures import Architecture, architecture_of
from vifistore.models.hf.hf_folder import (
    PREFIX,
    hub_folder,
    is_local,
    local_folder,
    read_config,
    require_fitting,
    require_layers,
)
from vifistore.models.hf.hf_preprocessing import read_preprocessing
from vifistore.models.hf.hf_texts import HfTextSide
from vifistore.models.hub import quiet
from vifistore.models.load_settings import RANDOM, WeightsSettings
from vifistore.models.tower_digests import weights_digest
from vifistore.store.identity import OPENCLIP, Identity

_RANDOM_SEED = 0
_PACKAGE = "transformers"
# What of a config.json says nothing of the architecture.
_BESIDE = ("transformers_version", "_name_or_path", "torch_dtype", "dtype", "architectures")

logger = logging.getLogger("vifi")


@dataclass(kw_only=True, repr=False)
class HfModel(LoadedModel):
    """A model of transformers whose class is among `ARCHITECTURES`."""

    network: Any
    architecture: Architecture
    folder: Path
    pixels: dict

    def __post_init__(self) -> None:
        self._texts = HfTextSide(self.network, self.architecture, self.folder, self.model)

    @property
    def image_tower(self) -> nn.Module:
        """Pixels [frame 3 height width] -> [frame dim], of a clip encoder those of a view."""
        return self.architecture.tower(self.network)

    @property
    def text_side(self) -> HfTextSide:
        """Its text tower and the tokenizer of its folder."""
        return self._texts

    @property
    def preprocess_config(self) -> dict:
        """As its preprocessor has it, in OpenCLIP's words."""
        return dict(self.pixels)

    def to(self, device: torch.device | str) -> None:
        """Move it to a device."""
        self.network.to(device)


def load_hf(model: str, pretrained: str, weights: WeightsSettings) -> HfModel:
    """Load `hf:ORG/NAME` or `hf:FOLDER` in float32.

    `pretrained` is empty, a revision of the hub, or `none` for random weights, which are the same
    every time. Raises UnknownNameError for an architecture that is no encoder here, ModelError for
    a folder that cannot be had or read, and UsageError for settings that choose in other files.
    """
    if weights.image_size or weights.ema_weights:
        raise UsageError(
            "--image-size and --ema-weights choose in files of OpenCLIP's models, and "
            f"{short(model, 80)} is none; leave them out"
        )
    if importlib.util.find_spec(_PACKAGE) is None:
        raise ModelError(
            f"{short(model, 80)} needs the package transformers, which is not installed; run: "
            "pip install 'vifistore[hf]'"
        )
    source = model.removeprefix(PREFIX)
    is_random = pretrained == RANDOM
    if is_local(source):
        folder = local_folder(source)
        model = f"{PREFIX}{folder}"
        if not is_random and pretrained not in ("", str(folder)):
            raise UsageError(
                f"{short(model, 80)} has its weights with it; leave out --pretrained "
                f"{short(pretrained, 40)}"
            )
    else:
        folder = hub_folder(source, "" if is_random else pretrained)
    raw = read_config(folder)
    architecture = architecture_of(model, raw)
    network = (
        _random(architecture, folder, model) if is_random else _read(architecture, folder, raw)
    )
    network.eval().requires_grad_(False)
    # Of the hub, the commit that was taken; of a folder, all of it.
    taken = str(folder) if is_local(source) else folder.name
    return _describe(network, architecture, folder, raw, (model, RANDOM if is_random else taken))


def _describe(
    network: Any, architecture: Architecture, folder: Path, raw: dict, taken: tuple[str, str]
) -> HfModel:
    import transformers

    model, weights_path = taken
    name = "random" if weights_path == RANDOM else checkpoint_name(folder)
    if not is_local(model.removeprefix(PREFIX)):
        name = checkpoint_name(Path(model.removeprefix(PREFIX)))
    config = network.config
    patch_size = config.vision_config.patch_size if architecture.class_name == "Siglip2Model" else 0
    sizes = (architecture.image_size(config), patch_size, architecture.resample)
    pixels, told = read_preprocessing(folder, *sizes, is_clip=architecture.kind == CLIP)
    for note in (*told, *architecture.assumed):
        logger.warning("%s: %s", short(model, 80), note)
    digests = _digests(architecture, raw, network.state_dict())
    scale, bias = architecture.link(network)
    about = {"package": _PACKAGE, "version": transformers.__version__, "config": raw}
    assumed = ("preprocessing",) if told else ()
    return HfModel(
        network=network,
        architecture=architecture,
        folder=folder,
        pixels=pixels,
        model=model,
        config={"embed_dim": architecture.dim(config), **about},
        name=name,
        image_digest=digests[0],
        text_digest=digests[1],
        logit_scale=scale,
        logit_bias=bias,
        weights_path=weights_path,
        parent="",
        step=0,
        settings={},
        identity=Identity(preprocessing={"family": OPENCLIP, **pixels}, assumed=assumed),
        preprocessing_from="as its preprocessor says",
        kind=architecture.kind,
        num_frames=architecture.num_frames(config),
    )


def _random(architecture: Architecture, folder: Path, model: str) -> Any:
    logger.warning(
        "--pretrained none: %s gets RANDOM weights; its numbers mean nothing, use it to try things",
        short(model, 80),
    )
    made = _class(architecture)
    with _silent(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_SEED)
        return made(_config(made, folder)).float()


def _read(architecture: Architecture, folder: Path, raw: dict) -> Any:
    """The model with the weights of its folder: every one, and no other."""
    made = _class(architecture)
    require_layers(folder, raw)
    config = _config(made, folder)
    with _silent(), torch.device("meta"):
        needed = sum(weight.numel() for weight in made(config).state_dict().values())
    require_fitting(folder, needed, architecture.class_name)
    options = {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
    try:
        with _silent():
            network, found = made.from_pretrained(folder, output_loading_info=True, **options)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ModelError(
            f"the weights in {short(folder, 120)} cannot be read ({first_line(error, 120)}); copy "
            "the folder again"
        ) from error
    _require_whole(folder, found, network.state_dict())
    return network


def _require_whole(folder: Path, found: Mapping, state: Mapping[str, Tensor]) -> None:
    """Raise ModelError for weights that are missing, surplus, of another shape or not finite:
    transformers would make random ones, or leave some out."""
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if keys := sorted(map(str, found.get(what, ()))):
            raise ModelError(
                f"the weights in {short(folder, 120)} do not fit its config.json: "
                f"{what.replace('_', ' ')}: {first_few(keys, 2, 50)}; copy the folder again"
            )
    for key, weight in state.items():
        if not torch.isfinite(weight).all():
            raise ModelError(
                f"{short(key, 60)} in {short(folder, 120)} holds numbers that are not finite; copy "
                "the folder again"
            )


def _class(architecture: Architecture) -> Any:
    # Before it, transformers could not import torchvision beside a CPU build of torch.
    torchvision_operators.prepare()
    import transformers
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    return getattr(transformers, architecture.class_name)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without transformers' logging, and what it prints of its own classes among our lines."""
    with quiet(), contextlib.redirect_stdout(io.StringIO()):
        yield


def _config(made: Any, folder: Path) -> Any:
    try:
        with _silent():
            return made.config_class.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"config.json of {short(folder, 120)} cannot be taken ({first_line(error, 120)}); copy "
            "the folder again"
        ) from error


def _digests(
    architecture: Architecture, raw: Mapping, state: Mapping[str, Tensor]
) -> tuple[str, str]:
    """Of what makes embeddings of pixels and of texts: their part of config.json and weights."""
    halves = (
        (architecture.image_config, architecture.image_parts),
        (architecture.text_config, architecture.text_parts),
    )
    image, text = (
        weights_digest(
            {"package": _PACKAGE, "class": architecture.class_name, **_part(raw, entries)},
            {key: weight for key, weight in state.items() if key.startswith(parts)},
        )
        for entries, parts in halves
    )
    return image, text


def _part(raw: Mapping, entries: tuple[str, ...]) -> dict:
    """Entries of a config.json without what says nothing of the architecture."""
    return {entry: _plain(copy.deepcopy(raw.get(entry))) for entry in entries}


def _plain(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _plain(inner) for key, inner in value.items() if key not in _BESIDE}
