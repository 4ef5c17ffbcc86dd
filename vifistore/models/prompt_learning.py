"""Vision-language prompt learning: deep prompts in both towers of a frozen OpenCLIP model.

The paper's "bridge and prompt" (ViFi-CLIP, section 5; its code: trainers/vificlip.py and
clip/model.py). n learnable vectors accompany a tower's own tokens through its first `depth` blocks:

    image  x = [class, patch_1..patch_P, p_0]     appended after the patches, before `ln_pre`
           x[-n:] = p_k                           in front of block k, 0 < k < depth
    text   x = [start, p_0, name, end, ...]       in place of the words 1..n, before the positional
                                                  embedding is added
           x[1:1+n] = p_k                         in front of block k, 0 < k < depth

Later blocks keep what the vectors became; class token and end token are read as without prompts.
The words 1..n are placeholders, which `vifistore.models.openclip_texts` puts there. With
fewer than four vectors the released code keeps the rest of "a photo of a" behind them, as this
project does only by a template of those words: "photo of a {}." for one, "of a {}." for two,
"a {}." for three. Without it embeddings of texts are another 0.4 away; no published setting has so
few.

Prompts are modules with one parameter each, `visual.prompts.vectors` and `prompts.vectors`, float32
`[layer prompt width]`. So they are saved, loaded and counted in a tower's digest as any weight is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vifistore.errors import ModelError, UsageError
from vifistore.models.openclip_parts import Clip, ImageTower, OpenClipText

IMAGE_KEY = "visual.prompts.vectors"
TEXT_KEY = "prompts.vectors"

# The paper's code starts at "a photo of a", in OpenCLIP's vocabulary, where the vectors are no more
# than its four words. Its own settings ask for 10 and 16 vectors, which start at random.
FIRST_WORDS = (320, 1125, 539, 320)
_START_SPREAD = 0.02
# Start, at least one word, end.
_FEWEST_WORDS = 3


@dataclass(frozen=True, kw_only=True)
class PromptSettings:
    """How many prompts, and how deep; the defaults are the paper's for base-to-novel."""

    image_prompts: int = 16
    """Learnable vectors in the image tower; 0 for none."""
    image_depth: int = 9
    """Blocks of the image tower that have vectors of their own; 0 for none."""
    text_prompts: int = 16
    """Learnable vectors in the text tower; 0 for none."""
    text_depth: int = 9
    """Blocks of the text tower that have vectors of their own; 0 for none."""

    def __post_init__(self) -> None:
        for field, value in vars(self).items():
            if value < 0:
                raise UsageError(f"{field} is {value}; give 0 or more")


class DeepPrompts(nn.Module):
    """The prompts of one tower, and the hooks by which they enter it."""

    def __init__(self, vectors: Tensor) -> None:
        """vectors: float32 `[layer prompt width]`."""
        super().__init__()
        self.vectors = nn.Parameter(vectors)
        self.handles: list[torch.utils.hooks.RemovableHandle] = []

    def of_layer(self, layer: int, tokens: Tensor) -> Tensor:
        """`[batch prompt width]`, for tokens `[batch token width]` and in their arithmetic."""
        return self.vectors[layer].to(tokens.dtype).expand(len(tokens), -1, -1)

    def over(self, tokens: Tensor, layer: int, start: int) -> Tensor:
        """Tokens `[batch token width]` with the vectors of a layer in place of those at `start`."""
        vectors = self.of_layer(layer, tokens)
        behind = tokens[:, start + vectors.shape[1] :]
        return torch.cat([tokens[:, :start], vectors, behind], dim=1)


# The hooks are objects and not closures: a copy of a tower must read the copy's own vectors.
@dataclass(frozen=True)
class _Append:
    """In front of block 0 of the image tower."""

    prompts: DeepPrompts
    ln_pre: nn.Module

    def __call__(self, block: nn.Module, arguments: tuple) -> tuple:
        tokens, *rest = arguments
        # Normalising acts on each token alone, and those of the image have it behind them.
        vectors = self.ln_pre(self.prompts.of_layer(0, tokens))
        return torch.cat([tokens, vectors], dim=1), *rest


