"""Video-specific prompts: text embeddings that follow the patches of a video.

    p_0 = c;   p <- p + A(LN(p), LN(s));   p <- p + W_2 g(W_1 LN(p));   c' = c + alpha * p

c are text embeddings [class dim], the queries; s the patch tokens of a view [token dim], keys and
values; A is attention of several heads whose queries, keys and values have no bias; alpha is
learned, one number a channel (Ni et al. 2022, section 3.3; microsoft/VideoX, X-CLIP/models/
prompt.py). What is compared is the cosine of c' and the video's embedding.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from vifistore.models.registry import open_clip
from vifistore.models.video_texts import VideoTexts
from vifistore.models.xclip.frame_integration import start_linear_layers
from vifistore.store.feature_record import PATCH_TOKENS

START_ALPHA = 0.1


class PatchAttention(nn.Module):
    """From texts to patches."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(dim, dim, bias=False)
        self.k_proj = nn.Linear(dim, dim, bias=False)
        self.v_proj = nn.Linear(dim, dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, texts: Tensor, patches: Tensor) -> Tensor:
        """`[view class dim]` and `[view token dim]` -> `[view class dim]`."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q_proj(texts), self.k_proj(patches), self.v_proj(patches))
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class VideoPromptLayer(nn.Module):
    """One layer of attention to patches and MLP."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn = PatchAttention(dim, heads)
        self.norm3 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            # Of the published code's dropout, which is 0, the place is kept.
            *(nn.Linear(dim, 4 * dim), open_clip.transformer.QuickGELU()),
            *(nn.Identity(), nn.Linear(4 * dim, dim)),
        )

    def forward(self, texts: Tensor, patches: Tensor) -> Tensor:
        """`[view class dim]` and `[view token dim]` -> `[view class dim]`."""
        texts = texts + self.cross_attn(self.norm1(texts), patches)
        return texts + self.mlp(self.norm3(texts))


class VideoPrompts(nn.Module):
    """The text side of X-CLIP behind its text tower."""

    def __init__(self, *, dim: int, layers: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.decoder = nn.ModuleList(VideoPromptLayer(dim, heads) for _ in range(layers))
        self.alpha = nn.Parameter(torch.full((dim,), START_ALPHA))
        start_linear_layers(self)

    def forward(self, texts: Tensor, patches: Tensor) -> Tensor:
        """Text embeddings `[class dim]` for the patch tokens `[view token dim]` of each view,
        `[view class dim]`."""
        own = texts.expand(len(patches), -1, -1)
        prompts, patches = own, self.norm(patches)
        for layer in self.decoder:
            prompts = layer(prompts, patches)
        return own + self.alpha * prompts

    def cosines(self, videos: Tensor, patches: Tensor, texts: Tensor) -> Tensor:
        """Cosines `[view class]` of views, by their embeddings `[view dim]` and patch tokens
        `[view token dim]`, and classes, by text embeddings `[class prompt dim]`.

        Of several prompts of a class each follows the view; the mean of their unit vectors counts,
        as it does where texts follow no video.
        """
        classes, prompts, _ = texts.shape
        followed = functional.normalize(self(texts.flatten(0, 1), patches), dim=-1)
        if prompts > 1:
            means = followed.unflatten(1, (classes, prompts)).mean(dim=2)
            followed = functional.normalize(means, dim=-1)
        return (followed @ functional.normalize(videos, dim=-1)[..., None]).squeeze(-1)


class XClipVideoTexts(VideoTexts):
    """X-CLIP's texts of a view, from its patch tokens."""

    reads = PATCH_TOKENS

    def __init__(self, prompts: VideoPrompts) -> None:
        self._prompts = prompts

    def to(self, device: torch.device | str) -> "XClipVideoTexts":
        """A copy on a device, in float32."""
        return XClipVideoTexts(copy.deepcopy(self._prompts).to(device, torch.float32).eval())

    @torch.inference_mode()
    def cosines(self, videos: Tensor, read: Tensor, texts: Tensor) -> Tensor:
        """`[view class]`, a view at a time: one size keeps its arithmetic the same."""
        return torch.cat(
            [
                self._prompts.cosines(videos[view : view + 1], read[view : view + 1], texts)
                for view in range(len(videos))
            ]
        )
