"""Weights held against the model that they are for: what does not fit, and what would.

Names, shapes and sizes of pictures may differ where that has one meaning; everything else is
refused, with the OpenCLIP model that the weights belong to where there is one.
"""

import logging
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vifistore.errors import ModelError, first_few, short
from vifistore.models.hub import quiet
from vifistore.models.openclip_parts import Clip
from vifistore.models.prompt_learning import IMAGE_KEY, TEXT_KEY
from vifistore.models.registry import model_config, open_clip
from vifistore.models.skeletons import has_hub_text, make_model
from vifistore.models.system_modules import is_added

logger = logging.getLogger("vifi")

# A learned logarithm of the scale: e to the tenth is 22,026, and CLIP stops at 100.
_LARGEST_SCALE = 10.0
_TEXT_TOWER = ("token_embedding.", "positional_embedding", "transformer.", "ln_final.")
_TEXT_TOWER += ("text_projection",)
_VIT, _RESNET, _TIMM = (
    "visual.positional_embedding",
    "visual.attnpool.positional_embedding",
    "visual.trunk.pos_embed",
)
# Making one, without memory for its weights, takes up to a second.
_MOST_CANDIDATES = 8
_LONGEST_FAULTS = 250


def settings_of_others(path: Path, clip: Clip, state: dict[str, Tensor]) -> dict:
    """Take a logit bias, [] or [1], out of the `state` of a file of others where the model has no
    place for it; settings that tell.

    It is the same for every class: no order of classes depends on it. Raises ModelError for a scale
    that was saved as the factor instead of its logarithm.
    """
    _require_scale(path, state)
    bias = state.get("logit_bias")
    if bias is None or "logit_bias" in clip.state_dict() or bias.numel() != 1:
        return {}
    del state["logit_bias"]
    logger.info("%s has a logit bias, %.4g, for a sigmoid", short(path.name), float(bias))
    return {"logit_bias": float(bias)}


def _require_scale(path: Path, state: Mapping[str, Tensor]) -> None:
    scale = state.get("logit_scale")
    if scale is not None and scale.numel() == 1 and float(scale) > _LARGEST_SCALE:
        raise ModelError(
            f"{short(path.name)}: logit_scale is {float(scale):.4g}, and its exponential would "
            "multiply every cosine; it seems to be the factor itself, so save its logarithm, "
            f"{math.log(float(scale)):.4f}"
        )


def fitted(
    path: Path,
    model: str,
    clip: Clip,
    state: Mapping[str, Tensor],
    *,
    resize: bool,
    quick_gelu: bool | None = None,
) -> dict[str, Tensor]:
    """The weights, each a tensor [...], as the model names and shapes them.

    `resize` lets positional embeddings become those of other picture sizes; `quick_gelu` is what
    is known of the activation. Raises ModelError for tensors that are missing, surplus, of another
    shape, no real numbers, or not finite.
    """
    expected = clip.state_dict()
    state = _with_text_prefix(dict(state), expected)
    for key in ("logit_scale", "logit_bias"):
        # OpenCLIP's models have one or the other shape; the number is the same.
        if key in state and key in expected and state[key].numel() == 1:
            state[key] = state[key].reshape(expected[key].shape)
    if resize:
        state = _resized(clip, state, expected)
    _require_fit(path, model, clip, state, expected, quick_gelu)
    _require_numbers(path, state, expected)
    return state