@dataclass(frozen=True)
class _Overwrite:
    """In front of any later block; `start` counts from the end where it is negative."""

    prompts: DeepPrompts
    layer: int
    start: int

    def __call__(self, block: nn.Module, arguments: tuple) -> tuple:
        tokens, *rest = arguments
        return self.prompts.over(tokens, self.layer, self.start % tokens.shape[1]), *rest


IMAGE_HOOKS = (_Append, _Overwrite)
"""What stands in front of blocks of an image tower; it reads the tokens alone, not the block."""


@dataclass(frozen=True)
class _ReplaceWords:
    """Behind the token embedding of the text tower."""

    prompts: DeepPrompts

    def __call__(self, embedding: nn.Module, arguments: tuple, tokens: Tensor) -> Tensor:
        return self.prompts.over(tokens, 0, 1)


def add_prompts(clip: Clip, settings: PromptSettings, *, seed: int) -> list[nn.Parameter]:
    """Give a model new prompts, in place of any it has, and return their parameters.

    Vectors start at N(0, 0.02); those of the text tower's first layer at "a photo of a" where they
    are no more than its words. A tower with no vectors or depth 0 stays as it was.

    Raises
    ------
    ModelError
        If a tower is not one of OpenCLIP's own transformers.
    UsageError
        If the depth exceeds the blocks, or the vectors leave no room for words.
    """
    random = torch.Generator().manual_seed(seed)
    state = {}
    for key, num_prompts, depth in (
        (IMAGE_KEY, settings.image_prompts, settings.image_depth),
        (TEXT_KEY, settings.text_prompts, settings.text_depth),
    ):
        if num_prompts and depth:
            tower = _TOWERS[key](clip)
            shape = (depth, num_prompts, tower.transformer.width)
            state[key] = torch.randn(shape, generator=random) * _START_SPREAD
    if TEXT_KEY in state and settings.text_prompts <= len(FIRST_WORDS):
        words = torch.tensor(FIRST_WORDS[: settings.text_prompts])
        state[TEXT_KEY][0] = _text_tower(clip).token_embedding.weight.detach().cpu()[words]
    attach_prompts(clip, state)
    return prompt_parameters(clip)


def attach_prompts(clip: Clip, state: dict[str, Tensor]) -> None:
    """Give a model the prompts of a state dict, `[layer prompt width]`, in place of any it has.

    Raises as `add_prompts` does, and ModelError if their width is not the tower's.
    """
    for key, vectors in state.items():
        if key in _TOWERS:
            _check_fits(_TOWERS[key](clip), key, vectors, clip.context_length)
    remove_prompts(clip)
    if IMAGE_KEY in state:
        _prompt_image_tower(clip, state[IMAGE_KEY])
    if TEXT_KEY in state:
        _prompt_text_tower(clip, state[TEXT_KEY])


def remove_prompts(clip: Clip) -> dict[str, Tensor]:
    """Take a model's prompts away, if any, and return them, `[layer prompt width]`."""
    state = prompt_state(clip)
    for owner in (clip.visual, clip):
        if (prompts := _prompts_of(owner)) is not None:
            for handle in prompts.handles:
                handle.remove()
            del owner.prompts
    return state


def prompt_state(clip: Clip) -> dict[str, Tensor]:
    """The prompts in a model's state dict, `[layer prompt width]` a tower; empty for none."""
    owners = {IMAGE_KEY: clip.visual, TEXT_KEY: clip}
    return {
        key: prompts.vectors.detach()
        for key, owner in owners.items()
        if (prompts := _prompts_of(owner)) is not None
    }


def prompt_parameters(clip: Clip) -> list[nn.Parameter]:
    """The learnable vectors of a model, image tower first; empty for a model without prompts."""
    found = map(_prompts_of, (clip.visual, clip))
    return [prompts.vectors for prompts in found if prompts is not None]


