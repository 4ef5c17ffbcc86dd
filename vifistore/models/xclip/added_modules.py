"""All that X-CLIP adds to a CLIP, as one module, and how large it is."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from vifistore.errors import ModelError, UsageError
from vifistore.models.openclip_parts import Clip, ImageTower
from vifistore.models.xclip.frame_integration import FrameIntegration
from vifistore.models.xclip.frame_messages import FrameMessages
from vifistore.models.xclip.video_prompts import VideoPrompts

_HEAD_WIDTH = 64
# Published models have 8 to 32 frames, 1 layer and 2 layers.
_MOST = {"frames": 4096, "mit_layers": 64, "prompt_layers": 64, "heads": 256}


@dataclass(frozen=True, kw_only=True)
class XClipSizes:
    """How large the added modules are, beyond what the CLIP decides."""

    frames: int = 8
    """Frames of a view, T."""
    mit_layers: int = 1
    """Blocks of the multi-frame integration."""
    prompt_layers: int = 2
    """Layers of the video-specific prompts."""
    heads: int = 0
    """Heads of both; 0 for one per 64 channels, as published."""

    def __post_init__(self) -> None:
        for field, value in asdict(self).items():
            least = 0 if field == "heads" else 1
            if type(value) is not int or not least <= value <= _MOST[field]:
                raise UsageError(f"{field} of X-CLIP is {value!r:.40}; {least} to {_MOST[field]}")


class AddedModules(nn.Module):
    """What X-CLIP adds to a CLIP: messages between frames, their integration, prompts of texts."""

    def __init__(self, clip: Clip, sizes: XClipSizes) -> None:
        """New weights, drawn as published from torch's generator. Raises ModelError for a model
        whose image tower is no OpenCLIP transformer with a class token."""
        super().__init__()
        tower = require_tower(clip)
        dim, width = tower.output_dim, tower.transformer.width
        heads = sizes.heads or max(1, dim // _HEAD_WIDTH)
        if dim % heads:
            raise ModelError(f"{dim} channels are no multiple of {heads} heads of X-CLIP")
        self.sizes = sizes
        self.messages = nn.ModuleList(
            FrameMessages(width, block.attn.num_heads) for block in tower.transformer.resblocks
        )
        self.integration = FrameIntegration(
            dim=dim, num_frames=sizes.frames, layers=sizes.mit_layers, heads=heads
        )
        self.patch_norm = nn.LayerNorm(width)
        self.patch_projection = nn.Parameter(torch.randn(width, dim))
        self.prompts = VideoPrompts(dim=dim, layers=sizes.prompt_layers, heads=heads)


class XClipTower(nn.Module):
    """The video side: an OpenCLIP image tower and what is added to it."""

    def __init__(self, visual: ImageTower, added: AddedModules) -> None:
        super().__init__()
        self.visual, self.added = visual, added

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels `[batch frame 3 height width]` -> video embeddings `[batch dim]` and patch tokens
        `[batch token dim]`, which are means over frames."""
        batch, frames = pixels.shape[:2]
        tokens = self._tokens(pixels.flatten(0, 1), frames)
        of_frames = self.visual.ln_post(tokens[:, 0]) @ self.visual.proj
        videos = self.added.integration(of_frames.unflatten(0, (batch, frames)))
        patches = self.added.patch_norm(tokens[:, 1:]) @ self.added.patch_projection
        return videos, patches.unflatten(0, (batch, frames)).mean(dim=1)

    def _tokens(self, pixels: Tensor, num_frames: int) -> Tensor:
        """`[batch*frame 3 height width]` -> `[batch*frame token width]` behind the last block."""
        tower = self.visual
        tokens = tower._embeds(pixels)
        for block, messages in zip(tower.transformer.resblocks, self.added.messages, strict=True):
            tokens = block(messages(tokens, num_frames))[:, :-1]
        return tokens


def require_tower(clip: Clip) -> ImageTower:
    """The image tower of a model that X-CLIP's modules fit; raises ModelError for any other."""
    tower = clip.visual
    is_own = hasattr(tower, "class_embedding") and hasattr(tower.transformer, "resblocks")
    if not is_own or tower.pool_type != "tok" or tower.attn_pool is not None or tower.proj is None:
        raise ModelError(
            "X-CLIP's modules fit OpenCLIP's own image transformers with a class token, which this "
            "model has not; use a ViT such as ViT-B-16-quickgelu"
        )
    return tower
