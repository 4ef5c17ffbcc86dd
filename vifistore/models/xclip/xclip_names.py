"""X-CLIP's tensors under the names of others: microsoft/VideoX's, and those of transformers.

VideoX's files hold a CLIP under OpenAI's names, which are OpenCLIP's, and the added tensors among
them. transformers calls every tensor otherwise. Here both become OpenCLIP's names, and those of
what X-CLIP adds (`xclip_modules.py`). Both were trained with QuickGELU.
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from vifistore.models.huggingface import joined_weights

_VIDEO, _TEXTS = "visual.added.", "added."

_MESSAGE = re.compile(r"visual\.transformer\.resblocks\.(\d+)\.message_(fc|ln|attn)\.(.+)")
# VideoX's first names, and ours.
_VIDEOX = {
    "mit.": f"{_VIDEO}integration.",
    "prompts_visual_ln.": f"{_VIDEO}patch_norm.",
    "prompts_visual_proj": f"{_VIDEO}patch_projection",
    "prompts_generator.": _TEXTS,
}
_HF_MESSAGE = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.message_(fc|ln|attn)\.(.+)")
_HF_BLOCK = re.compile(r"mit\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_HF_PARTS = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj"}
_HF_PARTS |= {"mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
_HF_ADDED = {
    "mit.position_embedding": f"{_VIDEO}integration.positional_embedding",
    "prompts_visual_layernorm.weight": f"{_VIDEO}patch_norm.weight",
    "prompts_visual_layernorm.bias": f"{_VIDEO}patch_norm.bias",
    "prompts_visual_projection": f"{_VIDEO}patch_projection",
    "prompts_generator.layernorm.weight": f"{_TEXTS}norm.weight",
    "prompts_generator.layernorm.bias": f"{_TEXTS}norm.bias",
}
_QUERY_KEY_VALUE = re.compile(r"(.+\.)([qkv])_proj\.(weight|bias)")


def is_xclip(keys: Iterable[str]) -> bool:
    """Whether these are the names of an X-CLIP of others."""
    return any(key.startswith(("prompts_generator.", "mit.")) for key in keys)


def from_videox(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """VideoX's tensors [...] under OpenCLIP's names and ours; what is not known keeps its own."""
    return {_of_videox(key): value for key, value in state.items()}


def split_hugging_face(
    state: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """transformers' tensors [...]: those of the CLIP, under transformers' names for a CLIP, and
    the added ones under ours."""
    clip: dict[str, Tensor] = {}
    added: dict[str, Tensor] = {}
    for key, value in state.items():
        own = _of_hugging_face(key)
        if own:
            added[own] = value
        else:
            clip[key.replace("vision_model.pre_layernorm.", "vision_model.pre_layrnorm.")] = value
    return clip, _with_joint_weights(added)


def _of_videox(key: str) -> str:
    if match := _MESSAGE.fullmatch(key):
        return f"{_VIDEO}messages.{match[1]}.{match[2]}.{match[3]}"
    for theirs, own in _VIDEOX.items():
        if key.startswith(theirs):
            return own + key.removeprefix(theirs)
    return key


def _of_hugging_face(key: str) -> str:
    """Our name of an added tensor; empty for one of the CLIP. Queries, keys and values of joint
    layers are still apart."""
    if match := _HF_MESSAGE.fullmatch(key):
        return f"{_VIDEO}messages.{match[1]}.{match[2]}.{match[3]}"
    if match := _HF_BLOCK.fullmatch(key):
        part = _HF_PARTS.get(match[2], match[2].replace("self_attn.", "attn."))
        return f"{_VIDEO}integration.resblocks.{match[1]}.{part}.{match[3]}"
    if key.startswith("prompts_generator.") and key not in _HF_ADDED:
        return _TEXTS + key.removeprefix("prompts_generator.")
    return _HF_ADDED.get(key, "")


def _with_joint_weights(added: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Queries, keys and values of the layers that have them in one tensor, [3*width width] and
    [3*width]; under their own names where one is missing."""
    found: dict[str, Tensor] = {}
    parts: dict[str, dict[str, tuple[str, Tensor]]] = {}
    for key, value in added.items():
        match = _QUERY_KEY_VALUE.fullmatch(key)
        if match and "cross_attn" not in key:
            parts.setdefault(f"{match[1]}in_proj_{match[3]}", {})[match[2]] = (key, value)
        else:
            found[key] = value
    for name, of_kind in parts.items():
        found |= joined_weights(name, of_kind)
    return found
