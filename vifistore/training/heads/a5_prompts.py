"""A5's text prompts: learned vectors on both sides of a class name, through a frozen text tower.

    start, v_1 .. v_n, name, v_(n+m+1) .. v_(n+m+n), end          m: tokens of the name

v is one table `[token width]` for all classes, read by place: the vectors behind a name depend on
where it ends (ju-chen/Efficient-Prompt, src/model.py). The feature is read at the end token.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vifistore.errors import ModelError, UsageError
from vifistore.models.cut_context import encode_cut_texts
from vifistore.models.openclip_model import OpenClipModel
from vifistore.models.openclip_parts import Clip
from vifistore.models.prompt_learning import num_text_prompts

_FIRST_SPREAD = 0.01


class NamePrompts(nn.Module):
    """The learned vectors, and what the text tower makes of class names among them."""

    def __init__(self, num_each_side: int, context_length: int, width: int) -> None:
        super().__init__()
        self.num_each_side = num_each_side
        self.vectors = nn.Parameter(torch.randn(context_length, width) * _FIRST_SPREAD)

    def forward(self, clip: Clip, names: Tensor) -> Tensor:
        """Text embeddings `[class dim]` of tokenised class names `[class token]`.

        `clip` is a frozen model with a text tower that `check_text_tower` lets pass.
        """
        tokens, fixed = self._lay_out(names)

        def mix(embedding: nn.Module, arguments: tuple, embedded: Tensor) -> Tensor:
            num_tokens = embedded.shape[1]
            return torch.where(fixed[:, :num_tokens, None], embedded, self.vectors[:num_tokens])

        handle = clip.token_embedding.register_forward_hook(mix)
        try:
            return encode_cut_texts(clip, tokens)
        finally:
            handle.remove()

    def _lay_out(self, names: Tensor) -> tuple[Tensor, Tensor]:
        """Names moved to their places, and which places are not learned, both `[class token]`."""
        lengths = _num_name_tokens(names)[:, None]
        first = self.num_each_side + 1
        end = lengths + 2 * self.num_each_side + 1
        places = torch.arange(names.shape[1], device=names.device)
        in_name = (places >= first) & (places < first + lengths)
        sources = torch.where(in_name, places - self.num_each_side, 0)
        sources = torch.where(places == end, lengths + 1, sources)
        fixed = in_name | (places == 0) | (places == end)
        return torch.where(fixed, names.gather(1, sources), 0), fixed


def check_text_tower(loaded: OpenClipModel) -> None:
    """Raise ModelError unless a model's text tower is CLIP's own, and has no prompts yet.

    CLIP's own looks back alone and is read at the end token.
    """
    clip = loaded.clip
    if getattr(clip, "text_pool_type", "") != "argmax" or clip.attn_mask is None:
        raise ModelError(
            f"a5 learns prompts for CLIP's own text tower, which {loaded.model} has not; use "
            "features of a model such as ViT-B-16-quickgelu"
        )
    if num_text_prompts(clip):
        raise ModelError(
            f"the text tower of {loaded.name} has learned prompts already; train a5 on features of "
            "a checkpoint without"
        )


def tokenise_names(loaded: OpenClipModel, names: Sequence[str]) -> Tensor:
    """Tokens of bare class names `[class token]`, start and end included, zeros behind."""
    return loaded.text_side.tokens(names)


def largest_num_prompts(names: Tensor) -> int:
    """Most vectors on each side that leave room for the longest of the names `[class token]`."""
    return max(0, (names.shape[1] - 2 - int(_num_name_tokens(names).max())) // 2)


def check_room(names: Tensor, num_each_side: int) -> None:
    """Raise UsageError if a name of `[class token]` and the vectors do not fit the context."""
    largest = largest_num_prompts(names)
    if num_each_side > largest:
        raise UsageError(
            f"{num_each_side} vectors on each side of the longest class name do not fit the "
            f"context of {names.shape[1]} tokens; train a head with --prompts {largest}"
        )


def _num_name_tokens(names: Tensor) -> Tensor:
    """int64 `[class]`: tokens between start and end, the end being the largest token."""
    return names.argmax(1) - 1
