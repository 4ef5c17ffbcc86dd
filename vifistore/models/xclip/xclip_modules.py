"""What X-CLIP adds to a CLIP, where it is attached, and how large it is.

The state dict of a model has the video side below `visual.added.` and the text side below `added.`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vifistore.errors import ModelError
from vifistore.models.encoders import CLIP
from vifistore.models.openclip_parts import Clip, ImageTower
from vifistore.models.xclip.frame_integration import FrameIntegration
from vifistore.models.xclip.frame_messages import FrameMessages
from vifistore.models.xclip.video_prompts import VideoPrompts, XClipVideoTexts
from vifistore.store.feature_record import PATCH_TOKENS, FurtherArray

X_CLIP = "x-clip"
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
                raise ModelError(
                    f"{field} of X-CLIP is {value!r:.40}; give {least} to {_MOST[field]}"
                )

    @classmethod
    def of(cls, system: Mapping) -> "XClipSizes":
        """Those that a checkpoint's header says. Raises ModelError for others than there are."""
        given = {key: value for key, value in system.items() if key != "name"}
        if further := sorted(given.keys() - asdict(cls()).keys()):
            raise ModelError(
                f"the header of the checkpoint gives X-CLIP {further[0]!r:.40}, which this "
                "vifistore does not know; install the version that it was trained with"
            )
        return cls(**given)

    def as_system(self) -> dict:
        """As a header says it."""
        kept = {key: value for key, value in asdict(self).items() if key != "heads" or value}
        return {"name": X_CLIP, **kept}


class VideoSide(nn.Module):
    """What is added to the image tower: messages between frames, their integration, and the way of
    patches to the texts."""

    def __init__(self, tower: ImageTower, sizes: XClipSizes) -> None:
        """New weights, drawn as published from torch's generator."""
        super().__init__()
        dim, width = tower.output_dim, tower.transformer.width
        self.messages = nn.ModuleList(
            FrameMessages(width, block.attn.num_heads) for block in tower.transformer.resblocks
        )
        self.integration = FrameIntegration(
            dim=dim,
            num_frames=sizes.frames,
            layers=sizes.mit_layers,
            heads=_heads(sizes, dim),
        )
        self.patch_norm = nn.LayerNorm(width)
        self.patch_projection = nn.Parameter(torch.randn(width, dim))


class XClipTower(nn.Module):
    """An OpenCLIP image tower with its VideoSide, run on videos."""

    def __init__(self, visual: ImageTower) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Pixels `[batch frame 3 height width]` -> video embeddings `[batch dim]` as `frames`, and
        patch tokens `[batch token dim]`, which are means over frames."""
        batch, frames = pixels.shape[:2]
        added = video_side(self.visual)
        tokens = self._tokens(pixels.flatten(0, 1), frames)
        of_frames = self.visual.ln_post(tokens[:, 0]) @ self.visual.proj
        videos = added.integration(of_frames.unflatten(0, (batch, frames)))
        patches = added.patch_norm(tokens[:, 1:]) @ added.patch_projection
        means = patches.unflatten(0, (batch, frames)).mean(dim=1)
        return {"frames": videos, PATCH_TOKENS: means}

    def _tokens(self, pixels: Tensor, num_frames: int) -> Tensor:
        """`[batch*frame 3 height width]` -> `[batch*frame token width]` behind the last block."""
        tower = self.visual
        tokens = tower._embeds(pixels)
        messages_of = video_side(tower).messages
        is_kept = not (tower.transformer.grad_checkpointing and torch.is_grad_enabled())
        for block, messages in zip(tower.transformer.resblocks, messages_of, strict=True):
            if is_kept:
                tokens = _through(block, messages, tokens, num_frames)
            else:
                parts = (block, messages, tokens, num_frames)
                tokens = checkpoint(_through, *parts, use_reentrant=False)
        return tokens


def _through(block: nn.Module, messages: nn.Module, tokens: Tensor, num_frames: int) -> Tensor:
    """Tokens `[batch*frame token width]` through a block, with the messages of that block."""
    return block(messages(tokens, num_frames))[:, :-1]


def video_side(visual: ImageTower) -> VideoSide:
    """What X-CLIP adds to an image tower that has it."""
    assert isinstance(visual.added, VideoSide), "it was attached"
    return visual.added


def video_prompts(clip: Clip) -> VideoPrompts:
    """What X-CLIP adds to the text side of a model that has it."""
    assert isinstance(clip.added, VideoPrompts), "it was attached"
    return clip.added


def xclip_facts(clip: Clip, system: Mapping) -> dict:
    """What the encoder is: one of views, whose texts follow them by its patch tokens."""
    tower = require_tower(clip)
    rows, columns = tower.grid_size
    lengths = (rows * columns, tower.output_dim)
    tokens = FurtherArray(dtype="float16", axes=("token", "dim"), lengths=lengths)
    return {
        "view_tower": XClipTower(tower),
        "kind": CLIP,
        "num_frames": XClipSizes.of(system).frames,
        "texts_depend_on_video": True,
        "optional": {PATCH_TOKENS: tokens},
        "video_texts": XClipVideoTexts(video_prompts(clip)),
    }


def attach_xclip(clip: Clip, system: Mapping, state: Mapping[str, Tensor] | None = None) -> None:
    """Give a model X-CLIP's modules at the sizes of `system`, with new weights, or for those
    `[...]` of `state`.

    Raises ModelError for a model that they do not fit, and for sizes that `state` has not.
    """
    sizes, tower = XClipSizes.of(system), require_tower(clip)
    if state is not None and (found := sizes_of(state)) != _without_heads(sizes):
        raise ModelError(
            f"the header says X-CLIP of {asdict(sizes)}, and the tensors are of {asdict(found)}; "
            "copy the file again, or save its tensors alone"
        )
    heads = _heads(sizes, tower.output_dim)
    tower.added = VideoSide(tower, sizes)
    clip.added = VideoPrompts(dim=tower.output_dim, layers=sizes.prompt_layers, heads=heads)


def xclip_in(state: Mapping[str, Tensor]) -> dict:
    """The system of weights `[...]` under our names that nothing else tells of; empty for those of
    another."""
    is_own = "visual.added.patch_projection" in state
    return sizes_of(state).as_system() if is_own else {}


def sizes_of(state: Mapping[str, Tensor]) -> XClipSizes:
    """The sizes of the X-CLIP whose tensors [...] these are; of heads no tensor tells."""
    places = state.get("visual.added.integration.positional_embedding")
    return XClipSizes(
        frames=places.shape[1] if places is not None and places.ndim == 3 else 0,
        mit_layers=_layers(state, "visual.added.integration.resblocks."),
        prompt_layers=_layers(state, "added.decoder."),
    )


def _layers(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)})


def _without_heads(sizes: XClipSizes) -> XClipSizes:
    return replace(sizes, heads=0)


def default_heads(dim: int) -> int:
    """Heads of attention of what is added, as published, over so many channels."""
    return max(1, dim // _HEAD_WIDTH)


def _heads(sizes: XClipSizes, dim: int) -> int:
    """Heads of attention over so many channels."""
    heads = sizes.heads or default_heads(dim)
    if dim % heads:
        raise ModelError(f"{dim} channels are no multiple of {heads} heads of X-CLIP")
    return heads


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
