"""OpenCLIP's models as encoders, and what is known of one in memory."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from vifistore.errors import ModelError
from vifistore.models.checkpoint_files import CheckpointHeader
from vifistore.models.encoders import FRAME, LoadedModel
from vifistore.models.openclip_parts import Clip
from vifistore.models.openclip_texts import OpenClipTextSide
from vifistore.models.preprocessing import tower_config
from vifistore.models.registry import open_clip
from vifistore.models.system_modules import encoder_facts, scale_of
from vifistore.models.tower_digests import tower_digests
from vifistore.store.identity import OPENCLIP
from vifistore.store.logit_bias import LOGIT_BIAS


@dataclass(kw_only=True, repr=False)
class OpenClipModel(LoadedModel):
    """A model of OpenCLIP: an image tower for frames, and a text tower."""

    clip: Clip
    view_tower: nn.Module | None = None
    """What takes the place of its image tower where a system added modules that see views."""

    @property
    def image_tower(self) -> nn.Module:
        """Pixels [batch 3 height width] -> [batch dim], or of views as `LoadedModel` says."""
        return self.clip.visual if self.view_tower is None else self.view_tower

    @property
    def text_side(self) -> OpenClipTextSide:
        """Its text tower and tokenizer."""
        return OpenClipTextSide(self.clip, self.model, self.config)

    @property
    def preprocess_config(self) -> dict:
        """As OpenCLIP gives it."""
        return open_clip.get_model_preprocess_cfg(self.clip)

    def to(self, device: torch.device | str) -> None:
        """Move it to a device."""
        self.clip.to(device)


def _logit_bias(clip: Clip, header: CheckpointHeader) -> float | None:
    """The bias of a sigmoid, of the model or of its file; None for a softmax, by which all models
    are tuned here. Raises ModelError for one that is not finite."""
    if "fusion" in header.settings:
        return None
    own = getattr(clip, LOGIT_BIAS, None)
    bias = header.settings.get(LOGIT_BIAS) if own is None else float(own.detach())
    if bias is not None and not (isinstance(bias, int | float) and math.isfinite(bias)):
        raise ModelError(
            f"the logit bias of {header.name} is {bias!r:.40}, which is no number; save the "
            "weights again from what they were made with"
        )
    return None if bias is None else float(bias)


def require_tunable(loaded: LoadedModel, wanted: str) -> OpenClipModel:
    """Return an encoder that is a model of OpenCLIP, with or without modules of a system. Raises
    ModelError for any other; `wanted` is as in `require_openclip`."""
    return loaded if isinstance(loaded, OpenClipModel) else require_openclip(loaded, wanted)


def require_openclip(loaded: LoadedModel, wanted: str) -> OpenClipModel:
    """Return an encoder that is a plain model of OpenCLIP. Raises ModelError for any other;
    `wanted` says what needs one, as in `vifi convert writes`."""
    if isinstance(loaded, OpenClipModel) and loaded.kind == FRAME:
        return loaded
    raise ModelError(
        f"{wanted} models of OpenCLIP that see frames one by one, and {loaded.model} is none; "
        "give one such as ViT-B-16-quickgelu"
    )


def describe(
    clip: Clip,
    header: CheckpointHeader,
    *,
    weights_path: str = "",
    preprocessing_from: str = "OpenCLIP's default",
    texts: Mapping[str, torch.Tensor] | None = None,
) -> OpenClipModel:
    """Digest a model in memory; `header` says what it is and where it comes from, `texts` are the
    weights, each a tensor [...], of a text tower that could not be made."""
    identity = header.identity
    if not identity.preprocessing:
        identity = replace(identity, preprocessing={"family": OPENCLIP, **tower_config(clip)})
    state = {**clip.state_dict(), **(texts or {})}
    image_digest, text_digest = tower_digests(header.config, state, header.system)
    learned = float(clip.logit_scale.detach().double().exp())
    return OpenClipModel(
        clip=clip,
        model=header.model,
        config=header.config,
        name=header.name,
        image_digest=image_digest,
        text_digest=text_digest,
        logit_scale=scale_of(header.system, learned),
        logit_bias=_logit_bias(clip, header),
        weights_path=weights_path,
        parent=header.parent,
        step=header.step,
        settings=header.settings,
        identity=identity,
        preprocessing_from=preprocessing_from,
        **encoder_facts(clip),
    )
