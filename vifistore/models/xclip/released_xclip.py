"""X-CLIPs that others saved: microsoft/VideoX's files, and those of transformers.

VideoX's training saves a state dict without a prefix as `model`, beside optimiser and settings.
Both were trained with QuickGELU, on bare class names and the pixels of ViFi-CLIP's code, which is
made from X-CLIP's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from vifistore.errors import ModelError, short
from vifistore.files import parse_json_object, read_regular
from vifistore.models.huggingface import from_hugging_face, is_hugging_face
from vifistore.models.xclip.xclip_modules import XClipSizes, default_heads, sizes_of
from vifistore.models.xclip.xclip_names import from_videox, split_hugging_face

_CONFIG_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ReleasedXClip:
    """An X-CLIP under our names."""

    state: dict[str, Tensor]
    system: dict
    """Sizes, as a header says them."""
    quick_gelu: bool


def read_xclip(state: Mapping[str, Tensor], path: Path) -> ReleasedXClip:
    """Tensors [...] of an X-CLIP of others; of transformers the heads are in `config.json` beside
    `path`. Raises ModelError for sizes that no X-CLIP has."""
    if not is_hugging_face(state):
        own = from_videox(state)
        return ReleasedXClip(state=own, system=_sizes(own, path).as_system(), quick_gelu=True)
    clip, added = split_hugging_face(state)
    own = {**from_hugging_face(clip), **added}
    config = _config_beside(path)
    sizes = replace(_sizes(own, path), heads=_heads(config, path))
    if sizes.heads == default_heads(len(own["added.alpha"]) if "added.alpha" in own else 0):
        sizes = replace(sizes, heads=0)
    vision = config.get("vision_config", {})
    # transformers leaves out what is its default.
    quick_gelu = vision.get("hidden_act", "quick_gelu") == "quick_gelu"
    return ReleasedXClip(state=own, system=sizes.as_system(), quick_gelu=quick_gelu)


def _sizes(state: Mapping[str, Tensor], path: Path) -> XClipSizes:
    try:
        return sizes_of(state)
    except ModelError as error:
        raise ModelError(
            f"{short(path.name)} holds some of X-CLIP's tensors and lacks others ({error}); give "
            "the whole checkpoint"
        ) from error


def _config_beside(path: Path) -> dict:
    """transformers' description of the model; empty where there is none of an X-CLIP."""
    try:
        found = parse_json_object(read_regular(path.parent / "config.json", _CONFIG_BYTES))
    except (OSError, ValueError):
        return {}
    vision = found.get("vision_config", {})
    return found if found.get("model_type") == "xclip" and isinstance(vision, dict) else {}


def _heads(config: Mapping, path: Path) -> int:
    """Heads of attention of what is added; 0 where nothing tells."""
    if not config:
        return 0
    vision = config.get("vision_config", {})
    # Those of transformers where a config says none.
    heads = {vision.get("mit_num_attention_heads", 8), config.get("prompt_num_attention_heads", 8)}
    if len(heads) > 1:
        raise ModelError(
            f"{short(path.name)} has {sorted(map(str, heads))} heads in its two added parts, and "
            "X-CLIP has one number of them; convert a published model"
        )
    return heads.pop()
