"""The text tower on as many tokens as the longest text has, instead of its whole context."""

from torch import Tensor, nn

from vifistore.models.openclip_parts import Clip
from vifistore.models.registry import open_clip

_READ_AT_THE_END = ("argmax", "eos")


def encode_cut_texts(clip: Clip, tokens: Tensor) -> Tensor:
    """Un-normalised text embeddings `[text dim]` of tokens `[text token]`.

    OpenCLIP's own `encode_text` without the padding that all texts share. Where a token sees only
    those before it and a text is read at its end, what follows changes nothing. A model with
    another text tower runs with its whole context.
    """
    pool = getattr(clip, "text_pool_type", None)
    if pool not in _READ_AT_THE_END or clip.attn_mask is None:
        return clip.encode_text(tokens)
    # The end of a text has the highest number of all tokens.
    length = int(tokens.argmax(1).max()) + 1
    tokens = tokens[:, :length]
    dtype = clip.transformer.get_cast_dtype()
    x = clip.token_embedding(tokens).to(dtype) + clip.positional_embedding[:length].to(dtype)
    x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:length, :length]))
    end = getattr(clip, "text_eos_id", None)
    pooled = open_clip.transformer.text_global_pool(x, tokens, pool, eos_token_id=end)
    projection = clip.text_projection
    if projection is None:
        return pooled
    return projection(pooled) if isinstance(projection, nn.Linear) else pooled @ projection
