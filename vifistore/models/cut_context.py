"""The text tower on as many tokens as the longest text has, instead of its whole context."""

import torch
from torch import Tensor, nn

from vifistore.models.openclip_parts import Clip
from vifistore.models.registry import open_clip


def read_lengths(clip: Clip, tokens: Tensor) -> Tensor | None:
    """How many of the tokens `[text token]` decide each embedding, int64 [text].

    None where all may: a tower that looks ahead, that is read elsewhere, or is not CLIP's own.
    """
    pool = getattr(clip, "text_pool_type", None)
    if pool not in ("argmax", "eos") or clip.attn_mask is None:
        return None
    if pool == "argmax":
        return tokens.argmax(1) + 1
    # The end need not have the highest number: that of XLM-V is 2.
    is_end = tokens == clip.text_eos_id
    return torch.where(is_end.any(1), is_end.int().argmax(1) + 1, tokens.shape[1])


def encode_cut_texts(clip: Clip, tokens: Tensor) -> Tensor:
    """Un-normalised text embeddings `[text dim]` of tokens `[text token]`.

    OpenCLIP's own `encode_text` without the padding that all texts share. Where a token sees only
    those before it and a text is read at its end, what follows changes nothing. A model with
    another text tower runs with its whole context.
    """
    lengths = read_lengths(clip, tokens)
    if lengths is None or clip.attn_mask is None:
        return clip.encode_text(tokens)
    length = int(lengths.max())
    tokens = tokens[:, :length]
    dtype = clip.transformer.get_cast_dtype()
    x = clip.token_embedding(tokens).to(dtype) + clip.positional_embedding[:length].to(dtype)
    x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:length, :length]))
    pooled = open_clip.transformer.text_global_pool(
        x, tokens, clip.text_pool_type, eos_token_id=clip.text_eos_id
    )
    projection = clip.text_projection
    if projection is None:
        return pooled
    return projection(pooled) if isinstance(projection, nn.Linear) else pooled @ projection
