"""What an encoder of another package says of itself, checked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch

from vifistore.errors import ModelError, first_line, short
from vifistore.models.encoders import CLIP, FRAME, EncoderKind
from vifistore.store.identity import TOWER_KEYS, parse_tower
from vifistore.store.recipe import canonical_json
from vifistore.store.schema import MOST_FRAMES

_MOST_DIM = 2**20


@dataclass(frozen=True, kw_only=True)
class PluginFacts:
    """What is known of an encoder beside its two methods."""

    kind: EncoderKind
    num_frames: int
    num_outputs: int
    dim: int
    logit_scale: float
    logit_bias: float | None
    preprocessing: dict
    config: dict


def read_facts(encoder: object, model: str) -> PluginFacts:
    """What an encoder says of itself. Raises ModelError for what is not as it should be."""
    if not isinstance(_said(encoder, model, "module"), torch.nn.Module):
        _refuse(model, "module", _said(encoder, model, "module"), "a torch.nn.Module")
    if not callable(_said(encoder, model, "encode_frames")):
        _refuse(model, "encode_frames", _said(encoder, model, "encode_frames"), "a method")
    kind = _said(encoder, model, "kind")
    if kind not in (FRAME, CLIP):
        _refuse(model, "kind", kind, f"{FRAME!r} or {CLIP!r}")
    scale, bias = _said(encoder, model, "logit_scale"), getattr(encoder, "logit_bias", None)
    if not _is_number(scale) or scale <= 0:
        _refuse(model, "logit_scale", scale, "a number above 0")
    if bias is not None and not _is_number(bias):
        _refuse(model, "logit_bias", bias, "a number, or None")
    is_clip = kind == CLIP
    return PluginFacts(
        kind=kind,
        num_frames=_count(encoder, model, "num_frames", 0, MOST_FRAMES) if is_clip else 0,
        num_outputs=_count(encoder, model, "num_outputs", 1, MOST_FRAMES, 1) if is_clip else 1,
        dim=_count(encoder, model, "dim", 1, _MOST_DIM),
        logit_scale=float(scale),
        logit_bias=None if bias is None else float(bias),
        preprocessing=_preprocessing(encoder, model),
        config=_config(encoder, model),
    )


def _said(encoder: object, model: str, name: str) -> Any:
    if not hasattr(encoder, name):
        raise ModelError(
            f"the encoder {short(model, 80)} has no `{name}`; docs/EXTENDING.md lists what an "
            "encoder has"
        )
    return getattr(encoder, name)


def _refuse(model: str, name: str, found: object, wanted: str) -> NoReturn:
    raise ModelError(
        f"the `{name}` of the encoder {short(model, 80)} is {short(repr(found), 80)}; make it "
        f"{wanted}"
    )


def _is_number(found: object) -> bool:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    return math.isfinite(found)


def _count(
    encoder: object, model: str, name: str, least: int, most: int, usual: int | None = None
) -> int:
    found = _said(encoder, model, name) if usual is None else getattr(encoder, name, usual)
    if type(found) is not int or not least <= found <= most:
        _refuse(model, name, found, f"a whole number from {least} to {most}")
    return found


def _preprocessing(encoder: object, model: str) -> dict:
    found = _said(encoder, model, "preprocessing")
    wanted = f"a dict of {', '.join(TOWER_KEYS)}"
    if not isinstance(found, Mapping) or found.keys() != set(TOWER_KEYS):
        _refuse(model, "preprocessing", found, wanted)
    try:
        return parse_tower(found)
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"the `preprocessing` of the encoder {short(model, 80)} is not as it should be: "
            f"{first_line(error, 120)}; make it {wanted}"
        ) from error


def _config(encoder: object, model: str) -> dict:
    """What its weights do not tell of its architecture."""
    found = getattr(encoder, "config", {})
    try:
        canonical_json(found)
    except (TypeError, ValueError):
        _refuse(model, "config", found, "a dict of JSON values")
    if not isinstance(found, dict):
        _refuse(model, "config", found, "a dict of JSON values")
    return found


def as_array(given: object) -> np.ndarray:
    """What an encoder gave, as NumPy has it. Raises whatever NumPy and torch do where it has none,
    as for lists of several lengths and sparse tensors."""
    if isinstance(given, torch.Tensor):
        return given.detach().float().cpu().numpy()
    return np.asarray(given)


def text_embeddings_of(found: np.ndarray, texts: Sequence[str], dim: int, model: str) -> np.ndarray:
    """What an encoder gave for texts, as float32 [text dim]. Raises ModelError for all else."""
    if found.shape != (len(texts), dim) or found.dtype.kind != "f":
        raise ModelError(
            f"encode_texts of the encoder {short(model, 80)} gives {found.dtype} "
            f"{list(found.shape)} for {len(texts)} texts; make it floats [{len(texts)}, {dim}]"
        )
    found = np.ascontiguousarray(found, np.float32)
    if not np.isfinite(found).all():
        raise ModelError(
            f"encode_texts of the encoder {short(model, 80)} gives numbers that are not finite; "
            "check its weights"
        )
    return found
