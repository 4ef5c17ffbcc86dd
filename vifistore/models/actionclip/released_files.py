"""ActionCLIP's own files: the CLIP in `model_state_dict`, its head in `fusion_model_state_dict`."""

import re

import torch
from torch import Tensor

_FUSION = "fusion_model_state_dict"
_ADDED = "visual.added."
MEAN_KEY = f"{_ADDED}mean"
"""Stands, without a number, for the head "meanP": it has no weights to be known by."""
_POSITIONS = "frame_position_embeddings.weight"
# Their name of a part -> ours; the first that fits.
_PARTS = (
    (r"transformer\.resblocks\.(\d+)\.attn\.", r"blocks.\1.attention."),
    (r"transformer\.resblocks\.(\d+)\.ln_1\.", r"blocks.\1.attention_norm."),
    (r"transformer\.resblocks\.(\d+)\.ln_2\.", r"blocks.\1.mlp_norm."),
    (r"transformer\.resblocks\.(\d+)\.mlp\.c_fc\.", r"blocks.\1.widen."),
    (r"transformer\.resblocks\.(\d+)\.mlp\.c_proj\.", r"blocks.\1.narrow."),
    (r"transformer\.transformer_enc\.", "blocks."),
    (r"transformer\.cls_token$", "class_token"),
    (r"transformer\.pos_embed$", "positions"),
    (r"lstm_visual\.", "lstm."),
)


def split_fusion(content: object) -> tuple[object, dict[str, Tensor]]:
    """What a file holds without ActionCLIP's head, and the weights of the head, each a tensor
    `[...]`, under our names; none for any other file."""
    if not isinstance(content, dict) or not isinstance(content.get(_FUSION), dict):
        return content, {}
    rest = {key: value for key, value in content.items() if key != _FUSION}
    if not content[_FUSION]:
        return rest, {MEAN_KEY: torch.empty(0)}
    fusion = {
        key.removeprefix("module."): value
        for key, value in content[_FUSION].items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    # A table that every head has, and "Transf" alone reads.
    positions = fusion.pop(_POSITIONS, None)
    if positions is not None and _reads_positions(fusion):
        fusion["positions"] = positions
    return rest, {_ADDED + _our_name(key): _flat(key, value) for key, value in fusion.items()}


def _reads_positions(fusion: dict[str, Tensor]) -> bool:
    return any(key.startswith("transformer.resblocks.") for key in fusion)


def _our_name(key: str) -> str:
    for theirs, ours in _PARTS:
        if (named := re.sub(f"^{theirs}", ours, key)) != key:
            return named
    return key


def _flat(key: str, value: Tensor) -> Tensor:
    """Their class token and its positions have axes of length one in front."""
    return value.flatten(0, -2) if key.startswith("transformer.") and value.ndim == 3 else value
