"""Encoders of other packages, made by their own functions and taken as any other.

A function `make(pretrained)` gives an object with `kind`, `num_frames`, `dim`, `logit_scale`,
`preprocessing`, `module`, `encode_frames(pixels)` and `encode_texts(texts)`; docs/EXTENDING.md
says what each is. Package, version, function, classes and weights are its identity.
"""

import hashlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, packages_distributions, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vifistore.errors import ModelError, UsageError, VifiError, first_line, short
from vifistore.files import read_regular
from vifistore.models.encoders import LoadedModel, NoTexts, TextSide
from vifistore.models.load_settings import WeightsSettings
from vifistore.models.plugins.plugin_checks import (
    PluginFacts,
    as_array,
    read_facts,
    text_embeddings_of,
)
from vifistore.models.plugins.plugin_names import allow, find_entry
from vifistore.models.tower_digests import weights_digest
from vifistore.store.identity import OPENCLIP, Identity
from vifistore.store.recipe import digest_of

_NO_NAME = re.compile(r"[^A-Za-z0-9_.@+=-]+")
_NAME_LENGTH = 64


class PluginTower(torch.nn.Module):
    """The image side of an encoder; a copy of it has a copy of the encoder."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.module = encoder.module
        self.encoder = encoder

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """What `encode_frames` gives of pixels [batch ... 3 height width]."""
        return self.encoder.encode_frames(pixels)


class PluginTexts(TextSide):
    """The text side of an encoder."""

    def __init__(self, encoder: Any, dim: int, model: str) -> None:
        self._encoder, self._dim, self._model = encoder, dim, model

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return un-normalised embeddings, float32 [text dim]. Raises ModelError for a method that
        gives anything else."""
        encode = self._encoder.encode_texts
        given = _call(lambda: as_array(encode(list(texts))), self._model, "encode_texts")
        return text_embeddings_of(given, texts, self._dim, self._model)


@dataclass(kw_only=True, repr=False)
class PluginModel(LoadedModel):
    """An encoder of another package."""

    encoder: Any
    facts: PluginFacts

    @property
    def image_tower(self) -> PluginTower:
        """Its module and `encode_frames`."""
        return PluginTower(self.encoder)

    @property
    def text_side(self) -> TextSide:
        """Its `encode_texts`, where it has one."""
        if callable(getattr(self.encoder, "encode_texts", None)):
            return PluginTexts(self.encoder, self.dim, self.model)
        return NoTexts(f"the encoder {self.model} has no encode_texts; its videos are encoded")

    @property
    def preprocess_config(self) -> dict:
        """As the encoder says it."""
        return dict(self.facts.preprocessing)

    def to(self, device: torch.device | str) -> None:
        """Move its module."""
        self.encoder.module.to(device)


def load_plugin(model: str, pretrained: str, weights: WeightsSettings) -> PluginModel | None:
    """The encoder of `module:function` or of an entry point, given `pretrained`; None for a name
    that is neither.

    Raises ModelError for an encoder that cannot be made, or is not as it should be.
    """
    if (entry := find_entry(model)) is None:
        return None
    if weights != WeightsSettings():
        raise UsageError(
            f"--image-size and --ema-weights are for files of weights of OpenCLIP's models, and "
            f"{short(model, 80)} is none; leave them out"
        )
    make = _call(entry.load, model, "its import")
    encoder = _call(lambda: make(pretrained), model, f"its call with {short(pretrained, 60)!r}")
    allow(model)
    facts = _call(lambda: read_facts(encoder, model), model, "what it says of itself")
    return _described(encoder, facts, model, pretrained, _origin(entry, make, encoder))


def _call(function: Callable[[], Any], model: str, what: str) -> Any:
    """Run code of another package. Raises ModelError for whatever it raises."""
    try:
        return function()
    except VifiError:
        raise
    except (Exception, SystemExit) as error:
        # A program of its own ends the process as it is imported; with success, where all is well.
        raise ModelError(
            f"the encoder {short(model, 80)} cannot be used, {what} ends with "
            f"{type(error).__name__}: {first_line(error, 120)}; mend it, or give another --model"
        ) from error


def _origin(entry: EntryPoint, make: Any, encoder: object) -> dict:
    """What makes an encoder, and what its methods are of: one package may have several, which do
    other things with the same modules."""
    kind = type(encoder)
    return {
        **_package(entry, make),
        "made_by": f"{entry.module}:{entry.attr}",
        "class": f"{kind.__module__}:{kind.__qualname__}",
    }


def _package(entry: EntryPoint, make: Any) -> dict:
    """Package and version of an encoder; where no package brings it, the digests of
    its files."""
    top = entry.module.partition(".")[0]
    names = [entry.dist.name] if entry.dist else packages_distributions().get(top, [])
    if names:
        return {"package": names[0], "version": version(names[0])}
    try:
        files = _source_files(top) or [Path(inspect.getfile(inspect.unwrap(make)))]
        sources = [hashlib.sha256(read_regular(path)).hexdigest() for path in files]
    except (TypeError, OSError):
        sources = [hashlib.sha256().hexdigest()]
    return {"module": entry.module, "source": sources[0] if len(sources) == 1 else sources}


def _source_files(module: str) -> list[Path]:
    """Every Python file of a folder of modules; none where a module is a file."""
    place = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    return sorted(place.parent.rglob("*.py")) if place.name == "__init__.py" else []


def _described(
    encoder: Any, facts: PluginFacts, model: str, pretrained: str, origin: dict
) -> PluginModel:
    """The encoder with its identity."""
    module = encoder.module.eval().requires_grad_(False)
    architecture = {
        **origin,
        "modules": [[name, type(part).__qualname__] for name, part in module.named_modules()],
        "config": facts.config,
        "kind": facts.kind,
        "num_frames": facts.num_frames,
        "num_outputs": facts.num_outputs,
        "embed_dim": facts.dim,
    }
    state = module.state_dict()
    if others := [key for key, value in state.items() if not isinstance(value, torch.Tensor)]:
        raise ModelError(
            f"the state of the encoder {short(model, 80)} holds {short(others[0], 60)!r}, which "
            "is no tensor; keep it in `config`"
        )
    whole = _call(lambda: weights_digest(architecture, state), model, "the digest of its weights")
    # No word for weights is no path, though an empty one is that of the folder worked in.
    path = Path(pretrained) if pretrained and os.path.exists(pretrained) else None
    return PluginModel(
        encoder=encoder,
        facts=facts,
        model=model,
        config={"embed_dim": facts.dim, "encoder": {**origin, "config": facts.config}},
        name=_name(path.stem if path else pretrained),
        image_digest=digest_of({"side": "image", "encoder": whole}),
        text_digest=digest_of({"side": "text", "encoder": whole}),
        logit_scale=facts.logit_scale,
        logit_bias=facts.logit_bias,
        weights_path=str(path.resolve()) if path else pretrained,
        parent="",
        step=0,
        settings={},
        identity=Identity(preprocessing={"family": OPENCLIP, **facts.preprocessing}),
        preprocessing_from=f"as the encoder {short(model, 80)} says",
        kind=facts.kind,
        num_frames=facts.num_frames,
        num_outputs=facts.num_outputs,
    )


def _name(pretrained: str) -> str:
    """A name of a checkpoint made of what --pretrained says."""
    return _NO_NAME.sub("-", pretrained).strip("-.@+=")[:_NAME_LENGTH] or "default"
