"""Models of transformers, loaded from a folder or from the hub, as encoders."""

import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vifistore.errors import ModelError, UsageError, short
from vifistore.models.encoders import CLIP, LoadedModel
from vifistore.models.hf.architectures import Architecture, architecture_of
from vifistore.models.hf.hf_folder import HfSource, read_config
from vifistore.models.hf.hf_preprocessing import read_preprocessing
from vifistore.models.hf.hf_texts import HfTextSide, tokenizer_digest
from vifistore.models.hf.hf_weights import random_network, read_network
from vifistore.models.load_settings import RANDOM, WeightsSettings
from vifistore.models.tower_digests import weights_digest
from vifistore.store.identity import OPENCLIP, Identity
from vifistore.store.recipe import digest_of

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


def load_hf(source: HfSource, weights: WeightsSettings) -> HfModel:
    """Load a model that `find_source` found, in float32.

    Raises UnknownNameError for an architecture that is no encoder here, ModelError for a folder
    that cannot be read, and UsageError for settings that choose in other files.
    """
    model, folder = source.model, source.folder
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
    raw = read_config(folder)
    architecture = architecture_of(model, raw)
    if source.taken == RANDOM:
        network = random_network(architecture, folder, model)
    else:
        network = read_network(architecture, folder, raw)
    network.eval().requires_grad_(False)
    return _describe(network, architecture, source, raw)


def _describe(network: Any, architecture: Architecture, source: HfSource, raw: dict) -> HfModel:
    import transformers

    model, folder = source.model, source.folder
    config = network.config
    patch_size = config.vision_config.patch_size if architecture.class_name == "Siglip2Model" else 0
    sizes = (architecture.image_size(config), patch_size, architecture.resample)
    pixels, told = read_preprocessing(folder, *sizes, is_clip=architecture.kind == CLIP)
    for note in (*told, *architecture.assumed):
        logger.warning("%s: %s", short(model, 80), note)
    image, text = _digests(architecture, raw, network.state_dict())
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
        name=source.name,
        image_digest=image,
        text_digest=digest_of({"tower": text, "tokenizer": tokenizer_digest(folder)}),
        logit_scale=scale,
        logit_bias=bias,
        weights_path=source.taken,
        parent="",
        step=0,
        settings={},
        identity=Identity(preprocessing={"family": OPENCLIP, **pixels}, assumed=assumed),
        preprocessing_from="as its preprocessor says",
        kind=architecture.kind,
        num_frames=architecture.num_frames(config),
    )


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
    return {entry: _plain(raw.get(entry)) for entry in entries}


def _plain(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _plain(inner) for key, inner in value.items() if key not in _BESIDE}