def _with_text_prefix(state: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict:
    """Text towers stand below `text.` in some of OpenCLIP's models and at the top in others."""
    own, other = ("", "text.") if "token_embedding.weight" in expected else ("text.", "")
    if f"{other}token_embedding.weight" not in state or f"{own}token_embedding.weight" in state:
        return state
    return {
        own + key.removeprefix(other)
        if key.removeprefix(other).startswith(_TEXT_TOWER)
        else key: value
        for key, value in state.items()
    }


def _resized(
    clip: Clip, state: dict[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    # It imports torchvision, of which OpenCLIP needs more than some installations have.
    from timm.layers.pos_embed import resample_abs_pos_embed

    for key in (_VIT, _RESNET, _TIMM):
        found, wanted = state.get(key), expected.get(key)
        if wanted is None or found is None or found.shape == wanted.shape:
            continue
        if not _is_square(clip, key, found) or found.shape[-1] != wanted.shape[-1]:
            continue
        # As OpenCLIP and timm do it: bicubic, with antialiasing.
        positions = resample_abs_pos_embed(
            found.float().reshape(1, *found.shape[-2:]),
            list(_grid(clip, key)),
            num_prefix_tokens=_num_prefixes(clip, key),
        )
        state = {**state, key: positions.reshape(wanted.shape)}
    return state


def _num_prefixes(clip: Clip, key: str) -> int:
    """Positions before those of the patches: of class and other tokens."""
    rows, columns = _grid(clip, key)
    return clip.state_dict()[key].shape[-2] - rows * columns


def _grid(clip: Clip, key: str) -> tuple[int, int]:
    """Rows and columns of patches."""
    if key == _TIMM:
        rows, columns = clip.visual.trunk.patch_embed.grid_size
        return rows, columns
    if key == _VIT:
        rows, columns = clip.visual.grid_size
        return rows, columns
    side = round((len(clip.visual.attnpool.positional_embedding) - 1) ** 0.5)
    return side, side


def _is_square(clip: Clip, key: str, positions: Tensor) -> bool:
    count = positions.shape[-2] - _num_prefixes(clip, key) if positions.ndim > 1 else 0
    return count > 0 and math.isqrt(count) ** 2 == count


def _require_fit(
    path: Path,
    model: str,
    clip: Clip,
    state: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    quick_gelu: bool | None,
) -> None:
    """Raise ModelError that counts what does not fit, and names the remedy."""
    shared = sorted(expected.keys() & state.keys())
    misshaped = [key for key in shared if state[key].shape != expected[key].shape]
    lacking, surplus = (
        sorted(expected.keys() - state.keys()),
        sorted(state.keys() - expected.keys()),
    )
    if not (misshaped or lacking or surplus):
        return
    name = short(path.name)
    if right := [other for other in models_that_fit(state, quick_gelu) if other != model]:
        also = f" (or {', '.join(right[1:3])})" if len(right) > 1 else ""
        raise ModelError(
            f"{name} does not fit {model}: its tensors are those of {right[0]}; use --model "
            f"{right[0]}{also}"
        )
    if not (lacking or surplus) and misshaped in ([_VIT], [_RESNET], [_TIMM]):
        _refuse_resolution(name, model, clip, misshaped[0], state[misshaped[0]])
    shapes = [f"{k} {list(state[k].shape)} for {list(expected[k].shape)}" for k in misshaped]
    faults = {"lacks": lacking, "also has": surplus, "misshapes": shapes}
    raise ModelError(
        f"{name} does not fit {model}: {_told(faults)}; name the model that it was made with: "
        "--model"
    )


def _told(faults: Mapping[str, list[str]]) -> str:
    """What does not fit, with as many names as a line has room for."""
    for most, length in ((3, 60), (3, 30), (2, 24), (1, 24)):
        told = "; ".join(
            f"it {what} {len(keys)} tensors: {first_few(keys, most, length)}"
            for what, keys in faults.items()
            if keys
        )
        if len(told) <= _LONGEST_FAULTS:
            break
    return told


def _refuse_resolution(name: str, model: str, clip: Clip, key: str, positions: Tensor) -> None:
    """Raise ModelError for weights that only see pictures of another size."""
    rows, _ = _grid(clip, key)
    height, width = _pair(clip.visual.image_size)
    if not _is_square(clip, key, positions):
        return
    side = math.isqrt(positions.shape[-2] - _num_prefixes(clip, key))
    own = side * height // rows
    raise ModelError(
        f"{name} was made for pictures of {own} x {own}, and {model} takes {height} x {width}: "
        f"--image-size {own} uses it as it is, --image-size {height} resizes its positional "
        "embeddings"
    )


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


def _require_numbers(
    path: Path, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    for key, tensor in state.items():
        wanted = expected[key]
        if wanted.is_floating_point() and not tensor.is_floating_point():
            raise ModelError(
                f"{short(path.name)}: {short(key)} holds {str(tensor.dtype)[6:]}, so the weights "
                "are quantised; give those in float32, bfloat16 or float16"
            )
        if tensor.is_floating_point() and not _is_finite(tensor):
            raise ModelError(
                f"{short(path.name)}: {short(key)} holds numbers that are not finite; training "
                "went wrong before it was saved, so give an earlier checkpoint"
            )


def _is_finite(tensor: Tensor) -> bool:
    # Both extremes are NaN where any number is: one pass, and no memory for an answer each.
    return not tensor.numel() or bool(torch.isfinite(torch.stack(tensor.aminmax())).all())


def models_that_fit(state: Mapping[str, Tensor], quick_gelu: bool | None = None) -> list[str]:
    """Names of the OpenCLIP models of just these tensors [...], and this activation if known."""
    added = (IMAGE_KEY, TEXT_KEY)
    state = {key: t for key, t in state.items() if key not in added and not is_added(key)}
    configs = {name: model_config(name) for name in open_clip.list_models()}
    names = [
        name
        for name, config in configs.items()
        if quick_gelu in (None, config.get("quick_gelu", False)) and _may_fit(config, state)
    ]
    return [name for name in names[:_MOST_CANDIDATES] if _has_shapes(name, state)]


def _may_fit(config: dict, state: Mapping[str, Tensor]) -> bool:
    """Whether a config agrees with what is quickly compared: the text's sizes and the patches."""
    if has_hub_text(config):
        return False
    text, vision = config["text_cfg"], config["vision_cfg"]
    tokens = state.get("token_embedding.weight", state.get("text.token_embedding.weight"))
    positions = state.get("positional_embedding", state.get("text.positional_embedding"))
    if tokens is None or positions is None:
        return False
    words = (text.get("vocab_size", 49408), text.get("width", 512))
    length = text.get("context_length", 77) + bool(text.get("embed_cls"))
    if tuple(tokens.shape) != words or tuple(positions.shape) != (length, words[1]):
        return False
    is_timm = any(key.startswith("visual.trunk.") for key in state)
    if is_timm or "timm_model_name" in vision:
        return is_timm and "timm_model_name" in vision
    if isinstance(vision["layers"], list):
        return "visual.layer1.0.conv1.weight" in state
    patches, patch = state.get("visual.conv1.weight"), vision["patch_size"]
    return patches is not None and tuple(patches.shape) == (vision["width"], 3, patch, patch)


def _has_shapes(model: str, state: Mapping[str, Tensor]) -> bool:
    # On "meta" a model has shapes and no memory.
    with quiet(), torch.device("meta"):
        expected = make_model(model, model_config(model), device="meta").state_dict()
    state = _with_text_prefix(dict(state), expected)
    ignored = {"logit_scale", "logit_bias"}
    return expected.keys() == state.keys() and all(
        state[key].shape == expected[key].shape for key in expected.keys() - ignored
    )