def num_text_prompts(clip: Clip) -> int:
    """How many words at the start of a text the prompts of a model take the place of."""
    prompts = _prompts_of(clip)
    return 0 if prompts is None else prompts.vectors.shape[1]


def _prompts_of(owner: nn.Module) -> DeepPrompts | None:
    found = getattr(owner, "prompts", None)
    return found if isinstance(found, DeepPrompts) else None


def _prompt_image_tower(clip: Clip, vectors: Tensor) -> None:
    tower = clip.visual
    tower.prompts = prompts = _new_prompts(vectors, tower)
    depth, num_prompts, _ = vectors.shape
    hooks: list[_Append | _Overwrite] = [_Append(prompts, tower.ln_pre)]
    hooks += [_Overwrite(prompts, layer, -num_prompts) for layer in range(1, depth)]
    for block, hook in zip(tower.transformer.resblocks, hooks, strict=False):
        prompts.handles.append(block.register_forward_pre_hook(hook))


def _prompt_text_tower(clip: Clip, vectors: Tensor) -> None:
    tower = _text_tower(clip)
    clip.prompts = prompts = _new_prompts(vectors, tower)
    embedding = tower.token_embedding.register_forward_hook(_ReplaceWords(prompts))
    prompts.handles.append(embedding)
    for layer in range(1, len(vectors)):
        block = tower.transformer.resblocks[layer]
        hook = _Overwrite(prompts, layer, 1)
        prompts.handles.append(block.register_forward_pre_hook(hook))


def _new_prompts(vectors: Tensor, tower: ImageTower | OpenClipText) -> DeepPrompts:
    device = tower.positional_embedding.device
    return DeepPrompts(vectors.detach().to(device, torch.float32, copy=True))


def _image_tower(clip: Clip) -> ImageTower:
    tower = clip.visual
    is_own = hasattr(tower, "class_embedding") and hasattr(tower.transformer, "resblocks")
    # Any other pooling would read the prompts, too.
    if not is_own or tower.pool_type != "tok" or tower.attn_pool is not None:
        raise ModelError(
            "prompts are learned in OpenCLIP's own image transformers with a class token, which "
            "this model has not; use a ViT such as ViT-B-16-quickgelu"
        )
    return tower


def _text_tower(clip: Clip) -> OpenClipText:
    tower = getattr(clip, "text", clip)
    is_own = hasattr(tower, "token_embedding") and hasattr(tower.transformer, "resblocks")
    if not is_own or getattr(tower, "cls_emb", None) is not None:
        raise ModelError(
            "prompts are learned in OpenCLIP's own text transformers, which this model has not; "
            "use one such as ViT-B-16-quickgelu"
        )
    return tower


_TOWERS: dict[str, Callable[[Clip], ImageTower | OpenClipText]] = {
    IMAGE_KEY: _image_tower,
    TEXT_KEY: _text_tower,
}


def _check_fits(
    tower: ImageTower | OpenClipText, key: str, vectors: Tensor, context_length: int
) -> None:
    width, num_blocks = tower.transformer.width, len(tower.transformer.resblocks)
    if vectors.ndim != 3 or vectors.shape[2] != width:
        raise ModelError(
            f"{key} is {list(vectors.shape)} where [layer prompt {width}] fits this model; use "
            "--model of the model that the prompts were learned on"
        )
    depth, num_prompts, _ = vectors.shape
    if depth > num_blocks:
        raise UsageError(
            f"{key} has prompts for {depth} blocks, the tower has {num_blocks}; give a depth of "
            f"at most {num_blocks}"
        )
    if key == TEXT_KEY and num_prompts > context_length - _FEWEST_WORDS:
        raise UsageError(
            f"{num_prompts} text prompts leave no room for a name in {context_length} tokens; give "
            f"at most {context_length - _FEWEST_WORDS}"
        )
