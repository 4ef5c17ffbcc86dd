"""Multi-frame integration: one embedding of a video from those of its frames.

    z_0 = x + P;   z <- z + A(LN(z));   z <- z + W_2 g(W_1 LN(z));   v = mean over frames of (z + x)

x are the frames' embeddings [frame dim], P learned places in time, g QuickGELU (Ni et al. 2022,
section 3.2; microsoft/VideoX, X-CLIP/models/mit.py).
"""

import torch
from torch import Tensor, nn

from vifistore.models.registry import open_clip

# Standard deviation of the weights that learning starts from.
START_SPREAD = 0.02


class FrameIntegration(nn.Module):
    """A transformer over the frames of a video."""

    def __init__(self, *, dim: int, num_frames: int, layers: int, heads: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.empty(1, num_frames, dim))
        nn.init.trunc_normal_(self.positional_embedding, std=START_SPREAD)
        self.resblocks = nn.ModuleList(
            open_clip.transformer.ResidualAttentionBlock(
                dim, heads, act_layer=open_clip.transformer.QuickGELU
            )
            for _ in range(layers)
        )
        start_linear_layers(self)

    def forward(self, frames: Tensor) -> Tensor:
        """Frame embeddings `[batch frame dim]` -> video embeddings `[batch dim]`."""
        tokens = frames + self.positional_embedding.to(frames.dtype)
        for block in self.resblocks:
            tokens = block(tokens)
        return (tokens + frames).mean(dim=1)


def start_linear_layers(module: nn.Module) -> None:
    """Start linear layers at N(0, 0.02), cut at two, without bias; joint weights of attention stay
    as torch draws them."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=START_SPREAD)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
