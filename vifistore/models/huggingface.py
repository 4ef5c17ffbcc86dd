"""Weights of transformers' CLIPModel and SiglipModel, under OpenCLIP's names.

The towers are the same, but OpenCLIP keeps the projections of query, key and value as one, in this
order, and CLIP's two projections into the common space transposed. SigLIP's image tower is timm's
there, whose pooling head keeps key and value apart from the query.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from vifistore.files import parse_json_object, read_regular

_LAYER = re.compile(r"(vision|text)_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_QUERY_KEY_VALUE = re.compile(r"self_attn\.([qkv])_proj")
_OPENCLIP_BLOCK = {
    "layer_norm1": "ln_1",
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_TIMM_BLOCK = {
    "layer_norm1": "norm1",
    "self_attn.out_proj": "attn.proj",
    "layer_norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_TEXT = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
}
# `pre_layrnorm` is how transformers spells it.
_CLIP = {
    **_TEXT,
    "text_projection.weight": "text_projection",
    "visual_projection.weight": "visual.proj",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
}
_TRANSPOSED = ("text_projection.weight", "visual_projection.weight")
_SIGLIP = {
    **{key: f"text.{name}" for key, name in _TEXT.items()},
    "text_model.head.weight": "text.text_projection.weight",
    "text_model.head.bias": "text.text_projection.bias",
    "vision_model.embeddings.patch_embedding.weight": "visual.trunk.patch_embed.proj.weight",
    "vision_model.embeddings.patch_embedding.bias": "visual.trunk.patch_embed.proj.bias",
    "vision_model.embeddings.position_embedding.weight": "visual.trunk.pos_embed",
    "vision_model.post_layernorm.weight": "visual.trunk.norm.weight",
    "vision_model.post_layernorm.bias": "visual.trunk.norm.bias",
    "vision_model.head.probe": "visual.trunk.attn_pool.latent",
    **{
        f"vision_model.head.{name}.{kind}": f"visual.trunk.attn_pool.{own}.{kind}"
        for name, own in (
            ("attention.out_proj", "proj"),
            ("layernorm", "norm"),
            ("mlp.fc1", "mlp.fc1"),
            ("mlp.fc2", "mlp.fc2"),
        )
        for kind in ("weight", "bias")
    },
}
_POOLED = re.compile(r"vision_model\.head\.attention\.in_proj_(weight|bias)")
_CONFIG_BYTES = 1 << 20


def is_hugging_face(keys: Iterable[str]) -> bool:
    """Whether these are the keys of a CLIP or SigLIP of transformers."""
    return any(key.startswith(("vision_model.", "text_model.")) for key in keys)


def from_hugging_face(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights, [out in] of a layer and [out] of its bias, under OpenCLIP's names; what is
    not known keeps its own name."""
    is_siglip = "logit_bias" in state or "vision_model.head.probe" in state
    names = _SIGLIP if is_siglip else _CLIP
    renamed: dict[str, Tensor] = {}
    parts: dict[str, dict[str, tuple[str, Tensor]]] = {}
    for key, value in state.items():
        if key.endswith(".position_ids"):
            continue
        if match := _LAYER.fullmatch(key):
            _add_layer(key, value, match, renamed, parts, is_siglip=is_siglip)
        elif is_siglip and (match := _POOLED.fullmatch(key)):
            pool = "visual.trunk.attn_pool"
            third = len(value) // 3
            renamed[f"{pool}.q.{match[1]}"] = value[:third]
            renamed[f"{pool}.kv.{match[1]}"] = value[third:]
        else:
            renamed[names.get(key, key)] = value.T if key in _TRANSPOSED else value
    if "visual.trunk.pos_embed" in renamed:
        renamed["visual.trunk.pos_embed"] = renamed["visual.trunk.pos_embed"][None]
    for name, of_kind in parts.items():
        renamed |= joined_weights(name, of_kind)
    return renamed


def _add_layer(
    key: str,
    value: Tensor,
    match: re.Match,
    renamed: dict[str, Tensor],
    parts: dict[str, dict[str, tuple[str, Tensor]]],
    *,
    is_siglip: bool,
) -> None:
    """Put one tensor of a block into `renamed`, or into `parts` where it is a part of another."""
    tower, layer, name, kind = match.groups()
    is_timm = is_siglip and tower == "vision"
    if is_timm:
        block, own, joined = f"visual.trunk.blocks.{layer}", _TIMM_BLOCK, f"attn.qkv.{kind}"
    else:
        place = {"vision": "visual.", "text": "text." if is_siglip else ""}[tower]
        block = f"{place}transformer.resblocks.{layer}"
        own, joined = _OPENCLIP_BLOCK, f"attn.in_proj_{kind}"
    if part := _QUERY_KEY_VALUE.fullmatch(name):
        parts.setdefault(f"{block}.{joined}", {})[part[1]] = (key, value)
    else:
        renamed[f"{block}.{own[name]}.{kind}" if name in own else key] = value


def joined_weights(name: str, parts: Mapping[str, tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Query, key and value, each its own name and its tensor [width width] or [width], as one of
    three times the rows; under their own names where one is missing."""
    if parts.keys() != set("qkv"):
        return dict(parts.values())
    return {name: torch.cat([parts[part][1] for part in "qkv"])}


def quick_gelu_beside(path: Path) -> bool | None:
    """Whether `config.json` beside a file of CLIP says QuickGELU; None where it does not tell."""
    config = path.parent / "config.json"
    try:
        found = parse_json_object(read_regular(config, _CONFIG_BYTES))
        if found["model_type"] != "clip":
            return None
        # The default of transformers' CLIPVisionConfig, and what its configs of OpenAI leave out.
        return found.get("vision_config", {}).get("hidden_act", "quick_gelu") == "quick_gelu"
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
